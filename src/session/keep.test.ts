// What is kept comes back as it was; what is broken is set aside, whatever is broken of it, and costs nothing else.
import "fake-indexeddb/auto";
import fc from "fast-check";
import { openDB } from "idb";
import { afterEach, expect, test, vi } from "vitest";
import { Failure } from "../failure.ts";
import { type Keep, type KeptState, openKeep, type Sitting } from "./keep.ts";
import type { RunResult } from "./protocol.ts";
import { defaultRecipe } from "./recipe.ts";
import { detailsOf, type RunRecord } from "./run_record.ts";

let lastDatabase = 0;
const fresh = () => `test-${++lastDatabase}`;
afterEach(() => vi.unstubAllGlobals());

const record = (id: string, changes: Partial<RunRecord> = {}): RunRecord => ({
  version: 1,
  id,
  name: `Run ${id}`,
  tags: [],
  colour: 0,
  when: Number(id.replace(/\D/g, "")) || 0,
  series: null,
  recipe: defaultRecipe,
  device: { backend: "wasm", adapter: "WASM" },
  model: { name: "vit", parameters: 1, fingerprint: null },
  data: [],
  complete: true,
  steps: 9,
  seconds: 1,
  open: 1,
  gates: 2,
  scores: [],
  ...changes,
});

const result: RunResult = {
  recipe: defaultRecipe,
  gates: [{ id: 0, layer: 0, column: "mlp", matrices: ["fc1"], parameters: 8 }],
  final: {
    step: 9,
    scores: Float32Array.of(0.25),
    open: Uint8Array.of(1),
    sensitivity: Float32Array.of(Number.NaN),
    deltaNorm: Float32Array.of(0.5),
  },
  before: { sets: [], open: new Uint8Array(1), strength: 0 },
  after: { sets: [], open: Uint8Array.of(1), strength: 1 },
  complete: true,
  steps: 9,
  seconds: 1,
};
const state = (id: string, bytes = 8): KeptState => ({
  id,
  name: `Run ${id}`,
  saved: {
    version: 1,
    id,
    recipe: defaultRecipe,
    model: "abc",
    sets: [{ role: "target", name: "pets", fingerprint: "def" }],
    step: 3,
    steps: 9,
    seconds: 2,
    before: result.before,
    sample: null,
    validation: 0.5,
    result: null,
    snapshot: new Blob([new Uint8Array(bytes)]),
  },
  history: { gates: result.gates, frames: [result.final], steps: [], points: [] },
});

test("runs come back, the newest first; details apart and thinned", async () => {
  const keep = await openKeep(fresh());
  const steps = Array.from({ length: 5000 }, (_, i) => ({
    ...{ step: i + 1, steps: 5000, epoch: 0, loss: i === 9 ? Number.NaN : 1, penalty: 0, learningRate: 1e-3 },
    ...{ open: 1, imagesPerSecond: 5, secondsLeft: 1, phase: "settling" as const },
  }));
  const frames = Array.from({ length: 900 }, (_, i) => ({ ...result.final, step: i }));
  const details = detailsOf("r1", result, { steps, points: [], frames }, []);
  await keep.putRun(record("r1"), details);
  await keep.putRun(record("r2"));
  const { runs, problems } = await keep.runs();
  expect(runs.map(({ id }) => id)).toEqual(["r2", "r1"]);
  expect(problems).toEqual([]);
  const read = await keep.details("r1");
  expect(read).toEqual(details);
  expect([read?.steps[0]?.step, read?.steps.at(-1)?.step, read?.steps.length]).toEqual([1, 5000, 300]);
  expect(read?.frames.length).toBeLessThanOrEqual(40);
  expect(read?.final.sensitivity).toEqual([0]);
  expect(await keep.details("r2")).toBeNull();
  await keep.removeRuns(["r1"]);
  expect((await keep.runs()).runs).toHaveLength(1);
  expect(await keep.details("r1")).toBeNull();
});

