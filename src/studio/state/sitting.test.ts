// What lies on the table comes back, a run goes on, several runs follow each other: the stores over a session whose
// answers a test decides, and a real database.
import "fake-indexeddb/auto";
import { openDB } from "idb";
import { beforeEach, expect, test, vi } from "vitest";
import { Failure } from "../../failure.ts";
import { type Keep, openKeep, type Sitting } from "../../session/keep.ts";
import type {
  DataReport,
  ModelReport,
  RunResult,
  SavedRun,
  Session,
  SessionEvent,
  StepReport,
} from "../../session/protocol.ts";
import { defaultRecipe, type Recipe } from "../../session/recipe.ts";
import { createRecipeStore, type RecipeStore } from "./recipe_store.ts";
import { createRunner } from "./runner.ts";
import { createRunsStore } from "./runs_store.ts";
import { createSessionStore } from "./session_store.ts";
import { createSitting } from "./sitting.ts";
import { createTabs } from "./tabs.ts";
import { originChannel, originLocks } from "./testing.ts";

beforeEach(() => {
  vi.stubGlobal("addEventListener", () => {});
  vi.stubGlobal("document", { hidden: false });
  return () => vi.unstubAllGlobals();
});

const empty = { sets: [], open: new Uint8Array(0), strength: 1 };
const resultOf = (recipe: Recipe, complete = true): RunResult => ({
  recipe,
  gates: [],
  final: {
    step: 9,
    scores: new Float32Array(0),
    open: new Uint8Array(0),
    sensitivity: new Float32Array(0),
    deltaNorm: new Float32Array(0),
  },
  ...{ before: empty, after: empty, complete, steps: 9, seconds: 2 },
});
const savedOf = (id: string, recipe: Recipe, result: RunResult | null): SavedRun => ({
  ...{
    version: 1,
    id,
    recipe,
    model: "m",
    sets: [],
    step: 4,
    steps: 9,
    seconds: 1,
    before: empty,
    sample: null,
  },
  ...{ validation: null, result, snapshot: new Blob(["weights"]) },
});

/** The recipe of a page that is opened by an address. */
function recipeAt(hash: string): RecipeStore {
  let now = hash;
  const write = (next: string) => {
    now = next;
  };
  return createRecipeStore({ read: () => now, write, onChange: () => {} });
}

/** One page over a database that outlives it. */
function page(
  keep: Keep,
  { locks, channel } = { locks: originLocks().locks, channel: originChannel() },
  overrides: Partial<Session> = {},
  hash = "",
) {
  const listeners: ((event: SessionEvent) => void)[] = [];
  const calls: string[] = [];
  let ids = 0;
  const session: Session = {
    open: async (backend) => {
      calls.push(`open ${backend}`);
      return { backend: "wasm", adapter: "WASM", reason: null };
    },
    loadModel: async (files) => {
      calls.push(`model ${files.map(({ path }) => path)} ${await files[0]?.blob.text()}`);
      return {
        name: "vit",
        parameters: 1,
        questions: [],
        fingerprint: "m",
        table: [],
      } as unknown as ModelReport;
    },
    loadData: async (role, name, files, seed, answers = {}) => {
      const said = Object.keys(answers).length > 0 ? ` ${JSON.stringify(answers)}` : "";
      calls.push(`${role} ${name} ${files.length} ${seed}${said}`);
      return {
        ...{ id: `set-${++ids}`, role, name, classes: [{ name: "cat", counts: {}, mapsTo: null }] },
        ...{ count: 1, fingerprint: `${role}-${name}` },
      } as unknown as DataReport;
    },
    removeData: async () => {},
    mapClasses: async (id, mapping) => {
      if (Object.keys(mapping).length > 0) calls.push(`map ${JSON.stringify(mapping)}`);
      return store.getState().data.find((one) => one.id === id) as DataReport;
    },
    estimateMemory: async () => ({ bytes: 1, parts: [] }),
    pack: async () => null,
    train: async (recipe, run) => {
      calls.push(
        `train ${recipe.method} ${recipe.seed}${typeof run === "object" ? ` from ${run.step}` : ""}`,
      );
      for (const listener of listeners) listener({ kind: "before", evaluation: empty });
      return resultOf(recipe);
    },
    saveRun: async (id = "") => {
      const { run } = store.getState();
      return run.id === id && (run.recipe || run.result)
        ? savedOf(id, run.result?.recipe ?? run.recipe ?? defaultRecipe, run.result)
        : null;
    },
    restoreRun: async (saved) => {
      calls.push(`restore ${saved.recipe.method}`);
      return saved.result as RunResult;
    },
    measurePath: async () => {
      calls.push("path");
      return [{ strength: 0.5, sets: [] }];
    },
    subscribe: (listener) => {
      listeners.push(listener);
      return () => {};
    },
    ...overrides,
  } as Session;
  const store = createSessionStore(session, (flush) => flush());
  const own = channel.tab();
  const tabs = createTabs(own, { locks });
  const runs = createRunsStore(async () => keep, own);
  const runner = createRunner(store, runs, () => tabs.getState().mine === true);
  const recipe = recipeAt(hash);
  const sitting = createSitting({ session: store, runs, runner, recipe }, async () => keep, {
    tabs,
    // One save and no more: a page that was left writes nothing over what the next one keeps.
    pace: { first: 5, next: 1e8 },
  });
  const emit = (event: SessionEvent) => listeners.forEach((listener) => void listener(event));
  tabs.ways.give = sitting.giveUp;
  return { session, store, runs, runner, recipe, sitting, tabs, calls, emit };
}

