// A model in a zip, as an export is taken home in one: its files, as if they had been unpacked and dropped as a folder. A
// stored file is a slice of the zip; a packed one is unpacked when the zip is opened, and no more than could be a model.
import { BlobReader, type FileEntry, ZipReader } from "@zip.js/zip.js/lib/zip-core-native.js";
import { Failure } from "../failure.ts";
import type { SourceFile } from "../source_file.ts";

/** Files that a model is read from; pictures and whatever else lies in the zip stay in it. */
const modelPart = /\.(safetensors|pth?|bin|ckpt|json|txt)$/i;
const MOST_FILES = 10_000;
/** Weights hardly shrink in a zip; one that grows so much is made to fill the memory. */
const MOST_TIMES = 20;
const HARMLESS = 64 * 1024 ** 2;

/** The files of a dropped zip, or those that were dropped where it is none. */
export async function unpackModel(files: SourceFile[]): Promise<SourceFile[]> {
  const [file] = files;
  return file && files.length === 1 && /\.zip$/i.test(file.path) ? filesOfZip(file) : files;
}

/** @throws Failure "bad-file": no zip, damaged, protected by a password, or one that grows beyond a model */
async function filesOfZip({ path: where, blob }: SourceFile): Promise<SourceFile[]> {
  const bad = (what: string, remedy: string, cause?: unknown) =>
    new Failure({ code: "bad-file", what, where, remedy }, { cause });
  const root = (where.split("/").at(-1) ?? where).replace(/\.zip$/i, "");
  try {
    const reader = new ZipReader<unknown>(new BlobReader(blob), { useWebWorkers: false });
    const entries: FileEntry[] = [];
    let bytes = 0;
    let count = 0;
    for await (const entry of reader.getEntriesGenerator({ filenameValidation: "tolerant" })) {
      if (++count > MOST_FILES)
        throw bad(`It holds more than ${MOST_FILES} files.`, "Unpack it, and drop the model's folder.");
      const hidden = entry.filename.split("/").some((part) => part.startsWith(".") || part === "__MACOSX");
      if (entry.directory || hidden || !modelPart.test(entry.filename)) continue;
      if (entry.encrypted)
        throw bad("It is protected by a password.", "Unpack it, and drop the model's folder.");
      bytes += entry.compressionMethod === 0 ? 0 : entry.uncompressedSize;
      if (bytes > Math.max(HARMLESS, blob.size * MOST_TIMES))
        throw bad(
          `It says that it unpacks to more than ${MOST_TIMES} times its own size, which models never do.`,
          "Do not trust this file; unpack it elsewhere if you know where it is from.",
        );
      entries.push(entry);
    }
    const files: SourceFile[] = [];
    for (const entry of entries)
      files.push({
        path: `${root}/${entry.filename}`,
        blob: (await stored(blob, entry)) ?? (await unpacked(entry)),
      });
    return files;
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw bad(
      "This is not a zip that can be read, or it is damaged.",
      "Make the zip anew, or drop the model's folder.",
      error,
    );
  }
}

/** The bytes of a file that is not packed, where they lie in the zip; null of a packed one. */
async function stored(blob: Blob, entry: FileEntry): Promise<Blob | null> {
  if (entry.compressionMethod !== 0 || entry.compressedSize !== entry.uncompressedSize) return null;
  const header = new DataView(await blob.slice(entry.offset, entry.offset + 30).arrayBuffer());
  if (header.getUint32(0, true) !== 0x04034b50) throw new Error("no file where the list says so");
  const begin = entry.offset + 30 + header.getUint16(26, true) + header.getUint16(28, true);
  const bytes = blob.slice(begin, begin + entry.uncompressedSize);
  if (bytes.size !== entry.uncompressedSize) throw new Error("cut off");
  return bytes;
}

/** The bytes of a packed file; never more than it declares. */
async function unpacked(entry: FileEntry): Promise<Blob> {
  let size = 0;
  const bounded = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(chunk, controller) {
      size += chunk.length;
      if (size > entry.uncompressedSize) throw new Error("more bytes than declared");
      controller.enqueue(chunk);
    },
  });
  const whole = new Response(bounded.readable).blob();
  await Promise.all([entry.getData(bounded.writable, { useWebWorkers: false, checkCrc32: true }), whole]);
  return whole;
}
