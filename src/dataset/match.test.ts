import fc from "fast-check";
import { expect, test } from "vitest";
import { matchClasses, normaliseName } from "./match.ts";

const match = (names: string[], labels: string[]) => [...matchClasses(names, labels).values()];

test("case, space, - and _ do not count, nor do Unicode's ways to write one letter", () => {
  expect(match(["T-Shirt", "long sleeve", "ＣＡＦＥ\u0301"], ["tshirt", "Long_Sleeve", "café"])).toEqual([
    0, 1, 2,
  ]);
});

test("any part of a label between commas matches", () => {
  const labels = ["tench, Tinca tinca", "goldfish, Carassius auratus"];
  expect(match(["tench", "carassius_auratus", "tench, Tinca tinca", "trout"], labels)).toEqual([
    0,
    1,
    0,
    null,
  ]);
  expect(match(["tench, Tinca tinca"], ["Tench"])).toEqual([0]);
});

test("the same text wins over a looser match", () => {
  expect(match(["cardigan", "Cardigan"], ["Cardigan, Cardigan Welsh corgi", "cardigan"])).toEqual([1, 0]);
  expect(match(["maillot"], ["maillot", "maillot, tank suit"])).toEqual([0]);
  expect(match(["mouse"], ["computer mouse, mouse", "mouse, rodent"])).toEqual([1]);
});

test("what fits two labels fits none", () => {
  expect(match(["crane"], ["crane", "crane"])).toEqual([null]);
});

test("names that are nothing but separators stay apart", () => {
  expect(match(["-", "_"], ["_", "-"])).toEqual([1, 0]);
  expect(match(["__proto__"], ["constructor"])).toEqual([null]);
});

test("every name finds itself among distinct labels, and normalising twice changes nothing", () => {
  const name = fc.string({ minLength: 1, unit: "grapheme" });
  fc.assert(
    fc.property(fc.uniqueArray(name, { minLength: 1, maxLength: 8 }), (labels) => {
      expect(match(labels, labels)).toEqual(labels.map((_, i) => i));
      for (const label of labels) expect(normaliseName(normaliseName(label))).toBe(normaliseName(label));
    }),
  );
});
