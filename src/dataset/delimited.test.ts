import fc from "fast-check";
import { expect, test } from "vitest";
import { readDelimited, readJsonLines } from "./delimited.ts";

test.each([
  [
    "commas",
    "id,label\n0,cat\n1,dog\n",
    [
      ["id", "label"],
      ["0", "cat"],
      ["1", "dog"],
    ],
  ],
  [
    "semicolons and CRLF",
    "a;b\r\n1,5;x\r\n",
    [
      ["a", "b"],
      ["1,5", "x"],
    ],
  ],
  [
    "tabs, a byte order mark, no last newline",
    "\ufeffa\tb\n1\t2",
    [
      ["a", "b"],
      ["1", "2"],
    ],
  ],
  ["quotes", '"a, b","say ""no""\nnow"\n', [["a, b", 'say "no"\nnow']]],
  [
    "empty cells and lines",
    "a,b,c\n\n1,,\n",
    [
      ["a", "b", "c"],
      ["1", "", ""],
    ],
  ],
  ["a quote that never ends", '"a,b', [["a,b"]]],
])("%s", (_, text, rows) => {
  expect(readDelimited(text)).toEqual(rows);
});

test("what is written as RFC 4180 says is read back", () => {
  const cell = fc.string({ unit: fc.constantFrom(...'ab,;\t"\n\ré猫') }).map((text) => text.trim());
  const rows = fc.array(fc.array(cell, { minLength: 2, maxLength: 4 }), { maxLength: 5 });
  const written = (all: string[][]) =>
    all.map((row) => row.map((one) => `"${one.replaceAll('"', '""')}"`).join(",")).join("\r\n");
  fc.assert(
    fc.property(rows, (all) => {
      // The first line decides on the separator; a plain one leaves no doubt.
      const head = ["file", "label", "more"];
      const kept = all.filter((row) => row.some((one) => one !== ""));
      expect(readDelimited(written([head, ...all]))).toEqual([head, ...kept]);
    }),
  );
});

test("any text is rows of cells, and ends", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.oneof(fc.constantFrom(...'",;\t\r\n'), fc.string()), maxLength: 40 }),
      (text) => {
        for (const row of readDelimited(text)) expect(row.some((one) => one !== "")).toBe(true);
      },
    ),
  );
});

test("JSON Lines become rows under all names that occur; anything else is none", () => {
  expect(readJsonLines('{"file_name":"1.jpg","label":3}\n\n{"file_name":"2.jpg","x":{"y":1}}\n')).toEqual([
    ["file_name", "label", "x"],
    ["1.jpg", "3", ""],
    ["2.jpg", "", ""],
  ]);
  expect(readJsonLines("[1]")).toBeNull();
  expect(readJsonLines("{")).toBeNull();
});
