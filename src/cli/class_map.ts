// Which class of a set counts as what, by hand: `--map SET:FOLDER=LABEL` and the table of `--map-file`.
import { readFile, stat } from "node:fs/promises";
import { Failure } from "../failure.ts";
import type { DataReport, Session } from "../session/protocol.ts";
import { badArgument, type Values } from "./options.ts";

/** Labels by folder, null where a folder is left out. */
type Mapping = Map<string, string | null>;

export interface ClassMap {
  /** Out of the file, by set. */
  tables: ReadonlyMap<string, Mapping>;
  /** Those of the options, `SET:FOLDER=LABEL`; where a folder ends, only its set can say. */
  entries: readonly string[];
}

/** A table of a whole ImageNet takes some 100 KB. */
const MAX_BYTES = 8 * 2 ** 20;

const isTable = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A name out of a file, in quotes, and no longer than anyone reads. */
const quoted = (name: string) => `"${name.length > 80 ? `${name.slice(0, 80)}…` : name}"`;

function badFile(what: string, where: string): Failure {
  const remedy = 'Give lines of set,folder,label, or JSON as { "set": { "folder": "label" } }.';
  return new Failure({ code: "bad-data", what, where, remedy });
}

/**
 * Reads a table of classes. JSON: `{ "set": { "folder": "label" } }`, a label may be a row's number, null leaves out. CSV:
 * `set,folder,label` a line, fields with commas in quotes; a first line of just these words is a heading, no label leaves out.
 * @throws Failure "bad-data" naming the line where it is neither, or says two things of one folder
 */
export function readClassMap(text: string, where: string): Map<string, Mapping> {
  const body = text.replace(/^\uFEFF/, "");
  const tables = new Map<string, Mapping>();
  const put = (set: string, folder: string, label: string | null, place: string) => {
    const table = tables.get(set) ?? new Map<string, string | null>();
    tables.set(set, table);
    if (table.has(folder) && table.get(folder) !== label)
      throw badFile(`The class ${quoted(folder)} of ${quoted(set)} is given two labels.`, place);
    table.set(folder, label);
  };
  if (/^\s*[{[]/.test(body)) {
    let value: unknown;
    try {
      value = JSON.parse(body);
    } catch (error) {
      throw badFile(`This is no JSON: ${error instanceof Error ? error.message : error}.`, where);
    }
    if (!isTable(value)) throw badFile("Its top is no object of sets.", where);
    for (const [set, table] of Object.entries(value)) {
      if (!isTable(table)) throw badFile(`${quoted(set)} is no object of folders and their labels.`, where);
      for (const [folder, label] of Object.entries(table)) {
        const isRow = typeof label === "number" && Number.isInteger(label) && label >= 0;
        if (label !== null && typeof label !== "string" && !isRow)
          throw badFile(
            `The label of ${quoted(folder)} of ${quoted(set)} is no text, row's number or null.`,
            where,
          );
        put(set, folder, label === null || label === "" ? null : String(label), where);
      }
    }
    return tables;
  }
  for (const { fields, line } of csvRows(body, where)) {
    const place = `${where}, line ${line}`;
    if (fields.length === 1 && fields[0]?.trim() === "") continue;
    const [set, folder, label] = fields.map((field) => field.trim()) as [string, string, string];
    if (fields.length !== 3) throw badFile(`There are ${fields.length} fields where three belong.`, place);
    if (line === 1 && `${set},${folder},${label}`.toLowerCase() === "set,folder,label") continue;
    if (!set || !folder) throw badFile("Set or folder is missing.", place);
    put(set, folder, label || null, place);
  }
  return tables;
}

/** Rows of a CSV (RFC 4180; `,`, any line ends), with the line that each begins on. */
function csvRows(text: string, where: string): { fields: string[]; line: number }[] {
  const rows: { fields: string[]; line: number }[] = [];
  const field = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|\r|\n|$)/y;
  let line = 1;
  let fields: string[] = [];
  let begins = 1;
  while (field.lastIndex < text.length || fields.length > 0) {
    const found = field.exec(text);
    if (!found) throw badFile("A quote stands where none can, or is not closed.", `${where}, line ${line}`);
    const [whole, quoted, plain, end] = found;
    fields.push(quoted === undefined ? (plain as string) : quoted.replaceAll('""', '"'));
    line += whole.match(/\r\n|\r|\n/g)?.length ?? 0;
    if (end === ",") continue;
    rows.push({ fields, line: begins });
    fields = [];
    begins = line;
    if (end === "") break;
  }
  return rows;
}

/**
 * What the options say of classes.
 * @param sets names of the sets that can be mapped
 * @throws Failure for an option or a file that says nothing, or speaks of a set that is not given
 */
export async function classMapFrom(values: Values, sets: readonly string[]): Promise<ClassMap> {
  const entries = (values.map as string[] | undefined) ?? [];
  const known = sets.length > 0 ? `The sets are ${sets.join(", ")}.` : "No set is given that it could be of.";
  for (const entry of entries) {
    if (!/^.+:.+=/s.test(entry)) throw badArgument(`--map takes SET:FOLDER=LABEL, got "${entry}".`);
    if (!sets.some((set) => entry.startsWith(`${set}:`)))
      throw badArgument(`--map "${entry}" is of no set whose classes can be mapped. ${known}`);
  }
  const path = values["map-file"];
  if (typeof path !== "string") return { tables: new Map(), entries };
  const tables = readClassMap(await readText(path), path);
  for (const set of tables.keys())
    if (!sets.includes(set))
      throw badFile(`There is no set ${quoted(set)} whose classes can be mapped. ${known}`, path);
  return { tables, entries };
}

async function readText(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > MAX_BYTES) throw badFile("The file is too large for a table of classes.", path);
    return new TextDecoder("utf-8", { fatal: true }).decode(await readFile(path));
  } catch (error) {
    if (error instanceof Failure) throw error;
    if (error instanceof TypeError) throw badFile("The file is no text in UTF-8.", path);
    throw badFile("The file cannot be read.", path);
  }
}

