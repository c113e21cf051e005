// When "before" is measured changes nothing of a run: what comes of one that began with a sample is what comes of one for
// which everything had been measured first, to the last bit.
import { beforeAll, expect, test } from "vitest";
import { createNodeSession } from "./node.ts";
import type { Basis, RunResult, SavedRun, Session, SessionEvent, SourceFile } from "./protocol.ts";
import { defaultRecipe, type Recipe } from "./recipe.ts";
import { fixture, once, pictures } from "./testing.ts";

const classes = ["cat", "dog"];
const recipe: Recipe = { ...defaultRecipe, rank: 2, epochs: 3, batch: 4, learningRate: 0.02, seed: 5 };
let target: SourceFile[];
let drawn: SourceFile[];
let known: SourceFile[];
beforeAll(async () => {
  target = await pictures("pets", classes, { train: 6, val: 3, test: 8 });
  drawn = await pictures("drawn", classes, 40);
  known = await pictures("known", classes, 5);
});

async function loaded(): Promise<Session> {
  const session = createNodeSession();
  await session.open("wasm");
  await session.loadModel(fixture("vit"), {});
  await session.loadData("target", "pets", target, 0);
  await session.loadData("ood", "drawn", drawn, 0);
  await session.loadData("retention", "known", known, 0);
  return session;
}

const untimed = (result: RunResult) => ({ ...result, seconds: 0 });
/** What is drawn of a run, but for how fast it went, each kind for itself: what is known from a run before is told sooner. */
const drawnOf = (events: readonly SessionEvent[]) => ({
  steps: events.flatMap((event) =>
    event.kind === "step" ? [{ ...event.report, imagesPerSecond: 0, secondsLeft: 0 }] : [],
  ),
  frames: events.flatMap((event) => (event.kind === "gates" ? [event.frame] : [])),
  points: events.flatMap((event) => (event.kind === "accuracy" ? [event.point] : [])),
});
/** Trains, and gives what was told meanwhile too. */
async function told(session: Session, ...as: Parameters<Session["train"]>) {
  const events: SessionEvent[] = [];
  const end = session.subscribe((event) => events.push(event));
  const result = await session.train(...as);
  end();
  return { events, result };
}
const weightsOf = async (session: Session) => {
  const { files } = await session.exportMerged();
  const weights = files.find(({ path }) => path === "model.safetensors");
  return new Uint8Array(await (weights as { blob: Blob }).blob.arrayBuffer());
};
const measuredWhole = (event: SessionEvent) =>
  event.kind === "progress" && event.label === "Measuring before" && event.done === event.total;

test.each<Partial<Recipe>>([{}, { head: "knn" }, { method: "full" }])(
  "a run before whose first step everything was measured gives the same: %j",
  async (change) => {
    const own = { ...recipe, ...change };
    const session = await loaded();
    const { events, result } = await told(session, own);
    const weights = await weightsOf(session);
    // Everything that is to be known before has been measured after the last step.
    const lastStep = events.findLastIndex(({ kind }) => kind === "step");
    expect(events.findIndex(measuredWhole)).toBeGreaterThan(lastStep);

    const again = await told(session, own);
    expect(untimed(again.result)).toEqual(untimed(result));
    expect(again.events.some(measuredWhole)).toBe(false);
    expect(drawnOf(again.events)).toEqual(drawnOf(events));
    expect(await weightsOf(session)).toEqual(weights);

    // Another engine measures everything first, by another way.
    const other = await loaded();
    const { gates } = await other.train({ ...own, epochs: 1, seed: 8 });
    const { sets } = await other.adjust(new Uint8Array(gates.length), 0);
    const answers = (all: RunResult["before"]["sets"]) =>
      all.map(({ predictions, confidence, energy }) => ({ predictions, confidence, energy }));
    expect(answers(sets)).toEqual(answers(result.before.sets));
    const third = await told(other, own);
    expect(untimed(third.result)).toEqual(untimed(result));
    expect(drawnOf(third.events)).toEqual(drawnOf(events));
    expect(await weightsOf(other)).toEqual(weights);
  },
);

