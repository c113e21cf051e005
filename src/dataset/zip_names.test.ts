// Class names of many languages, written in the encodings that zips of those languages have: each comes out right, or
// the reading says that it is unsure and the truth is among its choices.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Failure } from "../failure.ts";
import { decoderOf, encodingChoices, findEncoding, readNames } from "./zip_names.ts";
import { encode, wordLists } from "./zip_names_testing.ts";

const hasHigh = (bytes: Uint8Array) => bytes.some((byte) => byte > 127);

test("all encodings are known here, and each gives back what it was given", () => {
  for (const { label } of encodingChoices) {
    const decode = decoderOf(label);
    expect(decode(new TextEncoder().encode("cat/1.png"))).toBe("cat/1.png");
    expect(findEncoding(label.toUpperCase())).toBe(label);
  }
  expect(["GBK", "sjis", "latin1", "cp1251", "IBM850", "dos 437"].map(findEncoding)).toEqual([
    "gb18030",
    "shift_jis",
    "windows-1252",
    "windows-1251",
    "cp850",
    "cp437",
  ]);
  expect(() => findEncoding("klingon")).toThrow(Failure);
});

/** How a list of names comes out: right, unsure with the truth among the choices, or wrong. */
function outcome(names: string[], label: string): "right" | "unsure" | "wrong" | null {
  const bytes = names.map((name) => encode(name, label));
  if (bytes.includes(null)) return null;
  const high = (bytes as Uint8Array[]).filter(hasHigh);
  if (high.length === 0) return null;
  const reading = readNames(high);
  const texts = (one: string) => (bytes as Uint8Array[]).map(decoderOf(one)).join("\n");
  const truth = names.join("\n");
  if (texts(reading.encoding) === truth) return "right";
  return !reading.sure && reading.others.some((one) => texts(one.encoding) === truth) ? "unsure" : "wrong";
}

test("every list of words in each language's encodings is read right", () => {
  for (const { labels, list } of wordLists)
    for (const label of [...labels, "utf-8"]) {
      const known = list.filter((word) => encode(word, label) !== null);
      expect([label, known.length / list.length > 0.8, outcome(known, label)]).toEqual([
        label,
        true,
        "right",
      ]);
    }
});

test("a few names of any language and encoding: right, or unsure with the truth among the choices", () => {
  const tally = new Map<string, number>();
  const wrong: unknown[] = [];
  const sets = fc
    .constantFrom(...wordLists)
    .chain(({ labels, list }) =>
      fc.tuple(
        fc.constantFrom(...labels, "utf-8"),
        fc.uniqueArray(fc.constantFrom(...list), { minLength: 2, maxLength: 8 }),
      ),
    );
  fc.assert(
    fc.property(sets, ([label, names]) => {
      const found = outcome(names, label);
      tally.set(`${found}`, (tally.get(`${found}`) ?? 0) + 1);
      if (found === "wrong") wrong.push([label, names]);
    }),
    { numRuns: 500 },
  );
  expect(wrong).toEqual([]);
  expect(tally.get("right")).toBeGreaterThan(400);
});

test.each([[["良品", "馬"]], [["良品", "不良品"]]])(
  "a few letters of EUC-JP that make Cyrillic ones are not surely those: %s",
  (names) => {
    expect(outcome(names, "euc-jp")).toBe("unsure");
    expect(outcome(names, "shift_jis")).toBe("right");
  },
);
