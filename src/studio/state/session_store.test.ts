import { expect, test, vi } from "vitest";
import { Failure } from "../../failure.ts";
import type {
  DataQuestion,
  DataReport,
  DataRole,
  Evaluation,
  GateFrame,
  GateInfo,
  LayoutReading,
  ModelReport,
  RunResult,
  Session,
  SessionEvent,
} from "../../session/protocol.ts";
import { defaultRecipe } from "../../session/recipe.ts";
import { createSessionStore, openGates } from "./session_store.ts";

const gates: GateInfo[] = [0, 1].map((id) => ({
  id,
  layer: id,
  column: "mlp",
  matrices: ["fc1"],
  parameters: 8,
}));
const evaluation = (strength: number, open: Uint8Array): Evaluation => ({ sets: [], open, strength });
const frame = (step: number, open = [1, 1]): GateFrame => ({
  step,
  scores: Float32Array.of(0.2, 0.2),
  open: Uint8Array.from(open),
  sensitivity: new Float32Array(2),
  deltaNorm: new Float32Array(2),
});
const result: RunResult = {
  recipe: defaultRecipe,
  gates,
  final: frame(9, [1, 0]),
  before: evaluation(1, new Uint8Array(2)),
  after: evaluation(1, Uint8Array.of(1, 0)),
  complete: true,
  steps: 9,
  seconds: 1,
};
const modelReport = (name: string): ModelReport => ({
  name,
  parameters: 1,
  poolings: ["cls"],
  text: { available: false, problem: null },
  questions: [],
  notes: [],
  table: [],
  licence: null,
  fingerprint: null,
  architecture: {
    family: "hf-vit",
    imageSize: 8,
    patchSize: 4,
    hiddenSize: 4,
    layers: 2,
    heads: 1,
    mlpSize: 8,
    activation: "gelu",
    layerNormEps: 1e-6,
    qkvBias: true,
    prefixTokens: 1,
    pooling: "cls",
    labels: null,
  },
  preprocessing: {
    resize: { mode: "exact", height: 8, width: 8 },
    crop: null,
    interpolation: "bilinear",
    mean: [0, 0, 0],
    std: [1, 1, 1],
  },
});

let setCount = 0;
const dataReport = (role: DataRole, name: string): DataReport => ({
  id: `set-${++setCount}`,
  role,
  name,
  classes: [{ name: "cat", counts: { train: 1, val: 1, test: 0 }, mapsTo: null }],
  mappable: [],
  ownLabels: 0,
  splitOrigin: "drawn",
  reading: null,
  issues: [],
  count: 2,
  fingerprint: null,
  corruption: null,
});

/** A store over a session whose answers a test decides; events wait until `flush`. */
function setUp(overrides: Partial<Session> = {}) {
  const listeners: ((event: SessionEvent) => void)[] = [];
  const scheduled: (() => void)[] = [];
  const reports = new Map<string, DataReport>();
  const session: Session = {
    open: async () => ({ backend: "wasm", adapter: "WASM", reason: null }),
    loadModel: async (files) => modelReport(files[0]?.path ?? ""),
    loadData: async (role, name) => {
      const report = dataReport(role, name);
      reports.set(report.id, report);
      return report;
    },
    corrupt: async () => null,
    removeData: async () => {},
    mapClasses: async (id) => reports.get(id) ?? dataReport("ood", id),
    estimateMemory: async () => ({ bytes: 1, parts: [] }),
    pack: async () => null,
    evaluate: async () => ({}) as never,
    train: async () => result,
    saveRun: async () => null,
    restoreRun: async () => result,
    measurePath: async () => [],
    tradeOff: async () => ({ sets: [], points: [], knee: null, complete: true }),
    robustness: async () => [],
    pause: async () => {},
    resume: async () => {},
    stop: async () => {},
    adjust: async (open, strength) => evaluation(strength, open),
    exportMerged: async () => ({ files: [], check: {} as never, changed: 0, total: 0, notes: [] }),
    merge: async () => ({ files: [], changed: 0, total: 0, notes: [] }),
    readBack: async () => ({}) as never,
    image: async () => new Blob(),
    subscribe: (listener) => {
      listeners.push(listener);
      return () => {};
    },
    ...overrides,
  };
  const store = createSessionStore(session, (flush) => scheduled.push(flush));
  return {
    store,
    emit: (event: SessionEvent) => listeners.forEach((listener) => void listener(event)),
    flush: () => scheduled.splice(0).forEach((flush) => void flush()),
    scheduled,
  };
}

