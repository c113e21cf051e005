// The engine from open to export on a tiny network of random weights, on WASM: what a run tells and leaves behind, that
// it is the same run again, and that nothing loaded is lost when something fails or is stopped.
import { beforeAll, describe, expect, test } from "vitest";
import { fixture } from "../checkpoint/fixtures/load.ts";
import { openCheckpoint } from "../checkpoint/open_checkpoint.ts";
import { Failure } from "../failure.ts";
import { createNodeSession } from "./node.ts";
import type { Evaluation, RunResult, Session, SessionEvent, SetRole, SourceFile } from "./protocol.ts";
import { defaultRecipe, type Recipe } from "./recipe.ts";
import { answersAnew, answersOf, listen, once, pictures } from "./testing.ts";

const classes = ["cat", "dog", "mouse"];
const recipe: Recipe = { ...defaultRecipe, rank: 2, epochs: 2, batch: 6, learningRate: 0.02, seed: 7 };
const STEPS = 6;

let target: SourceFile[];
let sketches: SourceFile[];
let known: SourceFile[];

beforeAll(async () => {
  target = await pictures("pets", classes, { train: 6, val: 2, test: 5 });
  sketches = await pictures("sketches", ["Dog", "mouse", "horse"], 2);
  known = await pictures("known", ["cat", "dog"], 3);
});

/** A session on WASM with the tiny ViT. */
async function withModel(name = "vit"): Promise<Session> {
  const session = createNodeSession();
  await session.open("wasm");
  await session.loadModel(fixture(name), {});
  return session;
}

async function withTarget(name = "vit"): Promise<Session> {
  const session = await withModel(name);
  await session.loadData("target", "pets", target, 0);
  return session;
}

async function refusal(promise: Promise<unknown>): Promise<Failure> {
  const error = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(Failure);
  return error as Failure;
}

const setOf = (evaluation: Evaluation, role: SetRole) => {
  const set = evaluation.sets.find((one) => one.role === role);
  if (!set) throw new Error(`nothing was measured of ${role}`);
  return set;
};
const losses = (events: readonly SessionEvent[]) =>
  events.flatMap((event) => (event.kind === "step" ? [event.report.loss] : []));
const kinds = (events: readonly SessionEvent[]) => events.map(({ kind }) => kind);

