// What the page keeps for its next visit, in the browser's own database: every run's record and details, the tensors of
// the last runs, and what lay on the table (model, images, the run under way). A file or a run is one entry of the
// database, written whole or not at all. Nothing here leaves the machine.
import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import { z } from "zod";
import { Failure } from "../failure.ts";
import type { AccuracyPoint, GateFrame, GateInfo, SavedRun, SourceFile, StepReport } from "./protocol.ts";
import {
  type RunDetails,
  type RunRecord,
  restoreRecords,
  runDetailsSchema,
  runRecordSchema,
} from "./run_record.ts";
import { frameSchema, gateSchema, savedRunSchema } from "./saved_run.ts";

/** Several files as one: their paths and sizes, and their bytes one after the other. */
const packSchema = z.object({
  id: z.string(),
  files: z.array(z.object({ path: z.string(), size: z.int().min(0) })).max(1_000_000),
  blob: z.instanceof(Blob),
});

const count = z.int().min(0);
/** What the page draws of a run beside what the engine knows of it. */
const historySchema = z.object({
  gates: z.array(gateSchema),
  frames: z.array(frameSchema),
  steps: z.array(z.looseObject({ step: count, steps: count, loss: z.number() })),
  points: z.array(z.looseObject({ step: count, sets: z.array(z.looseObject({ id: z.string() })) })),
});
export interface RunHistory {
  gates: GateInfo[];
  frames: GateFrame[];
  steps: StepReport[];
  points: AccuracyPoint[];
}

/** A run with its tensors, and the page's side of it. */
export interface KeptState {
  /** The saved run's own. */
  id: string;
  name: string;
  saved: SavedRun;
  history: RunHistory;
}
const stateSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    saved: savedRunSchema,
    history: historySchema,
  })
  .refine(({ id, saved }) => saved.id === id);

/** Runs were saved without an id once; it is the one that they were kept under. */
function withId(stored: (KeptState & { saved: { id?: string } }) | undefined): unknown {
  return stored?.saved && { ...stored, saved: { ...stored.saved, id: stored.saved.id ?? stored.id } };
}

const entrySchema = z.object({ name: z.string(), recipe: z.record(z.string(), z.unknown()) });
/** What lies on the table. Files are named by the fingerprint they are packed under. */
const sittingSchema = z.object({
  version: z.literal(1),
  backend: z.enum(["auto", "webgpu", "wasm"]).catch("auto"),
  model: z
    .object({ pack: z.string(), name: z.string(), answers: z.record(z.string(), z.unknown()).nullable() })
    .nullable(),
  sets: z
    .array(
      z.object({
        pack: z.string(),
        role: z.enum(["target", "ood", "retention", "keep"]),
        name: z.string(),
        seed: count,
        answers: z
          .object({ layout: z.string(), domain: z.string(), encoding: z.string() })
          .partial()
          .default({}),
        mapping: z.record(z.string(), z.string().nullable()).nullable(),
      }),
    )
    .max(1000),
  corruption: z
    .object({ names: z.array(z.string()).max(100), severity: count })
    .nullable()
    .default(null),
  /** The run that was under way or had last ended. */
  run: z.string().nullable(),
  /** Runs that were to follow it, and those it was started with. */
  series: z
    .object({
      id: z.string(),
      name: z.string(),
      entries: z.array(entrySchema).max(10_000),
      at: count,
      path: z.boolean(),
    })
    .nullable(),
  /** The run that was started last and has not ended, whether anything of it is kept or not. */
  begun: z
    .object({ id: z.string(), name: z.string(), recipe: z.record(z.string(), z.unknown()) })
    .nullable()
    .default(null),
  /** The settings as they were chosen; null where none were kept. */
  recipe: z.record(z.string(), z.unknown()).nullable().default(null),
});
export type Sitting = z.infer<typeof sittingSchema>;

/** One line of what is kept and how large it is. */
export interface KeptThing {
  kind: "model" | "images" | "state" | "runs";
  name: string;
  bytes: number;
}

interface Rooms extends DBSchema {
  runs: { key: string; value: RunRecord };
  details: { key: string; value: RunDetails };
  states: { key: string; value: KeptState & { when: number; bytes: number } };
  packs: { key: string; value: z.infer<typeof packSchema> };
  sitting: { key: string; value: unknown };
}

