// Zips as folders: only the directory at the end is read when one is listed, and an image is inflated when it is
// decoded. Nothing a zip says is believed: counts, sizes, names and checksums are bounded or checked.
import { Failure } from "../failure.ts";
import { type FileKind, fileKind, KIND_BYTES, kindName } from "../file_kind.ts";
import type { SourceFile } from "../source_file.ts";
import { nextTurn } from "../turn.ts";
import {
  blobSource,
  memorySource,
  readZipDirectory,
  type ZipDirectory,
  type ZipEntry,
} from "../zip_directory.ts";
import { MAX_FILE_BYTES, SNIFF_BYTES } from "./header.ts";
import type { DataIssue, NameReading } from "./types.ts";

/** A file that was found, in a folder or a zip, not yet read. */
export interface FoundFile {
  /** With `/`, relative, without `.` or `..`; inside a zip, the zip's own path without `.zip` comes first. */
  path: string;
  size: number;
  read(): Promise<Blob>;
  /** The first `SNIFF_BYTES` bytes, or fewer when there are no more. */
  head(): Promise<Uint8Array>;
  /**
   * What differs where the contents of two files of equal size and equal `origin` surely differ, and costs little: a
   * text, or some of its bytes, which many files are asked for at once.
   */
  fingerprint(): string | Blob;
  origin: "file" | "zip";
}

/** What became of a zip's entries. */
export interface ZipListing {
  files: FoundFile[];
  /** Folders the zip names, with images or without. */
  folders: string[];
  /** Names that climb out of the zip, or are no names at all. */
  unsafe: string[];
  /** Entries that say they are larger than any image that is read. */
  oversized: string[];
  /** How names were read that do not say how; null where all do, or are ASCII. */
  names: NameReading | null;
  /** What else there is to tell. */
  issues: DataIssue[];
}

/** Zips up to this size are held in memory while their pictures are read. */
const IN_MEMORY_BYTES = 16 * 1024 * 1024;
const MAX_ENTRIES = 200_000;
/** Entries that are listed between two turns of others. */
const TURN_EVERY = 10_000;
/** Images hardly shrink in a zip, blank bitmaps excepted; an archive that grows this much as a whole is an attack. */
const MAX_RATIO = 200;
/** Below this many bytes in all, no ratio is suspicious. */
const HARMLESS_BYTES = 1024 ** 3;

/** Folders inside folders, at most; a name made of thousands is made to waste time. */
const MAX_PARTS = 64;

/** A path that needs no change, as nearly all are: at most so many short parts of letters, digits and the like. */
const PLAIN = /^(?:[\p{L}\p{N}_-][\p{L}\p{N}_ .-]*\/){0,8}[\p{L}\p{N}_-][\p{L}\p{N}_ .-]*$/u;

/**
 * `path` with forward slashes and without empty or `.` parts; null when it climbs out, names nothing or never ends.
 * @param backslash whether `\\` separates folders, too
 */
export function safePath(path: string, backslash = true): string | null {
  if (PLAIN.test(path)) return path;
  const parts = (backslash ? path.replaceAll("\\", "/") : path)
    .split("/")
    .filter((part) => part !== "" && part !== ".");
  // As unpackers do: a path from the root or a drive counts from here.
  while (isDrive(parts[0])) parts.shift();
  const unsafe =
    parts.length === 0 ||
    parts.length > MAX_PARTS ||
    parts.includes("..") ||
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a NUL in a name is exactly what is looked for
    /\u0000/.test(path);
  return unsafe ? null : parts.join("/");
}

const isDrive = (part: string | undefined) => part !== undefined && /^[a-zA-Z]:$/.test(part);

/**
 * Lists a zip without inflating anything.
 * @param encoding what names that do not say their encoding are read by; decided over all of them where it is not given
 * @throws Failure `bad-file`: no zip, damaged, too many entries, a zip bomb, or protected by a password or packed in a way
 *   that is not read, as a whole
 */