describe("a run from probe to export", () => {
  let session: Session;
  let events: SessionEvent[];
  let result: RunResult;

  beforeAll(async () => {
    session = await withTarget();
    await session.loadData("ood", "sketches", sketches, 0);
    await session.loadData("retention", "known", known, 0);
    events = listen(session);
    result = await session.train(recipe);
  });

  test("tells the before first, then the gates, then steps, frames and accuracies", () => {
    expect(kinds(events).indexOf("before")).toBeLessThan(kinds(events).indexOf("started"));
    expect(kinds(events).indexOf("started")).toBeLessThan(kinds(events).indexOf("gates"));
    expect(events.find((event) => event.kind === "started")).toMatchObject({ steps: STEPS, recipe });
    const steps = events.flatMap((event) => (event.kind === "step" ? [event.report] : []));
    expect(steps.at(-1)).toMatchObject({ step: STEPS, steps: STEPS, epoch: 1, phase: "settling" });
    for (const { loss } of steps) expect(Number.isFinite(loss)).toBe(true);
    const points = events.flatMap((event) => (event.kind === "accuracy" ? [event.point] : []));
    expect(points.map(({ step, epoch }) => [step, epoch])).toEqual([
      [0, 0],
      [3, 0],
      [6, 1],
    ]);
    expect(points[0]?.sets.map(({ name }) => name)).toEqual(["pets", "sketches", "known"]);
    const statuses = events.flatMap((event) => (event.kind === "status" ? [event.status] : []));
    expect(statuses).toEqual(["training", "evaluating", "idle"]);
  });

  test("live accuracies stand on the same images from before to the end, and say on which", () => {
    const points = events.flatMap((event) => (event.kind === "accuracy" ? [event.point.sets] : []));
    const first = points[0]!;
    expect(first.map(({ basis }) => basis)).toEqual([
      { images: "validation", count: 6, of: 6 },
      { images: "all", count: 4, of: 4 },
      { images: "all", count: 6, of: 6 },
    ]);
    for (const sets of points)
      sets.forEach(({ accuracy, before, basis, pairs }, i) => {
        expect([before, basis]).toEqual([first[i]!.accuracy, first[i]!.basis]);
        // What was put right less what was broken is the whole change.
        const { fixed, broken } = pairs!;
        expect((accuracy - before) * basis!.count).toBeCloseTo(fixed - broken, 9);
      });
    // Where all held-out images are asked it is the very number that stands in the results.
    for (const role of ["ood", "retention"] as const) {
      const at = first.findIndex((set) => set.role === role);
      expect(first[at]!.accuracy).toBe(setOf(result.before, role).accuracy);
    }
  });

  test("gives a gate for each block, and what was measured on which images", () => {
    expect(result.complete).toBe(true);
    expect(result.steps).toBe(STEPS);
    expect(result.gates.map(({ layer, column }) => [layer, column])).toEqual([
      [0, "attention"],
      [0, "mlp"],
      [1, "attention"],
      [1, "mlp"],
    ]);
    expect(result.final.open.length).toBe(4);
    // The gates have rested since they were frozen; what they were last sensitive to is still told.
    expect(Math.max(...result.final.sensitivity)).toBeGreaterThan(0);
    for (const evaluation of [result.before, result.after]) {
      expect(setOf(evaluation, "target")).toMatchObject({ count: 15, names: classes });
      // The horses are nobody's counterpart.
      expect(setOf(evaluation, "ood")).toMatchObject({ count: 4, names: classes });
      expect([...setOf(evaluation, "ood").labels]).toEqual([1, 1, 2, 2]);
      expect(setOf(evaluation, "retention").count).toBe(6);
      expect(setOf(evaluation, "retention").names.slice(0, 2)).toEqual(["cat", "dog"]);
    }
  });

  test("says how sure the answers were, what changed, and what tells the sets apart", () => {
    for (const set of [...result.before.sets, ...result.after.sets]) {
      expect(set.confidence.length).toBe(set.count);
      expect(set.energy?.length).toBe(set.count);
      expect(set.calibration.bins.reduce((sum, bin) => sum + bin.count, 0)).toBe(set.count);
      const { detection } = set;
      if (set.role === "target") expect(detection).toBeNull();
      // The target has cats and dogs too, so only the style of what is known is another.
      else expect(detection).toMatchObject({ strange: "style", count: set.count });
      for (const area of [detection?.confidence ?? 0, detection?.energy ?? 0]) {
        expect(area).toBeGreaterThanOrEqual(0);
        expect(area).toBeLessThanOrEqual(1);
      }
    }
    for (const [i, { change, correct, count }] of result.after.sets.entries()) {
      expect(result.before.sets[i]?.change).toBeNull();
      const { stayedRight = 0, fixed = 0, broken = 0, stayedWrong = 0 } = change ?? {};
      expect(stayedRight + fixed).toBe(correct);
      expect(stayedRight + broken).toBe(result.before.sets[i]?.correct);
      expect(stayedRight + fixed + broken + stayedWrong).toBe(count);
    }
  });

  test("learns: the loss falls and the adapted weights are other weights", () => {
    const all = losses(events);
    expect(all.at(-1)).toBeLessThan(all[1] as number);
    expect(Math.max(...result.final.deltaNorm)).toBeGreaterThan(0);
  });

  test("none of the change is the model before, all of it the model after", async () => {
    const none = await session.adjust(result.final.open, 0);
    expect(none.strength).toBe(0);
    for (const [i, set] of none.sets.entries()) {
      expect([...set.predictions]).toEqual([...(result.before.sets[i]?.predictions ?? [])]);
      expect(set.correct).toBe(result.before.sets[i]?.correct);
    }
    expect(await answersAnew(session, result)).toEqual(answersOf(result));
    expect((await session.adjust(result.final.open, 1)).sets).toEqual(result.after.sets);
  });

  test("with every gate closed, the model's own classifier answers as before", async () => {
    const closed = await session.adjust(new Uint8Array(4), 1);
    const unchanged = { stayedRight: 0, fixed: 0, broken: 0, stayedWrong: 6, p: 1 };
    // Detection asks the new classifier, and that has learned.
    const { detection } = setOf(closed, "retention");
    expect(setOf(closed, "retention")).toEqual({
      ...setOf(result.before, "retention"),
      change: unchanged,
      detection,
    });
    await session.adjust(result.final.open, 1);
  });

  test("a later adjustment ends the one before it; sets are told of one by one, the target first", async () => {
    const before = events.length;
    const overtaken = [0.25, 0.5].map((strength) => refusal(session.adjust(result.final.open, strength)));
    const last = await session.adjust(result.final.open, 0.75);
    for (const failure of await Promise.all(overtaken)) expect(failure.parts.code).toBe("cancelled");
    const parts = events.slice(before).flatMap((e) => (e.kind === "measured" ? [e.evaluation] : []));
    expect(parts.map(({ strength, sets }) => [strength, ...sets.map(({ role }) => role)])).toEqual([
      [0.75, "target"],
      [0.75, "target", "ood"],
      [0.75, "target", "ood", "retention"],
    ]);
    expect(last.sets).toEqual(parts.at(-1)?.sets);
    // What was measured once is known.
    expect(await session.adjust(result.final.open, 0.75)).toEqual(last);
    const told = events.slice(before).filter(({ kind }) => kind === "measured");
    expect(told).toHaveLength(parts.length);
    await session.adjust(result.final.open, 1);
  });

  test("an adjustment that fits no run is refused and changes nothing", async () => {
    expect((await refusal(session.adjust(new Uint8Array(3), 1))).parts.code).toBe("bad-recipe");
    expect((await refusal(session.adjust(result.final.open, 1.5))).parts.code).toBe("bad-recipe");
    expect((await refusal(session.adjust(result.final.open, Number.NaN))).parts.code).toBe("bad-recipe");
  });

  test("the export is the adjusted network, scored from the file", async () => {
    const report = await session.exportMerged();
    expect(report.files.map(({ path }) => path).sort()).toEqual([
      "config.json",
      "model.safetensors",
      "preprocessor_config.json",
    ]);
    expect(report.check.correct).toBe(setOf(result.after, "target").correct);
    expect([...report.check.predictions]).toEqual([...setOf(result.after, "target").predictions]);
    const again = await openCheckpoint(report.files, {});
    expect(again.architecture.labels).toEqual(classes);
    const source = await openCheckpoint(fixture("vit"), {});
    expect(await again.read("cls_token")).toEqual(await source.read("cls_token"));

    const closed = await session.adjust(new Uint8Array(4), 1);
    const bare = await session.exportMerged();
    // The classifier's weight and bias, and nothing else.
    expect(bare.changed).toBe(2);
    expect(bare.check.correct).toBe(setOf(closed, "target").correct);
    expect(report.changed).toBeGreaterThan(2);
  });

  test("hands out the picture that was measured", async () => {
    const set = setOf(result.after, "target");
    const at = target.findIndex(({ path }) => path === "pets/test/dog/0.png");
    const blob = await session.image(set.id, 5);
    expect(await blob.arrayBuffer()).toEqual(await target[at]?.blob.arrayBuffer());
    expect((await refusal(session.image(set.id, 99))).parts.code).toBe("state");
  });
});