const origin = () => ({ ...originLocks(), channel: originChannel() });

/** Waits as long as a busy machine needs. */
const eventually = <T>(check: () => T) => vi.waitFor(check, { timeout: 15_000, interval: 10 });

let databases = 0;
const database = () => openKeep(`sitting-${++databases}`);
const file = (path: string) => [{ path, blob: new Blob([path]) }];

test("model, images, mapping and the run that ended come back on the next visit", async () => {
  const keep = await database();
  const first = page(keep);
  await first.sitting.begin();
  await first.store.loadModel(file("vit/config.json"), {});
  await first.store.loadData("target", "pets", file("pets/cat/1.png"), 7);
  await first.store.loadData("ood", "sketches", file("sketches/cat/1.png"), 7, { layout: "leaves" });
  await first.store.mapClass(first.store.getState().data[1]?.id ?? "", "cat", "dog");
  await first.runner.start({ ...defaultRecipe, method: "lora" }, 1);
  await eventually(async () => expect(await keep.stateIds()).toHaveLength(1));
  await eventually(async () => expect((await keep.sitting())?.run).toBe(first.store.getState().run.id));

  const second = page(keep);
  await second.sitting.begin();
  expect(second.calls).toEqual([
    "open auto",
    "model vit/config.json vit/config.json",
    "target pets 1 7",
    'ood sketches 1 7 {"layout":"leaves"}',
    'map {"cat":"dog"}',
    "restore lora",
  ]);
  expect(second.sitting.getState()).toMatchObject({ status: "here", unfinished: null });
  expect(second.store.getState().run.result?.complete).toBe(true);
  await eventually(() =>
    expect(second.runs.getState().runs.map(({ name }) => name)).toEqual(["LoRA on all"]),
  );
});

test("images that were handed over unopened are packed by the engine, which has looked into them, and come back", async () => {
  const keep = await database();
  const packed = {
    paths: "many/cat/1.png\0many/cat/2.png\0",
    sizes: Float64Array.of(2, 1),
    blob: new Blob(["abc"]),
  };
  const pack = vi.fn(async () => ({ bytes: 3, packed }));
  const first = page(keep, origin(), { pack });
  await first.sitting.begin();
  const inside = { kind: "directory" } as FileSystemDirectoryHandle;
  await first.store.loadData("target", "many", [{ path: "many/", blob: new Blob(), inside }], 7);
  await eventually(async () => expect((await keep.sitting())?.sets).toHaveLength(1));
  expect(pack).toHaveBeenCalledExactlyOnceWith("set-1", expect.any(Number));

  const second = page(keep);
  await second.sitting.begin();
  expect(second.calls).toEqual(["open auto", "target many 1 7"]);
  const [source] = Object.values(second.store.getState().sources);
  expect(source?.files).toMatchObject([{ path: "many/", inside: { paths: packed.paths } }]);
});

