// What is kept comes back as it was; what is broken is left out and costs nothing else.
import "fake-indexeddb/auto";
import { openDB } from "idb";
import { afterEach, expect, test, vi } from "vitest";
import { Failure } from "../failure.ts";
import { type KeptState, openKeep, type Sitting } from "./keep.ts";
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

test("a broken record is left out with a sentence, and the others stay", async () => {
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
  expect(await keep.things()).toEqual([{ kind: "model", name: "n", bytes: 2 }]);
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
  expect(await keep.stateIds()).toEqual(["r1", "r2"]);
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
