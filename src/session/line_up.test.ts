import { expect, test } from "vitest";
import { overSeeds, recipeName, spreadOf, standardLineUp, summarise } from "./line_up.ts";
import { defaultRecipe, recipeSchema } from "./recipe.ts";

test("the line-up is the probe, LoRA, full, TAPS and selective at three budgets", () => {
  const recipe = { ...defaultRecipe, rank: 5, seed: 3 };
  const entries = standardLineUp(recipe);
  for (const entry of entries) {
    expect(recipeSchema.parse(entry.recipe)).toEqual(entry.recipe);
    expect(entry.recipe).toMatchObject({ rank: 5, seed: 3 });
  }
  expect(entries.map(({ name }) => name)).toEqual([
    "Linear probe",
    "LoRA on all",
    "Full fine-tuning",
    "TAPS",
    "Selective LoRA, 5%",
    "Selective LoRA, 10%",
    "Selective LoRA, 25%",
  ]);
  expect(entries.slice(4).map((entry) => entry.recipe.budget)).toEqual(["5%", "10%", "25%"]);
  expect(recipeName({ ...recipe, budget: "3", select: "random" })).toBe("Selective LoRA, 3, Random");
});

test("seeds count up from the recipe's own and start again at the end of their range", () => {
  const seeds = (seed: number) =>
    overSeeds([{ name: "one", recipe: { ...defaultRecipe, seed } }], 3).map((entry) => entry.recipe.seed);
  expect(seeds(7)).toEqual([7, 8, 9]);
  expect(seeds(4294967294)).toEqual([4294967294, 4294967295, 0]);
});

test("spread is the sample standard deviation", () => {
  expect(spreadOf([2, 4, 4, 4, 5, 5, 7, 9])).toEqual({ mean: 5, deviation: Math.sqrt(32 / 7), count: 8 });
  expect(spreadOf([3])).toEqual({ mean: 3, deviation: null, count: 1 });
  expect(spreadOf([])).toBeNull();
});

test("runs are averaged set by set; a set that one of them lacks is left out", () => {
  const scored = { balanced: 0.5, balancedTells: false };
  const outcome = (after: number, more: string[] = []) => ({
    sets: [
      { role: "target" as const, name: "target", before: 0.4, after, ...scored, balancedTells: after > 0.6 },
      ...more.map((name) => ({ role: "ood" as const, name, before: 0, after: 0, ...scored })),
    ],
    open: 2,
    gates: 24,
    seconds: 10,
  });
  const summary = summarise([outcome(0.5, ["sketches"]), outcome(0.7)]);
  expect(summary?.sets.map(({ name }) => name)).toEqual(["target"]);
  expect(summary?.sets[0]?.after.mean).toBeCloseTo(0.6, 12);
  expect(summary?.sets[0]?.change.mean).toBeCloseTo(0.2, 12);
  expect(summary?.sets[0]).toMatchObject({ balanced: { mean: 0.5, deviation: 0 }, balancedTells: true });
  expect(summary?.sets[0]?.after.deviation).toBeCloseTo(Math.SQRT1_2 / 5, 12);
  expect(summary).toMatchObject({ runs: 2, gates: 24, open: { mean: 2, deviation: 0 } });
  expect(summarise([])).toBeNull();
});
