// Where fetched models are kept: a folder for each, its files, and a record that is written last. A model without that
// record is a download that stopped, and can go on where it did. The browser keeps them in its private file system
// (model_store_opfs.ts), Node in a folder (model_store_node.ts).
import { z } from "zod";
import type { SourceFile } from "../source_file.ts";

/** What is known of a file on the way: enough to go on with it only if it is still the same one. */
const fileSchema = z.object({ path: z.string(), size: z.number().nullable(), etag: z.string().nullable() });

export const recordSchema = z.object({
  version: z.literal(1),
  /** `org/name` on the Hub, or the address. */
  source: z.string(),
  /** The revision as it was asked for; null for the usual one, and for an address. */
  revision: z.string().nullable(),
  /** Commit on the Hub; null for an address. */
  commit: z.string().nullable(),
  files: z.array(fileSchema),
  /** When it was fetched, in ms since 1970. */
  when: z.number(),
});
export type ModelRecord = z.infer<typeof recordSchema>;
export type FileRecord = z.infer<typeof fileSchema>;

/** A model that is kept, for a list of them. */
export interface CachedModel {
  id: string;
  source: string;
  revision: string | null;
  commit: string | null;
  /** Bytes that are there, whether the model is complete or not. */
  bytes: number;
  complete: boolean;
}

/** A file that grows. */
export interface PartFile {
  readonly size: number;
  append(bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /** Throws away what is there. */
  restart(): Promise<void>;
  /** Makes sure that what was appended stays; must be called at the end. */
  close(): Promise<void>;
}

/** `id` is a folder's name and `name` a file's in it; both are made by the caller and hold no separators. */
export interface ModelStore {
  ids(): Promise<string[]>;
  open(id: string, name: string): Promise<PartFile>;
  /** The file as it is on disk, not read; null where there is none. */
  blob(id: string, name: string): Promise<Blob | null>;
  write(id: string, name: string, text: string): Promise<void>;
  remove(id: string): Promise<void>;
  /** Bytes that can still be kept; null when nobody knows. */
  room(): Promise<number | null>;
}

/** The record's name; it is written when every file is whole. */
export const COMPLETE = "model.selora.json";
/** The same record while files are on their way. */
export const STARTED = "download.selora.json";

/** Reads a model's record; null where there is none or only half of one. */
export async function readRecord(
  store: ModelStore,
  id: string,
  name: typeof COMPLETE | typeof STARTED,
): Promise<ModelRecord | null> {
  const blob = await store.blob(id, name);
  if (!blob || blob.size > 10_000_000) return null;
  try {
    return recordSchema.parse(JSON.parse(await blob.text()));
  } catch {
    return null;
  }
}

/** Everything that is kept, the newest first. */
export async function listModels(store: ModelStore): Promise<CachedModel[]> {
  const models: (CachedModel & { when: number })[] = [];
  for (const id of await store.ids()) {
    const done = await readRecord(store, id, COMPLETE);
    const record = done ?? (await readRecord(store, id, STARTED));
    const names = record?.files.map(({ path }) => path) ?? [];
    const sizes = await Promise.all(names.map(async (name) => (await store.blob(id, name))?.size ?? 0));
    models.push({
      id,
      source: record?.source ?? id,
      revision: record?.revision ?? null,
      commit: record?.commit ?? null,
      bytes: sizes.reduce((a, b) => a + b, 0),
      complete: done !== null,
      when: record?.when ?? 0,
    });
  }
  return models.sort((a, b) => b.when - a.when).map(({ when: _, ...model }) => model);
}

/** Endings of files that may hold weights. */
export const weightsEnding = /\.(safetensors|bin|pth?|ckpt|pth?\.tar)$/i;

/** The files of a model that is kept, as if they had been dropped as one folder; null when it is not there or not whole. */
export async function openKept(store: ModelStore, id: string): Promise<SourceFile[] | null> {
  const record = await readRecord(store, id, COMPLETE);
  if (!record) return null;
  const last =
    record.source
      .replace(/[?#].*$/, "")
      .split("/")
      .filter(Boolean)
      .at(-1) ?? "model";
  const files: SourceFile[] = [];
  for (const { path, size } of record.files) {
    const blob = await store.blob(id, path);
    // Somebody cleared a part of it: half a model is none.
    if (blob?.size !== size) return null;
    files.push({ path: `${last.replace(weightsEnding, "")}/${path}`, blob });
  }
  return files;
}