const files = (path: string) => [{ path, blob: new Blob() }];
const bad = new Failure({
  code: "bad-file",
  what: "It is cut off.",
  where: "a.safetensors",
  remedy: "Get it again.",
});

test("events of one frame are one update, in their order", () => {
  const { store, emit, flush, scheduled } = setUp();
  const updates = vi.fn();
  store.subscribe(updates);
  emit({ kind: "started", recipe: defaultRecipe, gates, steps: 9 });
  for (let step = 1; step <= 50; step++) emit({ kind: "gates", frame: frame(step) });
  emit({ kind: "status", status: "training" });
  expect(updates).not.toHaveBeenCalled();
  expect(scheduled).toHaveLength(1);
  flush();
  expect(updates).toHaveBeenCalledTimes(1);
  expect(store.getState().run.frames.map((one) => one.step)).toEqual(
    Array.from({ length: 50 }, (_, i) => i + 1),
  );
  expect(store.getState().status).toBe("training");
});

test("a frame without news of a kind keeps that kind's array, so that charts do not draw again", () => {
  const { store, emit, flush } = setUp();
  emit({ kind: "gates", frame: frame(1) });
  flush();
  const { frames } = store.getState().run;
  emit({ kind: "notice", text: "No WebGPU here." });
  flush();
  expect(store.getState().run.frames).toBe(frames);
  expect(store.getState().notices).toEqual(["No WebGPU here."]);
});

test("a long run is held within bounds", () => {
  const { store, emit, flush } = setUp();
  for (let step = 1; step <= 3000; step++) emit({ kind: "gates", frame: frame(step) });
  flush();
  const { frames } = store.getState().run;
  expect(frames.length).toBeLessThanOrEqual(600);
  expect(frames[0]?.step).toBe(1);
  expect(frames.at(-1)?.step).toBe(3000);
});

test.each([
  ["before", "started"],
  ["started", "before"],
])("a new run begins with empty histories, whether %s or %s comes first", (...order) => {
  const { store, emit, flush } = setUp({ train: () => new Promise(() => {}) });
  emit({ kind: "gates", frame: frame(7) });
  flush();
  void store.train(defaultRecipe);
  expect(store.getState().run.frames).toHaveLength(1);
  for (const kind of order) {
    if (kind === "before") emit({ kind: "before", evaluation: result.before });
    else emit({ kind: "started", recipe: defaultRecipe, gates, steps: 9 });
    flush();
  }
  emit({ kind: "gates", frame: frame(1) });
  flush();
  const { run } = store.getState();
  expect(run.frames.map((one) => one.step)).toEqual([1]);
  expect(run).toMatchObject({ gates, before: result.before });
});

test.each(["before it measured", "after it measured"])(
  "a run that fails %s leaves the results of the one before it",
  async (when) => {
    let calls = 0;
    const { store, emit } = setUp({
      train: async () => {
        if (++calls === 1) return result;
        if (when === "after it measured")
          emit({ kind: "before", evaluation: evaluation(0, new Uint8Array(2)) });
        throw bad;
      },
    });
    await store.train(defaultRecipe);
    await store.train(defaultRecipe);
    expect(store.getState().run.result).toBe(result);
    expect(store.getState().failures).toHaveLength(1);
  },
);

test("a model that cannot be read leaves the one before it in place, and says why once", async () => {
  let calls = 0;
  const { store, emit } = setUp({
    loadModel: async () => {
      if (++calls === 1) return modelReport("good");
      throw bad;
    },
  });
  await store.loadModel(files("good/config.json"));
  emit({ kind: "failure", failure: bad.parts });
  expect(await store.loadModel(files("bad/config.json"))).toBe(false);
  const { model, failures, reading } = store.getState();
  expect(model?.name).toBe("good");
  expect(failures.map((one) => one.parts)).toEqual([bad.parts]);
  expect(reading).toEqual([]);
  store.dismissFailure(failures[0]?.id ?? -1);
  expect(store.getState().failures).toEqual([]);
});

