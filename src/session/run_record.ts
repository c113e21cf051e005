// What is kept of every run, for good: its recipe, what it was made on and what it came to (the record), and its curves
// and gates (the details), read only when they are looked at. Plain JSON, so that a download and a report hold the same.
// What comes back from storage is believed in nothing until it is checked (keep.ts): a broken record is set aside and
// costs no other.
import { z } from "zod";
import type {
  AccuracyPoint,
  DataReport,
  DeviceReport,
  GateFrame,
  ModelReport,
  PathPoint,
  RunResult,
  StepReport,
} from "./protocol.ts";
import { heads, recipeSchema } from "./recipe.ts";
import { basisSchema, gateSchema, pairsSchema } from "./saved_run.ts";

const role = z.enum(["target", "ood", "retention"]);
const count = z.int().min(0);
const share = z.number().min(0).max(1);
const name = z.string().max(200);
const fingerprint = z.string().max(64).nullable();
const finite = z.number();

export const runRecordSchema = z.object({
  version: z.literal(1),
  id: z.string().min(1).max(100),
  name: z.string().min(1).max(200),
  tags: z.array(z.string().min(1).max(40)).max(20),
  /** What the person wrote beside it; absent where they wrote nothing. */
  note: z.string().max(2000).optional(),
  /** Place in the palette of runs. */
  colour: count.max(1000),
  /** When it ended, in ms since 1970. */
  when: z.number().min(0),
  /** The runs it was started with in one go, and which of their recipes it is; null when it was started alone. */
  series: z.object({ id: z.string().max(100), name, entry: name }).nullable(),
  recipe: recipeSchema,
  device: z.object({ backend: z.enum(["webgpu", "wasm"]), adapter: name }),
  model: z.object({ name, parameters: count, fingerprint }),
  data: z.array(z.object({ role: z.enum([...role.options, "keep"]), name, images: count, fingerprint })),
  complete: z.boolean(),
  steps: count,
  seconds: z.number().min(0),
  open: count,
  gates: count,
  scores: z.array(
    z.object({
      role,
      name,
      judge: z.enum(heads),
      count,
      before: share,
      after: share,
      /** 95 % interval of `after`. */
      interval: z.tuple([share, share]),
      /** Balanced accuracies, and answers put right and broken; absent in runs that older versions kept. */
      balanced: z.object({ before: share, after: share }).optional(),
      pairs: pairsSchema.optional(),
      /** How often a picture counts, under that many corruptions. */
      repeated: count.optional(),
    }),
  ),
});
export type RunRecord = z.infer<typeof runRecordSchema>;

const phases = ["warm-up", "selecting", "settling"] as const;
export const runDetailsSchema = z.object({
  version: z.literal(1),
  id: z.string().min(1).max(100),
  steps: z
    .array(
      z.object({
        step: count,
        steps: count,
        epoch: count,
        loss: finite,
        penalty: finite,
        learningRate: finite,
        open: count,
        imagesPerSecond: finite,
        secondsLeft: finite,
        phase: z.enum(phases).catch("settling"),
      }),
    )
    .max(2000),
  points: z
    .array(
      z.object({
        step: count,
        epoch: count,
        sets: z.array(
          z.object({
            ...{ id: z.string(), role, name, accuracy: share, before: share },
            basis: basisSchema.optional(),
            pairs: pairsSchema.optional(),
          }),
        ),
      }),
    )
    .max(2000),
  gates: z.array(gateSchema).max(100_000),
  frames: z
    .array(z.object({ step: count, scores: z.array(finite), open: z.array(z.int().min(0).max(1)) }))
    .max(200),
  /** The gates at the end. */
  final: z.object({
    scores: z.array(finite),
    open: z.array(z.int().min(0).max(1)),
    sensitivity: z.array(finite),
    deltaNorm: z.array(finite),
  }),
  /** WiSE-FT's path, where it was measured. */
  path: z
    .array(z.object({ strength: share, sets: z.array(z.object({ role, name, accuracy: share })) }))
    .max(50),
});
export type RunDetails = z.infer<typeof runDetailsSchema>;