test("a broken record is set aside with a sentence, and the others stay", async () => {
  const name = fresh();
  const keep = await openKeep(name);
  await keep.putRun(record("r1"));
  const db = await openDB(name);
  await db.put("runs", { ...record("r2"), scores: [{ role: "target" }] });
  await db.put("runs", { ...record("r3"), recipe: { method: "magic" } });
  await db.put("runs", { id: "r4" });
  await db.put("details", { id: "r1", steps: "none" });
  const { runs, problems } = await keep.runs();
  expect(runs.map(({ id }) => id)).toEqual(["r1"]);
  expect(problems).toHaveLength(3);
  expect(problems.join(" ")).toMatch(/"Run r2" cannot be read \(scores.*"Run r3" .*recipe.method/);
  expect(await keep.details("r1")).toBeNull();
});

test("a record of an older studio takes today's settings at their defaults", async () => {
  const name = fresh();
  const keep = await openKeep(name);
  const { budget: _, ...older } = defaultRecipe;
  await (await openDB(name)).put("runs", { ...record("r1"), recipe: { ...older, rank: 3 } });
  expect((await keep.runs()).runs[0]?.recipe).toEqual({ ...defaultRecipe, rank: 3 });
});

test("files come back with their paths and bytes, and go once they lie on no table", async () => {
  const keep = await openKeep(fresh());
  const files = [
    { path: "m/config.json", blob: new Blob(["{}"]) },
    { path: "m/empty", blob: new Blob([]) },
    { path: "m/weights", blob: new Blob(["abc"]) },
  ];
  await keep.pack("one", "m", files);
  await keep.pack("two", "n", files.slice(0, 1));
  const read = await keep.unpack("one");
  expect(read?.map(({ path }) => path)).toEqual(files.map(({ path }) => path));
  expect(await Promise.all((read ?? []).map(({ blob }) => blob.text()))).toEqual(["{}", "", "abc"]);
  const sitting: Sitting = {
    version: 1,
    backend: "wasm",
    model: { pack: "two", name: "n", answers: null },
    sets: [],
    corruption: null,
    run: null,
    series: null,
    begun: null,
    recipe: null,
  };
  await keep.putSitting(sitting);
  expect(await keep.unpack("one")).toBeNull();
  expect(await keep.unpack("two")).toHaveLength(1);
  expect(await keep.sitting()).toEqual(sitting);
  expect(await keep.things()).toEqual([{ kind: "model", id: "two", name: "n", bytes: 2 }]);
});

test("a run's tensors come back; broken ones do not", async () => {
  const name = fresh();
  const keep = await openKeep(name);
  await keep.putState(state("r1"));
  const read = await keep.state("r1");
  expect(read?.saved).toMatchObject({ step: 3, validation: 0.5 });
  expect(read?.saved.snapshot.size).toBe(8);
  expect(read?.history.frames[0]?.scores).toEqual(Float32Array.of(0.25));
  const db = await openDB(name);
  await db.put("states", { ...state("r2"), history: { gates: 3 } });
  await db.put("sitting", { version: 9 }, "now");
  expect(await keep.state("r2")).toBeNull();
  expect(await keep.sitting()).toBeNull();
  expect(await keep.stateIds()).toEqual(["r1"]);
});

test("a run that has ended is kept once: nothing under its id is written again", async () => {
  const name = fresh();
  const keep = await openKeep(name);
  const under = (bytes: number) => state("r1", bytes);
  const ended = (bytes: number) => ({ ...under(bytes), saved: { ...under(bytes).saved, result } });
  await keep.putState(under(8));
  await keep.putState(under(9));
  expect((await keep.state("r1"))?.saved.snapshot.size).toBe(9);
  await keep.putState(ended(10));
  for (const late of [under(11), ended(12)]) {
    await keep.putState(late);
    const { saved } = (await keep.state("r1")) as KeptState;
    expect(saved.snapshot.size).toBe(10);
    expect(saved.result?.complete).toBe(true);
  }
  // An entry that holds another run's tensors is no entry of this one; one of before ids were saved is.
  const db = await openDB(name);
  await db.put("states", { ...state("r2"), id: "r3" });
  expect(await keep.state("r3")).toBeNull();
  const { id, ...old } = state("r4").saved;
  await db.put("states", { ...state("r4"), saved: old });
  expect((await keep.state("r4"))?.saved.id).toBe(id);
});

test("what does not fit is refused with the numbers, and what was there stays", async () => {
  vi.stubGlobal("navigator", { storage: { estimate: async () => ({ quota: 4_000_000, usage: 0 }) } });
  const keep = await openKeep(fresh());
  await keep.putRun(record("r1"));
  const large = [{ path: "m/weights", blob: new Blob([new Uint8Array(4_000_000)]) }];
  const refused = await keep.pack("one", "The model", large).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(Failure);
  expect(String(refused)).toMatch(/The model cannot be kept for a reload: 4 MB .* \(4 MB left\)/);
  await expect(keep.putState(state("r1", 4_000_000))).rejects.toThrow(/"Run r1" cannot be kept/);
  expect((await keep.runs()).runs).toHaveLength(1);
});

test("one press forgets it all", async () => {
  const keep = await openKeep(fresh());
  await keep.putRun(record("r1"));
  await keep.putState(state("r1"));
  expect((await keep.things()).map(({ kind }) => kind)).toEqual(["state", "runs"]);
  await keep.clear();
  expect(await keep.things()).toEqual([]);
  expect(await keep.runs()).toEqual({ runs: [], problems: [] });
});

test("a thousand kept runs are listed at once", async () => {
  const name = fresh();
  const keep = await openKeep(name);
  const db = await openDB(name);
  const write = db.transaction("runs", "readwrite");
  for (let i = 0; i < 1000; i++) void write.store.put(record(`r${i}`));
  await write.done;
  const began = performance.now();
  expect((await keep.runs()).runs).toHaveLength(1000);
  expect(performance.now() - began).toBeLessThan(1500);
});

// Every kind of entry, as it is written, read, and found in the database. ------------------------------------------

const sitting: Sitting = {
  version: 1,
  backend: "wasm",
  model: { pack: "p", name: "n", answers: { pooling: "cls" } },
  sets: [{ pack: "p", role: "target", name: "pets", seed: 3, answers: {}, mapping: { cat: null } }],
  corruption: { names: ["fog"], severity: 2 },
  run: "r1",
  series: { id: "s", name: "Two", entries: [{ name: "a", recipe: { rank: 4 } }], at: 1, path: true },
  begun: null,
  recipe: null,
};
const history = { steps: [], points: [], frames: [result.final] };
const details = detailsOf("r1", result, history, [{ strength: 0.5, sets: [] }]);
const files = [
  { path: "m/config.json", blob: new Blob(['{"a":1}']) },
  { path: "m/weights", blob: new Blob([new Uint8Array(300)]) },
];
const whole = { ...state("r1", 200), history: { ...state("r1").history, points: [] } };

interface Kind {
  room: "runs" | "details" | "states" | "packs" | "sitting";
  key: string;
  write(keep: Keep): Promise<unknown>;
  read(keep: Keep): Promise<unknown>;
  /** As a studio before checksums wrote it. */
  older(): object;
}
const readPack = async (keep: Keep) => {
  const read = await keep.unpack("p");
  return read && Promise.all(read.map(async ({ path, blob }) => [path, await blob.text()]));
};
const readState = async (keep: Keep) => {
  const read = await keep.state("r1");
  return read && { ...read, saved: { ...read.saved, snapshot: await read.saved.snapshot.text() } };
};
const kinds: Kind[] = [
  {
    ...{ room: "runs", key: "r1", older: () => record("r1") },
    write: (keep) => keep.putRun(record("r1")),
    read: async (keep) => (await keep.runs()).runs[0] ?? null,
  },
  {
    ...{ room: "details", key: "r1", older: () => details },
    write: (keep) => keep.putRun(record("r1"), details),
    read: (keep) => keep.details("r1"),
  },
  {
    ...{
      room: "states",
      key: "r1",
      older: () => ({ ...whole, saved: { ...whole.saved, id: undefined }, when: 5, bytes: 9 }),
    },
    write: (keep) => keep.putState(whole),
    read: readState,
  },
  {
    ...{ room: "packs", key: "p" },
    older: () => ({
      id: "p",
      files: files.map(({ path, blob }) => ({ path, size: blob.size })),
      blob: new Blob(files.map(({ blob }) => blob)),
    }),
    write: (keep) => keep.pack("p", "n", files),
    read: readPack,
  },
  {
    ...{ room: "sitting", key: "now", older: () => ({ ...sitting, begun: undefined, recipe: undefined }) },
    write: (keep) => keep.putSitting(sitting),
    read: (keep) => keep.sitting(),
  },
];
const rawOf = async (name: string, { room, key }: Kind) => {
  const db = await openDB(name);
  const raw = await db.get(room, key);
  db.close();
  return raw;
};
const putRaw = async (name: string, { room, key }: Kind, value: unknown) => {
  const db = await openDB(name);
  await (room === "sitting" ? db.put(room, value, key) : db.put(room, value));
  db.close();
};

/** Every place of a value that can be damaged, as a change to it. The id is where it lies, and no part of it. */
function places(value: unknown, at: string[] = []): string[][] {
  if (typeof value !== "object" || value === null || value instanceof Blob || ArrayBuffer.isView(value))
    return [at];
  return [
    ...(at.length > 0 ? [at] : []),
    ...Object.entries(value).flatMap(([key, one]) =>
      at.length === 0 && key === "id" ? [] : places(one, [...at, key]),
    ),
  ];
}
async function damagedValue(value: unknown, chance: number): Promise<unknown> {
  if (value instanceof Blob || ArrayBuffer.isView(value)) {
    const bytes =
      value instanceof Blob
        ? new Uint8Array(await value.arrayBuffer())
        : Uint8Array.from(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
    if (bytes.length === 0) return null;
    bytes[chance % bytes.length]! ^= 1 << (chance % 8);
    if (value instanceof Blob) return new Blob([bytes]);
    return new (value.constructor as Uint8ArrayConstructor)(bytes.buffer as ArrayBuffer);
  }
  if (typeof value === "number") return chance % 2 ? value + 1 : Number.NaN;
  if (typeof value === "string" && value !== "") {
    const i = chance % value.length;
    return value.slice(0, i) + String.fromCharCode(value.charCodeAt(i) ^ 1) + value.slice(i + 1);
  }
  if (typeof value === "boolean") return !value;
  return chance % 2 ? 0 : [1, 2];
}
async function damaged(entry: unknown, path: readonly string[], chance: number): Promise<unknown> {
  const [key, ...rest] = path;
  if (key === undefined) return damagedValue(entry, chance);
  const copy = (Array.isArray(entry) ? [...entry] : { ...(entry as object) }) as Record<string, unknown>;
  // A name that is lost, now and then, and not only what stands under it.
  if (rest.length === 0 && chance % 7 === 0) delete copy[key];
  else copy[key] = await damaged(copy[key], rest, chance);
  return copy;
}

test.each(kinds)(
  "an entry of $room says which version it is and comes back to the last bit",
  async (kind) => {
    const name = fresh();
    const keep = await openKeep(name);
    expect(await kind.read(keep)).toBeNull();
    await kind.write(keep);
    expect(await rawOf(name, kind)).toMatchObject({ format: 2, sum: expect.stringMatching(/^sha256:/) });
    const read = await kind.read(keep);
    expect(read).not.toBeNull();
    expect(await keep.aside()).toEqual([]);

    // One that was kept before there were checksums is read as well.
    const before = fresh();
    const older = await openKeep(before);
    await putRaw(before, kind, kind.older());
    expect(await kind.read(older)).toEqual(read);
    expect(await older.aside()).toEqual([]);
  },
);

/** How often each is damaged; more often in `npm run test:soak`. */
const damages = Number(process.env.SELORA_DAMAGES ?? 100);

test.each(kinds)(
  "an entry of $room damaged in any place is told of and stays as it was found",
  async (kind) => {
    const name = fresh();
    const keep = await openKeep(name);
    await kind.write(keep);
    const read = await kind.read(keep);
    const raw = await rawOf(name, kind);
    const all = places(raw);
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...all), fc.nat(100_000), async (path, chance) => {
        const broken = await damaged(raw, path, chance);
        await putRaw(name, kind, broken);
        const now = await kind.read(keep);
        const [aside] = await keep.aside();
        if (!aside) return expect(now).toEqual(read);
        expect(now).toBeNull();
        expect(aside).toMatchObject({ room: kind.room, why: expect.stringMatching(/checksum|newer|entry/) });
        const { value } = (await keep.takeAside(aside.key)) ?? {};
        expect(value).toEqual(broken);
        await keep.removeAside(aside.key);
      }),
      { numRuns: damages },
    );
  },
  60_000 + damages * 600,
);

