import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { imagenetRows } from "./imagenet_ids.ts";
import { areRows, labelRows, offeredLabels, rowsGiven, wordnetId } from "./label_rows.ts";

/** A thousand labels, ImageNet's where they matter here. */
const labels = Array.from({ length: 1000 }, (_, row) => `thing ${row}`);
for (const [row, label] of [
  [0, "tench, Tinca tinca"],
  [1, "goldfish, Carassius auratus"],
  [134, "crane"],
  [207, "golden retriever"],
  [388, "giant panda, panda"],
  [517, "crane"],
  [638, "maillot"],
  [639, "maillot, tank suit"],
  [657, "missile"],
  [744, "projectile, missile"],
  [836, "sunglass"],
  [837, "sunglasses, dark glasses, shades"],
  [999, "toilet tissue, toilet paper, bathroom tissue"],
] as const)
  labels[row] = label;
const ids = imagenetRows();
const rowsOf = (names: string[], of: string[] = labels) =>
  [...labelRows(names, of, { ids }).values()].map(({ row }) => row);

test("the ids of ImageNet-1k lie in the order of its rows", () => {
  expect(ids.size).toBe(1000);
  const known = {
    n01440764: 0,
    n01443537: 1,
    n02012849: 134,
    n02099601: 207,
    n02510455: 388,
    n15075141: 999,
  };
  for (const [id, row] of Object.entries(known)) expect(ids.get(id), id).toBe(row);
  const listed = [...ids.keys()];
  expect(listed).toEqual([...listed].sort());
  for (const id of listed) expect(id).toMatch(/^n\d{8}$/);
});

describe("a class folder means", () => {
  test("the label that it is, whole or in part", () => {
    const names = [
      "tench, Tinca tinca",
      "tench,_tinca_tinca",
      "Golden-Retriever",

      "missile",
      "sunglasses",
    ];
    expect(rowsOf(names)).toEqual([0, 0, 207, 657, 837]);
  });

  test("either of two labels that begin alike, where folders are named by beginnings", () => {
    const found = labelRows(["maillot", "tench"], labels, { ids });
    expect(found.get("maillot")).toEqual({ row: null, by: "name", choices: [638, 639] });
    expect(labelRows(["maillot", "tench, Tinca tinca"], labels, { ids }).get("maillot")?.row).toBe(638);
    expect(labelRows(["maillot", "maillot, tank suit"], labels, { ids }).get("maillot")?.row).toBe(638);
  });

  test("one of two labels of one name, which is left to the person", () => {
    const found = labelRows(["crane", "tench"], labels, { ids });
    expect(found.get("crane")).toEqual({ row: null, by: "name", choices: [134, 517] });
    expect(found.get("tench")).toEqual({ row: 0, by: "name", choices: [] });
  });

  test("a WordNet id, alone or before the name, where the labels are ImageNet's or say nothing", () => {
    const names = ["n01440764", "N02012849", "n02099601_golden_retriever", "n99999999", "n014407641"];
    expect(rowsOf(names)).toEqual([0, 134, 207, null, null]);
    const counted = labels.map((_, row) => `LABEL_${row}`);
    expect(rowsOf(["n02012849"], counted)).toEqual([134]);
    expect(rowsOf(["n02012849"], labels.toReversed())).toEqual([null]);
    expect(rowsOf(["n02012849"], labels.slice(0, 999))).toEqual([null]);
    expect([...labelRows(["n01440764"], labels, null).values()][0]?.row).toBeNull();
    expect(wordnetId("nobody")).toBeNull();
  });

  test("a row's number, where folders can be nothing else", () => {
    const row = (...names: string[]) => rowsOf(names);
    expect(row("0", "207", "388")).toEqual([0, 207, 388]);
    expect(row("000", "207")).toEqual([0, 207]);
    expect(row("207")).toEqual([207]);
    // Digits, and classes counted from 1.
    expect(row("0", "1", "2", "3")).toEqual([null, null, null, null]);
    expect(row("1", "2", "3")).toEqual([null, null, null]);
    expect(row("0", "1000")).toEqual([null, null]);
    expect(row("207", "0207")).toEqual([null, null]);
    expect(row("207", "other")).toEqual([null, null]);
    expect(row("207", "tench")).toEqual([null, 0]);
    const all = labels.map((_, i) => String(i));
    expect(rowsOf(all)).toEqual(labels.map((_, i) => i));
    expect([...labelRows(["0", "207"], labels, null).values()].map((one) => one.row)).toEqual([null, null]);
  });
});

test("numbers that are labels' names are names, whatever their place", () => {
  expect(rowsOf(["7", "8"], ["8", "7"])).toEqual([1, 0]);
});

test("numbers are rows for any gap, and never beyond the labels", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.nat(30), { minLength: 1 }),
      fc.integer({ min: 1, max: 30 }),
      (rows, count) => {
        const names = rows.map(String);
        const sorted = rows.toSorted((a, b) => a - b);
        const gapless = sorted.every((row, i) => row === (sorted[0] as number) + i);
        const counts = gapless && (sorted[0] as number) <= 1 && rows.length < count;
        const within = (sorted.at(-1) as number) < count;
        expect(areRows(names, labels.slice(0, count))).toBe(within && !counts);
      },
    ),
  );
});

test("labels are offered each once, and what is offered is taken back", () => {
  expect(offeredLabels(["crane", "owl", "crane"])).toEqual(["crane (row 0)", "owl", "crane (row 2)"]);
  const label = fc.constantFrom("crane", "owl", "Owl", "tench, fish", "7");
  fc.assert(
    fc.property(fc.array(label, { minLength: 1, maxLength: 8 }), (some) => {
      const offered = offeredLabels(some);
      expect(new Set(offered).size).toBe(some.length);
      offered.forEach((text, row) => {
        expect(rowsGiven(text, some, true)).toEqual([row]);
      });
    }),
  );
  expect(rowsGiven("crane", ["crane", "owl", "crane"], true)).toEqual([0, 2]);
  expect(rowsGiven("2", ["crane", "owl", "crane"], true)).toEqual([2]);
  expect(rowsGiven("2", ["crane", "owl", "crane"], false)).toEqual([]);
  expect(rowsGiven("3", ["crane", "owl", "crane"], true)).toEqual([]);
  expect(rowsGiven("fish", ["tench, fish", "owl"], true)).toEqual([0]);
});