export async function openZip(file: SourceFile, encoding?: string): Promise<ZipListing> {
  const options = {
    where: file.path,
    remedy: "Download it again, or make the zip anew.",
    maxEntries: MAX_ENTRIES,
  };
  // Each read from a Blob asks another process, two or three times a picture; a small zip is read once and for all.
  const blob = blobSource(file.blob, file.path);
  const source = file.blob.size <= IN_MEMORY_BYTES ? memorySource(await blob.read(0, file.blob.size)) : blob;
  const kind = fileKind(await source.read(0, Math.min(KIND_BYTES, source.size)));
  if (kind && kind !== "zip") throw notZip(file.path, kind);
  const directory = await readZipDirectory(source, options);
  const { names, nameOf } = await readingOf(directory, encoding);
  const listing: ZipListing = { files: [], folders: [], unsafe: [], oversized: [], names, issues: [] };
  if (names) listing.issues.push(nameIssue(file.path, names));

  const prefix = file.path.replace(/\.zip$/i, "");
  const links: string[] = [];
  const unread = new Map<string, string[]>();
  let total = 0;
  for (let i = 0; i < directory.count; i++) {
    if (i % TURN_EVERY === 0) await nextTurn();
    const entry = directory.entry(i);
    const { text, backslash } = nameOf(entry);
    const safe = safePath(text, backslash);
    const path = `${prefix}/${safe ?? text}`;
    const folder = entry.kind === "folder" || (backslash && entry.size === 0 && text.endsWith("\\"));
    const by = entry.encrypted ? PASSWORD : entry.packing;
    if (safe === null) listing.unsafe.push(path);
    else if (folder) listing.folders.push(path);
    else if (entry.kind === "link") links.push(path);
    else if (by !== null) {
      const paths = unread.get(by);
      if (paths) paths.push(path);
      else unread.set(by, [path]);
    } else {
      total += entry.size;
      if (total > HARMLESS_BYTES && total > file.blob.size * MAX_RATIO) throw bomb(file.path);
      if (entry.size > MAX_FILE_BYTES) listing.oversized.push(path);
      else listing.files.push(new ZippedFile(directory, i, path, entry.size));
    }
  }
  refuseUnread(file.path, unread, listing.files.length);
  if (listing.files.length === 0 && listing.unsafe.length > 0)
    throw allUnsafe(file.path, listing.unsafe[0] as string);
  for (const [by, paths] of unread)
    listing.issues.push(leftOut(paths, `(${by === PASSWORD ? by : `packed by ${by}`})`));
  if (links.length > 0) listing.issues.push(leftOut(links, "(links to other files)"));
  return listing;
}

/** A file in a zip; an entry of a hundred thousand costs its path and little more. */
class ZippedFile implements FoundFile {
  readonly path: string;
  readonly size: number;
  readonly #directory: ZipDirectory;
  readonly #index: number;

  constructor(directory: ZipDirectory, index: number, path: string, size: number) {
    this.#directory = directory;
    this.#index = index;
    this.path = path;
    this.size = size;
  }

  get origin(): "zip" {
    return "zip";
  }

  readonly read = (): Promise<Blob> => this.#directory.read(this.#index, this.path);

  head(): Promise<Uint8Array> {
    return this.#directory.head(this.#index, SNIFF_BYTES);
  }

