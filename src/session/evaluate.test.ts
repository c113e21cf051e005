// A model as it is, measured on a folder: the same numbers that a run calls its before, without a run.
import { beforeAll, expect, test } from "vitest";
import { fixture } from "../checkpoint/fixtures/load.ts";
import { Failure } from "../failure.ts";
import { textFiles } from "../text/testing/load.ts";
import { createNodeSession } from "./node.ts";
import type { Head, Session, SourceFile } from "./protocol.ts";
import { defaultRecipe, type Recipe } from "./recipe.ts";
import { pictures } from "./testing.ts";

const classes = ["cat", "dog"];
const recipe: Recipe = { ...defaultRecipe, rank: 2, epochs: 1, batch: 6, neighbours: 3 };
let target: SourceFile[];
let known: SourceFile[];
beforeAll(async () => {
  target = await pictures("pets", classes, { train: 6, val: 2, test: 5 });
  known = await pictures("known", classes, 4);
});

async function withModel(files: SourceFile[]): Promise<Session> {
  const session = createNodeSession();
  await session.open("wasm");
  await session.loadModel(files, {});
  return session;
}

test.each<Head>(["linear", "knn"])("by %s it is what a run starts from", async (head) => {
  const session = await withModel(fixture("vit"));
  const pets = await session.loadData("target", "pets", target, 0);
  const alone = await session.evaluate(pets.id, head, recipe);
  const { before } = await session.train({ ...recipe, head });
  expect(alone).toEqual(before.sets[0]);
  expect(alone.count).toBe(10);
});

test("by the model's own classifier it is the retention a run starts from", async () => {
  const session = await withModel(fixture("vit"));
  const set = await session.loadData("retention", "known", known, 0);
  const alone = await session.evaluate(set.id, "own", recipe);
  expect(alone).toMatchObject({ judge: "own", count: 8, detection: null });
  await session.loadData("target", "pets", target, 0);
  const { before } = await session.train(recipe);
  expect({ ...before.sets[0], detection: null }).toEqual(alone);
});

test("by class names it is what a text tower says, of every image of a folder without splits", async () => {
  const session = await withModel(await textFiles("clip"));
  const set = await session.loadData("retention", "known", known, 0);
  const alone = await session.evaluate(set.id, "zero-shot", { ...recipe, prompts: "single" });
  expect(alone).toMatchObject({ judge: "zero-shot", count: 8, names: classes });
  const other = await session.evaluate(set.id, "zero-shot", {
    ...recipe,
    prompts: "a drawing of {}, upside down",
  });
  expect(other.energy).not.toEqual(alone.energy);
});

test("what it cannot be asked is refused, and a run there was is kept", async () => {
  const session = await withModel(fixture("vit-model"));
  const pets = await session.loadData("target", "pets", target, 0);
  const set = await session.loadData("retention", "known", known, 0);
  const { after, final } = await session.train(recipe);
  const refusal = async (id: string, head: Head) => {
    const error = await session.evaluate(id, head, recipe).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Failure);
    return (error as Failure).message;
  };
  expect(await refusal(set.id, "own")).toContain("no classifier of its own");
  expect(await refusal(set.id, "zero-shot")).toContain("no text tower");
  expect(await refusal(set.id, "linear")).toContain("not measured by the head");
  expect(await refusal(pets.id, "own")).toContain("not measured by the head");
  expect((await session.adjust(final.open, 1)).sets).toEqual(after.sets);
});
