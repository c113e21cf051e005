// Sets that only partly fit: a class of one image, OOD classes of which some are the target's, a retention folder that
// fits no label. Each has an answer of its own, and none of them ends a session.
import { expect, test } from "vitest";
import { fixture } from "../checkpoint/fixtures/load.ts";
import { Failure } from "../failure.ts";
import { createNodeSession } from "./node.ts";
import type { Session } from "./protocol.ts";
import { defaultRecipe, type Recipe } from "./recipe.ts";
import { pictures } from "./testing.ts";

const recipe: Recipe = { ...defaultRecipe, rank: 2, epochs: 1, batch: 6, learningRate: 0.02, neighbours: 3 };

async function withModel(name = "vit"): Promise<Session> {
  const session = createNodeSession();
  await session.open("wasm");
  await session.loadModel(fixture(name), {});
  return session;
}

async function refusal(promise: Promise<unknown>): Promise<Failure["parts"]> {
  const error = await promise.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(Failure);
  return (error as Failure).parts;
}

const lonely = async () => [
  ...(await pictures("pets", ["cat", "dog"], 6)),
  ...(await pictures("pets", ["mouse"], 1)),
];

test.each(["linear", "knn"] as const)(
  "a class of one image is learned, and not measured: %s",
  async (head) => {
    const session = await withModel();
    const report = await session.loadData("target", "pets", await lonely(), 0);
    const mouse = report.classes.find(({ name }) => name === "mouse");
    expect(mouse?.counts).toEqual({ train: 1, val: 0, test: 0 });
    expect(report.issues.map(({ text }) => text).join(" ")).toContain("mouse");
    const { before, after } = await session.train({ ...recipe, head });
    for (const { sets } of [before, after]) {
      const [pets] = sets;
      expect(pets?.names).toEqual(["cat", "dog", "mouse"]);
      // Balanced accuracy is the mean of the classes that were asked for.
      expect(pets?.perClass.map(({ name }) => name)).toEqual(["cat", "dog"]);
      expect(pets?.balanced).toBeGreaterThanOrEqual(0);
      expect(Number.isFinite(pets?.calibration.ece)).toBe(true);
    }
    expect((await session.tradeOff()).complete).toBe(true);
    await session.corrupt({ names: ["inverted"], severity: 1 });
    expect((await session.train({ ...recipe, head })).after.sets).toHaveLength(2);
  },
);

test("where every class has but one image, scores are of training images, and that is said", async () => {
  const session = await withModel();
  const report = await session.loadData("target", "pets", await pictures("pets", ["cat", "dog"], 1), 0);
  expect(report.issues.map(({ text }) => text)).toContain(
    "No class has an image to spare, so none is held out: scores are of the very images that are trained on.",
  );
  const { after } = await session.train(recipe);
  expect(after.sets[0]?.count).toBe(2);
  expect((await session.tradeOff()).sets[0]?.count).toBe(2);
});

test("OOD classes that only partly match are left out, and said so; the rest is measured", async () => {
  const session = await withModel();
  await session.loadData("target", "pets", await pictures("pets", ["cat", "dog"], 6), 0);
  const report = await session.loadData("ood", "zoo", await pictures("zoo", ["Cat", "lion", "tiger"], 2), 0);
  expect(report.classes.map(({ name, mapsTo }) => [name, mapsTo])).toEqual([
    ["Cat", "cat"],
    ["lion", null],
    ["tiger", null],
  ]);
  expect(report.issues.find(({ severity }) => severity === "warning")?.text).toContain("2 of 3 classes");
  const { before } = await session.train(recipe);
  expect(before.sets[1]).toMatchObject({ count: 2, perClass: [{ name: "cat", count: 2 }] });
  expect(before.sets[1]?.balanced).toBe(before.sets[1]?.accuracy);
});

test("a retention folder that fits no label is said so at once, refused by a run, and no trouble without", async () => {
  const session = await withModel();
  await session.loadData("target", "pets", await pictures("pets", ["cat", "dog"], 6), 0);
  const first = await session.train(recipe);
  const report = await session.loadData(
    "retention",
    "things",
    await pictures("things", ["bolt", "nut"], 2),
    0,
  );
  expect(report.issues.find(({ severity }) => severity === "error")?.text).toContain(
    "No class of this set is one of the model's own labels",
  );
  const parts = await refusal(session.train(recipe));
  expect(parts).toMatchObject({ code: "bad-data", where: "things" });
  expect(parts.what).toContain("the model's own labels");
  expect(parts.remedy).toContain("map its classes by hand, or remove the set");
  // By hand it fits.
  await session.mapClasses(report.id, { bolt: "cat", nut: null });
  expect((await session.train(recipe)).before.sets[1]).toMatchObject({ judge: "own", count: 2 });
  await session.removeData(report.id);
  expect((await session.train(recipe)).after.sets[0]?.predictions).toEqual(first.after.sets[0]?.predictions);
});

test("strange images of classes that the target has not count alone in OOD detection", async () => {
  const session = await withModel();
  await session.loadData(
    "target",
    "pets",
    await pictures("pets", ["cat", "dog"], { train: 4, val: 1, test: 3 }),
    0,
  );
  // Labels of the model's own: two that the target has, two that it has not.
  const labels = (await session.loadModel(fixture("vit"), {})).architecture.labels as string[];
  const others = labels.filter((label) => !["cat", "dog"].includes(label)).slice(0, 2);
  expect(others).toHaveLength(2);
  await session.loadData("retention", "knew", await pictures("knew", ["cat", ...others], 3), 0);
  const { before } = await session.train(recipe);
  const retention = before.sets.find(({ role }) => role === "retention");
  expect(retention?.count).toBe(9);
  expect(retention?.detection).toMatchObject({ strange: "classes", count: 6 });
});
