// Step reports and accuracy points turned into what the curves draw: smoothed, thinned, with their phases, and as CSV.
import { basisWords } from "../../session/basis.ts";
import type { AccuracyPoint, StepReport } from "../../session/protocol.ts";
import { type CsvCell, csvFile } from "../figures/figure_file.ts";

/** Share of the last value that smoothing keeps: about the last 20 reports count. */
const MEMORY = 0.9;

/**
 * Exponential moving average without the pull towards 0 at its start (as Adam corrects its moments): what is drawn
 * at the first report is the first value. What is not finite is passed over.
 */
export function smooth(values: readonly number[], memory: number = MEMORY): number[] {
  let sum = 0;
  let weight = 0;
  return values.map((value) => {
    if (Number.isFinite(value)) {
      sum = memory * sum + (1 - memory) * value;
      weight = memory * weight + (1 - memory);
    }
    return weight > 0 ? sum / weight : Number.NaN;
  });
}

/**
 * Indices of at most `limit` values to draw, rising: first, last, and of each stretch between the lowest and the
 * highest, so that no spike is lost.
 */
export function thin(values: readonly number[], limit: number): number[] {
  if (values.length <= limit) return values.map((_, index) => index);
  const stretches = Math.max(1, Math.floor((limit - 2) / 2));
  const kept = new Set([0, values.length - 1]);
  for (let stretch = 0; stretch < stretches; stretch++) {
    const from = Math.floor((stretch * values.length) / stretches);
    const to = Math.floor(((stretch + 1) * values.length) / stretches);
    let low = from;
    let high = from;
    for (let i = from; i < to; i++) {
      if (values[i]! < values[low]!) low = i;
      if (values[i]! > values[high]!) high = i;
    }
    kept.add(low);
    kept.add(high);
  }
  return [...kept].sort((first, second) => first - second);
}

export interface PhaseSpan {
  phase: StepReport["phase"];
  /** First and last step of the phase, as reported. */
  from: number;
  to: number;
}

/** The phases a run has gone through. A span ends where the next begins, so that they leave no gap. */
export function phaseSpans(steps: readonly StepReport[]): PhaseSpan[] {
  const spans: PhaseSpan[] = [];
  for (const { phase, step } of steps) {
    const last = spans.at(-1);
    if (last) last.to = step;
    if (last?.phase !== phase) spans.push({ phase, from: last ? step : 0, to: step });
  }
  return spans;
}

/** One row of the curves: everything known at a step. Accuracies in per cent, under the id of their set. */
export interface CurveRow {
  step: number;
  epoch: number;
  loss: number | null;
  smoothed: number | null;
  open: number | null;
  /** Of what a method learns beside the classifier. */
  learningRate: number | null;
  /** How far the features have turned from the frozen network's; absent where the run does not keep near it. */
  keep?: number;
  accuracy: Record<string, number>;
  /** The last accuracies at or before this step, and the step at which they were measured; for the crosshair. */
  measured: { step: number; accuracy: Record<string, number> } | null;
}

/** The live points with one of step 0, which runs of older versions have not: the same images before training. */
export function withStart(points: readonly AccuracyPoint[]): readonly AccuracyPoint[] {
  const [first] = points;
  if (!first || first.step === 0) return points;
  const sets = first.sets.map((set) => ({
    ...set,
    accuracy: set.before,
    ...(set.pairs && { pairs: { fixed: 0, broken: 0 } }),
  }));
  return [{ step: 0, epoch: 0, sets }, ...points];
}

/**
 * At most `limit` rows, rising in step, a quarter of them for accuracies at most. All curves share them, so that one
 * crosshair fits all.
 * @param range the steps that are looked at; all by default
 */
