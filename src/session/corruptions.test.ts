// An OOD set made of corruptions of the target: it is measured as any other, is the mean of its parts, shows what it
// measured, and follows the target and the model it is made from.
import sharp from "sharp";
import { beforeAll, expect, test } from "vitest";
import { fixture } from "../checkpoint/fixtures/load.ts";
import { decodeBmp } from "../dataset/bmp.ts";
import { Failure } from "../failure.ts";
import { defaultCorruptions } from "./corruption_choice.ts";
import { createNodeSession } from "./node.ts";
import type { CorruptionChoice, Session, SourceFile } from "./protocol.ts";
import { defaultRecipe, type Recipe } from "./recipe.ts";
import { pictures } from "./testing.ts";

const classes = ["cat", "dog"];
const recipe: Recipe = { ...defaultRecipe, rank: 2, epochs: 1, batch: 6, learningRate: 0.02 };
const choice: CorruptionChoice = { names: ["gaussian-noise", "inverted", "jpeg"], severity: 3 };
let target: SourceFile[];
beforeAll(async () => {
  target = await pictures("pets", classes, { train: 6, val: 2, test: 4 });
});

async function loaded(): Promise<Session> {
  const session = createNodeSession();
  await session.open("wasm");
  await session.loadModel(fixture("vit"), {});
  await session.loadData("target", "pets", target, 0);
  return session;
}

async function refusal(promise: Promise<unknown>): Promise<Failure["parts"]> {
  const error = await promise.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(Failure);
  return (error as Failure).parts;
}

test("its accuracy is the mean of its parts, before and after see the same pixels", async () => {
  const session = await loaded();
  const report = await session.corrupt(choice);
  expect(report).toMatchObject({ role: "ood", count: 24, corruption: choice, issues: [], mappable: [] });
  expect(report?.classes.map(({ mapsTo }) => mapsTo)).toEqual(classes);
  const { before, after, final } = await session.train(recipe);
  for (const { sets } of [before, after]) {
    const [pets, corrupted] = sets;
    expect(pets?.parts).toEqual([]);
    expect(corrupted?.count).toBe(24);
    expect(corrupted?.parts.map(({ name, count }) => [name, count])).toEqual([
      ["Gaussian noise", 8],
      ["Negative", 8],
      ["JPEG", 8],
    ]);
    const parts = corrupted?.parts ?? [];
    expect(corrupted?.accuracy).toBeCloseTo(
      parts.reduce((sum, { accuracy }) => sum + accuracy / 3, 0),
      12,
    );
    // Eight pictures were asked, each three times: as wide an interval as of eight.
    const [low, high] = corrupted?.interval ?? [0, 0];
    expect(high - low).toBeGreaterThan(0.4);
    expect(corrupted?.detection).toMatchObject({ strange: "style", count: 24 });
  }
  const none = await session.adjust(final.open, 0);
  expect(none.sets[1]?.confidence).toEqual(before.sets[1]?.confidence);
  const curve = await session.tradeOff();
  expect(curve.sets.map(({ count }) => count)).toEqual([4, 24]);
});

test("its pictures can be looked at", async () => {
  const session = await loaded();
  const report = await session.corrupt({ names: ["inverted"], severity: 1 });
  const shown = await session.image(report?.id ?? "", 5);
  expect(shown.type).toBe("image/bmp");
  const { width, height, data } = decodeBmp(new Uint8Array(await shown.arrayBuffer()), "shown");
  expect([width, height]).toEqual([16, 16]);
  const held = target.filter(({ path }) => path.includes("/test/"));
  const original = await sharp(Buffer.from(await (held[5] as SourceFile).blob.arrayBuffer()))
    .removeAlpha()
    .raw()
    .toBuffer();
  const mean = (values: Uint8Array) => values.reduce((sum, value) => sum + value, 0) / values.length;
  expect(mean(data)).toBeCloseTo(255 - mean(original), -1);
});

test("it follows a new target and a new model, and goes with its target", async () => {
  const session = await loaded();
  const report = await session.corrupt(choice);
  const small = await pictures("small", ["red", "blue"], { train: 3, val: 1 });
  await session.loadData("target", "small", small, 0);
  const later = await session.mapClasses(report?.id ?? "", {});
  expect(later).toMatchObject({ id: report?.id, count: 6, corruption: choice });
  expect(later.classes.map(({ name }) => name)).toEqual(["blue", "red"]);
  await session.loadModel(fixture("deit"), {});
  const { after } = await session.train(recipe);
  expect(after.sets.map(({ role, count }) => `${role} ${count}`).sort()).toEqual(["ood 6", "target 2"]);
  const other = await session.corrupt({ names: ["fog"], severity: 1 });
  expect(other).toMatchObject({ id: report?.id, count: 2 });
  expect(await session.corrupt(null)).toBeNull();
  expect((await session.train(recipe)).after.sets).toHaveLength(1);
  const again = await session.corrupt(defaultCorruptions);
  expect(again?.count).toBe(10);
});

test("an image that cannot be read is in none of its parts", async () => {
  const session = createNodeSession();
  await session.open("wasm");
  const broken = { path: "pets/test/cat/broken.png", blob: new Blob(["not a picture"]) };
  await session.loadData("target", "pets", [...target, broken], 0);
  await session.corrupt(choice);
  await session.loadModel(fixture("vit"), {});
  const { before } = await session.train(recipe);
  expect(before.sets.map(({ count }) => count)).toEqual([8, 24]);
  expect(before.sets[1]?.parts.map(({ count }) => count)).toEqual([8, 8, 8]);
});

test("what cannot be made is refused, and what there was is kept", async () => {
  const session = createNodeSession();
  await session.open("wasm");
  expect((await refusal(session.corrupt(choice))).remedy).toBe("Load a folder of target images first.");
  await session.loadModel(fixture("vit"), {});
  await session.loadData("target", "pets", target, 0);
  await session.corrupt(choice);
  for (const wrong of [
    { names: [], severity: 3 },
    { names: ["sleet"], severity: 3 },
    { names: ["fog"], severity: 6 },
  ])
    expect((await refusal(session.corrupt(wrong))).remedy).toContain("gaussian-noise");
  expect((await session.train(recipe)).after.sets).toHaveLength(2);
});
