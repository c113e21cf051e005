// From dropped files to the images, tables and archives among them: zips opened, hidden and unsafe names left out, and what
// is left out told. Nothing is decoded.
import { opened } from "../joined_blob.ts";
import type { SourceFile } from "../source_file.ts";
import { nextTurn } from "../turn.ts";
import { checkFiles } from "./check_files.ts";
import { compare, concurrently, groupBy } from "./collections.ts";
import { readDelimited, readJsonLines } from "./delimited.ts";
import { SNIFF_BYTES, sniffFormat } from "./header.ts";
import { are, issue, list, plural } from "./issues.ts";
import type { Table } from "./layout_table.ts";
import { containerOf } from "./signs.ts";
import type { DataAnswers, DataIssue, NameReading } from "./types.ts";
import { type FoundFile, openZip, safePath } from "./zip.ts";

/** Extensions taken at their word at first (check_files.ts): in Chromium, looking into a file costs a millisecond. */
export const IMAGE_EXTENSIONS: ReadonlySet<string> = new Set([
  "png",
  "apng",
  "jpg",
  "jpeg",
  "jpe",
  "jfif",
  "webp",
  "gif",
  "bmp",
  "dib",
]);
/** Pictures, but of kinds that are not read; said so in the report. */
const OTHER_PICTURES = new Set([
  "heic",
  "heif",
  "avif",
  "tif",
  "tiff",
  "svg",
  "jxl",
  "jp2",
  "ico",
  "psd",
  "raw",
]);
const SYSTEM_NAMES = new Set([
  "__macosx",
  "thumbs.db",
  "desktop.ini",
  "$recycle.bin",
  "system volume information",
  "@eadir",
]);

/** What a drop holds. */
export interface Gathered {
  /** Sorted by path. */
  images: FoundFile[];
  tables: Table[];
  /** Paths of all other files. */
  others: string[];
  /** Folders that were named, with files or without. */
  folders: string[];
  /** How names in zips were read; null where they say how themselves. */
  names: NameReading | null;
}

/** Most bytes of text that are read as tables, in all. */
const MAX_TABLE_BYTES = 64 * 1024 * 1024;
/** Files that are looked at between two turns of others. */
const TURN_EVERY = 1_000;
/** Most tables that are read; a table for each image is none of labels. */
const MAX_TABLES = 64;

/**
 * Opens zips and sorts what is there; a path that ends in `/` names a folder.
 * @param issues takes what is left out and why
 * @param goOn asked now and then, after others had a turn; throws to give up
 * @throws Failure `bad-file` for a zip that cannot be read
 */
export async function gather(
  files: readonly SourceFile[],
  issues: DataIssue[],
  answers: DataAnswers = {},
  goOn: () => void = () => {},
): Promise<Gathered> {
  const all: FoundFile[] = [];
  const folders: string[] = [];
  const unsafe: string[] = [];
  const oversized: string[] = [];
  let names: NameReading | null = null;
  for (const [i, file] of files.entries()) {
    if (i % TURN_EVERY === 0) {
      await nextTurn();
      goOn();
    }
    // On a disk a backslash is a letter of a name.
    const path = safePath(file.path, false);
    if (path === null) unsafe.push(file.path);
    else if (file.path.endsWith("/")) folders.push(path);
    else if (/\.zip$/i.test(path) && !isHidden(path)) {
      const listing = await openZip({ path, blob: file.blob }, answers.encoding);
      names ??= listing.names;
      for (const one of listing.issues) issues.push(one);
      // One by one: spreading a hundred thousand arguments overflows the stack.
      for (const entry of listing.files) all.push(entry);
      for (const folder of listing.folders) folders.push(folder);
      for (const entry of listing.unsafe) unsafe.push(entry);
      for (const entry of listing.oversized) oversized.push(entry);
    } else all.push(new PlainFile(path, file.blob));
  }
  const found = onePerPath(
    all.filter(({ path }) => !isHidden(path)),
    issues,
  );
  const tell = (paths: string[], words: string) => {
    if (paths.length > 0)
      issues.push(
        issue("warning", `${plural(paths.length, "file")} ${words} ${are(paths.length)} left out.`, paths),
      );
  };
  tell(unsafe, "whose name leads out of the folder, or nowhere,");
  tell(oversized, "larger than 256 MB");
  await nextTurn();
  goOn();
  const called = await onlyImages(found, goOn);
  const images = await checkFiles(called, issues, goOn);
  const isImage = new Set(called);
  const rest = found.filter((file) => !isImage.has(file));
  const tables = await readTables(rest);
  reportUnread(
    rest.map(({ path }) => path),
    issues,
  );
  return {
    images,
    tables,
    others: rest.map(({ path }) => path),
    folders: folders.filter((folder) => !isHidden(folder)),
    names,
  };
}

/** The first file of each path, sorted by path. */
function onePerPath(files: FoundFile[], issues: DataIssue[]): FoundFile[] {
  // Most come sorted. The sort is stable, so that the first of each path stays the first.
  const inOrder = files.every(({ path }, i) => i === 0 || (files[i - 1] as FoundFile).path <= path);
  const sorted = inOrder ? files : files.sort((a, b) => compare(a.path, b.path));
  const twice = sorted.filter((file, i) => file.path === sorted[i - 1]?.path).map(({ path }) => path);
  const found = sorted.filter((file, i) => file.path !== sorted[i - 1]?.path);
  if (twice.length > 0) {
    const words = `${plural(twice.length, "file")} came twice under one name; the first of each is used.`;
    issues.push(issue("warning", words, twice));
  }
  const colliding = differingInCase(found);
  if (colliding.length > 0) {
    issues.push(
      issue(
        "warning",
        `${plural(colliding.length, "file")} differ in name only by upper and lower case; all are used, ` +
          "but on many computers they would overwrite each other.",
        colliding.map((file) => file.path),
      ),
    );
  }
  return found;
}