test("what failed where files came in is of the last try there, and of no other place", async () => {
  const failing = (what: string) => new Failure({ code: "bad-data", what, remedy: "Another." });
  let calls = 0;
  const { store } = setUp({
    loadData: async (role) => {
      if (++calls === 4) return dataReport(role, "good");
      throw failing(`try ${calls}`);
    },
  });
  const told = () => store.getState().failures.map(({ parts, at }) => [at, parts.what]);
  await store.loadData("target", "one", files("a.zip"), 0);
  await store.loadData("ood", "two", files("b.zip"), 0);
  expect(told()).toEqual([
    ["target", "try 1"],
    ["ood", "try 2"],
  ]);
  await store.loadData("target", "three", files("c.zip"), 0);
  expect(told()).toEqual([
    ["ood", "try 2"],
    ["target", "try 3"],
  ]);
  // What goes in well leaves nothing of what did not.
  expect(await store.loadData("target", "four", files("d.zip"), 0)).toBe(true);
  expect(told()).toEqual([["ood", "try 2"]]);
  // Several that were dropped together are each told of.
  await Promise.all(["e", "f"].map((name) => store.loadData("ood", name, files(`${name}.zip`), 0)));
  expect(told()).toEqual([
    ["ood", "try 5"],
    ["ood", "try 6"],
  ]);
  expect(await store.sort("song.mp3", files("song.mp3"))).toBeNull();
  expect(told().at(-1)?.[0]).toBe("drop");
});

test("what the person cancelled is no failure", async () => {
  const { store } = setUp({
    loadData: async () => {
      throw new Failure({ code: "cancelled", what: "Cancelled.", remedy: "Nothing." });
    },
  });
  expect(await store.loadData("ood", "sketches", files("a.zip"), 0)).toBe(false);
  expect(store.getState().failures).toEqual([]);
});

test("a drop in doubt is asked about, and the answer brings the target and the other domains as OOD sets", async () => {
  const reading = { layout: "domains", domains: ["photo", "sketch"] } as LayoutReading;
  const question: DataQuestion = { doubt: "same-classes", readings: [reading] };
  const asked = new Failure({ code: "bad-data", what: "Domains.", remedy: "Say which.", question });
  const loaded: unknown[] = [];
  const { store } = setUp({
    loadData: async (role, name, _, seed, answers) => {
      if (!answers?.domain) throw asked;
      loaded.push([role, name, seed, answers]);
      return dataReport(role, name);
    },
  });
  expect(await store.loadData("target", "styles", files("styles.zip"), 5)).toBe(false);
  const { failures, questions } = store.getState();
  expect(failures).toEqual([]);
  expect(questions).toMatchObject([{ role: "target", name: "styles", seed: 5, question }]);
  await store.answerQuestion(questions[0]?.id ?? -1, { layout: "domains", domain: "photo" }, ["sketch"]);
  expect(loaded).toEqual([
    ["target", "styles", 5, { layout: "domains", domain: "photo" }],
    ["ood", "sketch", 5, { layout: "domains", domain: "sketch" }],
  ]);
  const { data, sources } = store.getState();
  expect(store.getState().questions).toEqual([]);
  expect(data.map(({ id }) => sources[id]?.answers.domain)).toEqual(["photo", "sketch"]);
});

test("a question is put aside by its person, or by a set that comes in its place", async () => {
  const question: DataQuestion = { doubt: "nested", readings: [] };
  let sure = false;
  const { store } = setUp({
    loadData: async (role, name) => {
      if (sure) return dataReport(role, name);
      throw new Failure({ code: "bad-data", what: "Nested.", remedy: "Say how.", question });
    },
  });
  await store.loadData("target", "one", files("a"), 0);
  await store.loadData("ood", "two", files("b"), 0);
  store.dismissQuestion(store.getState().questions[1]?.id ?? -1);
  expect(store.getState().questions.map(({ name }) => name)).toEqual(["one"]);
  sure = true;
  await store.loadData("target", "three", files("c"), 0);
  expect(store.getState().questions).toEqual([]);
});