test("images that the engine has no more, or too many to be kept, are said to be unkept", async () => {
  const inside = { kind: "directory" } as FileSystemDirectoryHandle;
  for (const [found, words] of [
    [null, "loaded no more"],
    [{ bytes: 3e9, packed: null }, "2,862 MB"],
  ] as const) {
    const one = page(await database(), origin(), { pack: async () => found });
    await one.sitting.begin();
    await one.store.loadData("target", "many", [{ path: "many/", blob: new Blob(), inside }], 7);
    await eventually(() => expect(one.sitting.getState().unkept.table?.what).toContain(words));
  }
});

test("a run under way is saved as it goes, asked about, and gone on with under its own name", async () => {
  const keep = await database();
  const first = page(keep, origin(), { train: () => new Promise(() => {}) });
  await first.sitting.begin();
  await first.store.loadModel(file("vit/config.json"), {});
  void first.runner.start(defaultRecipe, 1);
  first.emit({ kind: "before", evaluation: empty });
  first.emit({ kind: "started", recipe: defaultRecipe, gates: [], steps: 9 });
  await eventually(async () => expect(await keep.stateIds()).toHaveLength(1));
  await eventually(async () => expect((await keep.sitting())?.run).not.toBeNull());

  const second = page(keep);
  await second.sitting.begin();
  const { unfinished } = second.sitting.getState();
  expect(unfinished?.run).toMatchObject({ name: "Selective LoRA", kept: { saved: { step: 4, steps: 9 } } });
  // Looking decides nothing: a third visit asks again.
  await eventually(async () => expect((await keep.sitting())?.run).toBe(unfinished?.run?.id));
  await second.sitting.goOn();
  expect(second.calls.at(-1)).toBe("train selective 0 from 4");
  expect(second.runs.getState().runs[0]).toMatchObject({ id: unfinished?.run?.id, name: "Selective LoRA" });

  await eventually(async () =>
    expect((await keep.state(unfinished?.run?.id ?? ""))?.saved.result).not.toBeNull(),
  );
  const third = page(keep);
  void third.sitting.begin();
  await eventually(() => expect(third.calls).toContain("restore selective"));
});

test("a run that failed is offered at once, from its last good step and on a device opened anew", async () => {
  const keep = await database();
  const gpu = new Failure({ code: "gpu", what: "The GPU was lost.", remedy: "Start again." });
  let good: number | null = 4;
  const { store, runner, runs, sitting, calls, emit } = page(keep, origin(), {
    train: async (recipe, run) => {
      const from = typeof run === "object" ? run : null;
      calls.push(`train ${recipe.method}${from ? ` from ${from.step}` : ""}`);
      emit({ kind: "before", evaluation: empty });
      emit({ kind: "started", recipe, gates: [], steps: 9 });
      if (from || recipe.method !== "selective") return resultOf(recipe);
      for (const step of [4, 6]) emit({ kind: "step", report: { step, steps: 9 } as StepReport });
      throw gpu;
    },
    saveRun: async (id = "") => {
      const { run } = store.getState();
      if (run.id === id && run.result) return savedOf(id, run.result.recipe, run.result);
      return good === null ? null : { ...savedOf(id, defaultRecipe, null), step: good };
    },
  });
  await sitting.begin();
  await store.loadModel(file("vit/config.json"), {});
  // One that ended before stays in sight and is not what is offered.
  await runner.start({ ...defaultRecipe, method: "lora" }, 1);
  await runner.start(defaultRecipe, 1);
  const offered = () => sitting.getState().unfinished;
  await eventually(() =>
    expect(offered()).toMatchObject({
      failed: { code: "gpu" },
      run: { name: "Selective LoRA", kept: { saved: { step: 4 } } },
    }),
  );
  expect(offered()?.run?.kept?.history.steps.map(({ step }) => step)).toEqual([4]);
  expect(store.getState().failures.map(({ parts }) => parts.what)).toEqual(["The GPU was lost."]);

  calls.length = 0;
  await sitting.goOn();
  // The one that ended before comes back on the new device, to be there if this one fails again.
  expect(calls).toEqual(["open auto", "restore lora", "train selective from 4"]);
  expect(offered()).toBeNull();
  expect(runs.getState().runs[0]).toMatchObject({ name: "Selective LoRA" });

  // Nothing is offered where no step was kept, nor once other images are there.
  good = null;
  await runner.start(defaultRecipe, 1);
  good = 5;
  await runner.start(defaultRecipe, 1);
  await eventually(() => expect(offered()?.run?.kept?.saved.step).toBe(5));
  await store.loadData("target", "pets", file("pets/cat/1.png"), 7);
  expect(offered()).toBeNull();
  expect(calls.filter((call) => call === "open auto")).toHaveLength(1);
});

