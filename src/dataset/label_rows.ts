// Which row of a classifier a class folder means: by the label's name, by WordNet's id where the classifier is ImageNet-1k's,
// or by the row's number where folders cannot be anything else. What fits two rows is left to the person.
import { firstPart, fittingLabels, normaliseName } from "./match.ts";

export interface LabelRow {
  /** null where nothing fits, or more than one row does. */
  row: number | null;
  by: "name" | "id" | "number";
  /** The rows that fit alike, where there is more than one. */
  choices: number[];
}

/** A WordNet id that begins a folder's name: `n01440764`, or with the name behind it, `n01440764_tench`. */
const WORDNET_ID = /^n\d{8}(?![\p{L}\p{N}])/iu;

/** The WordNet id that a folder is named by; null for other names. */
export function wordnetId(name: string): string | null {
  return WORDNET_ID.exec(name)?.[0].toLowerCase() ?? null;
}

/** Labels that tell ImageNet-1k's rows in their usual order from another thousand. */
const LANDMARKS: readonly (readonly [row: number, names: RegExp])[] = [
  [0, /^tench/],
  [1, /^goldfish/],
  [207, /^goldenretriever/],
  [388, /^giantpanda/],
  [999, /^toilet/],
];

/** Labels that only count the rows: `LABEL_7`, `class7`, `7`, or the id itself. */
const COUNTED = /^(label|class)?0*(\d+)$/;

const isCounted = (label: string, row: number) =>
  Number(COUNTED.exec(normaliseName(label))?.[2] ?? -1) === row;

/** Whether these labels are ImageNet-1k's, in their order, or say nothing but that there are a thousand. */
function areImagenets(labels: readonly string[]): boolean {
  if (labels.length !== 1000) return false;
  if (labels.every(isCounted)) return true;
  return LANDMARKS.filter(([row, names]) => names.test(normaliseName(labels[row] as string))).length >= 3;
}

/**
 * Whether folders that are all numbers are rows: different ones that the classifier has, and not what people call digits
 * or classes of their own, which is to count from 0 or 1 without a gap and stop before the last row.
 */
export function areRows(names: readonly string[], labels: readonly string[]): boolean {
  if (names.length === 0 || !names.every((name) => /^\d{1,9}$/.test(name))) return false;
  const rows = [...new Set(names.map(Number))].sort((a, b) => a - b);
  const last = rows.at(-1) as number;
  if (rows.length < names.length || last >= labels.length) return false;
  const [first] = rows as [number];
  return rows.length === labels.length || first > 1 || last - first + 1 > rows.length;
}

/**
 * Where folders are named by the first parts of labels, a whole label that is another's first part may be either:
 * ImageNet has `maillot` and `maillot, tank suit`. Those names, each with its rows.
 */
function cutNames(names: readonly string[], labels: readonly string[]): Map<string, number[]> {
  const whole = new Set(labels);
  const rows = new Map<string, number[]>();
  for (const [row, label] of labels.entries()) {
    const first = firstPart(label);
    rows.set(first, [...(rows.get(first) ?? []), row]);
  }
  if (!names.some((name) => !whole.has(name) && rows.has(name))) return new Map();
  return new Map(
    names.flatMap((name) => {
      const fits = rows.get(name) ?? [];
      return fits.length > 1 ? [[name, fits] as const] : [];
    }),
  );
}

/**
 * For each of `names`, what row of the classifier it means.
 * @param rows null where the labels are no classifier's, so that names alone count; `ids` are rows of ImageNet-1k by
 *   WordNet's ids, null where no name is one, or they cannot be had
 */
export function labelRows(
  names: readonly string[],
  labels: readonly string[],
  rows: { ids: ReadonlyMap<string, number> | null } | null,
): Map<string, LabelRow> {
  const byName = fittingLabels(names, labels);
  for (const [name, fits] of cutNames(names, labels)) byName.set(name, fits);
  const ids = rows?.ids && areImagenets(labels) ? rows.ids : null;
  const none = names.every((name) => byName.get(name)?.length === 0);
  const numbers = rows !== null && none && areRows(names, labels);
  return new Map(
    names.map((name): [string, LabelRow] => {
      const fits = byName.get(name) as number[];
      if (fits.length > 0) {
        const row = fits.length === 1 ? (fits[0] as number) : null;
        return [name, { row, by: "name", choices: row === null ? fits : [] }];
      }
      const id = ids && wordnetId(name);
      if (id) return [name, { row: ids.get(id) ?? null, by: "id", choices: [] }];
      return [name, { row: numbers ? Number(name) : null, by: numbers ? "number" : "name", choices: [] }];
    }),
  );
}

/** Labels as a person can choose them: one that stands at several rows says which it is, `crane (row 134)`. */
export function offeredLabels(labels: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  return labels.map((label, row) => ((counts.get(label) as number) > 1 ? `${label} (row ${row})` : label));
}

/**
 * The rows that a label given by hand means: as it is offered, else by its name, else by the row's number. One row where it
 * is clear, none where there is no such label.
 */
export function rowsGiven(given: string, labels: readonly string[], numbers: boolean): number[] {
  const offered = offeredLabels(labels).indexOf(given);
  if (offered >= 0) return [offered];
  const fits = fittingLabels([given], labels).get(given) as number[];
  if (fits.length > 0 || !numbers || !/^\d{1,9}$/.test(given)) return fits;
  return Number(given) < labels.length ? [Number(given)] : [];
}