test("open questions wait for the person's answer", async () => {
  const question = { key: "heads", question: "How many heads?", usual: "3" } as const;
  const { store } = setUp({ loadModel: async () => ({ ...modelReport("m"), questions: [question] }) });
  await store.loadModel(files("m/model.safetensors"));
  expect(store.getState().modelAnswers).toEqual({});
  await store.loadModel(store.getState().modelFiles, { heads: 3 });
  expect(store.getState().modelAnswers).toEqual({ heads: 3 });
});

test("a target replaces the target, an OOD set replaces only its namesake", async () => {
  const { store } = setUp();
  await store.loadData("target", "one", files("a"), 0);
  await store.loadData("ood", "sketch", files("b"), 0);
  await store.loadData("ood", "photo", files("c"), 0);
  await store.loadData("target", "two", files("d"), 0);
  await store.loadData("ood", "photo", files("e"), 0);
  expect(
    store
      .getState()
      .data.filter((one) => one.role === "target")
      .map((one) => one.name),
  ).toEqual(["two"]);
  expect(store.getState().data).toHaveLength(3);
});

test("a class mapped by hand is sent with all the others as they are", async () => {
  const mapClasses = vi.fn(async (id: string) => ({ ...dataReport("ood", "x"), id }));
  const { store } = setUp({
    mapClasses,
    loadData: async (role, name) => ({
      ...dataReport(role, name),
      classes: ["a", "b"].map((one) => ({ name: one, counts: { train: 0, val: 1, test: 0 }, mapsTo: one })),
    }),
  });
  await store.loadData("ood", "x", files("x"), 0);
  const id = store.getState().data[0]?.id ?? "";
  await store.mapClass(id, "b", null);
  expect(mapClasses).toHaveBeenLastCalledWith(id, { a: "a", b: null });
});

test("a finished run can be toggled, scaled and reset", async () => {
  const { store } = setUp();
  await store.train(defaultRecipe);
  expect([...(openGates(store.getState().run) ?? [])]).toEqual([1, 0]);

  store.toggleGate(1);
  expect([...(store.getState().run.open ?? [])]).toEqual([1, 1]);
  await vi.waitFor(() => expect([...(store.getState().run.current?.open ?? [])]).toEqual([1, 1]));
  expect([...result.final.open]).toEqual([1, 0]);

  store.setStrength(0.5);
  await vi.waitFor(() => expect(store.getState().run.current?.strength).toBe(0.5));
  store.resetAdjustment();
  await vi.waitFor(() => expect(store.getState().run.current).toBeNull());
  expect(store.getState().run).toMatchObject({ open: null, strength: 1 });
});

test("a later position of the slider takes the place of one that is still being measured", async () => {
  const calls: { strength: number; end: (evaluation: Evaluation | null) => void }[] = [];
  const adjust = (open: Uint8Array, strength: number) => {
    const cancelled = new Failure({ code: "cancelled", what: "Measuring was cancelled.", remedy: "" });
    return new Promise<Evaluation>((resolve, reject) => {
      calls.at(-1)?.end(null);
      const end = (found: Evaluation | null) => (found ? resolve(found) : reject(cancelled));
      calls.push({ strength, end: end.bind(null) });
      void open;
    });
  };
  const { store, emit, flush } = setUp({ adjust });
  await store.train(defaultRecipe);
  for (const strength of [0.9, 0.6]) store.setStrength(strength);
  expect(calls.map(({ strength }) => strength)).toEqual([0.9, 0.6]);
  expect(store.getState().run.current).toMatchObject({ sets: [], strength: 0.6 });

  // Sets are shown as they come, but only those of the last wish.
  const part = (strength: number) => ({ ...evaluation(strength, result.final.open), sets: [{} as never] });
  emit({ kind: "measured", evaluation: part(0.6) });
  flush();
  expect(store.getState().run.current?.sets).toHaveLength(1);
  emit({ kind: "measured", evaluation: { ...part(0.9), sets: [] } });
  flush();
  expect(store.getState().run.current?.sets).toHaveLength(1);

  const whole = evaluation(0.6, result.final.open);
  calls.at(-1)?.end(whole);
  await vi.waitFor(() => expect(store.getState().run.current).toBe(whole));
  expect(store.getState().failures).toEqual([]);
});

