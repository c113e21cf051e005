import * as fc from "fast-check";
import { expect, test } from "vitest";
import {
  applies,
  defaultRecipe,
  methodWords,
  opensAt,
  type Recipe,
  recipeSchema,
  recipeWords,
  selectionWords,
} from "./recipe.ts";

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
  ["method", "adalora"],
  ["select", "best"],
  ["keep", -1],
  ["fullLearningRate", 0],
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

test("every method and every choice has its words", () => {
  expect(Object.keys(methodWords)).toEqual(recipeSchema.shape.method.unwrap().options);
  expect(Object.keys(selectionWords)).toEqual(recipeSchema.shape.select.unwrap().options);
  for (const { explanation } of Object.values(methodWords)) expect(explanation).toMatch(/\.$/);
});

test.each<[Partial<Recipe>, (keyof Recipe)[]]>([
  [{}, ["fullLearningRate"]],
  [{ budget: "3" }, ["fullLearningRate", "lambda", "tau"]],
  [{ select: "random" }, ["fullLearningRate", "lambda", "scoreLearningRate", "tau"]],
  [{ method: "l0" }, ["fullLearningRate", "select", "tau"]],
  [{ method: "taps" }, ["alpha", "learningRate", "rank"]],
  [
    { method: "lora", budget: "3" },
    ["budget", "fullLearningRate", "lambda", "scoreLearningRate", "select", "settle", "tau", "warmup"],
  ],
  [
    { method: "linear" },
    [
      "alpha",
      "budget",
      "fullLearningRate",
      "granularity",
      "headTrains",
      "keep",
      "lambda",
      "learningRate",
      "rank",
    ].concat(["scoreLearningRate", "select", "settle", "targetModules", "tau", "warmup"]) as (keyof Recipe)[],
  ],
])("%j has no use for %j", (change, idle) => {
  const recipe = { ...defaultRecipe, ...change };
  const keys = Object.keys(defaultRecipe) as (keyof Recipe)[];
  expect(keys.filter((key) => !applies(key, recipe)).sort()).toEqual(idle);
});

test("a score opens at tau only where nothing ranks it", () => {
  expect(opensAt(defaultRecipe)).toBe(0.1);
  expect(opensAt({ ...defaultRecipe, budget: "3" })).toBeNull();
  expect(opensAt({ ...defaultRecipe, select: "last" })).toBeNull();
  expect(opensAt({ ...defaultRecipe, method: "l0" })).toBe(0);
  expect(opensAt({ ...defaultRecipe, method: "full" })).toBeNull();
});