test("starting anew lets go of the run that was under way", async () => {
  const keep = await database();
  const id = "r1";
  const history = { gates: [], frames: [], steps: [], points: [] };
  await keep.putState({ name: "One", saved: savedOf(id, defaultRecipe, null), history });
  await keep.pack("m", "vit", file("vit/config.json"));
  const model = { pack: "m", name: "vit", answers: {} };
  await keep.putSitting({
    version: 1,
    backend: "wasm",
    model,
    sets: [],
    corruption: null,
    run: id,
    series: null,
    begun: null,
    recipe: null,
  });
  const { sitting, calls } = page(keep);
  await sitting.begin();
  expect(calls[0]).toBe("open wasm");
  expect(sitting.getState().unfinished?.run?.name).toBe("One");
  await sitting.startAnew();
  expect(await keep.stateIds()).toEqual([]);
  await eventually(async () => expect((await keep.sitting())?.run).toBeNull());
});

test("a second tab has no table and trains nothing; it goes on where the first was when that is gone", async () => {
  const keep = await database();
  const all = origin();
  const first = page(keep, all, { train: () => new Promise(() => {}) });
  await first.sitting.begin();
  await first.store.loadModel(file("vit/config.json"), {});
  void first.runner.start(defaultRecipe, 1);
  first.emit({ kind: "before", evaluation: empty });
  first.emit({ kind: "started", recipe: defaultRecipe, gates: [], steps: 9 });
  await eventually(async () => expect(await keep.stateIds()).toHaveLength(1));
  await eventually(async () => expect((await keep.sitting())?.run).not.toBeNull());

  const second = page(keep, all);
  void second.sitting.begin();
  await eventually(() => expect(second.sitting.getState().status).toBe("elsewhere"));
  await second.runner.start(defaultRecipe, 1);
  expect(second.calls).toEqual([]);
  expect(second.store.getState().failures[0]?.parts.what).toContain("open in another tab");

  all.release();
  await eventually(() => expect(second.sitting.getState().status).toBe("here"));
  expect(second.calls).toEqual(["open auto", "model vit/config.json vit/config.json"]);
  expect(second.sitting.getState().unfinished?.run).toMatchObject({ kept: { saved: { step: 4, steps: 9 } } });
});

