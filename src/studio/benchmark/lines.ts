// The bench's lines as a reader wants them: one group for each model on each device, in it who is how fast, what a step
// is made of, and what gates cost.
import type { Line } from "../../session/benchmark/protocol.ts";

/** One work done by us and by others, ours first. */
export interface Rates {
  what: string;
  rows: { who: string; rate: number | null; ratio: number | null; runs: number; reason: string | null }[];
}

/** Something counted or timed inside of a step, for each work. */
export interface Inside {
  name: string;
  unit: string;
  training: number | null;
  inference: number | null;
}

export interface Group {
  model: string;
  batch: number;
  backend: Line["backend"];
  adapter: string;
  rates: Rates[];
  inside: Inside[];
  /** What gates cost and save, and the dispatches of a layer. */
  gates: Line[];
}

const works = ["training step", "inference"] as const;

/** Sorts lines into groups, in the order in which they came. */
export function groupLines(lines: readonly Line[]): Group[] {
  const groups = new Map<string, Group>();
  for (const line of lines) {
    const { model, batch, backend, adapter } = line;
    const key = `${model}/${batch}/${backend}`;
    const group = groups.get(key) ?? { model, batch, backend, adapter, rates: [], inside: [], gates: [] };
    groups.set(key, group);
    sort(line, group);
  }
  return [...groups.values()];
}

function sort(line: Line, group: Group): void {
  const { what, unit, ours, peer, theirs, ratio } = line;
  const work = works.find((one) => what === one || what.startsWith(`${one}: `));
  // A phase is ours alone; a comparison of two of our own steps is about gates.
  if (!work || (unit === "ms" && peer !== null)) group.gates.push(line);
  else if (what === work) addRate(line, group);
  else {
    addInside(group, work, what.slice(work.length + 2), unit, ours);
    if (unit === "GFLOP/s" && ratio !== null)
      addInside(group, work, "share of the fastest product", "%", 100 * ratio);
    if (unit === "MB" && theirs !== null) addInside(group, work, "memory computed before", "MB", theirs);
  }
}

function addRate({ what, unit, ours, peer, theirs, ratio, runs, reason }: Line, group: Group): void {
  // Time on all cores is for a terminal.
  if (unit !== "images/s") return;
  let rates = group.rates.find((one) => one.what === what);
  if (!rates) {
    rates = { what, rows: [] };
    group.rates.push(rates);
  }
  if (peer === null) rates.rows.push({ who: "Selora", rate: ours, ratio: null, runs, reason: null });
  else rates.rows.push({ who: peer, rate: theirs, ratio, runs, reason: reason ?? null });
}

function addInside(group: Group, work: (typeof works)[number], name: string, unit: string, value: number) {
  let row = group.inside.find((one) => one.name === name);
  if (!row) {
    row = { name, unit, training: null, inference: null };
    group.inside.push(row);
  }
  row[work === "inference" ? "inference" : "training"] = value;
}

/** The lines as they are copied: one JSON object a line. */
export const asJson = (lines: readonly Line[]): string =>
  lines.map((line) => `${JSON.stringify(line)}\n`).join("");

/** At most four figures, grouped by thousands: 1,234 · 56.7 · 8.9 · 0.123. */
export function formatFigure(value: number): string {
  if (Number.isInteger(value) || value >= 100)
    return new Intl.NumberFormat("en", { maximumFractionDigits: 0 }).format(value);
  return value.toFixed(value >= 10 ? 1 : value >= 1 ? 2 : 3);
}

/** How many times as fast: 12×, 3.4×, 0.85×. */
export const formatRatio = (ratio: number): string =>
  `${ratio >= 10 ? ratio.toFixed(0) : ratio.toFixed(ratio >= 2 ? 1 : 2)}×`;
