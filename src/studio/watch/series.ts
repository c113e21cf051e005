// Step reports and accuracy points turned into what the curves draw: smoothed, thinned, with their phases, and as CSV.
import type { AccuracyPoint, Evaluation, StepReport } from "../../session/protocol.ts";

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
  /** How far the features have turned from the frozen network's; absent where the run does not keep near it. */
  keep?: number;
  accuracy: Record<string, number>;
  /** The last accuracies at or before this step, and the step at which they were measured; for the crosshair. */
  measured: { step: number; accuracy: Record<string, number> } | null;
}

/**
 * At most `limit` rows, rising in step, a quarter of them for accuracies at most; what was measured `before` is step 0.
 * All curves share them, so that one crosshair fits all.
 */
export function curveRows(
  steps: readonly StepReport[],
  points: readonly AccuracyPoint[],
  before: Evaluation | null,
  limit: number,
): CurveRow[] {
  const ofPoints = Math.floor(limit / 4);
  const losses = steps.map((report) => report.loss);
  const smoothed = smooth(losses);
  const rows = new Map<number, CurveRow>();
  if (before) {
    const accuracy = Object.fromEntries(before.sets.map((set) => [set.id, set.accuracy * 100]));
    rows.set(0, { step: 0, epoch: 0, loss: null, smoothed: null, open: null, accuracy, measured: null });
  }
  for (const index of thin(losses, limit - Math.min(points.length, ofPoints) - rows.size)) {
    const report = steps[index]!;
    rows.set(report.step, {
      step: report.step,
      epoch: report.epoch,
      loss: Number.isFinite(report.loss) ? report.loss : null,
      smoothed: Number.isFinite(smoothed[index]) ? smoothed[index]! : null,
      open: report.open,
      ...(report.keep !== undefined && { keep: report.keep }),
      accuracy: {},
      measured: null,
    });
  }
  const mean = points.map(
    ({ sets }) => sets.reduce((sum, set) => sum + set.accuracy, 0) / Math.max(1, sets.length),
  );
  for (const index of thin(mean, ofPoints)) {
    const { step, epoch, sets } = points[index]!;
    const row = rows.get(step) ?? {
      step,
      epoch,
      loss: null,
      smoothed: null,
      open: null,
      accuracy: {},
      measured: null,
    };
    for (const set of sets) row.accuracy[set.id] = set.accuracy * 100;
    rows.set(step, row);
  }
  const sorted = [...rows.values()].sort((first, second) => first.step - second.step);
  let measured: CurveRow["measured"] = null;
  for (const row of sorted) {
    if (Object.keys(row.accuracy).length > 0) measured = { step: row.step, accuracy: row.accuracy };
    row.measured = measured;
  }
  return sorted;
}

/** Steps of the whole run as its last report says, or 0 while nothing is known. */
export function totalSteps(steps: readonly StepReport[], lastFrame: number): number {
  return Math.max(steps.at(-1)?.steps ?? 0, steps.at(-1)?.step ?? 0, lastFrame);
}

function field(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Every report and every accuracy as CSV (RFC 4180, CRLF), unthinned; a cell nothing is known for is empty. */
export function curvesCsv(steps: readonly StepReport[], points: readonly AccuracyPoint[]): string {
  const names = new Map<string, string>();
  for (const point of points)
    for (const set of point.sets) names.set(set.id, `${set.role} accuracy: ${set.name}`);
  const ids = [...names.keys()];
  const reports = new Map(steps.map((report) => [report.step, report]));
  const measured = new Map(points.map((point) => [point.step, point]));
  const keeps = steps.some(({ keep }) => keep !== undefined);
  const head = ["step", "epoch", "phase", "loss", "penalty", "learning rate", "open", "images per second"];
  if (keeps) head.push("distance from before");
  const lines = [[...head, ...names.values()].map(field).join(",")];
  for (const step of [...new Set([...reports.keys(), ...measured.keys()])].sort((a, b) => a - b)) {
    const report = reports.get(step);
    const point = measured.get(step);
    const cells = [
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
    ];
    lines.push(cells.map((cell) => (cell === undefined ? "" : field(String(cell)))).join(","));
  }
  return `${lines.join("\r\n")}\r\n`;
}