test("a tab that takes over goes on from what the other saved at that moment, and that one writes no more", async () => {
  const name = `sitting-${++databases}`;
  const all = origin();
  let step = 4;
  const [one, other] = [await openKeep(name), await openKeep(name)];
  const first = page(one, all, {
    train: () => new Promise(() => {}),
    saveRun: async () => ({
      ...savedOf(first.runner.getState().begun?.id ?? "", defaultRecipe, null),
      step: step++,
    }),
  });
  const lost = vi.fn();
  first.tabs.ways.lost = lost;
  await first.sitting.begin();
  await first.store.loadModel(file("vit/config.json"), {});
  void first.runner.start(defaultRecipe, 1);
  first.emit({ kind: "before", evaluation: empty });
  first.emit({ kind: "started", recipe: defaultRecipe, gates: [], steps: 9 });
  await eventually(async () => expect(await one.stateIds()).toHaveLength(1));
  const second = page(other, all);
  void second.sitting.begin();
  await eventually(() => expect(second.sitting.getState().status).toBe("elsewhere"));
  second.tabs.takeOver();
  await eventually(() => expect(second.sitting.getState().status).toBe("here"));
  expect(lost).toHaveBeenCalledOnce();
  expect(second.sitting.getState().unfinished?.run?.kept?.saved.step).toBe(step - 1);
  const [id] = (await other.stateIds()) as [string];
  const late = { ...savedOf(id, defaultRecipe, resultOf(defaultRecipe)), step: 9 };
  const history = { gates: [], frames: [], steps: [], points: [] };
  await expect(one.putState({ name: "late", saved: late, history })).rejects.toThrow(/taken over/);
  expect((await other.state(id))?.saved.result).toBeNull();
});

test("what would be lost keeps the table where it is", async () => {
  const keep = await database();
  const all = origin();
  const first = page(keep, all);
  await first.sitting.begin();
  vi.spyOn(keep, "pack").mockRejectedValue(
    new Failure({ code: "state", what: "The model vit cannot be kept: no room.", remedy: "Make room." }),
  );
  await first.store.loadModel(file("vit/config.json"), {});
  await eventually(() => expect(first.sitting.getState().unkept.table?.what).toContain("no room"));
  expect(await first.sitting.giveUp()).toContain("The model vit cannot be kept");
  vi.restoreAllMocks();
  await first.sitting.keepAgain();
  expect(first.sitting.getState().unkept.table).toBeNull();
  expect(await first.sitting.giveUp()).toBeNull();
});

test("lists of two tabs follow each other: new runs, names, deletions and their undoing", async () => {
  const keep = await database();
  const all = origin();
  const [first, second] = [page(keep, all), page(keep, all)];
  await first.sitting.begin();
  await first.store.loadModel(file("vit/config.json"), {});
  void second.sitting.begin();
  await eventually(() => expect(second.runs.getState().loaded).toBe(true));
  const listed = () => second.runs.getState().runs.map(({ name }) => name);
  await first.runner.start(defaultRecipe, 1);
  await eventually(() => expect(listed()).toEqual(["Selective LoRA"]));
  const [id] = first.runs.getState().runs.map((run) => run.id) as [string];
  await second.runs.change(id, { name: "Best" });
  await eventually(() => expect(first.runs.getState().runs[0]?.name).toBe("Best"));
  // A tag put there at the same time takes nothing of that back.
  await first.runs.change(id, { tags: ["paper"] });
  await eventually(() =>
    expect(second.runs.getState().runs[0]).toMatchObject({ name: "Best", tags: ["paper"] }),
  );
  first.runs.remove([id]);
  await eventually(() => expect(listed()).toEqual([]));
  await second.runs.load();
  expect(listed()).toEqual([]);
  first.runs.putBack([id]);
  await eventually(() => expect(listed()).toEqual(["Best"]));
  second.runs.remove([id]);
  await second.runs.forgetRemoved([id]);
  await eventually(() => expect(first.runs.getState().runs).toEqual([]));
  expect((await keep.runs()).runs).toEqual([]);
});

test("a run that could not be stored is counted as such, and stored once there is room", async () => {
  const keep = await database();
  const { store, runs, runner, sitting } = page(keep);
  await sitting.begin();
  await store.loadModel(file("vit/config.json"), {});
  const full = new Failure({ code: "state", what: "No room.", remedy: "Make some." });
  vi.spyOn(keep, "putRun").mockRejectedValue(full);
  await runner.start(defaultRecipe, 1);
  const { runs: listed, unstored, refused } = runs.getState();
  expect(listed.map(({ id }) => id)).toEqual([...unstored]);
  expect(refused?.what).toBe("No room.");
  expect(runs.unwritten()[0]?.details?.final).toBeDefined();
  // A list that is read again keeps it in sight.
  await runs.load();
  expect(runs.getState().runs).toHaveLength(1);
  vi.restoreAllMocks();
  await runs.storeAgain();
  expect(runs.getState()).toMatchObject({ refused: null, unstored: new Set() });
  expect((await keep.runs()).runs).toHaveLength(1);
  expect(await keep.details(listed[0]?.id ?? "")).not.toBeNull();
});