export interface Keep {
  runs(): Promise<{ runs: RunRecord[]; problems: string[] }>;
  details(id: string): Promise<RunDetails | null>;
  /** Writes a record, and its details where they are given. */
  putRun(record: RunRecord, details?: RunDetails): Promise<void>;
  removeRuns(ids: readonly string[]): Promise<void>;
  /** A run with its tensors; null where it is not kept (any more) or broken. */
  state(id: string): Promise<KeptState | null>;
  /** Ids of runs whose tensors are kept. */
  stateIds(): Promise<string[]>;
  /**
   * Keeps a run's tensors under its own id; the oldest others give way when all of them together are too large. A run
   * that has ended is kept once: what comes under its id afterwards is not written.
   */
  putState(state: Omit<KeptState, "id">): Promise<void>;
  removeState(id: string): Promise<void>;
  /** Keeps files under an id, unless they are there. @throws Failure with a sentence where they do not fit */
  pack(id: string, name: string, files: readonly SourceFile[]): Promise<void>;
  unpack(id: string): Promise<SourceFile[] | null>;
  sitting(): Promise<Sitting | null>;
  /** Says what lies on the table; files that no longer do are let go. */
  putSitting(sitting: Sitting): Promise<void>;
  things(): Promise<KeptThing[]>;
  /** Forgets everything. */
  clear(): Promise<void>;
}

/** Most bytes that tensors of runs may take in all. */
const STATES_LIMIT = 2 * 1024 ** 3;
/** Share of what the browser has left that one thing may take: a full disk helps nobody. */
const SHARE_OF_ROOM = 0.8;

const megabytes = (bytes: number) => `${Math.ceil(bytes / 1024 ** 2).toLocaleString("en")} MB`;

function noRoom(what: string, bytes: number, room: number | null): Failure {
  return new Failure({
    code: "state",
    what: `${what} cannot be kept for a reload: ${megabytes(bytes)} are more than the browser has room for${room === null ? "" : ` (${megabytes(room)} left)`}.`,
    remedy: "Go on as you are; only a reload would lose it. Forgetting older things makes room.",
  });
}

/** Turns what a database throws into a sentence. */
function refusal(error: unknown, what: string, bytes: number): Failure {
  if (error instanceof Failure) return error;
  if (error instanceof DOMException && error.name === "QuotaExceededError") return noRoom(what, bytes, null);
  return new Failure(
    {
      code: "state",
      what: `${what} cannot be kept: ${error instanceof Error ? error.message : String(error)}`,
      remedy: "Go on as you are; only a reload would lose it.",
    },
    { cause: error },
  );
}

async function room(): Promise<number | null> {
  const estimate = await globalThis.navigator?.storage?.estimate?.().catch(() => null);
  if (estimate?.quota === undefined) return null;
  return Math.max(0, estimate.quota - (estimate.usage ?? 0)) * SHARE_OF_ROOM;
}

/**
 * Opens the database, making it where there is none.
 * @throws Failure where the browser keeps nothing for this page (private windows of some browsers)
 */
