// What the page keeps for its next visit, in the browser's own database: every run's record and details, the tensors of
// the last runs, and what lay on the table (model, images, the run under way). A file or a run is one entry of the
// database, written whole or not at all, with its version and its checksum. What cannot be read is set aside, and gone
// only when the person deletes it. Nothing here leaves the machine.
import { type DBSchema, type IDBPDatabase, type IDBPTransaction, openDB, type StoreNames } from "idb";
import { z } from "zod";
import { checksumOf } from "../checksum.ts";
import { Failure } from "../failure.ts";
import { filesOf, type Pack, type Packer, packerOf, packSchema, TABLE_FORMAT } from "./pack.ts";
import type { AccuracyPoint, GateFrame, GateInfo, SavedRun, SourceFile, StepReport } from "./protocol.ts";
import { type RunDetails, type RunRecord, runDetailsSchema, runRecordSchema } from "./run_record.ts";
import { basisSchema, frameSchema, gateSchema, pairsSchema, savedRunSchema } from "./saved_run.ts";

const count = z.int().min(0);
const livePoint = z.looseObject({
  id: z.string(),
  basis: basisSchema.optional(),
  pairs: pairsSchema.optional(),
});
/** What the page draws of a run beside what the engine knows of it. */
export const historySchema = z.object({
  gates: z.array(gateSchema),
  frames: z.array(frameSchema),
  steps: z.array(z.looseObject({ step: count, steps: count, loss: z.number() })),
  points: z.array(z.looseObject({ step: count, sets: z.array(livePoint) })),
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
/** Runs were saved without an id once; it is the one that they were kept under. */
const savedById = z.looseObject({ id: z.string(), saved: z.looseObject({ id: z.string().optional() }) });
function withId(stored: unknown): unknown {
  const { data } = savedById.safeParse(stored);
  return data ? { ...data, saved: { ...data.saved, id: data.saved.id ?? data.id } } : stored;
}
const stateSchema = z.preprocess(
  withId,
  z
    .object({
      id: z.string(),
      name: z.string(),
      saved: savedRunSchema,
      history: historySchema,
    })
    .refine(({ id, saved }) => saved.id === id),
);

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
  /** Of the entry; null for many of them. */
  id: string | null;
  name: string;
  bytes: number;
}

const roomNames = ["runs", "details", "states", "packs", "sitting"] as const;
type RoomName = (typeof roomNames)[number];

/** An entry that could not be read, as it was found. */
export interface SetAside {
  /** Where it lies now. */
  key: string;
  room: RoomName;
  /** Under which it was kept. */
  id: string;
  name: string;
  /** Half a sentence. */
  why: string;
  when: number;
  bytes: number;
}
const asideSchema = z.object({
  room: z.enum(roomNames),
  id: z.string(),
  name: z.string(),
  why: z.string(),
  when: z.number(),
  /** Packs that it may have named. */
  holds: z.array(z.string()),
  value: z.unknown(),
});

interface Rooms extends DBSchema {
  runs: { key: string; value: RunRecord };
  details: { key: string; value: RunDetails };
  states: { key: string; value: KeptState & { when: number; bytes: number } };
  packs: { key: string; value: Pack };
  /** What lies on the table under "now", whose page writes it under "owner", and what was set aside under "aside/…". */
  sitting: { key: string; value: unknown };
}

export interface Keep {
  /** Makes this page the one that writes the table and its runs: what another still wants to write is refused. */
  claim(): Promise<void>;
  runs(): Promise<{ runs: RunRecord[]; problems: string[] }>;
  details(id: string): Promise<RunDetails | null>;
  /** Writes a record, and its details where they are given. */
  putRun(record: RunRecord, details?: RunDetails): Promise<void>;
  /** Writes details of a run that is kept. */
  putDetails(details: RunDetails): Promise<void>;
  /** Changes a record as it stands now, whoever wrote it; gives it, or null where it is gone. */
  changeRun(id: string, changes: Partial<RunRecord>): Promise<RunRecord | null>;
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
  pack(id: string, name: string, files: readonly SourceFile[] | Packer): Promise<void>;
  /** Files as they were kept; null where they are not, or no longer to the last bit. */
  unpack(id: string): Promise<SourceFile[] | null>;
  sitting(): Promise<Sitting | null>;
  /** Says what lies on the table; files that no longer do are let go. */
  putSitting(sitting: Sitting): Promise<void>;
  things(): Promise<KeptThing[]>;
  /** What could not be read and was set aside, the newest first. */
  aside(): Promise<SetAside[]>;
  /** The entry itself as it was found, with files that it may have named; null where it is gone. */
  takeAside(key: string): Promise<{ value: unknown; packs: unknown[] } | null>;
  removeAside(key: string): Promise<void>;
  /** Forgets everything. */
  clear(): Promise<void>;
}

/** Most bytes that tensors of runs may take in all. */
const STATES_LIMIT = 2 * 1024 ** 3;
/** Most bytes of files that are copied for the next visit. */
const PACK_LIMIT = 2 * 1024 ** 3;
/** Share of what the browser has left that one thing may take: a full disk helps nobody. */
const SHARE_OF_ROOM = 0.8;

const megabytes = (bytes: number) => `${Math.ceil(bytes / 1024 ** 2).toLocaleString("en")} MB`;

const GO_ON = "Training and export work as ever; only a reload would lose it.";

function noRoom(what: string, bytes: number, room: number | null): Failure {
  return new Failure({
    code: "state",
    what: `${what} cannot be kept for a reload: ${room === null ? "the browser has no more room for this page" : `${megabytes(bytes)} are more than the browser has room for (${megabytes(room)} left)`}.`,
    remedy: `${GO_ON} Older things can be deleted under Storage, to make room.`,
  });
}

const tooLarge = (what: string, bytes: number) =>
  new Failure({
    code: "state",
    what: `${what} cannot be kept for a reload: no copy of ${megabytes(bytes)} is made in the browser (${megabytes(PACK_LIMIT)} at most).`,
    remedy: `${GO_ON} Drop it again after one.`,
  });

/** What a page is told that writes after another took the table over. */
const takenOver = () =>
  new Failure({
    code: "state",
    what: "Selora was taken over by another tab, so that nothing more is kept from this one.",
    remedy: "Export what should stay, or reload this tab.",
  });

const closed = (what: string, cause: unknown) =>
  new Failure(
    {
      code: "state",
      what: `${what} cannot be kept: the browser closed what this page keeps, as it does when its data is cleared or a newer Selora is opened.`,
      remedy: "Export what should stay, and reload this tab.",
    },
    { cause },
  );

/** Turns what a database throws into a sentence. */
function refusal(error: unknown, what: string, bytes: number): Failure {
  if (error instanceof Failure) return error;
  if (error instanceof DOMException && error.name === "QuotaExceededError") return noRoom(what, bytes, null);
  if (error instanceof DOMException && error.name === "InvalidStateError") return closed(what, error);
  return new Failure(
    {
      code: "state",
      what: `${what} cannot be kept: ${error instanceof Error ? error.message : String(error)}`,
      remedy: GO_ON,
    },
    { cause: error },
  );
}

async function room(): Promise<number | null> {
  const estimate = await globalThis.navigator?.storage?.estimate?.().catch(() => null);
  if (estimate?.quota === undefined) return null;
  return Math.max(0, estimate.quota - (estimate.usage ?? 0)) * SHARE_OF_ROOM;
}

// Entries. ------------------------------------------------------------------------------------------------------

/** Of every entry, beside the version of what is in it. Entries of format 1 have neither this nor a sum. */
const FORMAT = 2;

/** A Blob's bytes, which blobSchema makes a Blob again. */
const bytesOf = async (blob: Blob) => new Uint8Array(await blob.arrayBuffer()) as unknown as Blob;

/** An entry with its format and a checksum over all of it. */
async function sealed<T extends object>(value: T, format = FORMAT): Promise<T & { sum: string }> {
  const entry = { ...value, format };
  return { ...entry, sum: await checksumOf(entry) };
}

const versionsSchema = z.object({
  format: z.number().default(1),
  version: z.number().default(1),
  saved: z.object({ version: z.number() }).optional().catch(undefined),
});

/** What an entry holds, or why it is not believed. */
async function opened<T>(raw: unknown, schema: z.ZodType<T>): Promise<{ value: T } | { why: string }> {
  const versions = versionsSchema.safeParse(raw);
  if (!versions.success) return { why: "it is no entry of this page" };
  const { format, version, saved } = versions.data;
  const newest = "paths" in (raw as object) ? TABLE_FORMAT : FORMAT;
  if (format > newest || version > 1 || (saved?.version ?? 1) > 1)
    return { why: "a newer Selora kept it, in a form that this one does not know" };
  const { sum, ...entry } = raw as { sum?: unknown; format?: unknown };
  if (sum !== undefined || entry.format !== undefined) {
    const now = await checksumOf(entry).catch(() => null);
    if (now === null) return { why: "its bytes can no longer be read" };
    if (now !== sum) return { why: "it is damaged: its checksum is not the one it was kept with" };
  }
  const parsed = schema.safeParse(entry);
  if (parsed.success) return { value: parsed.data };
  const issue = parsed.error.issues[0];
  return { why: `${issue?.path.join(".") || "entry"}: ${issue?.message ?? "broken"}` };
}

const sumOf = (raw: unknown) => (raw as { sum?: unknown } | null | undefined)?.sum;
const words: Record<RoomName, string> = {
  runs: "The run",
  details: "The curves of a run",
  states: "The weights of the run",
  packs: "Files that were loaded:",
  sitting: "What lay on the table",
};
/** What an entry calls itself, however broken. */
function nameOf(room: RoomName, raw: unknown): string {
  const called = z.object({ name: z.string().min(1) }).safeParse(raw);
  const own = called.success ? ` "${called.data.name.slice(0, 60)}"` : "";
  return room === "details" || room === "sitting" ? words[room] : `${words[room]}${own || " without a name"}`;
}

/** Bytes of the Blobs and arrays in a value, and of its text, about. */
function sizeOf(value: unknown): number {
  if (value instanceof Blob) return value.size;
  if (ArrayBuffer.isView(value)) return value.byteLength;
  if (typeof value !== "object" || value === null) return String(value).length;
  return Object.entries(value).reduce((sum, [key, one]) => sum + key.length + sizeOf(one), 0);
}

const ASIDE = "aside/";
const asideKeys = () => IDBKeyRange.bound(ASIDE, `${ASIDE}\uffff`);

/** Milliseconds that a browser has to open its database. */
const PATIENCE = 10_000;

/** Opens the database, of whatever version it is; rejects when it does not answer. */
async function openRooms(name: string): Promise<IDBPDatabase<Rooms>> {
  const open = async () => {
    try {
      return await openDB<Rooms>(name, 1, {
        // A newer Selora in another tab is not kept waiting.
        blocking: (_, __, event) => (event.target as IDBDatabase).close(),
        upgrade(fresh) {
          for (const store of ["runs", "details", "states", "packs"] as const)
            fresh.createObjectStore(store, { keyPath: "id" });
          fresh.createObjectStore("sitting");
        },
      });
    } catch (error) {
      if (!(error instanceof DOMException) || error.name !== "VersionError") throw error;
      // A newer Selora made it; its entries are looked at one by one.
      return await openDB<Rooms>(name);
    }
  };
  const opening = open();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("The database does not answer.")), PATIENCE);
  });
  try {
    const db = await Promise.race([opening, late]);
    if (roomNames.every((room) => db.objectStoreNames.contains(room))) return db;
    db.close();
    throw new Failure({
      code: "state",
      what: "What is kept here was kept by a newer Selora, and this one cannot add to it, so runs and files are gone after a reload.",
      remedy: "Reload the page for the newer one; nothing of it was touched.",
    });
  } catch (error) {
    opening.then((db) => db.close()).catch(() => {});
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Opens the database, making it where there is none.
 * @throws Failure where the browser keeps nothing for this page (private windows of some browsers), or does not answer
 */
export async function openKeep(database = "selora"): Promise<Keep> {
  const db = await openRooms(database).catch((error: unknown) => {
    if (error instanceof Failure) throw error;
    throw new Failure(
      {
        code: "state",
        what: "This browser keeps nothing for the page, so runs and files are gone after a reload.",
        remedy:
          "Export what should stay. To keep it here, leave private browsing, or allow this page to store data.",
      },
      { cause: error },
    );
  });
  const token = `${Date.now()}-${Math.random()}`;
  let claimed = false;
  /** Entries that cannot be read and could not be moved either, by room and id: nothing is written over them. */
  const stuck = new Map<string, SetAside>();
  const isStuck = (room: RoomName, id: string) => stuck.has(`${room}/${id}`);
  const leave = (room: RoomName, id: string, found: unknown, why: string) => {
    const key = `${room}/${id}`;
    const known = { name: nameOf(room, found), why, when: Date.now(), bytes: sizeOf(found) };
    stuck.set(key, { key, room, id, ...known });
  };

  type Writing = IDBPTransaction<Rooms, StoreNames<Rooms>[], "readwrite">;
  /** One transaction over some rooms, which is refused once another page has claimed the table. */
  async function write(
    rooms: readonly RoomName[],
    work: (write: Writing) => Promise<unknown>,
  ): Promise<void> {
    const writing = db.transaction([...new Set([...rooms, "sitting" as const])], "readwrite");
    const done = writing.done.catch((error: unknown) => {
      throw writing.error ?? error;
    });
    done.catch(() => {});
    if (claimed && (await writing.objectStore("sitting").get("owner")) !== token) {
      writing.abort();
      throw takenOver();
    }
    try {
      await work(writing);
    } catch (error) {
      try {
        writing.abort();
      } catch {
        // It has ended by itself.
      }
      throw error;
    }
    await done;
  }

  /** Moves an entry out of the way, as it is now; nothing of it is lost when that fails. */
  async function setAside(room: RoomName, id: string, found: unknown, why: string): Promise<void> {
    try {
      const moving = db.transaction([...new Set([room, "sitting", "packs"] as const)], "readwrite");
      const value = await moving.objectStore(room).get(id);
      // Another tab may have been faster.
      if (value !== undefined && sumOf(value) === sumOf(found)) {
        const holds = room === "sitting" ? await moving.objectStore("packs").getAllKeys() : [];
        const entry = { room, id, name: nameOf(room, value), why, when: Date.now(), holds, value };
        const key = `${ASIDE}${room}/${id}/${entry.when}-${Math.random().toString(36).slice(2, 8)}`;
        await moving.objectStore("sitting").put(entry, key);
        await moving.objectStore(room).delete(id);
      }
      await moving.done;
    } catch {
      leave(room, id, found, why);
    }
  }

  /** An entry that can be believed; null where there is none, or it was set aside. */
  async function read<T>(room: RoomName, id: string, schema: z.ZodType<T>): Promise<T | null> {
    const raw: unknown = await db.get(room, id).catch(() => {
      leave(room, id, null, "the browser cannot read it from the disk");
    });
    if (raw === undefined) return null;
    const entry = await opened(raw, schema);
    if ("value" in entry) return entry.value;
    await setAside(room, id, raw, entry.why);
    return null;
  }

  /** Whether this database takes Blobs. That of WebKit's private windows does not, which shows when one is put. */
  let takesBlobs = true;

  /**
   * Puts an entry that holds a Blob.
   * @param plain the same with the Blob's bytes in its place
   */
  async function putWhole<T extends object>(
    value: T,
    plain: () => Promise<T>,
    put: (entry: T & { sum: string }) => Promise<void>,
    format = FORMAT,
  ): Promise<void> {
    if (takesBlobs) {
      try {
        return await put(await sealed(value, format));
      } catch (error) {
        const name = error instanceof DOMException ? error.name : "";
        if (name !== "UnknownError" && name !== "DataCloneError") throw error;
      }
    }
    await put(await sealed(await plain(), format));
    takesBlobs = false;
  }

  const bytesOfState = ({ saved, history }: Omit<KeptState, "id">) =>
    saved.snapshot.size + history.frames.length * (13 * (history.frames[0]?.open.length ?? 0) + 100);

  async function letGo(limit: number, but: string): Promise<void> {
    const all = (await db.getAll("states")).filter((one) => {
      const { data } = versionsSchema.safeParse(one);
      // What a newer Selora kept is not this one's to let go of.
      return data !== undefined && data.format <= FORMAT && !isStuck("states", one.id) && one.bytes >= 0;
    });
    let total = all.reduce((sum, { bytes }) => sum + bytes, 0);
    for (const one of all.sort((a, b) => a.when - b.when)) {
      if (total <= limit) return;
      if (one.id === but) continue;
      await write(["states"], (writing) => writing.objectStore("states").delete(one.id));
      total -= one.bytes;
    }
  }

  return {
    async claim() {
      await db.put("sitting", token, "owner");
      claimed = true;
    },

    async runs() {
      const runs: RunRecord[] = [];
      const problems: string[] = [];
      // All of them at once, unless one of them cannot even be fetched.
      const all: unknown[] = await db.getAll("runs").catch(async () => {
        const ids = await db.getAllKeys("runs");
        return Promise.all(ids.map((id) => db.get("runs", id).catch(() => ({ id, format: "lost" }))));
      });
      const took = await Promise.all(
        all.map(async (raw) => {
          const { id } = raw as { id: string };
          return { id, raw, entry: await opened(raw, runRecordSchema) };
        }),
      );
      for (const { id, raw, entry } of took) {
        if ("value" in entry) {
          runs.push(entry.value);
          continue;
        }
        problems.push(
          `${nameOf("runs", raw)} cannot be read (${entry.why}). It is not deleted, only set aside.`,
        );
        await setAside("runs", id, raw, entry.why);
      }
      return { runs: runs.sort((a, b) => b.when - a.when), problems };
    },

    details: (id) => read("details", id, runDetailsSchema),

    async putRun(record, details) {
      try {
        const entry = await sealed(runRecordSchema.parse(record));
        const beside = details && (await sealed(runDetailsSchema.parse(details)));
        await write(["runs", "details"], async (writing) => {
          await writing.objectStore("runs").put(entry);
          if (beside) await writing.objectStore("details").put(beside);
        });
      } catch (error) {
        throw refusal(error, `The run "${record.name}"`, 100_000);
      }
    },

    async putDetails(details) {
      try {
        const entry = await sealed(runDetailsSchema.parse(details));
        await write(["runs", "details"], async (writing) => {
          // A run that another tab deleted does not come back in part.
          if ((await writing.objectStore("runs").getKey(entry.id)) === undefined) return;
          await writing.objectStore("details").put(entry);
        });
      } catch (error) {
        throw refusal(error, "What was measured of the run", 100_000);
      }
    },

    async changeRun(id, changes) {
      try {
        for (;;) {
          const found: unknown = await db.get("runs", id);
          const before = found === undefined ? null : await opened(found, runRecordSchema);
          if (!before || "why" in before) return null;
          const record = runRecordSchema.parse({ ...before.value, ...changes });
          const entry = await sealed(record);
          const writing = db.transaction("runs", "readwrite");
          // Not over what another tab wrote meanwhile.
          const same = sumOf(await writing.store.get(id)) === sumOf(found);
          if (same) await writing.store.put(entry);
          await writing.done;
          if (same) return record;
        }
      } catch (error) {
        throw refusal(error, "The change of the run", 100_000);
      }
    },

    async removeRuns(ids) {
      const rooms = ["runs", "details", "states"] as const;
      const removing = db.transaction(rooms, "readwrite");
      for (const id of ids) for (const store of rooms) await removing.objectStore(store).delete(id);
      await removing.done;
    },

    state: async (id) => (await read("states", id, stateSchema)) as unknown as KeptState | null,

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
        const { saved } = state;
        const kept = { ...state, id, when: Date.now(), bytes };
        await putWhole(
          kept,
          async () => ({ ...kept, saved: { ...saved, snapshot: await bytesOf(saved.snapshot) } }),
          (entry) =>
            write(["states"], async (writing) => {
              const states = writing.objectStore("states");
              if (!(await states.get(id))?.saved?.result) await states.put(entry);
            }),
        );
      } catch (error) {
        throw refusal(error, what, bytes);
      }
    },

    async removeState(id) {
      await db.delete("states", id);
    },

    async pack(id, name, from) {
      if ((await db.getKey("packs", id)) !== undefined) return;
      let bytes = 0;
      try {
        const left = await room();
        const packer = typeof from === "function" ? from : packerOf(from);
        const joined = await packer(Math.min(PACK_LIMIT, left ?? PACK_LIMIT));
        bytes = joined.bytes;
        const { packed } = joined;
        if (!packed) throw bytes > PACK_LIMIT ? tooLarge(name, bytes) : noRoom(name, bytes, left);
        const pack = { id, name: name.slice(0, 200), ...packed };
        await putWhole(
          pack,
          async () => ({ ...pack, blob: await bytesOf(packed.blob) }),
          (entry) => write(["packs"], (writing) => writing.objectStore("packs").put(entry)),
          "paths" in packed ? TABLE_FORMAT : FORMAT,
        );
      } catch (error) {
        throw refusal(error, name, bytes);
      }
    },

    async unpack(id) {
      const pack = await read("packs", id, packSchema);
      return pack && filesOf(pack);
    },

    sitting: () => read("sitting", "now", sittingSchema),

    async putSitting(sitting) {
      const entry = await sealed(sittingSchema.parse(sitting));
      if (isStuck("sitting", "now"))
        throw new Failure({
          code: "state",
          what: "What lay on the table before cannot be read, and there is no room to set it aside, so that nothing is written over it.",
          remedy: `${GO_ON} Older things can be deleted under Storage, to make room.`,
        });
      try {
        await write(["packs"], async (writing) => {
          const [table, packs] = [writing.objectStore("sitting"), writing.objectStore("packs")];
          await table.put(entry, "now");
          const named = new Set([sitting.model?.pack, ...sitting.sets.map(({ pack }) => pack)]);
          for (const one of await table.getAll(asideKeys()))
            for (const pack of asideSchema.safeParse(one).data?.holds ?? []) named.add(pack);
          for (const id of await packs.getAllKeys())
            if (!named.has(id) && !isStuck("packs", id)) await packs.delete(id);
        });
      } catch (error) {
        throw refusal(error, "What lies on the table", 100_000);
      }
    },

    async things() {
      const { value } = await opened(await db.get("sitting", "now"), sittingSchema).then((entry) =>
        "value" in entry ? entry : { value: null },
      );
      const things: KeptThing[] = [];
      for (const { id, name, blob } of await db.getAll("packs")) {
        const model = id === value?.model?.pack;
        const known = model ? value?.model?.name : value?.sets.find(({ pack }) => pack === id)?.name;
        things.push({
          kind: model ? "model" : "images",
          id,
          name: known ?? name ?? "Files",
          bytes: blob?.size ?? (blob as unknown as Uint8Array | undefined)?.byteLength ?? 0,
        });
      }
      for (const { id, name, bytes } of await db.getAll("states"))
        things.push({ kind: "state", id, name: String(name), bytes: Number(bytes) || 0 });
      const [records, details] = [await db.getAll("runs"), await db.getAll("details")];
      const text = JSON.stringify(records).length + JSON.stringify(details).length;
      if (records.length > 0)
        things.push({ kind: "runs", id: null, name: `${records.length} kept runs`, bytes: text });
      return things;
    },

    async aside() {
      const all: SetAside[] = [];
      for (const key of await db.getAllKeys("sitting", asideKeys())) {
        const { data } = asideSchema.safeParse(await db.get("sitting", key));
        const { room, id, name, why, when } = data ?? {
          ...{
            room: "sitting" as const,
            id: "",
            name: "Something",
            why: "it is no entry of this page",
            when: 0,
          },
        };
        all.push({ key, room, id, name, why, when, bytes: sizeOf(data?.value) });
      }
      return [...all, ...stuck.values()].sort((a, b) => b.when - a.when);
    },

    async takeAside(key) {
      const still = stuck.get(key);
      if (still) {
        const value: unknown = await db.get(still.room, still.id);
        return value === undefined ? null : { value, packs: [] };
      }
      const entry: unknown = await db.get("sitting", key);
      if (entry === undefined) return null;
      const { data } = asideSchema.safeParse(entry);
      const packs = await Promise.all((data?.holds ?? []).map((id): Promise<unknown> => db.get("packs", id)));
      return { value: data ? data.value : entry, packs: packs.filter((pack) => pack !== undefined) };
    },

    async removeAside(key) {
      const still = stuck.get(key);
      if (still) await db.delete(still.room, still.id);
      else if (key.startsWith(ASIDE)) await db.delete("sitting", key);
      stuck.delete(key);
    },

    async clear() {
      await write(roomNames, async (writing) => {
        for (const store of roomNames) await writing.objectStore(store).clear();
        if (claimed) await writing.objectStore("sitting").put(token, "owner");
      });
      stuck.clear();
    },
  };
}
