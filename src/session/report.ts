// A run's report out of what the session told of it.
import { version } from "../../package.json";
import {
  type ReportData,
  type ReportDetection,
  type ReportPicture,
  reportHtml,
  reportJson,
} from "../export/report.ts";
import { basisWords } from "./basis.ts";
import type {
  AccuracyPoint,
  DataReport,
  Detection,
  DeviceReport,
  LiveAccuracy,
  ModelReport,
  PathPoint,
  RunResult,
  SetAccuracy,
  StepReport,
  TradeOff,
} from "./protocol.ts";
import { defaultRecipe, type Recipe, recipeWords } from "./recipe.ts";
import { thinEvenly } from "./run_record.ts";

export type { ReportPicture } from "../export/report.ts";

export interface ReportInput {
  name: string;
  /** ms since 1970. */
  when: number;
  result: RunResult;
  model: ModelReport;
  device: DeviceReport;
  data: readonly DataReport[];
  steps: readonly StepReport[];
  points: readonly AccuracyPoint[];
  path: readonly PathPoint[];
  /** Null where it was not measured. */
  tradeOff: TradeOff | null;
  /** Licences of the images, remarks of the export, one sentence each. */
  notes: readonly string[];
}

/** Classes up to which a confusion matrix is drawn. */
const DRAWN_CLASSES = 40;

/** The report of a run as two files. */
export function reportOf(input: ReportInput, pictures: readonly ReportPicture[] = []) {
  const data = dataOf(input);
  return { html: reportHtml(data, pictures), json: reportJson(data) };
}

function dataOf({
  name,
  when,
  result,
  model,
  device,
  data,
  steps,
  points,
  path,
  tradeOff,
  notes,
}: ReportInput): ReportData {
  const { recipe, gates, final } = result;
  const drawn = gates.map((gate, i) => ({
    layer: gate.layer,
    column: gate.column,
    open: final.open[i] === 1,
    score: final.scores[i] ?? 0,
    sensitivity: final.sensitivity[i] ?? 0,
    deltaNorm: final.deltaNorm[i] ?? 0,
    parameters: gate.parameters,
  }));
  const measure = ({ accuracy, interval, balanced, calibration }: SetAccuracy) => ({
    accuracy,
    interval,
    balanced,
    ...calibration,
  });
  const ids = new Map<string, LiveAccuracy>();
  for (const point of points) for (const set of point.sets) ids.set(set.id, set);
  const some = thinEvenly(points, 200);
  return {
    selora: version,
    name,
    when: new Date(when).toISOString(),
    complete: result.complete,
    steps: result.steps,
    seconds: result.seconds,
    ...(result.probed && { probed: result.probed }),
    device: device.backend === "webgpu" ? `WebGPU: ${device.adapter}` : device.adapter,
    model: {
      name: model.name,
      family: model.architecture.family,
      parameters: model.parameters,
      fingerprint: model.fingerprint,
      licence: model.licence,
    },
    recipe,
    settings: (Object.keys(recipeWords) as (keyof Recipe)[]).map((key) => ({
      label: recipeWords[key].label,
      value: String(recipe[key]),
      usual: recipe[key] === defaultRecipe[key],
    })),
    data: data.map((set) => ({
      role: set.role,
      name: set.name,
      fingerprint: set.fingerprint,
      classes: set.classes.map(({ name: className, counts, mapsTo }) => ({
        name: className,
        ...counts,
        countsAs: mapsTo,
      })),
    })),
    adapter: {
      method: recipe.method,
      open: drawn.filter(({ open }) => open).length,
      gates: drawn,
      parameters: drawn.reduce((sum, { open, parameters }) => sum + (open ? parameters : 0), 0),
    },
    sets: result.after.sets.map((after) => {
      const before = result.before.sets.find(({ id }) => id === after.id) ?? after;
      const share = ({ correct, count }: { correct: number; count: number }) =>
        count > 0 ? correct / count : 0;
      return {
        role: after.role,
        name: after.name,
        judge: after.judge,
        count: after.count,
        before: measure(before),
        after: measure(after),
        detection: detectionOf(before.detection, after.detection),
        perClass: after.perClass.map((one) => ({
          name: one.name,
          count: one.count,
          before: share(before.perClass.find((other) => other.name === one.name) ?? { correct: 0, count: 0 }),
          after: share(one),
        })),
      };
    }),
    confusion: confusionOf(result.after.sets.find(({ role }) => role === "target")),
    curves: {
      loss: thinEvenly(steps, 300).flatMap(({ step, loss }): [number, number][] =>
        Number.isFinite(loss) ? [[step, loss]] : [],
      ),
      sets: [...ids].map(([id, { role, name: setName, basis }]) => ({
        role,
        name: setName,
        on: basis ? basisWords(basis) : null,
        after: result.after.sets.find((set) => set.id === id)?.accuracy ?? null,
        points: some.flatMap(({ step, sets }): [number, number][] => {
          const set = sets.find((one) => one.id === id);
          return set ? [[step, set.accuracy]] : [];
        }),
      })),
    },
    path: [...path],
    tradeOff: tradeOff && {
      sets: tradeOff.sets.map(({ id: _, basis, ...set }) => ({ ...set, on: basisWords(basis) })),
      points: tradeOff.points.map(({ open, accuracies }) => ({
        open: open.reduce((sum, flag) => sum + flag, 0),
        accuracies,
      })),
      knee: tradeOff.knee,
    },
    notes: [
      model.licence
        ? `The model's config names its licence: ${model.licence}. What is made of it is bound by it too.`
        : "The model's config names no licence; see where the model comes from before you pass on what is made of it.",
      ...notes,
    ],
  };
}

function detectionOf(before: Detection | null, after: Detection | null): ReportDetection | null {
  if (!before || !after) return null;
  const energy = before.energy !== null && after.energy !== null;
  return {
    count: after.count,
    confidence: [before.confidence, after.confidence],
    energy: energy ? [before.energy as number, after.energy as number] : null,
  };
}

function confusionOf(set: SetAccuracy | undefined): ReportData["confusion"] {
  if (!set || set.names.length > DRAWN_CLASSES) return null;
  const counts = set.names.map(() => set.names.map(() => 0));
  set.labels.forEach((label, i) => {
    const row = counts[label];
    const answer = set.predictions[i];
    if (row && answer !== undefined && row[answer] !== undefined) row[answer] += 1;
  });
  return { names: set.names, counts };
}
