// Which images stand on the live curves, what they are called, and when what was saved of them is believed.
import { expect, test } from "vitest";
import type { Split } from "../dataset/types.ts";
import { basisWords } from "./basis.ts";
import { probedOf } from "./heads.ts";
import { basisOf, type Network } from "./judges.ts";
import { liveQuestions, savedSample } from "./live.ts";
import type { SetAccuracy, SetRole } from "./protocol.ts";
import { type LoadedSet, ofSplit } from "./sets.ts";

/** A set of two classes with so many images of each split. */
function set(role: SetRole, counts: Partial<Record<Split, number>>): LoadedSet {
  const items = Object.entries(counts).flatMap(([split, count]) =>
    Array.from({ length: count }, (_, i) => ({
      path: `${split}/${i}.png`,
      label: i % 2,
      split: split as Split,
      read: async () => new Blob([]),
    })),
  );
  return {
    ...{ id: role, role, name: role, byHand: new Map(), unreadable: new Set(), unchecked: [] },
    images: { name: role, classes: ["a", "b"], items, splitOrigin: "folders", issues: [], reading: null },
    ...{ pixels: null, fingerprint: null },
  };
}
const networkOf = (target: LoadedSet, head: "linear" | "knn" = "linear") =>
  ({ target, recipe: { head }, ownLabels: [], text: null }) as unknown as Network;
function basesOf(sets: LoadedSet[], head?: "linear" | "knn") {
  const network = networkOf(sets[0] as LoadedSet, head);
  return liveQuestions(network, sets).map((question) => basisOf(network, question));
}

test("a large target stands on the validation images that a probe looks at, so that nothing else is waited for", () => {
  const target = set("target", { train: 10, val: 9_000, test: 20 });
  const [question] = liveQuestions(networkOf(target), [target]);
  expect(question?.chosen).toEqual(probedOf(target, "val"));
  const [basis] = basesOf([target]);
  expect(basis).toEqual({ images: "validation", count: 8_000, of: 9_000 });
  expect(basisWords(basis as never)).toBe("8,000 of 9,000 validation images");
});

test("what a number stands on is said in words", () => {
  const few = set("target", { train: 4, val: 1, test: 5 });
  const ood = [set("ood", { test: 300 }), set("ood", { test: 40 })];
  expect(basesOf([few, ...ood]).map(basisWords)).toEqual([
    "1 validation image",
    "64 of 300 images",
    "40 images",
  ]);
  expect(basesOf([set("target", { train: 4, test: 100 })]).map(basisWords)).toEqual(["64 of 100 images"]);
});

test("where fewer vote than at the end it is no number of all images, though all are asked", () => {
  const target = set("target", { train: 300, test: 20, val: 4 });
  const ood = set("ood", { test: 40 });
  expect(basesOf([target, ood], "knn")[1]).toEqual({ images: "sample", count: 40, of: 40 });
  expect(basesOf([set("target", { train: 200, test: 20, val: 4 }), ood], "knn")[1]?.images).toBe("all");
});

test("what was saved of a sample is believed where it is of every set and of the same images", () => {
  const sets = [set("target", { train: 8, val: 6, test: 9 }), set("ood", { test: 90 })];
  const network = networkOf(sets[0] as LoadedSet);
  const questions = liveQuestions(network, sets);
  const saved = questions.map((question) => ({
    id: question.set.id,
    basis: basisOf(network, question),
  })) as SetAccuracy[];
  expect(savedSample(network, questions, [...saved].reverse())).toEqual(saved);
  expect(savedSample(network, questions, saved.slice(1))).toBeNull();
  const [first, second] = saved as [SetAccuracy, SetAccuracy];
  const other = { ...second, basis: { ...second.basis, count: 32 } };
  expect(savedSample(network, questions, [first, other])).toBeNull();
  expect(ofSplit(sets[0] as LoadedSet, "val").indices).toHaveLength(first.basis.count);
});