test("what lay on the table and cannot be read again is told of, and is not lost", async () => {
  const keep = await database();
  const first = page(keep);
  await first.sitting.begin();
  await first.store.loadModel(file("vit/config.json"), {});
  await eventually(async () => expect((await keep.sitting())?.model?.name).toBe("vit"));
  const db = await openDB(`sitting-${databases}`);
  await db.put("sitting", { ...(await db.get("sitting", "now")), version: 4 }, "now");
  const second = page(keep);
  await second.sitting.begin();
  expect(second.sitting.getState().unkept.lost?.what).toContain("What lay on the table");
  await second.store.loadModel(file("other/config.json"), {});
  const [aside] = await keep.aside();
  expect((await keep.takeAside(aside?.key ?? ""))?.packs).toHaveLength(1);
  second.sitting.dismissLost();
  expect(second.sitting.getState().unkept.lost).toBeNull();
});

test("seeds follow each other; one that fails does not stop the others, and each is kept", async () => {
  const keep = await database();
  const { store, runs, runner, calls, sitting } = page(keep, origin(), {
    train: async (recipe: Recipe) => {
      calls.push(`train ${recipe.seed}`);
      if (recipe.seed === 5)
        throw new Failure({ code: "numeric", what: "It ran away.", remedy: "Learn slower." });
      return resultOf(recipe);
    },
  });
  await sitting.begin();
  await store.loadModel(file("vit/config.json"), {});
  await runner.start({ ...defaultRecipe, seed: 4 }, 3);
  expect(calls.filter((call) => call.startsWith("train"))).toEqual(["train 4", "train 5", "train 6"]);
  expect(runner.getState().failed).toEqual([{ name: "Selective LoRA, seed 5", text: "It ran away." }]);
  const kept = runs.getState().runs;
  expect(kept.map(({ name, series }) => [name, series?.name])).toEqual([
    ["Selective LoRA, seed 6", "Selective LoRA × 3"],
    ["Selective LoRA, seed 4", "Selective LoRA × 3"],
  ]);
  expect(new Set(kept.map(({ colour }) => colour)).size).toBe(2);
  // Each can be opened again.
  expect((await keep.stateIds()).sort()).toEqual(kept.map(({ id }) => id).sort());
});

test("the suite runs every method and measures the way between; a stop ends all of it", async () => {
  const keep = await database();
  const { store, runs, runner, calls, sitting } = page(keep, origin(), {
    stop: async () => {},
  });
  await sitting.begin();
  await store.loadModel(file("vit/config.json"), {});
  await runner.suite(defaultRecipe, 1);
  expect(calls.filter((call) => call.startsWith("train"))).toHaveLength(7);
  expect(calls.filter((call) => call === "path")).toHaveLength(7);
  const [last] = runs.getState().runs;
  expect((await runs.details(last?.id ?? ""))?.path).toEqual([{ strength: 0.5, sets: [] }]);

  const end = store.subscribe((state, before) => {
    if (state.run.result && state.run.result !== before.run.result) void runner.stop();
  });
  await runner.suite(defaultRecipe, 1);
  end();
  expect(calls.filter((call) => call.startsWith("train"))).toHaveLength(8);
});