/** What is the same in any case and form: nearly all names are, and are not made anew. */
const PLAIN = /^[ -@[-~]*$/;
const folded = ({ path }: FoundFile) => (PLAIN.test(path) ? path : path.normalize("NFC").toLowerCase());

/** Files whose names a computer that knows no case would take for one, a group after the other. */
function differingInCase(found: readonly FoundFile[]): FoundFile[] {
  // Nearly always there is none, and a group for each of 200,000 files would take their memory once more.
  if (new Set(found.map(folded)).size === found.length) return [];
  return [...groupBy(found, folded).values()].filter((group) => group.length > 1).flat();
}

/** Bytes of a file's middle that are looked at: heads and tails of images from one camera or tool are all alike. */
const MIDDLE = 64;
/** Smaller files are read whole: in Chromium a piece of one takes longer. */
const WHOLE = 128 * 1024;

/** A file of a folder; one of a hundred thousand costs its path and little more. */
class PlainFile implements FoundFile {
  readonly path: string;
  /** Of files from an input a browser asks the disk each time. */
  readonly size: number;
  readonly #blob: Blob;

  constructor(path: string, blob: Blob) {
    this.path = path;
    this.size = blob.size;
    this.#blob = blob;
  }

  get origin(): "file" {
    return "file";
  }

  readonly read = (): Promise<Blob> => opened(this.#blob);

  async head(): Promise<Uint8Array> {
    return new Uint8Array(await this.#blob.slice(0, SNIFF_BYTES).arrayBuffer());
  }

  fingerprint(): Blob {
    if (this.size < WHOLE) return this.#blob;
    const from = Math.max(0, (this.size - MIDDLE) >> 1);
    return this.#blob.slice(from, from + MIDDLE);
  }
}

function isHidden(path: string): boolean {
  return path.split("/").some((part) => part.startsWith(".") || SYSTEM_NAMES.has(part.toLowerCase()));
}

function extension(path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const dot = name.lastIndexOf(".");
  return dot < 0 ? "" : name.slice(dot + 1).toLowerCase();
}

async function onlyImages(found: readonly FoundFile[], goOn: () => void): Promise<FoundFile[]> {
  const isImage = found.map((file) => IMAGE_EXTENSIONS.has(extension(file.path)));
  const unsure = found.flatMap((file, i) => {
    const known = OTHER_PICTURES.has(extension(file.path)) || containerOf(file.path) !== null;
    return isImage[i] || known || file.size < SNIFF_BYTES ? [] : [i];
  });
  await concurrently(unsure, async (i) => {
    goOn();
    isImage[i] = sniffFormat(await (found[i] as FoundFile).head()) !== null;
  });
  return found.filter((_, i) => isImage[i]);
}

const tableReaders: Record<string, (text: string) => string[][] | null> = {
  csv: readDelimited,
  tsv: readDelimited,
  jsonl: readJsonLines,
};

/** Tables that may hold labels, as far as they are text of a sensible size. */
async function readTables(files: readonly FoundFile[]): Promise<Table[]> {
  const tables: Table[] = [];
  let room = MAX_TABLE_BYTES;
  for (const file of files) {
    const read = tableReaders[extension(file.path)];
    if (!read || file.size > room || tables.length >= MAX_TABLES) continue;
    room -= file.size;
    // A table that is damaged is one that says nothing.
    const rows = await file
      .read()
      .then(async (blob) => read(await textOf(blob)))
      .catch(() => null);
    if (rows && rows.length > 0) tables.push({ path: file.path, rows });
  }
  return tables;
}

/** Text in UTF-8 or, where it is none, as older spreadsheets write it. */
async function textOf(blob: Blob): Promise<string> {
  const bytes = await blob.arrayBuffer();
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("windows-1252").decode(bytes);
  }
}

/** Tells of what may well be images, but is not read: pictures of other kinds, and archives. */
function reportUnread(paths: readonly string[], issues: DataIssue[]): void {
  const pictures = paths.filter((path) => OTHER_PICTURES.has(extension(path)));
  if (pictures.length > 0) {
    const names = [...new Set(pictures.map((path) => extension(path).toUpperCase()))].join(", ");
    const words = `${plural(pictures.length, "picture")} of a kind that is not read (${names}) ${are(pictures.length)} left out; PNG and JPEG are read.`;
    issues.push(issue("warning", words, pictures));
  }
  const containers = paths.filter((path) => containerOf(path) !== null);
  if (containers.length > 0) {
    const words = `${containerWords(containers)} ${are(containers.length)} left out.`;
    issues.push(issue("warning", words, containers));
  }
}

/** Tells of all other files; those that labels were read from are no such. */
export function reportRest(others: readonly string[], used: readonly string[], issues: DataIssue[]): void {
  const known = new Set(used);
  const rest = others.filter(
    (path) => !known.has(path) && !OTHER_PICTURES.has(extension(path)) && containerOf(path) === null,
  );
  if (rest.length === 0) return;
  const words = `${plural(rest.length, "file")} that ${are(rest.length)} no image ${are(rest.length)} left out.`;
  issues.push(issue("note", words, rest));
}

/** "flowers.tgz (a tar archive)", of several the first few. */
export function containerWords(paths: readonly string[]): string {
  return list(paths.map((path) => `${path.slice(path.lastIndexOf("/") + 1)} (${containerOf(path)?.what})`));
}
