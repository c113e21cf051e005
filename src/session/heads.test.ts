// Runs with each head on tiny networks of random weights, on WASM: who answers for which set, where the classifier
// starts, and what is refused with which sentence.
import { beforeAll, describe, expect, test } from "vitest";
import { fixture } from "../checkpoint/fixtures/load.ts";
import { Failure } from "../failure.ts";
import { probedPart } from "./heads.ts";
import { createNodeSession } from "./node.ts";
import type { Evaluation, ModelReport, Session, SourceFile } from "./protocol.ts";
import { defaultRecipe, type Recipe } from "./recipe.ts";
import { answersAnew, answersOf, pictures } from "./testing.ts";

const classes = ["cat", "dog"];
const recipe: Recipe = { ...defaultRecipe, rank: 2, epochs: 1, batch: 6, learningRate: 0.02, neighbours: 3 };

let target: SourceFile[];
let sketches: SourceFile[];

beforeAll(async () => {
  target = await pictures("pets", classes, { train: 6, val: 2, test: 5 });
  sketches = await pictures("sketches", classes, 3);
});

async function sessionWith(files: SourceFile[]): Promise<{ session: Session; model: ModelReport }> {
  const session = createNodeSession();
  await session.open("wasm");
  const model = await session.loadModel(files, {});
  await session.loadData("target", "pets", target, 0);
  return { session, model };
}

const refusal = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: unknown) => (error instanceof Failure ? error.message : error),
  );
const judges = ({ sets }: Evaluation) => sets.map(({ role, judge }) => `${role} ${judge}`);
const answers = ({ sets }: Evaluation) => sets.map(({ predictions }) => [...predictions]);

describe("k-NN", () => {
  test("answers for every set, also for what a model without a classifier knew", async () => {
    const { session, model } = await sessionWith(fixture("vit-model"));
    expect(model.architecture.labels).toBeNull();
    await session.loadData("ood", "sketches", sketches, 0);
    // One votes for itself with its training images, the other image by image with all the rest.
    const split = await pictures("knew", ["red", "green", "blue"], { train: 5, test: 3 });
    const loose = await pictures("loose", ["red", "green", "blue"], 4);
    const reports = [
      await session.loadData("retention", "split", split, 0),
      await session.loadData("retention", "loose", loose, 0),
    ];
    for (const { classes: found, mappable, issues } of reports) {
      expect(found.map(({ name, mapsTo }) => mapsTo === name)).toEqual([true, true, true]);
      expect(mappable).toEqual([]);
      expect(issues.map(({ severity }) => severity)).toEqual(["note"]);
    }
    const result = await session.train({ ...recipe, head: "knn" });
    for (const evaluation of [result.before, result.after]) {
      expect(judges(evaluation)).toEqual(["target knn", "ood knn", "retention knn", "retention knn"]);
      expect(evaluation.sets.map(({ count }) => count)).toEqual([10, 6, 9, 12]);
      expect(evaluation.sets[2]?.names).toEqual(["blue", "green", "red"]);
    }
    // The colours of a class are enough for random features to be nearer to their like.
    for (const { accuracy } of result.before.sets) expect(accuracy).toBeGreaterThan(0.7);
    const none = await session.adjust(result.final.open, 0);
    expect(answers(none)).toEqual(answers(result.before));
    expect(await answersAnew(session, result)).toEqual(answersOf(result));
    await session.adjust(result.final.open, 1);
    const { check } = await session.exportMerged();
    expect(check.judge).toBe("knn");
    expect([...check.predictions]).toEqual([...(result.after.sets[0]?.predictions ?? [])]);
  });

  test("judges retention where there is nothing else, beside a linear head", async () => {
    const { session } = await sessionWith(fixture("vit-model"));
    await session.loadData("retention", "loose", await pictures("loose", ["red", "green"], 4), 0);
    const { before } = await session.train(recipe);
    expect(judges(before)).toEqual(["target linear", "retention knn"]);
  });

  test("leaves the model's own classifier to judge what it knew under any other head", async () => {
    const { session } = await sessionWith(fixture("vit"));
    await session.loadData("retention", "knew", sketches, 0);
    const linear = await session.train(recipe);
    expect(judges(linear.before)).toEqual(["target linear", "retention own"]);
    const knn = await session.train({ ...recipe, head: "knn" });
    expect(judges(knn.before)).toEqual(["target knn", "retention knn"]);
    expect(knn.before.sets[1]?.names).toEqual(["cat", "dog"]);
  });
});

