import * as fc from "fast-check";
import { expect, test } from "vitest";
import { defaultRecipe, type Recipe, recipeSchema, recipeWords } from "./recipe.ts";

test("the defaults are those of the method", () => {
  expect(defaultRecipe).toMatchObject({ method: "selective", granularity: "block", tau: 0.1, lambda: 1 });
});

test("every setting has a label and a line on what it does, and nothing else has", () => {
  expect(Object.keys(recipeWords).sort()).toEqual(Object.keys(defaultRecipe).sort());
  for (const { label, explanation } of Object.values(recipeWords)) {
    expect(label).not.toBe("");
    expect(explanation).toMatch(/\.$/);
  }
});

test.each<[keyof Recipe, unknown]>([
  ["rank", 0],
  ["rank", 129],
  ["rank", 1.5],
  ["alpha", 0],
  ["tau", -0.1],
  ["lambda", Number.NaN],
  ["lambda", Number.POSITIVE_INFINITY],
  ["warmup", 1],
  ["settle", -1],
  ["epochs", 0],
  ["batch", 513],
  ["batch", "16"],
  ["learningRate", 0],
  ["seed", -1],
  ["seed", 2 ** 32],
  ["method", "full"],
  ["granularity", "head"],
  ["augmentation", ""],
])("%s refuses %s, by its name", (key, value) => {
  const result = recipeSchema.safeParse({ ...defaultRecipe, [key]: value });
  expect(result.error?.issues.map(({ path }) => path)).toEqual([[key]]);
});

test("whatever comes from outside is a recipe inside the bounds, or none", () => {
  const entry = fc.record(Object.fromEntries(Object.keys(defaultRecipe).map((key) => [key, fc.anything()])), {
    requiredKeys: [],
  });
  fc.assert(
    fc.property(fc.oneof(entry, fc.anything()), (given) => {
      const result = recipeSchema.safeParse(given);
      if (!result.success) return;
      expect(recipeSchema.parse(result.data)).toEqual(result.data);
      expect(Object.keys(result.data).sort()).toEqual(Object.keys(defaultRecipe).sort());
    }),
  );
});
