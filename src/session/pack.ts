// Files as one entry of what the page keeps: their paths, their sizes, and their bytes one after the other. Of many files
// the table is two values, which cross to and from the database at once where a list of objects takes a page's breath.
import { z } from "zod";
import { opened } from "../joined_blob.ts";
import { passThrough } from "../open_folders.ts";
import type { SourceFile } from "../source_file.ts";
import { nextTurn } from "../turn.ts";
import { blobSchema } from "./saved_run.ts";

/** Files up to which the table is a list of them. */
const LISTED = 2_000;
/** The format of entries whose table is two values; of those with a list it is the one of all entries. */
export const TABLE_FORMAT = 3;
const MOST_FILES = 1_000_000;
/** Files that are joined between two turns of the page. */
const JOINED_AT_ONCE = 100;
/** Up to so many bytes of them are joined by a copy, so that the browser need not hold each small file open. */
const COPIED = 16 * 1024 ** 2;

const common = {
  id: z.string(),
  /** What it is, for a list. */
  name: z.string().default("Files"),
  blob: blobSchema,
};
const listSchema = z
  .object({
    ...common,
    files: z.array(z.object({ path: z.string(), size: z.int().min(0) })).max(MOST_FILES),
  })
  .refine(({ files, blob }) => files.reduce((sum, { size }) => sum + size, 0) === blob.size, {
    message: "files and bytes do not fit together",
  });
const tableSchema = z
  .object({ ...common, paths: z.string(), sizes: z.instanceof(Float64Array) })
  .refine(({ paths, sizes, blob }) => fits(paths, sizes, blob.size), {
    message: "files and bytes do not fit together",
  });
export const packSchema = z.union([listSchema, tableSchema]);
export type Pack = z.infer<typeof packSchema>;

function fits(paths: string, sizes: Float64Array, bytes: number): boolean {
  if (sizes.length > MOST_FILES) return false;
  let [ends, sum] = [0, 0];
  for (let at = paths.indexOf("\0"); at >= 0; at = paths.indexOf("\0", at + 1)) ends++;
  for (const size of sizes) {
    if (!Number.isSafeInteger(size) || size < 0) return false;
    sum += size;
  }
  return ends === sizes.length && sum === bytes && (paths === "" || paths.endsWith("\0"));
}

/** Files that are joined: a list of them, or a table. */
export type Packed = { blob: Blob } & ({ files: { path: string; size: number }[] } | Table);
type Table = { paths: string; sizes: Float64Array<ArrayBuffer> };

/** Joins what would be kept; `packed` is null where its bytes are more than `limit`, and nothing of it is read. */
export type Packer = (limit: number) => Promise<{ bytes: number; packed: Packed | null }>;

/** A packer of files, those of unopened folders among them. */
export const packerOf =
  (dropped: readonly SourceFile[]): Packer =>
  async (limit) => {
    const bytes = await bytesOf(dropped);
    return { bytes, packed: bytes > limit ? null : await join(dropped) };
  };

async function join(dropped: readonly SourceFile[]): Promise<Packed> {
  const paths: string[] = [];
  const sizes: number[] = [];
  const parts: Blob[] = [];
  await passThrough(dropped, async (some) => {
    for (const { path, blob } of some) {
      paths.push(path);
      sizes.push(blob.size);
    }
    // The place of these among the parts is that of their names.
    const at = parts.push(new Blob()) - 1;
    const part = new Blob(await Promise.all(some.map(({ blob }) => opened(blob))));
    parts[at] = part.size <= COPIED ? new Blob([await part.arrayBuffer()]) : part;
    await nextTurn();
  });
  const blob = new Blob(parts);
  if (paths.length <= LISTED)
    return { files: paths.map((path, i) => ({ path, size: sizes[i] as number })), blob };
  return { paths: paths.map((path) => `${path}\0`).join(""), sizes: Float64Array.from(sizes), blob };
}

/** Bytes of all files. Where they come from a file input a browser may ask the disk for each. */
async function bytesOf(files: readonly SourceFile[]): Promise<number> {
  let bytes = 0;
  await passThrough(files, (some) => {
    for (const { blob } of some) bytes += blob.size;
  });
  return bytes;
}

/** The files of a pack; many of them as one that is looked into where they are needed. */
export async function filesOf(pack: Pack): Promise<SourceFile[]> {
  const { blob } = pack;
  if ("paths" in pack) {
    const { paths, sizes } = pack;
    const root = paths.slice(0, Math.max(0, paths.indexOf("/")));
    return [{ path: `${root}/`, blob, inside: { paths, sizes: sizes as Table["sizes"] } }];
  }
  const files: SourceFile[] = [];
  let at = 0;
  for (const [i, { path, size }] of pack.files.entries()) {
    files.push({ path, blob: blob.slice(at, at + size) });
    at += size;
    if (i % JOINED_AT_ONCE === JOINED_AT_ONCE - 1) await nextTurn();
  }
  return files;
}
