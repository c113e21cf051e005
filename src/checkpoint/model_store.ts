// Where fetched models are kept: a folder for each, its files, and a record that is written last, with a checksum of every
// file and of itself. A model without that record is a download that stopped, and can go on where it did; a file that is
// no longer what was fetched is fetched anew, when the person asks for the model. The browser keeps them in its private file system
// (model_store_opfs.ts), or in its database where it has none (model_store_idb.ts), Node in a folder (model_store_node.ts).
import { z } from "zod";
import { checksumOf } from "../checksum.ts";
import { Failure } from "../failure.ts";
import type { SourceFile } from "../source_file.ts";

/** What is known of a file on the way: enough to go on with it only if it is still the same one. */
const fileSchema = z.object({
  path: z.string(),
  size: z.number().nullable(),
  etag: z.string().nullable(),
  /** Over its bytes, once it is whole; older records have none. */
  sum: z.string().optional(),
});

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
  /** Over all else in the record; older records have none. */
  sum: z.string().optional(),
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
  /** Why its record cannot be read, half a sentence; null where it can. */
  problem: string | null;
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

/** A model's record, or why it cannot be read; neither where there is none. */
async function judgeRecord(
  store: ModelStore,
  id: string,
  name: typeof COMPLETE | typeof STARTED,
): Promise<{ record: ModelRecord | null; problem: string | null }> {
  const blob = await store.blob(id, name);
  if (!blob) return { record: null, problem: null };
  const damaged = { record: null, problem: "its record is damaged" };
  if (blob.size > 10_000_000) return damaged;
  try {
    const found: unknown = JSON.parse(await blob.text());
    if (z.object({ version: z.number().min(2) }).safeParse(found).success)
      return { record: null, problem: "a newer Selora fetched it" };
    const record = recordSchema.parse(found);
    const { sum, ...rest } = found as ModelRecord;
    if (sum !== undefined && sum !== (await checksumOf(rest))) return damaged;
    return { record, problem: null };
  } catch {
    return damaged;
  }
}

/** Reads a model's record; null where there is none, only half of one, or one that cannot be believed. */
export const readRecord = async (...of: Parameters<typeof judgeRecord>): Promise<ModelRecord | null> =>
  (await judgeRecord(...of)).record;

/** Writes the record of a model that is whole, with the sums of its files as they lie there. */
export async function writeComplete(store: ModelStore, id: string, record: ModelRecord): Promise<void> {
  const files: FileRecord[] = [];
  for (const file of record.files)
    files.push({ ...file, sum: await checksumOf(await store.blob(id, file.path)) });
  const whole = { ...record, files };
  await store.write(id, COMPLETE, JSON.stringify({ ...whole, sum: await checksumOf(whole) }));
}

/**
 * Files of a kept model that are no longer what was fetched.
 * @throws Failure `state` where a newer Selora fetched it, whose record is not this one's to write over
 */
export async function damagedFiles(store: ModelStore, id: string): Promise<ReadonlySet<string>> {
  const { record, problem } = await judgeRecord(store, id, COMPLETE);
  if (problem?.includes("newer"))
    throw new Failure({
      code: "state",
      what: "This model was fetched by a newer Selora, in a form that this one does not know.",
      where: id,
      remedy: "Use the newer one, or remove the model from what is kept and fetch it again.",
    });
  const damaged = new Set<string>();
  for (const file of record?.files ?? []) if (!(await isWhole(store, id, file))) damaged.add(file.path);
  return damaged;
}

async function isWhole(store: ModelStore, id: string, { path, size, sum }: FileRecord): Promise<boolean> {
  const blob = await store.blob(id, path);
  if (!blob || blob.size !== size) return false;
  return sum === undefined || sum === (await checksumOf(blob).catch(() => null));
}

/** Everything that is kept, the newest first. */
export async function listModels(store: ModelStore): Promise<CachedModel[]> {
  const models: (CachedModel & { when: number })[] = [];
  for (const id of await store.ids()) {
    const done = await judgeRecord(store, id, COMPLETE);
    const record = done.record ?? (await readRecord(store, id, STARTED));
    const names = record?.files.map(({ path }) => path) ?? [];
    const sizes = await Promise.all(names.map(async (name) => (await store.blob(id, name))?.size ?? 0));
    models.push({
      id,
      source: record?.source ?? id,
      revision: record?.revision ?? null,
      commit: record?.commit ?? null,
      bytes: sizes.reduce((a, b) => a + b, 0),
      complete: done.record !== null,
      problem: done.problem,
      when: record?.when ?? 0,
    });
  }
  return models.sort((a, b) => b.when - a.when).map(({ when: _, ...model }) => model);
}

/** A model that is in the store; with its files where they were looked at just now. */
export interface Found {
  id: string;
  note: string | null;
  files?: SourceFile[];
}

/** Endings of files that may hold weights. */
export const weightsEnding = /\.(safetensors|bin|pth?|ckpt|pth?\.tar)$/i;

/**
 * The files of a model that is kept, as if they had been dropped as one folder; null when it is not there, not whole, or
 * not to the last bit what was fetched.
 */
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
  for (const file of record.files) {
    // Somebody cleared a part of it, or a disk did: half a model is none.
    if (!(await isWhole(store, id, file))) return null;
    const blob = (await store.blob(id, file.path)) as Blob;
    files.push({ path: `${last.replace(weightsEnding, "")}/${file.path}`, blob });
  }
  return files;
}
