// Gates as the heatmap lays them out, and what the frames say of one gate over time.
import type { GateFrame, GateInfo } from "../../session/protocol.ts";
import { roundUp, type Scale } from "./colour.ts";

export type Column = GateInfo["column"];

/** Columns in the order in which an image passes them. */
const COLUMN_ORDER: readonly Column[] = ["layer", "attention", "mlp", "q", "k", "v", "o", "fc1", "fc2"];

/** Short heading of a column. */
export const columnLabels: Record<Column, string> = {
  layer: "Whole layer",
  attention: "Attention",
  mlp: "MLP",
  q: "q",
  k: "k",
  v: "v",
  o: "o",
  fc1: "fc1",
  fc2: "fc2",
};

/** What a column is, in words for someone who has never opened a transformer. */
export const columnHelp: Record<Column, string> = {
  layer: "A whole layer of the network, attention and MLP, that adapts as one.",
  attention: "Attention lets each patch of the image look at every other patch.",
  mlp: "The MLP works on each patch by itself; much of what a network knows sits here.",
  q: "Query: what a patch asks of the others.",
  k: "Key: what a patch offers to be found by.",
  v: "Value: what a patch passes on.",
  o: "Output: mixes what attention has gathered.",
  fc1: "First matrix of the MLP: widens.",
  fc2: "Second matrix of the MLP: narrows again.",
};

/** Rows (layers, first one first) and columns of the heatmap; a cell no gate stands for is null. */
export interface GateLayout {
  columns: Column[];
  rows: { layer: number; cells: (GateInfo | null)[] }[];
}

export function layoutGates(gates: readonly GateInfo[]): GateLayout {
  const columns = COLUMN_ORDER.filter((column) => gates.some((gate) => gate.column === column));
  const byLayer = new Map<number, GateInfo[]>();
  for (const gate of gates) byLayer.set(gate.layer, [...(byLayer.get(gate.layer) ?? []), gate]);
  const rows = [...byLayer.entries()]
    .sort(([first], [second]) => first - second)
    .map(([layer, ofLayer]) => ({
      layer,
      cells: columns.map((column) => ofLayer.find((gate) => gate.column === column) ?? null),
    }));
  return { columns, rows };
}

/** "Layer 7, MLP": layers are counted from 1 for people, from 0 in the protocol. */
export function gateName(gate: GateInfo): string {
  return gate.column === "layer"
    ? `Layer ${gate.layer + 1}`
    : `Layer ${gate.layer + 1}, ${columnLabels[gate.column]}`;
}

export function countOpen(open: Uint8Array): number {
  let count = 0;
  for (const flag of open) count += flag ? 1 : 0;
  return count;
}

export type Metric = "score" | "sensitivity" | "change";

export function metricOf(frame: GateFrame, metric: Metric): Float32Array {
  return metric === "score" ? frame.scores : metric === "sensitivity" ? frame.sensitivity : frame.deltaNorm;
}

// Frames never change once they are sent, so each is searched once however often the page redraws.
const largest = new WeakMap<Float32Array, number>();

function largestOf(values: Float32Array): number {
  let max = largest.get(values);
  if (max === undefined) {
    max = 0;
    for (const value of values) if (value > max && value < Number.POSITIVE_INFINITY) max = value;
    largest.set(values, max);
  }
  return max;
}

/** Scale that fits every frame of the run, so that a colour means the same at any time. Scores reach at least 2 tau. */
export function metricScale(frames: readonly GateFrame[], metric: Metric, tau: number | null): Scale {
  let max = metric === "score" ? 2 * (tau ?? 0) : 0;
  for (const frame of frames) max = Math.max(max, largestOf(metricOf(frame, metric)));
  return { max: roundUp(max), curve: metric === "score" ? "linear" : "sqrt" };
}

/** Step of the frame since which a gate has been as it is in frame `at`, without a break. */
export function heldSince(frames: readonly GateFrame[], gate: number, at: number): number | null {
  const state = frames[at]?.open[gate];
  if (state === undefined) return null;
  let first = at;
  while (first > 0 && frames[first - 1]!.open[gate] === state) first--;
  return frames[first]!.step;
}

/** A gate's score, or the change of its block, at up to `limit` frames, first and last among them. */
export function blockHistory(
  frames: readonly GateFrame[],
  gate: number,
  metric: Metric,
  limit: number,
): { step: number; value: number }[] {
  const count = Math.min(limit, frames.length);
  return Array.from({ length: count }, (_, i) => {
    const frame = frames[count === 1 ? 0 : Math.round((i * (frames.length - 1)) / (count - 1))]!;
    return { step: frame.step, value: metricOf(frame, metric)[gate] ?? 0 };
  });
}

/** Where an arrow key leads from a gate; the same gate where there is nothing further. */
export function neighbour(layout: GateLayout, gate: number, key: string): number {
  const row = layout.rows.findIndex((candidate) => candidate.cells.some((cell) => cell?.id === gate));
  if (row < 0) return gate;
  const column = layout.rows[row]!.cells.findIndex((cell) => cell?.id === gate);
  const [down, right] = (
    { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] } as Record<
      string,
      [number, number]
    >
  )[key] ?? [0, 0];
  if (key === "Home") return layout.rows[row]!.cells.find((cell) => cell)?.id ?? gate;
  if (key === "End") return layout.rows[row]!.cells.findLast((cell) => cell)?.id ?? gate;
  if (!down && !right) return gate;
  for (let r = row + down, c = column + right; ; r += down, c += right) {
    const cells = layout.rows[r]?.cells;
    if (!cells || c < 0 || c >= cells.length) return gate;
    const cell = cells[c];
    if (cell) return cell.id;
  }
}