export function curveRows(
  steps: readonly StepReport[],
  points: readonly AccuracyPoint[],
  limit: number,
  range: readonly [number, number] = [0, Number.POSITIVE_INFINITY],
): CurveRow[] {
  const ofPoints = Math.floor(limit / 4);
  // Smoothed over the whole run, so that a closer look shows the same curve; a line that leaves the picture has an end.
  const whole = smooth(steps.map((report) => report.loss));
  const [from, to] = within(steps, range);
  const seen = steps.slice(from, to);
  const losses = seen.map((report) => report.loss);
  const [first, end] = within(points, range);
  const measuredIn = points.slice(first, end);
  const rows = new Map<number, CurveRow>();
  const blank = { loss: null, smoothed: null, open: null, learningRate: null, accuracy: {}, measured: null };
  for (const index of thin(losses, limit - Math.min(measuredIn.length, ofPoints))) {
    const report = seen[index]!;
    const smoothed = whole[from + index]!;
    rows.set(report.step, {
      ...blank,
      step: report.step,
      epoch: report.epoch,
      loss: Number.isFinite(report.loss) ? report.loss : null,
      smoothed: Number.isFinite(smoothed) ? smoothed : null,
      open: report.open,
      learningRate: report.learningRate,
      ...(report.keep !== undefined && { keep: report.keep }),
      accuracy: {},
    });
  }
  const mean = measuredIn.map(
    ({ sets }) => sets.reduce((sum, set) => sum + set.accuracy, 0) / Math.max(1, sets.length),
  );
  for (const index of thin(mean, ofPoints)) {
    const { step, epoch, sets } = measuredIn[index]!;
    const row = rows.get(step) ?? { ...blank, step, epoch };
    row.accuracy = Object.fromEntries(sets.map((set) => [set.id, set.accuracy * 100]));
    rows.set(step, row);
  }
  const sorted = [...rows.values()].sort((one, other) => one.step - other.step);
  let measured: CurveRow["measured"] = null;
  for (const row of sorted) {
    if (Object.keys(row.accuracy).length > 0) measured = { step: row.step, accuracy: row.accuracy };
    row.measured = measured;
  }
  return sorted;
}

/** Places of what lies in a range of steps, and of one more on either side. */
function within(rows: readonly { step: number }[], [low, high]: readonly [number, number]): [number, number] {
  const from = rows.findIndex(({ step }) => step >= low);
  const past = rows.findIndex(({ step }) => step > high);
  return [Math.max(0, (from < 0 ? rows.length : from) - 1), past < 0 ? rows.length : past + 1];
}

/** Steps of the whole run as its last report says, or 0 while nothing is known. */
export function totalSteps(steps: readonly StepReport[], lastFrame: number): number {
  return Math.max(steps.at(-1)?.steps ?? 0, steps.at(-1)?.step ?? 0, lastFrame);
}

/**
 * Every report and every accuracy as CSV (RFC 4180, CRLF), unthinned; a cell nothing is known for is empty.
 * @param whole what was measured on all held-out images, in columns of its own
 */
export function curvesCsv(
  steps: readonly StepReport[],
  points: readonly AccuracyPoint[],
  whole: readonly { id: string; name: string; step: number; accuracy: number }[] = [],
): string {
  const names = new Map<string, string>();
  for (const point of points)
    for (const { id, role, name, basis } of point.sets)
      names.set(id, `${role} accuracy: ${name}${basis ? ` (${basisWords(basis)})` : ""}`);
  const ids = [...names.keys()];
  const reports = new Map(steps.map((report) => [report.step, report]));
  const measured = new Map(points.map((point) => [point.step, point]));
  const keeps = steps.some(({ keep }) => keep !== undefined);
  const head = ["step", "epoch", "phase", "loss", "penalty", "learning rate", "open", "images per second"];
  if (keeps) head.push("distance from before");
  const wholes = new Map(whole.map(({ id, name }) => [id, `${name} (all held-out images)`]));
  const lines: CsvCell[][] = [[...head, ...names.values(), ...wholes.values()]];
  const all = [...reports.keys(), ...measured.keys(), ...whole.map(({ step }) => step)];
  for (const step of [...new Set(all)].sort((a, b) => a - b)) {
    const report = reports.get(step);
    const point = measured.get(step);
    lines.push([
      step,
      report?.epoch ?? point?.epoch,
      report?.phase,
      report?.loss,
      report?.penalty,
      report?.learningRate,
      report?.open,
      report?.imagesPerSecond,
      ...(keeps ? [report?.keep] : []),
      ...ids.map((id) => point?.sets.find((set) => set.id === id)?.accuracy),
      ...[...wholes.keys()].map((id) => whole.find((one) => one.id === id && one.step === step)?.accuracy),
    ]);
  }
  return csvFile(lines);
}