describe("the same run again", () => {
  async function run(seed: number) {
    const session = await withTarget();
    const events = listen(session);
    const result = await session.train({ ...recipe, seed });
    return { losses: losses(events), final: result.final, after: result.after.sets };
  }

  test("with the same seed to the last bit, with another seed not", async () => {
    const first = await run(1);
    expect(await run(1)).toEqual(first);
    const other = await run(2);
    expect(other.losses).not.toEqual(first.losses);
    expect(other.final.scores).not.toEqual(first.final.scores);
  });
});

describe("stop, pause and resume", () => {
  // As a person's stop comes: from outside, in a turn of the event loop of its own.
  const stopFromOutside = (session: Session) => () => void setImmediate(() => session.stop());

  test("a stop while the probe looks at images cancels, and leaves model, data and the run before", async () => {
    const session = await withTarget();
    const kept = await session.train(recipe);
    once(session, (event) => event.kind === "progress" && event.task === "probe", stopFromOutside(session));
    // Another head, which has a start of its own to find.
    expect((await refusal(session.train({ ...recipe, head: "knn" }))).parts.code).toBe("cancelled");
    expect(await answersAnew(session, kept)).toEqual(answersOf(kept));
    expect((await session.train(recipe)).complete).toBe(true);
  });

  test("a stop at any other moment before the first step cancels too", async () => {
    const session = await withTarget();
    once(
      session,
      (event) => event.kind === "before",
      () => void session.stop(),
    );
    const events = listen(session);
    expect((await refusal(session.train(recipe))).parts.code).toBe("cancelled");
    expect(kinds(events)).not.toContain("started");
    expect((await session.train(recipe)).complete).toBe(true);
  });

  test("a stop in the middle of measuring cancels it", async () => {
    const session = await withTarget();
    const { final } = await session.train(recipe);
    once(
      session,
      (event) => event.kind === "progress" && event.task === "evaluate",
      stopFromOutside(session),
    );
    const noGate = new Uint8Array(final.open.length);
    expect((await refusal(session.adjust(noGate, 0.5))).parts.code).toBe("cancelled");
    expect((await session.adjust(noGate, 0.5)).strength).toBe(0.5);
  });

  test("a stop between steps keeps and measures what was learned", async () => {
    const session = await withTarget();
    once(session, (event) => event.kind === "step" && event.report.step >= 1, stopFromOutside(session));
    const result = await session.train({ ...recipe, epochs: 20 });
    expect(result.complete).toBe(false);
    expect(result.steps).toBeGreaterThanOrEqual(1);
    expect(result.steps).toBeLessThan(60);
    expect(setOf(result.after, "target").count).toBe(15);
    expect((await session.exportMerged()).check.correct).toBe(setOf(result.after, "target").correct);
  });

  test("a paused run stands still, and goes on as if it had not been paused", async () => {
    const plain = await withTarget();
    const plainEvents = listen(plain);
    const expected = await plain.train(recipe);

    const session = await withTarget();
    const events = listen(session);
    once(
      session,
      (event) => event.kind === "step" && event.report.step >= 1,
      () => void session.pause(),
    );
    const held = new Promise<void>((resolve) =>
      once(
        session,
        (event) => event.kind === "status" && event.status === "paused",
        () => resolve(),
      ),
    );
    const running = session.train(recipe);
    await held;
    const before = events.length;
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(kinds(events.slice(before))).not.toContain("gates");
    await session.resume();
    const result = await running;
    expect(result.complete).toBe(true);
    expect(losses(events)).toEqual(losses(plainEvents));
    expect(result.final).toEqual(expected.final);
  });

  test("a paused run can be stopped", async () => {
    const session = await withTarget();
    once(
      session,
      (event) => event.kind === "started",
      () => void session.pause(),
    );
    once(
      session,
      (event) => event.kind === "status" && event.status === "paused",
      () => void session.stop(),
    );
    expect((await session.train(recipe)).complete).toBe(false);
  });
});

