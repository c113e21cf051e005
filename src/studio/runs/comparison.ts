// Kept runs as they are compared: accuracies by role, means over seeds, curves on one grid of steps, points of the
// scatter, and the files a person can take along.
import { balancedTells } from "../../session/balanced.ts";
import type { Compared } from "../../session/chance.ts";
import { spreadOf } from "../../session/line_up.ts";
import type { SetRole } from "../../session/protocol.ts";
import { type Recipe, recipeWords } from "../../session/recipe.ts";
import { differingSettings, type RunDetails, type RunRecord } from "../../session/run_record.ts";
import { csvFile } from "../figures/figure_file.ts";
import { smooth, thin, withStart } from "../watch/series.ts";

export type Measure = "before" | "after";

/** Mean accuracy of a role's sets, 0 to 1; null without any. */
export function roleScore(run: RunRecord, role: SetRole, measure: Measure = "after"): number | null {
  const values = run.scores.filter((set) => set.role === role).map((set) => set[measure]);
  return spreadOf(values)?.mean ?? null;
}

/** A role's sets before and after, to be judged by chance. */
export function roleCompared(run: RunRecord, role: SetRole): Compared[] {
  return run.scores
    .filter((set) => set.role === role)
    .map(({ before, after, count, pairs, repeated }) => ({
      ...{ before, after, count, pairs: pairs ?? null },
      ...(repeated !== undefined && { repeated }),
    }));
}

/** Mean balanced accuracy of a role where the balanced says what the accuracy does not; else null. */
export function roleBalanced(run: RunRecord, role: SetRole): number | null {
  const sets = run.scores.filter((set) => set.role === role);
  const tells = sets.some(
    ({ balanced, interval }) => balanced && balancedTells({ balanced: balanced.after, interval }),
  );
  const values = sets.flatMap(({ balanced }) => balanced?.after ?? []);
  return tells && values.length === sets.length ? (spreadOf(values)?.mean ?? null) : null;
}

/** What a list of runs can be in the order of. */
export const columns = [
  { key: "name", label: "Run" },
  { key: "target", label: "Target" },
  { key: "ood", label: "OOD" },
  { key: "retention", label: "Retention" },
  { key: "open", label: "Open" },
  { key: "seconds", label: "Took" },
  { key: "when", label: "Ended" },
  { key: "model", label: "Model" },
  { key: "data", label: "Images" },
  { key: "note", label: "Note" },
] as const;
export type ColumnKey = (typeof columns)[number]["key"];

/** What a list is sorted by: a column, or a setting of the recipe. */
export type SortKey = ColumnKey | keyof Recipe;
export interface Sorting {
  by: SortKey;
  down: boolean;
}

function sortValue(run: RunRecord, by: SortKey): string | number | null {
  switch (by) {
    case "target":
    case "ood":
    case "retention":
      return roleScore(run, by);
    case "name":
    case "open":
    case "seconds":
    case "when":
      return run[by];
    case "note":
      return run.note?.trim() || null;
    case "model":
      return run.model.name;
    case "data":
      return dataText(run);
    default:
      return run.recipe[by];
  }
}

/** What a run was made on, in a few words: its target, and how many other sets. */
export function dataText({ data }: RunRecord): string {
  const target = data.find(({ role }) => role === "target");
  const others = data.length - (target ? 1 : 0);
  return `${target?.name ?? "–"}${others > 0 ? ` +${others}` : ""}`;
}

/** Runs in an order; what a run has not comes last, whichever way; the newest first among equals. */
export function sorted(runs: readonly RunRecord[], { by, down }: Sorting): RunRecord[] {
  const sign = down ? -1 : 1;
  return [...runs].sort((one, other) => {
    const [a, b] = [sortValue(one, by), sortValue(other, by)];
    if (a === b) return other.when - one.when;
    if (a === null) return 1;
    if (b === null) return -1;
    const order =
      typeof a === "number" && typeof b === "number"
        ? a - b
        : String(a).localeCompare(String(b), undefined, { numeric: true });
    return sign * order || other.when - one.when;
  });
}

/** Whether every word of a search stands somewhere in what is known of a run: `rank=4` finds a setting. */
export function matches(run: RunRecord, search: string): boolean {
  const settings = Object.entries(run.recipe).map(([key, value]) => `${key}=${value}`);
  const text = [
    ...[run.name, ...run.tags, run.series?.name ?? "", run.note ?? "", run.model.name, run.device.adapter],
    ...run.data.map(({ name }) => name),
    ...settings,
  ]
    .join(" ")
    .toLowerCase();
  return search
    .toLowerCase()
    .split(/\s+/)
    .filter(Boolean)
    .every((word) => text.includes(word));
}

/** What runs have in common when they differ in nothing but their seed. */
function sameBut({ recipe, model, data }: RunRecord): string {
  const { seed: _, ...rest } = recipe;
  return JSON.stringify([rest, model.fingerprint ?? model.name, data]);
}

/** Runs that differ in nothing but their seed, in the order of their first. */
export function groupBySeed(runs: readonly RunRecord[]): RunRecord[][] {
  const groups = new Map<string, RunRecord[]>();
  for (const run of runs) {
    const key = sameBut(run);
    groups.set(key, [...(groups.get(key) ?? []), run]);
  }
  return [...groups.values()];
}

/** A name for a group: the run's own, or what all names begin with. */
export function groupName(runs: readonly RunRecord[]): string {
  const [first] = runs;
  if (!first) return "";
  if (runs.length === 1) return first.name;
  return first.series?.entry ?? first.name.replace(/, seed \d+$/, "");
}

export type CurveKind = "loss" | "open" | SetRole;