test("what follows a failed wish is what was measured last, not the wish that it overtook", async () => {
  let fails: ((error: Failure) => void)[] = [];
  const { store } = setUp({ adjust: () => new Promise((_, reject) => fails.push(reject)) });
  await store.train(defaultRecipe);
  store.setStrength(0.9);
  store.setStrength(0.6);
  for (const fail of fails) fail(bad);
  fails = [];
  await vi.waitFor(() => expect(store.getState().run).toMatchObject({ open: null, strength: 1 }));
  expect(store.getState().run.current).toBeNull();
});

test("a toggle that fails puts gates and strength back to what was measured last", async () => {
  const { store } = setUp({
    adjust: async () => {
      throw bad;
    },
  });
  await store.train(defaultRecipe);
  store.toggleGate(0);
  expect([...(store.getState().run.open ?? [])]).toEqual([0, 0]);
  await vi.waitFor(() => expect(store.getState().run.open).toBeNull());
  expect(store.getState().failures).toHaveLength(1);
});

test("an export is withdrawn once a gate was toggled", async () => {
  const { store } = setUp();
  await store.train(defaultRecipe);
  await store.exportMerged();
  expect(store.getState().run.exportReport).not.toBeNull();
  store.toggleGate(0);
  expect(store.getState().run.exportReport).toBeNull();
});

test("a failed export is shown where it was asked for", async () => {
  const { store } = setUp({
    exportMerged: async () => {
      throw bad;
    },
  });
  await store.train(defaultRecipe);
  await store.exportMerged();
  expect(store.getState().run.exportFailure).toEqual(bad.parts);
  expect(store.getState().exporting).toBe(false);
});

test("a finished run is dropped only after the person agreed, and then with its numbers", async () => {
  const { store } = setUp();
  expect(await store.mayDropRun()).toBe(true);
  await store.train(defaultRecipe);
  const first = store.mayDropRun();
  store.getState().asked?.goOn(false);
  expect(await first).toBe(false);
  const second = store.mayDropRun();
  store.getState().asked?.goOn(true);
  expect(await second).toBe(true);
  await store.loadData("target", "other", files("x"), 0);
  expect(store.getState().run).toMatchObject({ result: null, gates: [], before: null });
});

test("a curve shows its points as they come, and keeps them when it is stopped", async () => {
  const points = [{ open: Uint8Array.of(0, 0), accuracies: [] }];
  const { store, emit, flush } = setUp({
    tradeOff: async () => {
      emit({ kind: "tradeOff", tradeOff: { sets: [], points, knee: null, complete: false } });
      throw new Failure({ code: "cancelled", what: "Cancelled.", remedy: "Nothing." });
    },
  });
  await store.measureTradeOff();
  expect(store.getState().run.tradeOff).toBeNull();
  await store.train(defaultRecipe);
  const measured = store.measureTradeOff();
  expect(store.getState().measuring).toBe("tradeOff");
  await measured;
  flush();
  const { run, measuring, failures } = store.getState();
  expect(run.tradeOff).toMatchObject({ points, complete: false });
  expect([measuring, failures]).toEqual([null, []]);
});

test("a point that is picked stands at full strength, and all of the blocks are as trained again", async () => {
  const asked: [number[], number][] = [];
  const { store } = setUp({
    adjust: async (open, strength) => {
      asked.push([[...open], strength]);
      return evaluation(strength, open);
    },
  });
  await store.train(defaultRecipe);
  store.setStrength(0.5);
  store.pickBlocks(Uint8Array.of(0, 0));
  await vi.waitFor(() => expect(asked.at(-1)).toEqual([[0, 0], 1]));
  expect(store.getState().run).toMatchObject({ strength: 1, open: Uint8Array.of(0, 0) });
  store.pickBlocks(result.final.open);
  await vi.waitFor(() => expect(asked.at(-1)).toEqual([[...result.final.open], 1]));
  expect(store.getState().run).toMatchObject({ open: null, strength: 1, current: null });
});