/**
 * Maps the classes of a loaded set as the options say; what they do not name stays matched by name.
 * @throws Failure "bad-data" for a folder or a label that there is not
 */
export async function mapClasses(
  session: Session,
  report: DataReport,
  { tables, entries }: ClassMap,
): Promise<DataReport> {
  const mapping: Mapping = new Map(tables.get(report.name));
  const given = new Map<string, string>();
  for (const entry of entries) {
    if (!entry.startsWith(`${report.name}:`)) continue;
    const rest = entry.slice(report.name.length + 1);
    const folders = report.classes.map(({ name }) => name).filter((name) => rest.startsWith(`${name}=`));
    const folder = folders.sort((a, b) => b.length - a.length)[0] ?? rest.slice(0, rest.indexOf("="));
    const label = rest.slice(folder.length + 1);
    const other = given.get(folder);
    if (other !== undefined && other !== label)
      throw badArgument(`--map gives the class "${folder}" of "${report.name}" two labels.`);
    given.set(folder, label);
    mapping.set(folder, label === "" ? null : label);
  }
  return mapping.size === 0 ? report : session.mapClasses(report.id, Object.fromEntries(mapping));
}

/** How classes that are left out can be mapped here; null where there are none. */
export function mappingAdvice({ name, classes, mappable }: DataReport): string | null {
  const quote = (text: string) => (/^[\w.-]+$/.test(text) ? text : `"${text}"`);
  const asked = classes.find(({ choices }) => choices);
  if (asked) return `Choose with --map ${quote(`${name}:${asked.name}=${asked.choices?.[0]}`)}, for one.`;
  const left = classes.find(({ mapsTo }) => mapsTo === null);
  if (!left || mappable.length === 0) return null;
  return `A class can be mapped with --map ${quote(`${name}:${left.name}=LABEL`)}.`;
}