/** The tiny ViT with one weight that is no number. */
async function withNaN(): Promise<SourceFile[]> {
  return Promise.all(
    fixture("vit").map(async ({ path, blob }) => {
      if (!path.endsWith(".safetensors")) return { path, blob };
      const bytes = new Uint8Array(await blob.arrayBuffer());
      const view = new DataView(bytes.buffer);
      const length = Number(view.getBigUint64(0, true));
      const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
      const [begin] = header["vit.layernorm.weight"].data_offsets;
      view.setFloat32(8 + length + begin + 4 * 3, Number.NaN, true);
      return { path, blob: new Blob([bytes]) };
    }),
  );
}

describe("what cannot be used is refused, and what was loaded stays", () => {
  test("a model that is cut off, of another kind, or holds a NaN", async () => {
    const session = await withTarget();
    const result = await session.train(recipe);
    const [config, weights] = fixture("vit");
    const cut = [config as SourceFile, { path: "vit/model.safetensors", blob: weights!.blob.slice(0, 9000) }];
    expect((await refusal(session.loadModel(cut, {}))).parts.code).toBe("bad-file");
    const other = [{ path: "vit/config.json", blob: new Blob(['{"model_type":"swin"}']) }, weights!];
    expect((await refusal(session.loadModel(other, {}))).parts.code).toBe("bad-model");
    const { parts } = await refusal(session.loadModel(await withNaN(), {}));
    expect(parts.code).toBe("bad-model");
    expect(parts.what).toContain('"vit.layernorm.weight" holds NaN at index 3');
    // The old model is there, and even the run that was made with it.
    expect(await answersAnew(session, result)).toEqual(answersOf(result));
  });

  test("data without a second class", async () => {
    const session = await withTarget();
    const result = await session.train(recipe);
    const alone = target.filter(({ path }) => path.includes("/cat/"));
    expect((await refusal(session.loadData("target", "cats", alone, 0))).parts.code).toBe("bad-data");
    expect((await refusal(session.loadData("ood", "nothing", [], 0))).parts.code).toBe("bad-data");
    expect(await answersAnew(session, result)).toEqual(answersOf(result));
  });

  test("a reading that is stopped leaves the set before it", async () => {
    const session = await withTarget();
    once(
      session,
      (event) => event.kind === "progress" && event.task === "data",
      () => void session.stop(),
    );
    const others = await pictures("others", classes, { train: 4, val: 1 });
    expect((await refusal(session.loadData("target", "others", others, 0))).parts.code).toBe("cancelled");
    expect(setOf((await session.train(recipe)).before, "target").name).toBe("pets");
  });

  test("an OOD set that shares no class is reported at once and refused before the run", async () => {
    const session = await withTarget();
    const files = await pictures("cars", ["lorry", "bus"], 2);
    const report = await session.loadData("ood", "cars", files, 0);
    expect(report.issues.find(({ severity }) => severity === "error")?.text).toContain(
      "No class of this set is one of the target's classes",
    );
    const { parts } = await refusal(session.train(recipe));
    expect(parts).toMatchObject({ code: "bad-data", where: "cars" });
    expect(parts.remedy).toBe("Rename its folders or map its classes by hand, or remove the set.");
    await session.removeData(report.id);
    expect((await session.train(recipe)).after.sets).toHaveLength(1);
  });

  test("calls that come too early say what is missing", async () => {
    const session = createNodeSession();
    await session.open("wasm");
    expect((await refusal(session.train(recipe))).parts.remedy).toBe("Load a model first.");
    expect((await refusal(session.estimateMemory(recipe))).parts.remedy).toBe("Load a model first.");
    await session.loadModel(fixture("vit"), {});
    expect((await refusal(session.train(recipe))).parts.remedy).toBe("Load a folder of target images first.");
    expect((await refusal(session.adjust(new Uint8Array(4), 1))).parts.code).toBe("state");
    expect((await refusal(session.exportMerged())).parts.code).toBe("state");
    expect((await refusal(session.removeData("set-9"))).parts.code).toBe("state");
  });

  test("a recipe out of bounds names the setting", async () => {
    const session = await withTarget();
    const { parts } = await refusal(session.train({ ...recipe, rank: 0 }));
    expect(parts).toMatchObject({ code: "bad-recipe", where: "rank" });
  });
});