describe("the model's own rows", () => {
  test("answer before training as the model's classifier does among these classes, and then learn", async () => {
    const { session, model } = await sessionWith(fixture("vit"));
    const labels = model.architecture.labels as string[];
    const report = await session.loadData("target", "pets", target, 0);
    expect(report.ownLabels).toBe(2);
    const { before, after, recipe: ran } = await session.train({ ...recipe, head: "own" });
    expect(ran.head).toBe("own");
    expect(judges(before)).toEqual(["target own"]);
    // All of the model's classes as the target's: then its rows are its whole classifier, and so is the retention.
    const everything = await pictures("all", labels, { train: 2, val: 1, test: 2 });
    await session.loadData("target", "all", everything, 0);
    await session.loadData("retention", "all", everything, 0);
    const whole = await session.train({ ...recipe, head: "own", headTrains: "no" });
    const byLabel = (set: Evaluation["sets"][number] | undefined) =>
      [...(set?.predictions ?? [])].map((answer) => set?.names[answer]);
    for (const evaluation of [whole.before, whole.after])
      expect(byLabel(evaluation.sets[0])).toEqual(byLabel(evaluation.sets[1]));
    expect(after.sets[0]?.count).toBe(10);
  });

  test("are refused where a class is no label, or the pooling is another", async () => {
    const { session } = await sessionWith(fixture("vit"));
    const more = await pictures("more", ["cat", "zeppelin"], { train: 2, val: 1, test: 1 });
    const report = await session.loadData("target", "more", more, 0);
    expect(report.ownLabels).toBe(1);
    expect(await refusal(session.train({ ...recipe, head: "own" }))).toContain(
      "1 of 2 classes are no label of the model's own classifier: zeppelin.",
    );
    expect(await refusal(session.train({ ...recipe, head: "own", pooling: "mean" }))).toContain(
      'cannot be read against "mean"',
    );
    const { session: other } = await sessionWith(fixture("vit-model"));
    expect(await refusal(other.train({ ...recipe, head: "own" }))).toContain("no classifier of its own");
  });
});

test("a probe looks at every training image of a set up to 8,000, and at 8,000 of a larger one", () => {
  const part = (train: number, head: Recipe["head"]) => {
    const items = Array.from({ length: train + 50 }, (_, i) => ({
      path: `${i}.png`,
      label: i % 2,
      split: i < train ? ("train" as const) : ("val" as const),
      read: async () => new Blob(),
    }));
    const images = {
      ...{ name: "x", classes, items, splitOrigin: "drawn" as const, issues: [], reading: null },
    };
    const about = { byHand: new Map(), unreadable: new Set<number>(), unchecked: [], pixels: null };
    const target = { id: "a", role: "target" as const, name: "x", fingerprint: null, images, ...about };
    return probedPart({ target, recipe: { ...recipe, head } });
  };
  expect(part(8_000, "linear")).toBeNull();
  expect(part(8_001, "linear")).toEqual({ images: 8_000, of: 8_001 });
  expect(part(32_000, "knn")).toEqual({ images: 8_000, of: 32_000 });
  expect(part(32_000, "own")).toBeNull();
});

test("zero-shot is refused where no text tower reads class names", async () => {
  const { session, model } = await sessionWith(fixture("vit"));
  expect(model.text).toEqual({ available: false, problem: null });
  expect(await refusal(session.train({ ...recipe, head: "zero-shot" }))).toContain("no text tower");
});
