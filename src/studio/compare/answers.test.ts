import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { SetAccuracy } from "../../session/protocol.ts";
import { answersAt, changedAnswers, confusion, frequentPairs } from "./answers.ts";
import { setAccuracy } from "./testing.ts";

function set(labels: number[], predictions: number[]): SetAccuracy {
  return setAccuracy({
    count: labels.length,
    correct: labels.filter((label, i) => label === predictions[i]).length,
    predictions: Int32Array.from(predictions),
    labels: Int32Array.from(labels),
    names: ["a", "b", "c", "d"],
  });
}

it("sorts changed answers into fixed, broken and other", () => {
  const labels = [0, 0, 1, 1, 2];
  const changed = changedAnswers(set(labels, [1, 0, 0, 1, 2]), set(labels, [0, 2, 2, 1, 2]));
  expect(changed.fixed).toEqual([{ index: 0, label: 0, before: 1, after: 0 }]);
  expect(changed.broken).toEqual([{ index: 1, label: 0, before: 0, after: 2 }]);
  expect(changed.other).toEqual([{ index: 2, label: 1, before: 0, after: 2 }]);
});

it("explains the whole change of the number of right answers", () => {
  const labelled = fc.array(fc.tuple(fc.nat(3), fc.nat(3), fc.nat(3)), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(labelled, (rows) => {
      const labels = rows.map(([label]) => label);
      const before = set(
        labels,
        rows.map((row) => row[1]),
      );
      const after = set(
        labels,
        rows.map((row) => row[2]),
      );
      const { fixed, broken } = changedAnswers(before, after);
      expect(fixed.length - broken.length).toBe(after.correct - before.correct);
    }),
  );
});

it("leaves out images that were not measured before", () => {
  const changed = changedAnswers(set([0], [1]), set([0, 1], [0, 1]));
  expect(changed.fixed.map((answer) => answer.index)).toEqual([0]);
});

it("finds the images behind a cell, changed or not", () => {
  const labels = [0, 0, 0, 1];
  const found = answersAt(set(labels, [1, 0, 2, 1]), set(labels, [1, 1, 0, 1]), {
    of: "label",
    from: 0,
    predicted: 1,
  });
  expect(found.map((answer) => answer.index)).toEqual([0, 1]);
});

it("counts every image once in the confusion matrix", () => {
  const matrix = confusion(set([0, 0, 2, 2, 2], [0, 2, 2, 3, 0]));
  expect(matrix.classes).toEqual([0, 2]);
  expect([...matrix.counts]).toEqual([1, 1, 1, 1]);
  expect([...matrix.elsewhere]).toEqual([0, 1]);
});

it("names the pairs that differ most often first", () => {
  const pairs = frequentPairs(set([0, 1, 1, 2, 0], [1, 0, 0, 2, 3]), 2);
  expect(pairs).toEqual([
    { from: 1, predicted: 0, count: 2 },
    { from: 0, predicted: 1, count: 1 },
  ]);
});