describe("data", () => {
  test("an image that cannot be read is named when it is loaded, and the rest is used", async () => {
    const session = await withModel();
    const broken = { path: "pets/train/cat/broken.png", blob: new Blob(["not a picture"]) };
    const report = await session.loadData("target", "pets", [...target, broken], 0);
    expect(report.issues.find(({ paths }) => paths.includes(broken.path))?.text).toContain("cannot be read");
    expect((await session.train({ ...recipe, epochs: 1 })).steps).toBe(3);
  });

  test("that came before its model is decoded with it, and its report then names what cannot be read", async () => {
    const session = createNodeSession();
    await session.open("wasm");
    const broken = { path: "pets/train/cat/broken.png", blob: new Blob(["not a picture"]) };
    const early = await session.loadData("target", "pets", [...target, broken], 0);
    expect(early.issues).toEqual([]);
    await session.loadModel(fixture("vit"), {});
    const late = await session.mapClasses(early.id, {});
    expect(late.issues.map(({ paths }) => paths)).toEqual([[broken.path]]);
  });

  test("a new target replaces the old one, a set of the same role and name its namesake", async () => {
    const session = await withTarget();
    await session.loadData("ood", "sketches", await pictures("sketches", ["cat"], 3), 0);
    await session.loadData("ood", "sketches", sketches, 0);
    const small = await pictures("small", classes, { train: 3, val: 1 });
    await session.loadData("target", "small", small, 0);
    const { after } = await session.train({ ...recipe, epochs: 1 });
    expect(after.sets.map(({ name, count }) => [name, count])).toEqual([
      ["sketches", 4],
      ["small", 3],
    ]);
  });

  test("classes are mapped by hand, left out by hand, and never to what is not there", async () => {
    const session = await withTarget();
    const report = await session.loadData("ood", "sketches", sketches, 0);
    expect(report.classes.map(({ name, mapsTo }) => [name, mapsTo])).toEqual([
      ["Dog", "dog"],
      ["horse", null],
      ["mouse", "mouse"],
    ]);
    expect(report.issues[0]?.text).toContain("1 of 3 classes");
    const mapped = await session.mapClasses(report.id, { horse: "cat", mouse: null });
    expect(mapped.classes.map(({ mapsTo }) => mapsTo)).toEqual(["dog", "cat", null]);
    for (const wrong of [
      { Dog: "cat", horse: "elephant" },
      { Dog: "cat", unicorn: "cat" },
    ] as Record<string, string>[])
      expect((await refusal(session.mapClasses(report.id, wrong))).parts.code).toBe("bad-data");
    const { before } = await session.train({ ...recipe, epochs: 1 });
    expect([...setOf(before, "ood").labels].sort()).toEqual([0, 0, 1, 1]);
  });

  test("a network without a classifier is adapted and exported with one", async () => {
    const session = await withTarget("vit-model");
    const result = await session.train({ ...recipe, epochs: 1 });
    const report = await session.exportMerged();
    const config = JSON.parse(await report.files.find(({ path }) => path === "config.json")!.blob.text());
    expect(config.architectures).toEqual(["ViTForImageClassification"]);
    expect(config.id2label).toEqual({ 0: "cat", 1: "dog", 2: "mouse" });
    expect(report.check.correct).toBe(setOf(result.after, "target").correct);
  });
});

