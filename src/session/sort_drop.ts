// What a drop is, that was made beside every place meant for one: a model, sets of images, or neither. Decided by names: a
// zip's by those in its directory, an unopened folder's by the first of those in it. Nothing is unpacked, and no large
// folder looked through. Whether it can be read is for who reads it to say.
import { companions, isWeights } from "../checkpoint/choose_files.ts";
import { IMAGE_EXTENSIONS } from "../dataset/gather.ts";
import { Failure } from "../failure.ts";
import { fileKind, KIND_BYTES, kindName } from "../file_kind.ts";
import type { SourceFile } from "../source_file.ts";
import { blobSource, readZipDirectory } from "../zip_directory.ts";

/** Most names of a zip that are looked at; a set of images shows what it is in the first of them. */
const ENTRIES = 200_000;
/** Most names of an unopened folder that are looked at, and most of each folder in it: what it holds shows within them,
 *  though a thousand notes come before the first picture. */
const LOOKED = { all: 2_000, each: 100 };

export interface SortedDrop {
  /** Files of a model; empty where there are none. */
  model: SourceFile[];
  /** Sets of images: each zip is one, all folders and loose pictures together are one. */
  images: SourceFile[][];
  /** What holds weights and pictures alike: the person says which of them is meant. */
  either: SourceFile[];
}

type Kind = "model" | "images" | "either" | "beside" | "neither";

const isZip = ({ path }: SourceFile) => /^[^/]+\.zip$/i.test(path);
const isImage = (path: string) => IMAGE_EXTENSIONS.has(path.slice(path.lastIndexOf(".") + 1).toLowerCase());
const besideModels: ReadonlySet<string> = new Set(companions);
const isHidden = (path: string) =>
  path.split("/").some((part) => part.startsWith(".") || part === "__MACOSX");

function kindOf(names: Iterable<string>): Kind {
  let weights = false;
  let images = false;
  let beside = false;
  for (const name of names) {
    if (isHidden(name)) continue;
    weights ||= isWeights(name);
    images ||= isImage(name);
    beside ||= besideModels.has(name.slice(name.lastIndexOf("/") + 1));
  }
  if (weights) return images ? "either" : "model";
  return images ? "images" : beside ? "beside" : "neither";
}

/** The names in a zip, as far as their endings need to be read. */
async function namesIn({ path, blob }: SourceFile): Promise<string[]> {
  const options = { where: path, remedy: "Download it again, or make the zip anew.", maxEntries: ENTRIES };
  const directory = await readZipDirectory(blobSource(blob, path), options);
  const utf8 = new TextDecoder();
  return Array.from({ length: directory.count }, (_, i) => utf8.decode(directory.entry(i).name));
}

/** The first names in a folder and the folders in it, those that lie highest first; none where it cannot be opened. */
async function namesInFolder(root: FileSystemDirectoryHandle): Promise<string[]> {
  const names: string[] = [];
  const waiting = [{ path: `${root.name}/`, folder: root }];
  for (const { path, folder } of waiting) {
    let seen = 0;
    try {
      for await (const handle of folder.values()) {
        if (names.length === LOOKED.all) return names;
        if (isHidden(handle.name)) continue;
        names.push(path + handle.name);
        if (handle.kind === "directory")
          waiting.push({ path: `${path}${handle.name}/`, folder: handle as FileSystemDirectoryHandle });
        if (++seen === LOOKED.each) break;
      }
    } catch {
      // The engine tells of what cannot be opened.
    }
  }
  return names;
}

/** The names that tell what a part of a drop is. */
async function namesOf(part: readonly SourceFile[]): Promise<string[]> {
  const [first] = part as [SourceFile];
  if (isZip(first)) return namesIn(first);
  const names: string[] = [];
  for (const { path, inside } of part) {
    if (!inside) names.push(path);
    else if ("paths" in inside) names.push(...inside.paths.split("\0", LOOKED.all));
    else for (const name of await namesInFolder(inside)) names.push(name);
  }
  return names;
}

/** What lies in one folder of the drop, or loose in it, or is one zip. */
function partsOf(files: readonly SourceFile[]): SourceFile[][] {
  const parts = new Map<string, SourceFile[]>();
  for (const file of files) {
    const root = isZip(file) || file.path.includes("/") ? (file.path.split("/")[0] as string) : "";
    const part = parts.get(root);
    if (part) part.push(file);
    else parts.set(root, [file]);
  }
  return [...parts.values()];
}

/**
 * Sorts what was dropped.
 * @throws Failure "bad-file" where nothing of it is a model or a picture, or a zip cannot be opened
 */
export async function sortDrop(files: readonly SourceFile[]): Promise<SortedDrop> {
  const sorted: SortedDrop = { model: [], images: [], either: [] };
  const folders: SourceFile[] = [];
  const beside: SourceFile[] = [];
  for (const part of partsOf(files)) {
    const [first] = part as [SourceFile];
    const zip = isZip(first);
    const found = kindOf(await namesOf(part));
    // Thousands of files without weights among the first of them are pictures; where they are not, the engine says so.
    const unopened = part.some(({ inside }) => inside) && found !== "model" && found !== "either";
    const kind = unopened ? "images" : found;
    if (kind === "model") sorted.model.push(...part);
    else if (kind === "either") sorted.either.push(...part);
    else if (kind === "beside") beside.push(...part);
    else if (kind === "images") {
      if (zip) sorted.images.push(part);
      else folders.push(...part);
    }
  }
  if (folders.length > 0) sorted.images.push(folders);
  // A config that was dropped beside its weights belongs to them.
  if (sorted.model.length > 0) sorted.model.push(...beside);
  if (sorted.model.length + sorted.either.length === 0 && sorted.images.length === 0)
    throw await nothing(files);
  return sorted;
}

async function nothing(files: readonly SourceFile[]): Promise<Failure> {
  const [first] = files;
  const start = first && new Uint8Array(await first.blob.slice(0, KIND_BYTES).arrayBuffer());
  const kind = start && fileKind(start);
  const more = files.length > 1 ? ` and ${(files.length - 1).toLocaleString("en")} more` : "";
  return new Failure({
    code: "bad-file",
    what: first
      ? `"${first.path}"${more}: no weights of a model and no pictures are among it.${kind && kind !== "zip" ? ` This is ${kindName(kind)}.` : ""}`
      : "There was nothing in what was dropped.",
    remedy:
      "Drop a model (.safetensors, .pth or .bin, or its folder), or pictures in a folder for each class; either may be in a zip.",
  });
}
