// A run that is saved under way and gone on with by another session is the run that was never broken, to the last bit;
// one that had ended comes back as it was; what does not fit is refused and loses nothing.
import { beforeAll, expect, test } from "vitest";
import { fixture } from "../checkpoint/fixtures/load.ts";
import { provideSoftwareGpu } from "../tensor/testing/software_gpu.ts";
import { createNodeSession } from "./node.ts";
import type { RunResult, SavedRun, Session, SourceFile } from "./protocol.ts";
import { defaultRecipe, type Recipe, recipeSchema } from "./recipe.ts";
import { listen, once, pictures } from "./testing.ts";

const methods = recipeSchema.shape.method.unwrap().options;
const classes = ["cat", "dog"];
const recipe: Recipe = { ...defaultRecipe, rank: 2, epochs: 3, batch: 4, learningRate: 0.02, seed: 5 };
let target: SourceFile[];
let known: SourceFile[];
beforeAll(async () => {
  target = await pictures("pets", classes, { train: 6, val: 2, test: 4 });
  known = await pictures("known", classes, 3);
});

/** A session with a model and data; `other` loads another set first, so that ids differ. */
async function loaded(other = false, backend: "wasm" | "webgpu" = "wasm"): Promise<Session> {
  const session = createNodeSession();
  await session.open(backend);
  await session.loadModel(fixture("vit"), {});
  if (other) await session.loadData("target", "others", known, 0);
  await session.loadData("target", "pets", target, 0);
  await session.loadData("retention", "known", known, 0);
  return session;
}

/** Everything of a result but how long it took and which ids the sets had. */
function plain(result: RunResult) {
  const without = ({ sets, ...rest }: RunResult["after"]) => ({
    ...rest,
    sets: sets.map(({ id: _, ...set }) => set),
  });
  return { ...result, seconds: 0, before: without(result.before), after: without(result.after) };
}

/** Trains, and saves at the first boundary after a report of `step`. */
async function broken(session: Session, step: number, own: Partial<Recipe> = {}): Promise<SavedRun> {
  let saved: Promise<SavedRun | null> | null = null;
  once(
    session,
    (event) => event.kind === "step" && event.report.step >= step,
    () => {
      saved = session.saveRun();
      void session.stop();
    },
  );
  await session.train({ ...recipe, ...own });
  const run = await (saved as Promise<SavedRun | null> | null);
  if (!run) throw new Error("nothing was saved");
  return run;
}

const snapshotOf = async (session: Session) =>
  new Uint8Array(await ((await session.saveRun()) as SavedRun).snapshot.arrayBuffer());

const weightsOf = async (session: Session) => {
  const { files } = await session.exportMerged();
  const weights = files.find(({ path }) => path === "model.safetensors");
  return new Uint8Array(await (weights as { blob: Blob }).blob.arrayBuffer());
};

test("going on with a saved run in another session gives the unbroken run, bit by bit", async () => {
  const whole = await loaded();
  const expected = await whole.train(recipe);
  const saved = await broken(await loaded(), 3);
  expect(saved.step).toBeGreaterThan(0);
  expect(saved.step).toBeLessThan(expected.steps);
  expect(saved.result).toBeNull();

  const later = await loaded(true);
  const events = listen(later);
  const result = await later.train(recipe, saved);
  expect(plain(result)).toEqual(plain(expected));
  expect(result.seconds).toBeGreaterThan(saved.seconds);
  expect(Math.min(...events.flatMap((e) => (e.kind === "step" ? [e.report.step] : [])))).toBeGreaterThan(
    saved.step,
  );
  expect(await weightsOf(later)).toEqual(await weightsOf(whole));
});

test("from whatever boundary a run is gone on with, the same file is kept of it in the end", async () => {
  const session = await loaded();
  const { steps } = await session.train(recipe);
  const expected = await snapshotOf(session);
  const boundaries: number[] = [];
  for (let step = 1; step < steps; step++) {
    const saved = await broken(session, step);
    boundaries.push(saved.step);
    await session.train(recipe, saved);
    expect(await snapshotOf(session), `from step ${saved.step}`).toEqual(expected);
  }
  expect(boundaries).toEqual(Array.from({ length: steps - 1 }, (_, i) => i + 1));
});

test("on WebGPU too a run that is gone on with is the unbroken one, bit by bit", async () => {
  provideSoftwareGpu();
  const short: Partial<Recipe> = { epochs: 2, batch: 6 };
  const session = await loaded(false, "webgpu");
  const expected = await session.train({ ...recipe, ...short });
  const weights = await weightsOf(session);
  const kept = await snapshotOf(session);
  const saved = await broken(session, 1, short);
  expect(saved).toMatchObject({ result: null, steps: expected.steps });
  expect(saved.step).toBeLessThan(expected.steps);

  // On a device that knows nothing of the first.
  const device = await session.open("webgpu");
  expect(device.backend).toBe("webgpu");
  expect(plain(await session.train(saved.recipe, saved))).toEqual(plain(expected));
  expect(await weightsOf(session)).toEqual(weights);
  expect(await snapshotOf(session)).toEqual(kept);
});