  fingerprint(): string {
    return String(this.#directory.entry(this.#index).crc32);
  }
}

/** How the names of a zip become text: the encoding of those that do not say theirs, and what separates folders. */
export async function readingOf(directory: ZipDirectory, encoding: string | undefined) {
  const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
  const parts = undeclared(directory);
  let names: NameReading | null = null;
  let decode = (name: Uint8Array) => utf8.decode(name);
  if (encoding !== undefined || (parts.length > 0 && !surelyUtf8(parts))) {
    const { decoderOf, findEncoding, readNames, readNamesAs } = await import("./zip_names.ts");
    const given = encoding === undefined ? null : findEncoding(encoding);
    if (parts.length > 0) {
      names = given === null ? readNames(parts) : readNamesAs(parts, given);
      decode = decoderOf(names.encoding);
      // As macOS and Linux write them; there is nothing to tell.
      if (given === null && names.encoding === "utf-8" && names.sure) names = null;
    }
  }
  const textOf = (entry: ZipEntry) =>
    isAscii(entry.name) || entry.utf8 ? utf8.decode(entry.name) : decode(entry.name);
  // Windows' names hold no backslash; elsewhere one is a letter, unless nothing else separates folders.
  let slash = false;
  for (let i = 0; i < directory.count && !slash; i++) slash = directory.entry(i).name.includes(0x2f);
  const nameOf = (entry: ZipEntry) => ({ text: textOf(entry), backslash: entry.dos || !slash });
  return { names, nameOf };
}

const isAscii = (bytes: Uint8Array) => bytes.every((byte) => byte < 128);

/** Parts of names, between slashes, that hold more than ASCII and do not say their encoding: each once, folders first. */
function undeclared(directory: ZipDirectory): Uint8Array[] {
  const key = new TextDecoder("windows-1252");
  const folders = new Map<string, Uint8Array>();
  const files: Uint8Array[] = [];
  const fatal = new TextDecoder("utf-8", { fatal: true });
  for (let i = 0; i < directory.count; i++) {
    const { name, utf8 } = directory.entry(i);
    if (isAscii(name) || (utf8 && isValid(fatal, name))) continue;
    for (let from = 0; from <= name.length; ) {
      // No letter of any encoding has a slash as its second byte; a backslash is one in several.
      const slash = name.indexOf(0x2f, from);
      const part = name.subarray(from, slash < 0 ? name.length : slash);
      if (!isAscii(part)) {
        // What ends in a backslash's byte may be folders of Windows, or half a letter; with the byte it is whole.
        const end = slash < 0 ? part.lastIndexOf(0x5c) + 1 : part.length;
        const folder = part.subarray(0, isAscii(part.subarray(end)) ? end : 0);
        if (folder.length > 0) folders.set(key.decode(folder), folder);
        else files.push(part);
      }
      from = slash < 0 ? name.length + 1 : slash + 1;
    }
  }
  return [...folders.values(), ...files];
}

function isValid(fatal: TextDecoder, name: Uint8Array): boolean {
  try {
    fatal.decode(name);
    return true;
  } catch {
    return false;
  }
}

/** Whether all is valid UTF-8 with several letters of three bytes or more, which no other encoding gives by chance. */
function surelyUtf8(parts: readonly Uint8Array[]): boolean {
  const fatal = new TextDecoder("utf-8", { fatal: true });
  let long = 0;
  for (const part of parts) {
    if (!isValid(fatal, part)) return false;
    for (const byte of part) if (byte >= 0xe0) long++;
  }
  return long > 3;
}

// --- What is told -------------------------------------------------------------------------------------------------

const PASSWORD = "protected by a password";

/** Refuses a zip most of whose files cannot be read; where they are few, they are left out and told. */
function refuseUnread(where: string, unread: ReadonlyMap<string, string[]>, readable: number): void {
  const count = [...unread.values()].reduce((sum, paths) => sum + paths.length, 0);
  if (count === 0 || count < readable) return;
  const packings = [...unread.keys()].filter((by) => by !== PASSWORD);
  throw packings.length === 0
    ? new Failure({
        code: "bad-file",
        what: `The zip is ${PASSWORD}.`,
        where,
        remedy: "Unpack it, or make one without a password.",
      })
    : new Failure({
        code: "bad-file",
        what: `The zip is whole, but packed by ${packings.join(" and ")}, which is not read here.`,
        where,
        remedy: "Unpack it and choose the folder, or make the zip anew with Deflate.",
      });
}

const allUnsafe = (where: string, path: string) =>
  new Failure({
    code: "bad-file",
    what: `Every name in the zip leads out of it, as ${path}.`,
    where,
    remedy: "Unpack it and choose the folder, or make the zip anew from within that folder.",
  });

const UNPACK = "Unpack it first, and choose the folder.";
const MEANT = "Choose the file that was meant.";
const TABLE = "Export its images into one folder for each class.";
const AGAIN =
  "Some servers give one first, to confirm or to sign in: open the address in a browser, download the file from there, and choose that.";
const SAID = "Open it to read what the server said, download the file again, and choose that.";

/** What to do with what was taken for a zip. */
const remedies: Partial<Record<FileKind, string>> = {
  lfs: "Fetch the file (git lfs pull), and choose it again.",
  annex: "Fetch the file (git annex get), and choose it again.",
  page: AGAIN,
  xml: SAID,
  refusal: SAID,
  json: SAID,
  parquet: TABLE,
  sqlite: TABLE,
  zeros: "Download it again.",
  ...Object.fromEntries(
    (["gzip", "bzip2", "xz", "zstd", "lz4", "sevenZip", "rar", "cabinet", "unixArchive", "tar"] as const).map(
      (kind) => [kind, UNPACK],
    ),
  ),
};

/** Refuses what has a zip's name and is another kind of file. */
export const notZip = (where: string, kind: FileKind) =>
  new Failure({
    code: "bad-file",
    what: `This is ${kindName(kind)}, not a zip.`,
    where,
    remedy: remedies[kind] ?? MEANT,
  });

const bomb = (where: string) =>
  new Failure({
    code: "bad-file",
    what: `The zip says it unpacks to more than ${MAX_RATIO} times its own size, which images never do.`,
    where,
    remedy: "Do not trust this file; unpack it elsewhere if you know where it is from.",
  });

function leftOut(paths: readonly string[], how: string): DataIssue {
  const files = paths.length === 1 ? "1 file" : `${paths.length.toLocaleString("en")} files`;
  const are = paths.length === 1 ? "is" : "are";
  return {
    severity: "warning",
    text: `${files} in the zip ${how} ${are} left out.`,
    paths: paths.slice(0, 20),
  };
}

/** 'The names in pets.zip do not say their encoding; they are read as Shift-JIS (Japanese): "表示".' */
function nameIssue(where: string, { name, sure, example, others }: NameReading): DataIssue {
  const said = `The names in ${where} do not say their encoding; they are read as ${name}: "${example}".`;
  if (example.includes("\ufffd"))
    return { severity: "warning", text: `${said} Some bytes are no letters of it.`, paths: [] };
  if (sure) return { severity: "note", text: said, paths: [] };
  const could = others
    .slice(0, 4)
    .map((one) => `${one.name}: "${one.example}"`)
    .join(", ");
  const text = `${said} This is not sure; they could be ${could}. Choose the encoding if the names are wrong.`;
  return { severity: "warning", text, paths: [] };
}