test.each(kinds)("garbage or a newer version under $room is set aside, never deleted", async (kind) => {
  const name = fresh();
  const keep = await openKeep(name);
  const found = [
    { id: kind.key, format: 3, blob: new Blob(["new"]) },
    { ...kind.older(), version: 2 },
    { id: kind.key, rubbish: [1, "two"] },
  ];
  for (const one of found) {
    await putRaw(name, kind, one);
    // A record of whatever shape is no use without its version; a pack and a state carry none of their own.
    if (kind.room === "packs" && "version" in one) continue;
    expect(await kind.read(keep)).toBeNull();
    expect(await rawOf(name, kind)).toBeUndefined();
  }
  const aside = await keep.aside();
  expect(aside.length).toBeGreaterThanOrEqual(2);
  expect(aside.filter(({ why }) => why.includes("newer")).length).toBeGreaterThanOrEqual(1);
  // Nothing that follows takes it away.
  await keep.putSitting({ ...sitting, model: null, sets: [] });
  await keep.putState(state("r9"));
  await keep.removeRuns(["r1"]);
  expect(await keep.aside()).toEqual(aside);
  for (const { key } of aside) {
    const { value } = (await keep.takeAside(key)) ?? {};
    expect(found.some((one) => JSON.stringify(one) === JSON.stringify(value))).toBe(true);
  }
});