test("the way between is measured for the run on the page and kept with it; one that is stopped keeps nothing", async () => {
  const keep = await database();
  let answer = () => Promise.reject(new Failure({ code: "cancelled", what: "Stopped.", remedy: "" }));
  const { store, runs, runner, sitting } = page(keep, origin(), { measurePath: () => answer() });
  await sitting.begin();
  await store.loadModel(file("vit/config.json"), {});
  await runner.start(defaultRecipe, 1);
  const id = runs.getState().runs[0]?.id ?? "";
  await runner.measurePath();
  expect(store.getState()).toMatchObject({ measuring: null, failures: [], run: { path: null } });
  expect((await runs.details(id))?.path).toEqual([]);

  const path = [0, 0.5, 1].map((strength) => ({ strength, sets: [] }));
  answer = (async () => path) as never;
  const measured = runner.measurePath();
  expect(store.getState().measuring).toBe("path");
  await measured;
  expect(store.getState().run.path).toEqual(path);
  expect((await keep.details(id))?.path).toEqual(path);
});

test("kept runs are renamed, tagged, deleted and put back", async () => {
  const keep = await database();
  const { store, runs, runner, sitting } = page(keep);
  await sitting.begin();
  await store.loadModel(file("vit/config.json"), {});
  await runner.start(defaultRecipe, 2);
  const [a, b] = runs.getState().runs.map(({ id }) => id) as [string, string];
  await runs.change(a, { name: "Best", tags: ["paper"] });
  runs.remove([a]);
  expect(runs.getState().runs.map(({ id }) => id)).toEqual([b]);
  runs.putBack([a]);
  await runs.forgetRemoved([a]);
  expect((await keep.runs()).runs.find(({ id }) => id === a)).toMatchObject({
    name: "Best",
    tags: ["paper"],
  });
  runs.remove([b]);
  // A list that is read again does not bring back what is about to go.
  await runs.load();
  expect(runs.getState().runs.map(({ id }) => id)).toEqual([a]);
  await runs.forgetRemoved([b]);
  expect((await keep.runs()).runs.map(({ id }) => id)).toEqual([a]);
  await runs.compare([a, b]);
  expect(Object.keys(runs.getState().details)).toEqual([a, b]);
});

test("a browser that keeps nothing says so, and the studio works all the same", async () => {
  const nothing = new Failure({ code: "state", what: "This browser keeps nothing.", remedy: "So be it." });
  const { store, calls } = page(await database());
  const runs = createRunsStore(() => Promise.reject(nothing));
  const runner = createRunner(store, runs);
  const sitting = createSitting({ session: store, runs, runner, recipe: recipeAt("") }, () =>
    Promise.reject(nothing),
  );
  await sitting.begin();
  expect(sitting.getState().status).toBe("off");
  expect(calls).toEqual(["open auto"]);
  expect(sitting.getState().unkept.table?.what).toContain("keeps nothing");
  await store.loadModel(file("vit/config.json"), {});
  await runner.start(defaultRecipe, 1);
  expect(runs.getState().runs).toHaveLength(1);
  expect(runs.getState().unstored.size).toBe(1);
  expect(runs.getState().refused?.what).toContain("keeps nothing");
});

/** Leaves a page while its first run has told nothing yet. */
async function leftBeforeItsFirstStep(keep: Keep, chosen: Recipe, tell = false) {
  const left = page(keep, origin(), { train: () => new Promise(() => {}), saveRun: async () => null });
  await left.sitting.begin();
  if (!left.store.getState().model) await left.store.loadModel(file("vit/config.json"), {});
  left.recipe.change(chosen);
  void left.runner.start(chosen, 1);
  if (tell) left.emit({ kind: "before", evaluation: empty });
  await eventually(async () => expect((await keep.sitting())?.begun?.id).toBeTruthy());
}

test.each([false, true])(
  "a run of which nothing is kept yet is offered to be started again (%s)",
  async (tell) => {
    const keep = await database();
    const chosen: Recipe = { ...defaultRecipe, method: "lora", seed: 3 };
    await leftBeforeItsFirstStep(keep, chosen, tell);
    for (const visit of ["second", "third"]) {
      const { sitting, calls } = page(keep);
      await sitting.begin();
      expect(sitting.getState().unfinished).toMatchObject({
        failed: null,
        run: { name: "LoRA on all", recipe: chosen, kept: null },
      });
      // Looking decides nothing.
      expect([visit, calls.at(-1)]).toEqual([visit, "model vit/config.json vit/config.json"]);
    }
    const { sitting, calls, runs } = page(keep);
    await sitting.begin();
    await sitting.goOn();
    expect(calls.at(-1)).toBe("train lora 3");
    await eventually(async () => expect((await keep.sitting())?.begun).toBeNull());
    expect(runs.getState().runs).toHaveLength(1);
    const last = page(keep);
    await last.sitting.begin();
    expect(last.sitting.getState().unfinished).toBeNull();
  },
);