export async function openKeep(database = "selora"): Promise<Keep> {
  let db: IDBPDatabase<Rooms>;
  try {
    db = await openDB<Rooms>(database, 1, {
      upgrade(fresh) {
        for (const store of ["runs", "details", "states", "packs"] as const)
          fresh.createObjectStore(store, { keyPath: "id" });
        fresh.createObjectStore("sitting");
      },
    });
  } catch (error) {
    throw new Failure(
      {
        code: "state",
        what: "This browser keeps nothing for the page, so runs and files are gone after a reload.",
        remedy: "Leave private browsing, or allow this page to store data.",
      },
      { cause: error },
    );
  }

  const bytesOfState = ({ saved, history }: Omit<KeptState, "id">) =>
    saved.snapshot.size + history.frames.length * (13 * (history.frames[0]?.open.length ?? 0) + 100);

  async function letGo(limit: number, but: string): Promise<void> {
    const all = await db.getAll("states");
    let total = all.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const one of all.sort((a, b) => a.when - b.when)) {
      if (total <= limit) return;
      if (one.id === but) continue;
      await db.delete("states", one.id);
      total -= one.bytes;
    }
  }

  return {
    async runs() {
      const { runs, problems } = restoreRecords(await db.getAll("runs"));
      return { runs: runs.sort((a, b) => b.when - a.when), problems };
    },

    async details(id) {
      const parsed = runDetailsSchema.safeParse(await db.get("details", id));
      return parsed.success ? parsed.data : null;
    },

    async putRun(record, details) {
      try {
        const write = db.transaction(["runs", "details"], "readwrite");
        await write.objectStore("runs").put(runRecordSchema.parse(record));
        if (details) await write.objectStore("details").put(runDetailsSchema.parse(details));
        await write.done;
      } catch (error) {
        throw refusal(error, `The run "${record.name}"`, 100_000);
      }
    },

    async removeRuns(ids) {
      const write = db.transaction(["runs", "details", "states"], "readwrite");
      for (const id of ids)
        for (const store of ["runs", "details", "states"] as const) await write.objectStore(store).delete(id);
      await write.done;
    },

    async state(id) {
      const parsed = stateSchema.safeParse(withId(await db.get("states", id)));
      return parsed.success ? (parsed.data as unknown as KeptState) : null;
    },

    stateIds: () => db.getAllKeys("states"),

    async putState(state) {
      const { id } = state.saved;
      const bytes = bytesOfState(state);
      if ((await db.get("states", id))?.saved?.result) return;
      const what = `The run "${state.name}"`;
      try {
        await letGo(STATES_LIMIT - bytes, id);
        let left = await room();
        if (left !== null && bytes > left) {
          await letGo(0, id);
          left = await room();
        }
        if (bytes > STATES_LIMIT || (left !== null && bytes > left)) throw noRoom(what, bytes, left);
        const write = db.transaction("states", "readwrite");
        const there = await write.store.get(id);
        if (!there?.saved?.result) await write.store.put({ ...state, id, when: Date.now(), bytes });
        await write.done;
      } catch (error) {
        throw refusal(error, what, bytes);
      }
    },

    async removeState(id) {
      await db.delete("states", id);
    },

    async pack(id, name, files) {
      if ((await db.getKey("packs", id)) !== undefined) return;
      const bytes = files.reduce((sum, { blob }) => sum + blob.size, 0);
      try {
        const left = await room();
        if (left !== null && bytes > left) throw noRoom(name, bytes, left);
        await db.put("packs", {
          id,
          files: files.map(({ path, blob }) => ({ path, size: blob.size })),
          blob: new Blob(files.map(({ blob }) => blob)),
        });
      } catch (error) {
        throw refusal(error, name, bytes);
      }
    },

    async unpack(id) {
      const parsed = packSchema.safeParse(await db.get("packs", id));
      if (!parsed.success) return null;
      const { files, blob } = parsed.data;
      if (files.reduce((sum, { size }) => sum + size, 0) !== blob.size) return null;
      let at = 0;
      return files.map(({ path, size }) => {
        at += size;
        return { path, blob: blob.slice(at - size, at) };
      });
    },

    async sitting() {
      const parsed = sittingSchema.safeParse(await db.get("sitting", "now"));
      return parsed.success ? parsed.data : null;
    },

    async putSitting(sitting) {
      const write = db.transaction(["sitting", "packs"], "readwrite");
      await write.objectStore("sitting").put(sittingSchema.parse(sitting), "now");
      const named = new Set([sitting.model?.pack, ...sitting.sets.map(({ pack }) => pack)]);
      for (const id of await write.objectStore("packs").getAllKeys())
        if (!named.has(id)) await write.objectStore("packs").delete(id);
      await write.done;
    },

    async things() {
      const sitting = sittingSchema.safeParse(await db.get("sitting", "now")).data ?? null;
      const things: KeptThing[] = [];
      const nameOf = (id: string) => sitting?.sets.find(({ pack }) => pack === id)?.name ?? "Images";
      for (const pack of await db.getAll("packs")) {
        const model = pack.id === sitting?.model?.pack;
        things.push({
          kind: model ? "model" : "images",
          name: model ? (sitting?.model?.name ?? "Model") : nameOf(pack.id),
          bytes: pack.blob.size,
        });
      }
      for (const { name, bytes } of await db.getAll("states")) things.push({ kind: "state", name, bytes });
      const [records, details] = [await db.getAll("runs"), await db.getAll("details")];
      const text = JSON.stringify(records).length + JSON.stringify(details).length;
      if (records.length > 0) things.push({ kind: "runs", name: `${records.length} kept runs`, bytes: text });
      return things;
    },

    async clear() {
      const stores = ["runs", "details", "states", "packs", "sitting"] as const;
      const write = db.transaction(stores, "readwrite");
      for (const store of stores) await write.objectStore(store).clear();
      await write.done;
    },
  };
}