test("robustness is of the gates it was measured with: a toggle takes it away", async () => {
  const robustness = [{ id: "o", name: "o", points: [], effective: 0.1, relative: 0.2, line: null }];
  const { store } = setUp({ robustness: async () => robustness });
  await store.train(defaultRecipe);
  await store.measureRobustness();
  expect(store.getState().run.robustness).toEqual(robustness);
  store.toggleGate(0);
  expect(store.getState().run.robustness).toBeNull();
});

test("the corrupted set is one, and goes with the target it is made of", async () => {
  const corrupted = (severity: number) => ({
    ...dataReport("ood", "Corruptions of the target"),
    id: "c",
    corruption: { names: ["fog"], severity },
  });
  const { store } = setUp({ corrupt: async (choice) => choice && corrupted(choice.severity) });
  await store.loadData("target", "pets", files("a.zip"), 0);
  await store.loadData("ood", "sketches", files("b.zip"), 0);
  expect(await store.corrupt({ names: ["fog"], severity: 1 })).toBe(true);
  await store.corrupt({ names: ["fog"], severity: 2 });
  const names = () => store.getState().data.map(({ name, corruption }) => [name, corruption?.severity]);
  expect(names()).toEqual([
    ["pets", undefined],
    ["sketches", undefined],
    ["Corruptions of the target", 2],
  ]);
  await store.corrupt(null);
  expect(names()).toHaveLength(2);
  await store.corrupt({ names: ["fog"], severity: 3 });
  await store.removeData(store.getState().data[0]?.id ?? "");
  expect(names()).toEqual([["sketches", undefined]]);
});

test("a drop is shown while its folders are looked through, and its Cancel ends that alone", async () => {
  const stop = vi.fn(async () => {});
  const { store } = setUp({ stop });
  await store.loadData("ood", "there", files("a.png"), 0);
  const { data } = store.getState();
  const search = (onFound: (count: number) => void, signal: AbortSignal) =>
    new Promise<never>((_, reject) => {
      onFound(3);
      const gone = new Failure({ code: "cancelled", what: "It was cancelled.", remedy: "" });
      signal.addEventListener("abort", () => reject(gone));
    });
  const found = store.find("target", { name: "many", search });
  const [shown] = store.getState().reading;
  expect(shown).toMatchObject({ what: "target", name: "many", found: 0 });
  await store.stopReading(shown?.id ?? 0);
  expect(await found).toBeNull();
  expect(stop).not.toHaveBeenCalled();
  const after = store.getState();
  expect(after.reading).toEqual([]);
  expect(after.failures).toEqual([]);
  expect(after.data).toBe(data);
});

test("a drop that is cancelled while it is sorted comes to nothing, and the engine is left alone", async () => {
  const stop = vi.fn(async () => {});
  const { store } = setUp({ stop });
  const sorted = store.sort("a.png", files("a.png"));
  await store.stopReading(store.getState().reading[0]?.id ?? 0);
  expect(await sorted).toBeNull();
  expect(stop).not.toHaveBeenCalled();
  expect(store.getState()).toMatchObject({ reading: [], failures: [] });
});

test("what a drop failed with is gone once files come in another way", async () => {
  const { store } = setUp();
  await store.sort("song.mp3", files("song.mp3"));
  expect(store.getState().failures).toMatchObject([{ at: "drop" }]);
  await store.loadData("ood", "many", files("a.png"), 0);
  expect(store.getState().failures).toEqual([]);
});

test("what could not be opened in a drop is told, and the rest is there", async () => {
  const { store } = setUp();
  const search = async () => ({ files: files("many/a.png"), lost: ["many/b.png"] });
  expect(await store.find("target", { name: "many", search })).toHaveLength(1);
  expect(store.getState().notices).toEqual([
    "1 file or folder of many could not be opened, the first many/b.png; the rest is read.",
  ]);
});

test("a set of which more is told later is replaced where it stands", async () => {
  const { store, emit, flush } = setUp();
  await store.loadData("target", "many", files("a.png"), 0);
  const report = store.getState().data[0] as DataReport;
  emit({ kind: "data", report: { ...report, count: 1 } });
  flush();
  expect(store.getState().data.map(({ count }) => count)).toEqual([1]);
});