test("a run that was started after one that ended is offered beside it, until it is let go", async () => {
  const keep = await database();
  const first = page(keep);
  await first.sitting.begin();
  await first.store.loadModel(file("vit/config.json"), {});
  await first.runner.start({ ...defaultRecipe, method: "lora" }, 1);
  const { id } = first.store.getState().run;
  await eventually(async () => expect(await keep.stateIds()).toEqual([id]));
  await leftBeforeItsFirstStep(keep, defaultRecipe);
  const second = page(keep);
  await second.sitting.begin();
  expect(second.store.getState().run).toMatchObject({ id, result: { complete: true } });
  expect(second.sitting.getState().unfinished?.run).toMatchObject({ name: "Selective LoRA", kept: null });
  await second.sitting.startAnew();
  await eventually(async () => expect((await keep.sitting())?.begun).toBeNull());
  expect(await keep.stateIds()).toEqual([id]);
});

test("the recipe lies on the table: a bare address takes it up, a link stands above it", async () => {
  const keep = await database();
  const first = page(keep);
  await first.sitting.begin();
  first.recipe.change({ rank: 2, epochs: 7 });
  await eventually(async () => expect((await keep.sitting())?.recipe).toMatchObject({ rank: 2, epochs: 7 }));
  const bare = page(keep);
  await bare.sitting.begin();
  expect(bare.recipe.getState()).toMatchObject({ recipe: { rank: 2, epochs: 7 }, problems: [] });
  const linked = page(keep, origin(), {}, "#rank=16");
  await linked.sitting.begin();
  expect(linked.recipe.getState().recipe).toMatchObject({ rank: 16, epochs: defaultRecipe.epochs });
  // What one visit was opened with is what lies there now.
  await eventually(async () => expect((await keep.sitting())?.recipe).toMatchObject({ rank: 16 }));
  const sitting = (await keep.sitting()) as Sitting;
  await keep.putSitting({ ...sitting, recipe: { ...sitting.recipe, rank: -1, epochs: 9, colour: "red" } });
  const broken = page(keep);
  await broken.sitting.begin();
  expect(broken.recipe.getState().recipe).toMatchObject({ rank: defaultRecipe.rank, epochs: 9 });
  expect(broken.recipe.getState().problems).toEqual([
    "Of the last visit's recipe rank cannot be read; defaults are used.",
  ]);
});

test("a demo that was being loaded when the page was closed lies on the table whole or not at all", async () => {
  const keep = await database();
  const answer = (path: string) =>
    path.endsWith("index.json")
      ? Response.json({
          target: { title: "Pets", file: "a.zip" },
          ood: [{ title: "Art", file: "b.zip" }],
          retention: [],
        })
      : new Response(path);
  vi.stubGlobal("fetch", async (path: string) => answer(path));
  let open = () => {};
  const stuck = new Promise<void>((resolve) => {
    open = resolve;
  });
  const first = page(keep);
  const load = first.session.loadData;
  first.session.loadData = async (...args) => {
    if (args[0] === "ood") await stuck;
    return load(...args);
  };
  await first.sitting.begin();
  await eventually(async () => expect(await keep.sitting()).not.toBeNull());
  const loaded = first.store.loadDemo(0);
  await eventually(() => expect(first.store.getState().data).toHaveLength(1));
  // What was to be written is.
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(await keep.sitting()).toMatchObject({ model: null, sets: [] });
  open();
  await loaded;
  await eventually(async () => expect((await keep.sitting())?.sets).toHaveLength(2));
  expect((await keep.sitting())?.model?.name).toBe("vit");
});
