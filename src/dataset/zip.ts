// Zips as folders: only the directory at the end is read when one is listed, and an image is inflated when it is
// decoded. Nothing a zip says is believed: counts, sizes, names and checksums are bounded or checked.
import {
  BlobReader,
  type FileEntry,
  Uint8ArrayReader,
  ZipReader,
} from "@zip.js/zip.js/lib/zip-core-native.js";
import { Failure } from "../failure.ts";
import type { SourceFile } from "../source_file.ts";
import { MAX_FILE_BYTES, SNIFF_BYTES } from "./header.ts";

/** A file that was found, in a folder or a zip, not yet read. */
export interface FoundFile {
  /** With `/`, relative, without `.` or `..`; inside a zip, the zip's own path without `.zip` comes first. */
  path: string;
  size: number;
  read(): Promise<Blob>;
  /** The first `SNIFF_BYTES` bytes, or fewer when there are no more. */
  head(): Promise<Uint8Array>;
  /** Cheap text that differs when the contents of two files of equal size and equal `origin` surely differ. */
  fingerprint(): Promise<string>;
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
}

/** Zips up to this size are held in memory while their pictures are read. */
const IN_MEMORY_BYTES = 64 * 1024 * 1024;
const MAX_ENTRIES = 200_000;
/** Images hardly shrink in a zip, blank bitmaps excepted; an archive that grows this much as a whole is an attack. */
const MAX_RATIO = 200;
/** Below this many bytes in all, no ratio is suspicious. */
const HARMLESS_BYTES = 1024 ** 3;

/** Folders inside folders, at most; a name made of thousands is made to waste time. */
const MAX_PARTS = 64;

/** `path` with forward slashes and without empty or `.` parts; null when it climbs out, names nothing or never ends. */
export function safePath(path: string): string | null {
  const parts = path
    .replaceAll("\\", "/")
    .split("/")
    .filter((part) => part !== "" && part !== ".");
  const unsafe =
    parts.length === 0 ||
    parts.length > MAX_PARTS ||
    parts.includes("..") ||
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a NUL in a name is exactly what is looked for
    /\u0000/.test(path) ||
    /^[a-zA-Z]:$/.test(parts[0] as string);
  return unsafe ? null : parts.join("/");
}

/**
 * Lists a zip without inflating anything.
 * @throws Failure `bad-file`: no zip, damaged, protected by a password, too many entries, or a zip bomb
 */
export async function openZip(file: SourceFile): Promise<ZipListing> {
  const prefix = file.path.replace(/\.zip$/i, "");
  const listing: ZipListing = { files: [], folders: [], unsafe: [], oversized: [] };
  const refuse = (what: string, remedy: string, cause?: unknown) =>
    new Failure({ code: "bad-file", what, where: file.path, remedy }, { cause });
  let total = 0;
  let entries = 0;
  try {
    // Each read from a Blob asks another process, three times a picture; a small zip is read once and for all.
    const source =
      file.blob.size <= IN_MEMORY_BYTES
        ? new Uint8ArrayReader(new Uint8Array(await file.blob.arrayBuffer()))
        : new BlobReader(file.blob);
    const reader = new ZipReader<unknown>(source, { useWebWorkers: false });
    for await (const entry of reader.getEntriesGenerator({ filenameValidation: "tolerant" })) {
      if (++entries > MAX_ENTRIES) {
        throw refuse(
          `The zip holds more than ${MAX_ENTRIES.toLocaleString("en")} files.`,
          "Unpack it and drop the folder, or drop fewer images.",
        );
      }
      const path = safePath(entry.filename);
      if (path === null || entry.symlink) {
        listing.unsafe.push(`${prefix}/${entry.filename}`);
        continue;
      }
      if (entry.directory) {
        listing.folders.push(`${prefix}/${path}`);
        continue;
      }
      if (entry.encrypted) {
        throw refuse(
          "The zip is protected by a password.",
          "Unpack it, or make one without a password, and drop that.",
        );
      }
      total += entry.uncompressedSize;
      if (total > HARMLESS_BYTES && total > file.blob.size * MAX_RATIO) {
        throw refuse(
          `The zip says it unpacks to more than ${MAX_RATIO} times its own size, which images never do.`,
          "Do not trust this file; unpack it elsewhere if you know where it is from.",
        );
      }
      if (entry.uncompressedSize > MAX_FILE_BYTES) {
        listing.oversized.push(`${prefix}/${path}`);
        continue;
      }
      listing.files.push({
        path: `${prefix}/${path}`,
        size: entry.uncompressedSize,
        origin: "zip",
        read: async () => new Blob(await inflate(entry, `${prefix}/${path}`)),
        head: () => inflateHead(entry),
        fingerprint: async () => String(entry.crc32 ?? ""),
      });
    }
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw refuse("This is not a zip that can be read, or it is damaged.", "Make the zip anew.", error);
  }
  return listing;
}

type Bytes = Uint8Array<ArrayBuffer>;

/** Inflates an entry, and stops as soon as it yields more than it declared. */
async function inflate(entry: FileEntry, path: string): Promise<Bytes[]> {
  const parts: Bytes[] = [];
  let size = 0;
  const sink = new WritableStream<Bytes>({
    write(chunk) {
      size += chunk.length;
      if (size > entry.uncompressedSize) throw new Error("more bytes than declared");
      parts.push(chunk);
    },
  });
  try {
    await entry.getData(sink, { useWebWorkers: false, checkCrc32: true });
  } catch (error) {
    throw new Failure(
      {
        code: "bad-file",
        what: "This file inside the zip is damaged.",
        where: path,
        remedy: "Make the zip anew, or leave this file out.",
      },
      { cause: error },
    );
  }
  return parts;
}

async function inflateHead(entry: FileEntry): Promise<Uint8Array> {
  const head = new Uint8Array(SNIFF_BYTES);
  let size = 0;
  const sink = new WritableStream<Bytes>({
    write(chunk) {
      head.set(chunk.subarray(0, SNIFF_BYTES - size), size);
      size = Math.min(SNIFF_BYTES, size + chunk.length);
      if (size === SNIFF_BYTES) throw new Error("enough");
    },
  });
  // Stopping early makes it reject; what has arrived by then is all that was wanted, damaged or not.
  await entry.getData(sink, { useWebWorkers: false }).catch(() => undefined);
  return head.subarray(0, size);
}