/** Most of each that is kept; a run of a week takes no more room than one of an hour. */
const LIMITS = { steps: 300, points: 200, frames: 40 };

/** At most `limit` of a history, evenly, first and last among them. */
export function thinEvenly<T>(all: readonly T[], limit: number): T[] {
  if (all.length <= limit) return [...all];
  return Array.from({ length: limit }, (_, i) => all[Math.round((i * (all.length - 1)) / (limit - 1))] as T);
}

/** A number as JSON can hold it. */
const plain = (value: number) => (Number.isFinite(value) ? value : 0);
const list = (values: ArrayLike<number>) => Array.from(values, plain);

export interface RunSource {
  id: string;
  name: string;
  colour: number;
  when: number;
  series: RunRecord["series"];
  device: DeviceReport;
  model: ModelReport;
  data: readonly DataReport[];
  result: RunResult;
}

const cut = (text: string) => text.slice(0, 200);

/** The record of a run that has just ended. */
export function recordOf({ model, device, data, result, ...known }: RunSource): RunRecord {
  return {
    version: 1,
    ...known,
    tags: [],
    recipe: result.recipe,
    device: { backend: device.backend, adapter: cut(device.adapter) },
    model: { name: cut(model.name), parameters: model.parameters, fingerprint: model.fingerprint },
    data: data.map((set) => ({
      role: set.role,
      name: cut(set.name),
      images: set.count,
      fingerprint: set.fingerprint,
    })),
    complete: result.complete,
    steps: result.steps,
    seconds: result.seconds,
    open: result.final.open.reduce((sum, one) => sum + one, 0),
    gates: result.gates.length,
    scores: result.after.sets.map((set) => {
      const was = result.before.sets.find(({ id }) => id === set.id);
      return {
        role: set.role,
        name: cut(set.name),
        judge: set.judge,
        count: set.count,
        before: was?.accuracy ?? 0,
        after: set.accuracy,
        interval: set.interval,
        ...(was && { balanced: { before: was.balanced, after: set.balanced } }),
        ...(set.change && { pairs: { fixed: set.change.fixed, broken: set.change.broken } }),
        ...(set.parts.length > 0 && { repeated: set.parts.length }),
      };
    }),
  };
}

/** Curves and gates of a run, thinned. */
export function detailsOf(
  id: string,
  { gates, final }: RunResult,
  history: { steps: readonly StepReport[]; points: readonly AccuracyPoint[]; frames: readonly GateFrame[] },
  path: readonly PathPoint[],
): RunDetails {
  return {
    version: 1,
    id,
    steps: thinEvenly(history.steps, LIMITS.steps).map((one) => ({
      ...one,
      loss: plain(one.loss),
      penalty: plain(one.penalty),
      imagesPerSecond: plain(one.imagesPerSecond),
      secondsLeft: plain(one.secondsLeft),
    })),
    points: thinEvenly(history.points, LIMITS.points),
    gates: gates.map((gate) => ({ ...gate })),
    frames: thinEvenly(history.frames, LIMITS.frames).map(({ step, scores, open }) => ({
      step,
      scores: list(scores),
      open: list(open),
    })),
    final: {
      scores: list(final.scores),
      open: list(final.open),
      sensitivity: list(final.sensitivity),
      deltaNorm: list(final.deltaNorm),
    },
    path: [...path],
  };
}

/** Settings in which recipes differ, in the recipe's order. */
export function differingSettings(recipes: readonly RunRecord["recipe"][]): (keyof RunRecord["recipe"])[] {
  const keys = Object.keys(recipeSchema.shape) as (keyof RunRecord["recipe"])[];
  return keys.filter((key) => new Set(recipes.map((recipe) => recipe[key])).size > 1);
}