/** What was measured of a run at a step, and the smoothed value where the measured ones are noisy. */
export interface CurveValue {
  step: number;
  raw: number;
  smooth: number;
}

/** A step at which anything was measured: of each run what was measured there, and what was measured last. */
export interface CurvePoint {
  step: number;
  at: Readonly<Record<string, CurveValue>>;
  /** Nothing of a run before its first and after its last measurement. */
  last: Readonly<Record<string, CurveValue>>;
}

/** Most points of a curve that are drawn. */
const DRAWN = 160;

/** Curves of runs over the steps at which they were measured, and nothing between; accuracies in per cent. */
export function overlaid(
  runs: readonly { run: RunRecord; details: RunDetails }[],
  kind: CurveKind,
): CurvePoint[] {
  const curves = runs.map(({ run, details }) => {
    const points = series(details, kind);
    const values = points.map(({ value }) => value);
    const smoothed = kind === "loss" ? smooth(values) : values;
    const drawn = thin(values, DRAWN).map((i) => ({
      step: (points[i] as (typeof points)[number]).step,
      raw: values[i] as number,
      smooth: smoothed[i] as number,
    }));
    return { id: run.id, drawn };
  });
  const steps = new Set(curves.flatMap(({ drawn }) => drawn.map(({ step }) => step)));
  const places = curves.map(() => -1);
  return [...steps]
    .sort((one, other) => one - other)
    .map((step) => {
      const at: Record<string, CurveValue> = {};
      const last: Record<string, CurveValue> = {};
      curves.forEach(({ id, drawn }, i) => {
        const next = drawn[(places[i] as number) + 1];
        if (next?.step === step) {
          places[i] = (places[i] as number) + 1;
          at[id] = next;
        }
        const known = drawn[places[i] as number];
        if (known && (known.step === step || places[i] !== drawn.length - 1)) last[id] = known;
      });
      return { step, at, last };
    });
}

function series({ steps, points }: RunDetails, kind: CurveKind): { step: number; value: number }[] {
  if (kind === "loss" || kind === "open") return steps.map((one) => ({ step: one.step, value: one[kind] }));
  return withStart(points).flatMap(({ step, sets }) => {
    const values = sets.filter(({ role }) => role === kind).map(({ accuracy }) => 100 * accuracy);
    const mean = spreadOf(values)?.mean;
    return mean === undefined ? [] : [{ step, value: mean }];
  });
}

/** A run in the plane of two roles, in per cent: where it ended, where it began, and the way between, where known. */
export interface PlanePoint {
  id: string;
  name: string;
  x: number;
  y: number;
  before: { x: number; y: number };
  path: { x: number; y: number; strength: number }[];
}

export function inPlane(
  runs: readonly { run: RunRecord; details: RunDetails | null }[],
  xRole: SetRole,
): PlanePoint[] {
  return runs.flatMap(({ run, details }) => {
    const at = (measure: Measure) => {
      const [x, y] = [roleScore(run, xRole, measure), roleScore(run, "target", measure)];
      return x === null || y === null ? null : { x: 100 * x, y: 100 * y };
    };
    const [after, before] = [at("after"), at("before")];
    if (!after || !before) return [];
    const path = (details?.path ?? []).flatMap(({ strength, sets }) => {
      const mean = (wanted: SetRole) =>
        spreadOf(sets.filter(({ role }) => role === wanted).map(({ accuracy }) => 100 * accuracy))?.mean;
      const [x, y] = [mean(xRole), mean("target")];
      return x === undefined || y === undefined ? [] : [{ x, y, strength }];
    });
    return [{ id: run.id, name: run.name, ...after, before, path }];
  });
}

/** A recipe's value as a person reads it. */
export const settingText = (value: Recipe[keyof Recipe]): string => String(value);

/** A row a run: results, then every setting of the recipe (RFC 4180, CRLF). */
export function runsCsv(runs: readonly RunRecord[]): string {
  const sets = new Map<string, { role: SetRole; name: string }>();
  for (const { scores } of runs)
    for (const { role, name } of scores) sets.set(`${role}/${name}`, { role, name });
  const settings = Object.keys(recipeWords) as (keyof Recipe)[];
  const heads = [
    ...["id", "name", "tags", "series", "ended", "model", "device", "complete", "steps", "seconds"],
    ...["open", "gates", "note"],
    ...[...sets.values()].flatMap(({ role, name }) => [`${role} ${name} before`, `${role} ${name} after`]),
    ...settings,
  ];
  const rows = runs.map((run) => [
    ...[run.id, run.name, run.tags.join(" "), run.series?.name ?? ""],
    ...[new Date(run.when).toISOString(), run.model.name, `${run.device.backend}: ${run.device.adapter}`],
    ...[run.complete, run.steps, run.seconds, run.open, run.gates, run.note ?? ""],
    ...[...sets.values()].flatMap(({ role, name }) => {
      const set = run.scores.find((one) => one.role === role && one.name === name);
      return [set?.before ?? null, set?.after ?? null];
    }),
    ...settings.map((key) => run.recipe[key]),
  ]);
  return csvFile([heads, ...rows]);
}

/** Everything that is kept of runs, as JSON. */
export function runsJson(runs: readonly { run: RunRecord; details: RunDetails | null }[]): string {
  return `${JSON.stringify({ selora: 1, runs: runs.map(({ run, details }) => ({ ...run, details })) }, null, 1)}\n`;
}

/** Settings in which these runs differ. */
export const differences = (runs: readonly RunRecord[]): (keyof Recipe)[] =>
  differingSettings(runs.map(({ recipe }) => recipe));