test("a run is saved under its own id, and under no other", async () => {
  const session = await loaded();
  const saves: Promise<(string | undefined)[]>[] = [];
  const ids = ["a", "b", "never"];
  const end = session.subscribe((event) => {
    if (event.kind !== "step" || saves.length > 1) return;
    saves.push(Promise.all(ids.map(async (id) => (await session.saveRun(id))?.id)));
  });
  const first = await session.train(recipe, "a");
  expect(await saves[0]).toEqual(["a", undefined, undefined]);
  saves.length = 0;
  // While another is under way, the one that ended is still to be had as what it is.
  await session.train({ ...recipe, seed: 9 }, "b");
  expect(await saves[0]).toEqual(["a", "b", undefined]);
  end();
  expect(await session.saveRun("a")).toBeNull();
  const b = (await session.saveRun("b")) as SavedRun;
  expect(b.result?.recipe.seed).toBe(9);
  // Put back, and gone on with, it keeps its name.
  const again = await loaded();
  await again.restoreRun(b);
  expect((await again.saveRun())?.id).toBe("b");
  const { id } = await broken(await loaded(), 3);
  expect(id).not.toBe("");
  expect(first.recipe.seed).toBe(recipe.seed);
});

test("a run that had ended comes back: toggled, halved and exported as before", async () => {
  const first = await loaded();
  const expected = await first.train(recipe);
  const saved = (await first.saveRun()) as SavedRun;
  const second = await loaded(true);
  const result = await second.restoreRun(saved);
  expect(plain(result)).toEqual(plain(expected));
  expect(result.after.sets[0]?.id).not.toBe(expected.after.sets[0]?.id);
  const half = [await first.adjust(result.final.open, 0.5), await second.adjust(result.final.open, 0.5)];
  expect(half[1]?.sets.map(({ predictions }) => predictions)).toEqual(
    half[0]?.sets.map(({ predictions }) => predictions),
  );
  await first.adjust(result.final.open, 1);
  await second.adjust(result.final.open, 1);
  expect(await weightsOf(second)).toEqual(await weightsOf(first));
  expect(await second.saveRun()).toMatchObject({ step: expected.steps, result: { complete: true } });
});

test.each(methods.filter((method) => method !== "selective"))(
  "%s is gone on with, and comes back when it has ended, bit by bit",
  async (method) => {
    const own: Partial<Recipe> = { method, epochs: 2, budget: "25%" };
    const whole = await loaded();
    const expected = await whole.train({ ...recipe, ...own });
    const weights = await weightsOf(whole);
    const later = await loaded();
    expect(plain(await later.restoreRun((await whole.saveRun()) as SavedRun))).toEqual(plain(expected));
    expect(await weightsOf(later)).toEqual(weights);

    const saved = await broken(whole, 2, own);
    expect(saved.step).toBeLessThan(expected.steps);
    expect(plain(await later.train(saved.recipe, saved))).toEqual(plain(expected));
    expect(await weightsOf(later)).toEqual(weights);
  },
);

test("runs that start alike measure the same before once, until what they are made of changes", async () => {
  const session = await loaded();
  const events = listen(session);
  const measured = () =>
    events.filter(
      (event) =>
        event.kind === "progress" && event.label === "Measuring before" && event.done === event.total,
    ).length;
  const first = await session.train({ ...recipe, epochs: 1 });
  const second = await session.train({ ...recipe, epochs: 1, method: "lora", seed: 9 });
  expect(measured()).toBe(1);
  expect(second.before.sets).toEqual(first.before.sets);
  await session.train({ ...recipe, epochs: 1, head: "knn" });
  expect(measured()).toBe(2);
  await session.loadData("retention", "known", known.slice(0, 4), 0);
  const third = await session.train({ ...recipe, epochs: 1 });
  expect(measured()).toBe(3);
  expect(third.before.sets[1]?.count).not.toBe(first.before.sets[1]?.count);
});

test("another model, other images and half a file are refused, and what there was stays", async () => {
  const session = await loaded();
  const saved = await broken(session, 2);
  await session.train({ ...recipe, epochs: 1 });
  const refused = async (change: Partial<SavedRun>, what: RegExp) => {
    await expect(session.train(recipe, { ...saved, ...change })).rejects.toThrow(what);
  };
  await refused({ model: "ffffffffffff" }, /another model/);
  await refused({ sets: saved.sets.slice(1) }, /another choice/);
  await refused({ sets: saved.sets.map((set) => ({ ...set, fingerprint: "0" })) }, /another set of target/);
  await refused({ snapshot: saved.snapshot.slice(0, -8) }, /cannot be read|cut off|header/);
  await refused({ before: { sets: "none" } as never }, /cannot be read/);
  await refused({ recipe: { ...recipe, rank: 999 } }, /cannot be read/);
  await expect(session.restoreRun(saved)).rejects.toThrow(/had not ended/);
  await expect(session.train({ ...recipe, rank: 3 }, saved)).rejects.toThrow(/another model or another/);
  // The run before is still there.
  expect((await session.saveRun())?.result?.steps).toBe(3);
});

test("the path goes from the model before to the model after, and changes nothing of what is applied", async () => {
  const session = await loaded();
  const { before, after, final } = await session.train(recipe);
  await session.adjust(final.open, 0.5);
  const path = await session.measurePath([0, 0.5, 1], 1000);
  expect(path.map(({ strength }) => strength)).toEqual([0, 0.5, 1]);
  const accuracies = (sets: readonly { role: string; name: string; accuracy: number }[] = []) =>
    sets.map(({ role, name, accuracy }) => ({ role, name, accuracy }));
  expect(path[0]?.sets).toEqual(accuracies(before.sets));
  expect(path[2]?.sets).toEqual(accuracies(after.sets));
  const thinned = await session.measurePath([1], 2);
  expect(thinned[0]?.sets[0]?.accuracy).toSatisfy((share: number) => [0, 0.5, 1].includes(share));
});
