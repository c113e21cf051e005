// Labels out of a table: which column names the images, which one says what they show, and which split they are in.
import { blank, type Candidate, leave } from "./placement.ts";
import { columnRole, partsAmong, saysNothing, splitInCell } from "./signs.ts";
import type { Split } from "./types.ts";

/** A parsed table and where it lay. */
export interface Table {
  path: string;
  rows: string[][];
}

/** A table whose rows are images. */
interface Matched {
  table: Table;
  header: string[];
  /** Rows below the header, and the image of each (-1: none). */
  rows: string[][];
  images: number[];
  file: number;
  /** Images that it could speak of. */
  scope: readonly number[];
}

/** Least share of rows that must name an image for a table to be one of images. */
const LEAST_SHARE = 0.5;
/** Share of rows and of images from which on nothing is missing. */
const NEARLY_ALL = 0.9;
const SAMPLE = 200;

/** Readings of a drop by its tables; one for each column that could be the label. */
export function tableCandidates(
  paths: readonly string[],
  tables: readonly Table[],
  skip: ReadonlySet<number>,
): Candidate[] {
  // Tables beside each other speak of the same images, which are looked up by one index.
  const indexes = new Map<string, Index>();
  const matched = tables
    .filter(({ path }) => !/submission/i.test(path))
    .flatMap((table) => matchTable(table, paths, skip, indexes) ?? []);
  // Tables of one drop with the same columns are parts of one: train.csv and val.csv, or one in each folder.
  const groups = new Map<string, Matched[]>();
  for (const one of matched) {
    const key = `${one.header.join("\t")}\n${one.file}`;
    const there = groups.get(key);
    if (there) there.push(one);
    else groups.set(key, [one]);
  }
  return [...groups.values()]
    .flatMap((group) => readGroup(paths, group))
    .sort((a, b) => Number(a.doubt !== null) - Number(b.doubt !== null));
}

/** Images that a table may speak of, and how to find them. */
interface Index {
  scope: readonly number[];
  find: (cell: string) => number;
}

/** Finds the column that names images; null when there is none. */
function matchTable(
  table: Table,
  paths: readonly string[],
  skip: ReadonlySet<number>,
  indexes: Map<string, Index>,
): Matched | null {
  const part = splitInCell((table.path.split("/").at(-1) as string).replace(/\.[^.]*$/, ""));
  const key = `${table.path.slice(0, Math.max(0, table.path.lastIndexOf("/")))}\0${part}`;
  let index = indexes.get(key);
  if (!index) {
    const found = scopeOf(table.path, part, paths, skip);
    index = { scope: found, find: finder(found, paths) };
    indexes.set(key, index);
  }
  const { scope, find } = index;
  if (scope.length === 0) return null;
  const sample = table.rows.slice(0, SAMPLE);
  const width = Math.max(0, ...sample.map((row) => row.length));
  let file = -1;
  let most = 0;
  for (let column = 0; column < width; column++) {
    const hits = sample.filter((row) => find(row[column] ?? "") >= 0).length;
    if (hits > most) [file, most] = [column, hits];
  }
  const first = table.rows[0];
  if (file < 0 || !first) return null;
  const headed = find(first[file] ?? "") < 0;
  const rows = headed ? table.rows.slice(1) : table.rows;
  const images = rows.map((row) => find(row[file] ?? ""));
  if (images.filter((i) => i >= 0).length < rows.length * LEAST_SHARE) return null;
  const header = headed ? first : first.map((_, i) => `column ${i + 1}`);
  return { table, header, rows, images, file, scope };
}

/** Images under the table's folder, or the nearest above that holds any; of `train.csv` those in `train`, if there are. */
function scopeOf(
  table: string,
  part: Split | null,
  paths: readonly string[],
  skip: ReadonlySet<number>,
): number[] {
  const folders = table.split("/").slice(0, -1);
  for (; ; folders.pop()) {
    const prefix = folders.map((folder) => `${folder}/`).join("");
    const under = paths.flatMap((path, i) => (path.startsWith(prefix) && !skip.has(i) ? [i] : []));
    if (under.length === 0 && folders.length > 0) continue;
    const inPart = under.filter((i) => {
      const folder = (paths[i] as string).slice(prefix.length).split("/")[0] as string;
      return part !== null && splitInCell(folder) === part;
    });
    return inPart.length > 0 ? inPart : under;
  }
}

/** Looks up images by whole path, its last parts or its name, each with or without extension; -1: none or several. */
function finder(scope: readonly number[], paths: readonly string[]): (cell: string) => number {
  const index = new Map<string, number>();
  const add = (key: string, i: number) => {
    const there = index.get(key);
    index.set(key, there === undefined || there === i ? i : -1);
  };
  const withoutEnding = (path: string) => path.replace(/\.[^./]{1,5}$/, "");
  for (const i of scope) {
    const parts = (paths[i] as string).split("/");
    for (let kept = 1; kept <= Math.min(4, parts.length); kept++) {
      const tail = parts.slice(-kept).join("/");
      add(tail, i);
      if (withoutEnding(tail) !== tail) add(withoutEnding(tail), i);
    }
  }
  return (cell) => {
    const parts = cell
      .replaceAll("\\", "/")
      .split("/")
      .filter((part) => part !== "" && part !== ".");
    for (let kept = Math.min(4, parts.length); kept >= 1; kept--) {
      const found = index.get(parts.slice(-kept).join("/"));
      if (found !== undefined) return found;
    }
    return -1;
  };
}