test("files that a table which cannot be read may have named stay until that is deleted", async () => {
  const name = fresh();
  const keep = await openKeep(name);
  await keep.pack("p", "The model n", files);
  await keep.putSitting(sitting);
  const db = await openDB(name);
  await db.put("sitting", { ...sitting, version: 9 }, "now");
  expect(await keep.sitting()).toBeNull();
  const nothing: Sitting = { ...sitting, model: null, sets: [] };
  await keep.putSitting(nothing);
  const [aside] = await keep.aside();
  expect(aside).toMatchObject({ name: "What lay on the table" });
  expect((await keep.takeAside(aside?.key ?? ""))?.packs).toMatchObject([{ id: "p" }]);
  expect(await keep.unpack("p")).toHaveLength(2);
  await keep.removeAside(aside?.key ?? "");
  await keep.putSitting(nothing);
  expect(await keep.unpack("p")).toBeNull();
});

test("what cannot be set aside for want of room stays where it is, and nothing is written over it", async () => {
  const name = fresh();
  const keep = await openKeep(name);
  const db = await openDB(name);
  const found = { ...sitting, version: 9 };
  await db.put("sitting", found, "now");
  const put = vi.spyOn(IDBObjectStore.prototype, "put").mockImplementation(() => {
    throw new DOMException("full", "QuotaExceededError");
  });
  expect(await keep.sitting()).toBeNull();
  put.mockRestore();
  await expect(keep.putSitting(sitting)).rejects.toThrow(/nothing is written over it/);
  expect(await db.get("sitting", "now")).toEqual(found);
  const [aside] = await keep.aside();
  expect((await keep.takeAside(aside?.key ?? ""))?.value).toEqual(found);
});

