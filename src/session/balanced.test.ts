import { expect, it } from "vitest";
import { score } from "../evaluation/score.ts";
import { balancedTells } from "./balanced.ts";

/** Answers to `counts` images of each class, of which `right` are right. */
function measured(counts: number[], right: number[]) {
  const labels = counts.flatMap((count, label) => new Array<number>(count).fill(label));
  const predictions = counts.flatMap((count, label) =>
    Array.from({ length: count }, (_, i) =>
      i < (right[label] as number) ? label : (label + 1) % counts.length,
    ),
  );
  const answers = {
    predictions: Int32Array.from(predictions),
    confidence: new Float32Array(labels.length),
    energy: null,
  };
  return score(answers, Int32Array.from(labels), counts.map(String));
}

it("tells of the balanced accuracy where a class of few images goes under, and not where chance may part the two", () => {
  const drowned = measured([300, 3], [299, 0]);
  expect(drowned).toMatchObject({ accuracy: 299 / 303, balanced: 299 / 600 });
  expect(balancedTells(drowned)).toBe(true);
  const even = measured([100, 100], [90, 70]);
  expect(even.balanced).toBeCloseTo(even.accuracy, 12);
  expect(balancedTells(even)).toBe(false);
  // Uneven, but twelve images tell little.
  const few = measured([8, 4], [6, 2]);
  expect(few.balanced).not.toBe(few.accuracy);
  expect(balancedTells(few)).toBe(false);
  expect(balancedTells(null, few, undefined)).toBe(false);
  expect(balancedTells(null, drowned)).toBe(true);
});