/** The split that a table stands for by its own name or its folder's. */
function splitOfTable(path: string): Split | null {
  const [name = "", folder = ""] = path.split("/").reverse();
  return splitInCell(name.replace(/\.[^.]*$/, "")) ?? splitInCell(folder);
}

/** Whether an image lies in a test folder, of which no label need be known. */
const isToPredict = (path: string) =>
  path
    .split("/")
    .slice(0, -1)
    .some(
      (folder) =>
        partsAmong([folder]).get(folder) === "test" || partsAmong([folder]).get(folder) === "unlabelled",
    );

function readGroup(paths: readonly string[], group: readonly Matched[]): Candidate[] {
  const { header, file } = group[0] as Matched;
  const rows = group.flatMap((one) => one.rows);
  const others = header.map((_, column) => column).filter((column) => column !== file);
  const hot = oneHot(rows, others);
  const split = others.find(
    (column) => columnRole(header[column] as string) === "split" && columnSplits(rows, column),
  );
  const labelColumns = labelsAmong(
    header,
    rows,
    others.filter((column) => column !== split),
  );
  if (hot) {
    const nameOf = (row: string[]) => header[hot.find((column) => Number(row[column]) === 1) ?? -1] ?? "";
    return [place(paths, group, split, "one column for each class", nameOf, true)];
  }
  const certain = labelColumns.length === 1;
  return labelColumns.map((column) =>
    place(paths, group, split, header[column] as string, (row) => row[column] ?? "", certain),
  );
}

/** Columns that are 0 or 1 throughout, one of them 1 in each row; null where they are not all of that kind. */
function oneHot(rows: readonly string[][], columns: readonly number[]): number[] | null {
  if (columns.length < 2 || rows.length === 0) return null;
  const flag = (cell: string | undefined) =>
    cell !== undefined && /^[01](\.0*)?$/.test(cell) ? Number(cell) : null;
  const hot = rows.every((row) => {
    let ones = 0;
    for (const column of columns) {
      const value = flag(row[column]);
      if (value === null) return false;
      ones += value;
    }
    return ones === 1;
  });
  return hot ? [...columns] : null;
}

const columnSplits = (rows: readonly string[][], column: number) =>
  rows.every((row) => splitInCell(row[column] ?? "") !== null);

/** Columns that may hold labels: those called so, or else those whose values come again and again. */
function labelsAmong(
  header: readonly string[],
  rows: readonly string[][],
  columns: readonly number[],
): number[] {
  const named = columns.filter((column) => columnRole(header[column] as string) === "label");
  const valuesIn = (column: number) => new Set(rows.map((row) => row[column] ?? ""));
  if (named.length > 1) {
    // `class id` beside `labels`: the same said twice, once in words.
    const words = named.filter(
      (column) => ![...valuesIn(column)].every((value) => /^-?\d*\.?\d*$/.test(value)),
    );
    const pairs = new Set(rows.map((row) => named.map((column) => row[column]).join("\0"))).size;
    const same = named.every((column) => valuesIn(column).size === pairs);
    return same ? [words[0] ?? (named[0] as number)] : named;
  }
  if (named.length === 1) return named;
  return columns.filter((column) => {
    if (columnRole(header[column] as string) !== null) return false;
    const values = valuesIn(column);
    const numeric = [...values].every((value) => /^-?\d+\.\d+$/.test(value));
    return !numeric && !values.has("") && values.size <= Math.max(1, rows.length / 2);
  });
}

function place(
  paths: readonly string[],
  group: readonly Matched[],
  split: number | undefined,
  column: string,
  labelOf: (row: string[]) => string,
  onlyColumn: boolean,
): Candidate {
  const candidate = blank(paths.length, "table");
  candidate.layout = `table:${column}`;
  candidate.table = { paths: group.map(({ table }) => table.path), column };
  const ofTable = group.map(({ table }) => splitOfTable(table.path));
  const byTables = group.length > 1 && new Set(ofTable).size > 1 && !ofTable.includes(null);
  let whole = onlyColumn;
  group.forEach(({ rows, images, scope }, t) => {
    const conflicting = new Set<number>();
    rows.forEach((row, r) => {
      const i = images[r] as number;
      const label = labelOf(row);
      if (i < 0 || label === "") return;
      if (candidate.labels[i] !== null && candidate.labels[i] !== label) conflicting.add(i);
      candidate.labels[i] = label;
      candidate.splits[i] =
        split !== undefined ? splitInCell(row[split] ?? "") : byTables ? (ofTable[t] as Split) : null;
    });
    for (const i of conflicting) candidate.labels[i] = null;
    const missing = scope.filter((i) => candidate.labels[i] === null);
    leave(candidate, missing, "unnamed");
    const found = images.filter((i) => i >= 0).length;
    const toPredict = missing.filter((i) => isToPredict(paths[i] as string)).length;
    whole &&=
      conflicting.size === 0 &&
      found >= rows.length * NEARLY_ALL &&
      missing.length - toPredict <= (scope.length - toPredict) * (1 - NEARLY_ALL);
  });
  const labels = new Set(candidate.labels);
  labels.delete(null);
  if (!whole || labels.size < 2 || saysNothing(column)) candidate.doubt = "table";
  return candidate;
}