test("once another page has claimed the table, this one writes nothing to it", async () => {
  const name = fresh();
  const [first, second] = [await openKeep(name), await openKeep(name)];
  await first.claim();
  await first.putSitting(sitting);
  await first.putState(state("r1"));
  await second.claim();
  await second.putState({ ...state("r1"), name: "Later" });
  const refused = /taken over by another tab/;
  await expect(first.putState(state("r1"))).rejects.toThrow(refused);
  await expect(first.putSitting({ ...sitting, run: null })).rejects.toThrow(refused);
  await expect(first.putRun(record("r1"))).rejects.toThrow(refused);
  await expect(first.pack("q", "n", files)).rejects.toThrow(refused);
  await expect(first.clear()).rejects.toThrow(refused);
  expect((await second.state("r1"))?.name).toBe("Later");
  expect((await second.sitting())?.run).toBe("r1");
  // Looking at runs, and naming them, is anybody's.
  await second.putRun(record("r2"));
  expect(await first.changeRun("r2", { name: "Named" })).toMatchObject({ name: "Named" });
});

test("two tabs that change one run lose neither's change, and bring back none that was deleted", async () => {
  const name = fresh();
  const [first, second] = [await openKeep(name), await openKeep(name)];
  await first.putRun(record("r1"));
  await Promise.all([first.changeRun("r1", { name: "Best" }), second.changeRun("r1", { tags: ["paper"] })]);
  expect((await first.runs()).runs[0]).toMatchObject({ name: "Best", tags: ["paper"] });
  await second.removeRuns(["r1"]);
  expect(await first.changeRun("r1", { colour: 3 })).toBeNull();
  expect((await second.runs()).runs).toEqual([]);
});