test("opening a device again drops the run, which lived on it, and keeps model and data", async () => {
  const session = await withTarget();
  const first = await session.train(recipe);
  expect(await session.open("wasm")).toMatchObject({ backend: "wasm", reason: null });
  expect((await refusal(session.exportMerged())).parts.code).toBe("state");
  expect((await session.train(recipe)).final).toEqual(first.final);
});

test("images to stay the same on are told of, never measured, and part of what a saved run was made on", async () => {
  const session = await withTarget();
  const report = await session.loadData("keep", "any", known, 0);
  expect(report).toMatchObject({ role: "keep", classes: [], count: 6, ownLabels: 0, mappable: [] });
  expect(await session.mapClasses(report.id, {})).toEqual(report);
  const events = listen(session);
  const kept = { ...recipe, keep: 1, budget: "1" };
  const result = await session.train(kept);
  expect(result.after.sets.map(({ role }) => role)).toEqual(["target"]);
  const reports = events.flatMap((event) => (event.kind === "step" ? [event.report] : []));
  expect(reports.every(({ keep }) => keep !== undefined && keep >= 0)).toBe(true);
  const saved = await session.saveRun();
  expect(saved?.sets.map(({ role }) => role).sort()).toEqual(["keep", "target"]);
  await session.removeData(report.id);
  const other = await refusal(session.restoreRun(saved as NonNullable<typeof saved>));
  expect(other.parts.code).toBe("state");
  await session.loadData("keep", "any", known, 0);
  expect((await session.restoreRun(saved as NonNullable<typeof saved>)).after).toEqual(result.after);
});

test.each<[Partial<Recipe>, string]>([
  [{ budget: "5" }, "5 open gates"],
  [{ method: "taps", granularity: "layer", budget: "3" }, "3 open gates"],
])("a budget that cannot be kept is refused before anything is measured: %j", async (change, words) => {
  const session = await withTarget();
  const events = listen(session);
  const failure = await refusal(session.train({ ...recipe, ...change }));
  expect(failure.parts.code).toBe("bad-recipe");
  expect(failure.message).toContain(words);
  expect(events.filter(({ kind }) => kind === "before" || kind === "progress")).toEqual([]);
});
