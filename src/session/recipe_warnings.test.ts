import { describe, expect, it } from "vitest";
import { defaultRecipe, type Recipe } from "./recipe.ts";
import { recipeWarnings, stepsToClose } from "./recipe_warnings.ts";

const size = { images: 320, layers: 12, hiddenSize: 192 };
const warned = (recipe: Partial<Recipe>, more: Partial<typeof size> = {}) =>
  recipeWarnings({ ...defaultRecipe, ...recipe }, { ...size, ...more });

describe("recipeWarnings", () => {
  it("says nothing of the defaults on a usual set", () => {
    expect(warned({})).toEqual([]);
    expect(warned({}, { images: 0 })).toEqual([]);
  });

  it("says when a run is too short for a gate to close, and what would do", () => {
    // 20 steps, of which 4 warm up and 6 settle.
    const [text] = warned({ epochs: 1 });
    expect(text).toMatch(/^20 steps: too few for a gate to close\. 10 steps select/);
    const epochs = Number(/Try (\d+) epochs/.exec(text!)?.[1]);
    expect(warned({ epochs })).toEqual([]);
    expect(warned({ epochs: epochs - 1 })).toHaveLength(1);
    // A budget closes by rank, whatever the scores.
    expect(warned({ epochs: 1, budget: "3" })).toEqual([]);
    for (const method of ["lora", "full", "linear", "lp-ft"] as const)
      expect(warned({ method, epochs: 1 })).toEqual([]);
  });

  it.each<[Partial<Recipe>, RegExp]>([
    [{ tau: 0.5 }, /^Threshold 0\.5: .* begins closed/],
    [{ lambda: 0 }, /^Closing pressure 0/],
    [{ warmup: 0.6, settle: 0.6 }, /^Warm-up and settling/],
    [{ budget: "25" }, /^Budget 25: there are 24 gates/],
    [{ budget: "0" }, /^Budget 0/],
    [{ batch: 512 }, /^Batch 512: there are 320 training images/],
    [{ rank: 128 }, /^Rank 128/],
  ])("%j is told of", (recipe, words) => {
    expect(warned({ epochs: 100, ...recipe }, recipe.rank ? { hiddenSize: 96 } : {})).toEqual([
      expect.stringMatching(words),
    ]);
  });
});

it("counts the steps that SGD with momentum takes", () => {
  const by = (lambda: number, gates: number) => {
    let [score, speed, step] = [0.15, 0, 0];
    while (score >= 0.1) {
      speed = 0.9 * speed + lambda / gates;
      score -= 0.01 * speed;
      step++;
    }
    return step;
  };
  for (const [lambda, gates] of [
    [1, 24],
    [0.1, 24],
    [5, 12],
    [0.01, 144],
  ] as const)
    expect(Math.abs(stepsToClose({ ...defaultRecipe, lambda }, gates) / by(lambda, gates) - 1)).toBeLessThan(
      0.01,
    );
});
