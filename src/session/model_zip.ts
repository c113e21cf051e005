// A model in a zip, as an export is taken home in one: its files, as if they had been unpacked and dropped as a folder. A
// stored file is a slice of the zip; a packed one is unpacked when the zip is opened, and no more than could be a model.
import { isWeights } from "../checkpoint/choose_files.ts";
import { noWeights } from "../checkpoint/file_kinds.ts";
import { notZip, readingOf, safePath } from "../dataset/zip.ts";
import { Failure } from "../failure.ts";
import { fileKind, KIND_BYTES } from "../file_kind.ts";
import type { SourceFile } from "../source_file.ts";
import { blobSource, readZipDirectory, type ZipEntry } from "../zip_directory.ts";

/** Files that a model is read from; pictures and whatever else lies in the zip stay in it. */
const modelPart = /\.(safetensors|pth?|bin|ckpt|pth?\.tar|json|txt)$/i;
const MAX_FILES = 100_000;
/** Weights hardly shrink in a zip; one that grows so much is made to fill the memory. */
const MAX_RATIO = 20;
const HARMLESS_BYTES = 64 * 1024 ** 2;

const isHidden = (path: string) =>
  path.split("/").some((part) => part.startsWith(".") || part === "__MACOSX");

/**
 * What was dropped, with the model's files in place of the zip that holds them, where there are no weights beside it.
 * @throws Failure "bad-file": no zip, damaged, one that cannot be unpacked here or grows beyond a model; "bad-model":
 *   several zips, or no weights in the one
 */
export async function unpackModel(files: SourceFile[]): Promise<SourceFile[]> {
  const seen = files.filter(({ path }) => !isHidden(path));
  const zips = seen.filter(({ path }) => /\.zip$/i.test(path));
  const [zip] = zips;
  if (!zip || seen.some(({ path }) => isWeights(path))) return files;
  if (zips.length > 1) {
    const names = zips.slice(0, 4).map(({ path }) => `"${path}"`);
    throw new Failure({
      code: "bad-model",
      what: `There are ${zips.length} zips and no weights beside them: ${names.join(", ")}${zips.length > 4 ? ", ..." : ""}.`,
      remedy: "Choose the one zip that holds the model.",
    });
  }
  return [...(await filesOfZip(zip)), ...files.filter((file) => file !== zip)];
}

async function filesOfZip({ path: where, blob }: SourceFile): Promise<SourceFile[]> {
  const refuse = (what: string, remedy: string) => new Failure({ code: "bad-file", what, where, remedy });
  const source = blobSource(blob, where);
  const kind = fileKind(await source.read(0, Math.min(KIND_BYTES, blob.size)));
  if (kind && kind !== "zip") throw notZip(where, kind);
  const options = {
    where,
    remedy: "Make the zip anew, or unpack it and choose the folder.",
    maxEntries: MAX_FILES,
  };
  const directory = await readZipDirectory(source, options);
  const { nameOf } = await readingOf(directory, undefined);
  const root = where.replace(/\.zip$/i, "");
  // Of two files of one name the later one was added in place of the other, as unpackers have it.
  const parts = new Map<string, number>();
  const others: string[] = [];
  let unpacked = 0;
  for (let i = 0; i < directory.count; i++) {
    const entry = directory.entry(i);
    const { text, backslash } = nameOf(entry);
    const path = entry.kind === "file" ? safePath(text, backslash) : null;
    // PyTorch's own files are zips, too.
    if (path !== null && /^([^/]+\/)?data\.pkl$/.test(path)) return [{ path: `${root}.pth`, blob }];
    if (path === null || isHidden(path)) continue;
    if (!modelPart.test(path)) {
      others.push(`${root}/${path}`);
      continue;
    }
    const why = unreadable(entry);
    if (why) throw refuse(why, "Unpack it, and choose the model's folder.");
    unpacked += entry.stored ? 0 : entry.size;
    if (unpacked > Math.max(HARMLESS_BYTES, blob.size * MAX_RATIO))
      throw refuse(
        `It says that it unpacks to more than ${MAX_RATIO} times its own size, which models never do.`,
        "Do not trust this file; unpack it elsewhere if you know where it is from.",
      );
    parts.set(path, i);
  }
  if (![...parts.keys()].some(isWeights))
    throw noWeights([...[...parts.keys()].map((path) => `${root}/${path}`), ...others]);
  const files: SourceFile[] = [];
  for (const [path, i] of parts)
    files.push({ path: `${root}/${path}`, blob: await directory.read(i, `${root}/${path}`) });
  return files;
}

/** Why a part of the model cannot be read, in a sentence. */
function unreadable({ encrypted, packing }: ZipEntry): string | null {
  if (encrypted) return "The zip is protected by a password.";
  return packing === null ? null : `The zip is whole, but packed by ${packing}, which is not read here.`;
}
