// A model's files from what --model names: a folder, a file, `hf:org/name[@revision]` on the Hub, or an address.
import { stat } from "node:fs/promises";
import { freemem, homedir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { fileBlob } from "../large_file_node.ts";
import { besideWeights, type FetchedModel, fetchModelToDisk, walk } from "../session/node.ts";
import type { SessionEvent, SourceFile } from "../session/protocol.ts";
import { decidedFiles } from "./out_folder.ts";
import type { Stops } from "./stops.ts";

const isRemote = (model: string) => /^(hf:|https?:\/\/)/.test(model);

/** Where fetched models are kept. */
const cacheFolder = () => join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "selora", "models");

/**
 * Finds or fetches the files of `model`. A token for the Hub comes from HF_TOKEN, another server with its interface
 * from HF_ENDPOINT, as the Hub's own tools have it.
 * @param emit is told how far a fetch is
 */
export async function modelFiles(
  model: string,
  emit: (event: Extract<SessionEvent, { kind: "progress" | "notice" }>) => void,
  stops: Stops,
): Promise<SourceFile[]> {
  if (!isRemote(model)) return filesOnDisk(model);
  const abort = new AbortController();
  const unhear = stops.onStop(() => abort.abort());
  try {
    const { files, note }: FetchedModel = await fetchModelToDisk(
      { model, token: process.env.HF_TOKEN, hubUrl: process.env.HF_ENDPOINT || undefined },
      cacheFolder(),
      {
        signal: abort.signal,
        onProgress: ({ file, done, total, secondsLeft }) =>
          emit({
            kind: "progress",
            task: "model",
            label: `Fetching ${file}, bytes`,
            done,
            total: total ?? done,
            secondsLeft,
          }),
      },
    );
    if (note) emit({ kind: "notice", text: note });
    return files;
  } finally {
    unhear();
  }
}

const isIndex = (path: string) => /\.index(\.\w+)?\.json$/i.test(path);

/** The folder or file of this computer that is read for `model`. */
export function placeOfModel(model: string): string {
  if (isRemote(model)) return cacheFolder();
  return isIndex(model) ? dirname(resolve(model)) : model;
}

/** A folder, or one file and those that belong beside it. */
export async function filesOnDisk(path: string): Promise<SourceFile[]> {
  const files = await walkModel(path);
  if (!(await stat(path)).isFile()) return files;
  // An index is nothing without the files it names.
  if (isIndex(path)) return walk(dirname(path));
  for (const name of besideWeights) {
    const beside = join(dirname(path), name);
    if (await stat(beside).catch(() => null)) files.push(...(await walk(beside)));
  }
  return files;
}

/** The files of a folder; of one whose export was cut off while it was moved into place, those of that export. */
async function walkModel(path: string): Promise<SourceFile[]> {
  // A folder that was named is no hidden one, whatever its own name.
  const root = basename(resolve(path)).replace(/^\.+/, "") || "model";
  const decided = await decidedFiles(path);
  if (decided)
    return Promise.all(
      [...decided].map(async ([file, place]) => ({ path: `${root}/${file}`, blob: await fileBlob(place) })),
    );
  const own = basename(resolve(path));
  if (!own.startsWith(".")) return walk(path);
  return (await walk(path)).map(({ path: file, blob }) => ({ path: root + file.slice(own.length), blob }));
}

const weights = /\.(safetensors|bin|pth?|ckpt)$/i;

/** Files that a model is read from: with safetensors there, PyTorch's own are not. */
function readFiles(files: readonly SourceFile[]): SourceFile[] {
  const safe = files.some(({ path }) => path.endsWith(".safetensors"));
  return files.filter(({ path }) => (weights.test(path) ? !safe || path.endsWith(".safetensors") : true));
}

/** Bytes of the weights among a model's files. */
export const weightBytes = (files: readonly SourceFile[]): number =>
  readFiles(files).reduce((sum, { path, blob }) => sum + (weights.test(path) ? blob.size : 0), 0);

/** Most bytes of a model that are held in memory while it is trained, however much there is. */
const HELD = 4 * 1024 ** 3;

/**
 * A model's files in memory, so that what becomes of them on the disk while it is trained does not matter: most of an
 * export is copied from them. One that is too large for that stays on the disk, and is told of.
 */
export async function heldInMemory(
  files: readonly SourceFile[],
  tell: (text: string) => void,
  most = Math.min(HELD, freemem() / 3),
): Promise<SourceFile[]> {
  const read = new Set(
    readFiles(files).filter(({ path }) => /\.(json|txt)$/i.test(path) || weights.test(path)),
  );
  const bytes = [...read].reduce((sum, { blob }) => sum + blob.size, 0);
  if (bytes > most) {
    tell(
      `The model's files (${(bytes / 1e9).toFixed(1)} GB) stay on the disk; leave them as they are until the run has ended.`,
    );
    return [...files];
  }
  const held: SourceFile[] = [];
  for (const file of files)
    held.push(read.has(file) ? { path: file.path, blob: new Blob([await file.blob.arrayBuffer()]) } : file);
  return held;
}
