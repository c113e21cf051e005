// Class weights in a whole session: the probe and the training hear of them, and no start is taken from a run without.
import { expect, test } from "vitest";
import { fixture } from "../checkpoint/fixtures/load.ts";
import { createNodeSession } from "./node.ts";
import { defaultRecipe, type Recipe } from "./recipe.ts";
import { listen, pictures } from "./testing.ts";

test("balanced weights change what a run starts from and learns, and without them a run keeps its bits", async () => {
  const session = createNodeSession();
  await session.open("wasm");
  await session.loadModel(fixture("vit"), {});
  const few = await pictures("pets", ["mouse"], { train: 2, val: 2 });
  const many = await pictures("pets", ["cat", "dog"], { train: 9, val: 2 });
  await session.loadData("target", "pets", [...many, ...few], 0);
  const recipe: Recipe = { ...defaultRecipe, rank: 2, epochs: 1, batch: 8, augmentation: "none" };
  const events = listen(session);
  const lossesOf = async (change: Partial<Recipe>) => {
    events.length = 0;
    const { before } = await session.train({ ...recipe, ...change });
    const losses = events.flatMap((event) => (event.kind === "step" ? [event.report.loss] : []));
    return { losses, confidence: [...(before.sets[0]?.confidence ?? [])] };
  };
  const plain = await lossesOf({});
  const balanced = await lossesOf({ classWeights: "balanced" });
  expect(balanced.confidence).not.toEqual(plain.confidence);
  expect(balanced.losses).not.toEqual(plain.losses);
  expect(await lossesOf({ classWeights: "none" })).toEqual(plain);
  expect(await lossesOf({ classWeights: "balanced" })).toEqual(balanced);
});