test("every accuracy says of how many images it is, and of which", async () => {
  const session = await loaded();
  const { events, result } = await told(session, recipe);
  const befores = events.flatMap((event) => (event.kind === "before" ? [event.evaluation.sets] : []));
  const basis = (sets: readonly { role: string; basis?: Basis | undefined }[] = []) =>
    sets.map(({ role, basis }) => [role, basis]);
  const live = [
    ["target", { images: "validation", count: 6, of: 6 }],
    ["ood", { images: "sample", count: 64, of: 80 }],
    ["retention", { images: "all", count: 10, of: 10 }],
  ];
  expect(befores.map((sets) => basis(sets))).toEqual([live.slice(0, 1), live]);
  const points = events.flatMap((event) => (event.kind === "accuracy" ? [event.point] : []));
  expect(points.map(({ epoch, step }) => [epoch, step > 0])).toEqual([
    [0, false],
    [0, true],
    [1, true],
    [2, true],
  ]);
  for (const { sets } of points) {
    expect(basis(sets)).toEqual(live);
    // On the very same images, and what was put right less what was broken is the whole change.
    expect(sets.map(({ before }) => before)).toEqual(befores[1]?.map(({ accuracy }) => accuracy));
    for (const { accuracy, before, basis, pairs } of sets)
      expect((accuracy - before) * (basis?.count ?? 0)).toBeCloseTo(
        (pairs?.fixed ?? 0) - (pairs?.broken ?? 0),
        9,
      );
  }
  for (const { sets } of [result.before, result.after])
    expect(basis(sets)).toEqual([
      ["target", { images: "all", count: 16, of: 16 }],
      ["ood", { images: "all", count: 80, of: 80 }],
      ["retention", { images: "all", count: 10, of: 10 }],
    ]);
  const alone = await session.evaluate(result.after.sets[0]?.id ?? "", "linear", recipe);
  expect(alone.basis).toEqual({ images: "all", count: 16, of: 16 });
});

test("a target without validation images is asked on its held-out ones", async () => {
  const session = await loaded();
  await session.loadData("target", "pets", await pictures("pets", classes, { train: 6, test: 40 }), 0);
  const { events, result } = await told(session, { ...recipe, epochs: 1 });
  const points = events.flatMap((event) => (event.kind === "accuracy" ? [event.point] : []));
  expect(points.map(({ sets }) => sets[0]?.basis?.images)).toEqual(["sample", "sample"]);
  expect(result.complete).toBe(true);
});

test("a run that is saved before anything but the target was measured is completed where it is gone on with", async () => {
  const session = await loaded();
  const expected = await session.train(recipe);
  const first = await loaded();
  const saves: Promise<SavedRun | null>[] = [];
  once(
    first,
    (event) => event.kind === "gates",
    () => {
      saves.push(first.saveRun());
      void first.stop();
    },
  );
  await first.train(recipe);
  const saved = (await saves[0]) as SavedRun;
  expect(saved).toMatchObject({ before: null, sample: null, result: null });
  const later = await loaded();
  const { events, result } = await told(later, recipe, saved);
  const plain = ({ sets, ...rest }: RunResult["before"]) => ({
    ...rest,
    sets: sets.map(({ id: _, ...set }) => set),
  });
  expect(plain(result.before)).toEqual(plain(expected.before));
  expect(plain(result.after)).toEqual(plain(expected.after));
  // That of before training among them, which the first part had not come to.
  const steps = events.flatMap((event) => (event.kind === "accuracy" ? [event.point.step] : []));
  expect(steps).toEqual([0, 3, 6, 9]);
  // What was saved whole, as runs once were, is believed and not measured again.
  const unnamed = expected.before.sets.map(({ basis: _, ...set }) => set);
  const whole = { ...saved, before: { ...expected.before, sets: unnamed }, sample: undefined };
  const third = await told(later, recipe, whole as never);
  expect(plain(third.result.before)).toEqual(plain(expected.before));
  expect(plain(third.result.after)).toEqual(plain(expected.after));
  expect(third.events.some(measuredWhole)).toBe(false);
});

test("a second run waits for nothing before its first step", async () => {
  const session = await loaded();
  await session.train({ ...recipe, epochs: 1 });
  const { events } = await told(session, { ...recipe, epochs: 1, seed: 9 });
  const first = events.findIndex(({ kind }) => kind === "started");
  expect(events.slice(0, first).filter(({ kind }) => kind === "progress")).toEqual([]);
});