test("a database that a newer Selora made is used as far as it goes, and otherwise left alone", async () => {
  const name = fresh();
  const old = await openKeep(name);
  await old.putRun(record("r1"));
  (await openDB(name, 7)).close();
  await expect(old.putRun(record("r2"))).rejects.toThrow(/a newer Selora is opened/);
  expect((await (await openKeep(name)).runs()).runs).toHaveLength(1);
  const other = fresh();
  (await openDB(other, 7, { upgrade: (db) => void db.createObjectStore("else") })).close();
  await expect(openKeep(other)).rejects.toThrow(/newer Selora/);
  expect([...(await openDB(other)).objectStoreNames]).toEqual(["else"]);
});

test("a database that never answers is given up", async () => {
  vi.useFakeTimers();
  vi.spyOn(indexedDB, "open").mockReturnValue(new EventTarget() as IDBOpenDBRequest);
  const opening = openKeep(fresh()).catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(20_000);
  expect(String(await opening)).toMatch(/keeps nothing for the page/);
  vi.useRealTimers();
  vi.restoreAllMocks();
});

test("where the browser keeps no Blobs, their bytes are kept, and come back as Blobs", async () => {
  const { put } = IDBObjectStore.prototype;
  const holdsBlob = (value: unknown): boolean =>
    value instanceof Blob ||
    (typeof value === "object" && value !== null && !ArrayBuffer.isView(value)
      ? Object.values(value).some(holdsBlob)
      : false);
  const refusing = vi.spyOn(IDBObjectStore.prototype, "put").mockImplementation(function (
    this: IDBObjectStore,
    value,
    key,
  ) {
    if (holdsBlob(value)) throw new DOMException("Error preparing Blob/File data", "UnknownError");
    return put.call(this, value, key);
  });
  try {
    const keep = await openKeep(fresh());
    await keep.pack("p", "vit", [
      { path: "a", blob: new Blob(["first"]) },
      { path: "b", blob: new Blob(["second"]) },
    ]);
    const files = await keep.unpack("p");
    expect(await Promise.all((files ?? []).map(({ blob }) => blob.text()))).toEqual(["first", "second"]);
    expect((await keep.things()).find(({ id }) => id === "p")?.bytes).toBe(11);
    const { id: _, ...one } = state("run-1");
    await keep.putState(one);
    const back = await keep.state("run-1");
    expect(back?.saved.snapshot).toBeInstanceOf(Blob);
    expect(back?.saved.snapshot.size).toBe(one.saved.snapshot.size);
  } finally {
    refusing.mockRestore();
  }
});
