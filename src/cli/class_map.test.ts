import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { Failure } from "../failure.ts";
import type { DataReport, Session } from "../session/protocol.ts";
import { classMapFrom, mapClasses, mappingAdvice, readClassMap } from "./class_map.ts";

const plain = (tables: Map<string, Map<string, string | null>>) =>
  [...tables].flatMap(([set, table]) => [...table].map(([folder, label]) => [set, folder, label]));

describe("a table of classes", () => {
  test("as CSV, with or without a heading", () => {
    const text =
      'set,folder,label\r\nold,crane,"crane (row 134)"\nold,"a ""b"", c",7\n\nold,cow,\nnew,crane,bird\n';
    expect(plain(readClassMap(`\uFEFF${text}`, "map.csv"))).toEqual([
      ["old", "crane", "crane (row 134)"],
      ["old", 'a "b", c', "7"],
      ["old", "cow", null],
      ["new", "crane", "bird"],
    ]);
    expect(plain(readClassMap("old,set,folder", "map.csv"))).toEqual([["old", "set", "folder"]]);
    expect(plain(readClassMap("", "map.csv"))).toEqual([]);
  });

  test("as JSON, labels by name or number", () => {
    const text = '{"old": {"crane": 134, "cow": null, "__proto__": "x"}, "new": {"a": "b"}}';
    expect(plain(readClassMap(text, "map.json"))).toEqual([
      ["old", "crane", "134"],
      ["old", "cow", null],
      ["old", "__proto__", "x"],
      ["new", "a", "b"],
    ]);
  });

  test.each([
    ["old,crane", /map, line 1: There are 2 fields where three belong/],
    ["old,a,b\nold,c,d,e", /line 2: There are 4 fields/],
    ['old,a,b\nold,"c,d', /line 2: A quote stands where none can, or is not closed/],
    ["old,a,b\n,c,d", /line 2: Set or folder is missing/],
    ["old,a,b\nold,a,c", /line 2: The class "a" of "old" is given two labels/],
    ['{"old": {"a": true}}', /The label of "a" of "old" is no text/],
    ['{"old": ["a"]}', /"old" is no object/],
    ['{"old": {"a": "b"}', /This is no JSON/],
    ["[]", /Its top is no object/],
  ])("%j is refused by its place", (text, words) => {
    expect(() => readClassMap(text, "map")).toThrow(words);
    expect(() => readClassMap(text, "map")).toThrow(Failure);
  });

  test("is read back from what it was written as, in both formats", () => {
    const word = fc.string({ minLength: 1, maxLength: 8 }).filter((text) => text.trim() === text);
    const entry = fc.tuple(word, word, fc.option(word));
    const unique = fc.uniqueArray(entry, { selector: ([set, folder]) => JSON.stringify([set, folder]) });
    const quote = (text: string) => `"${text.replaceAll('"', '""')}"`;
    fc.assert(
      fc.property(unique, fc.constantFrom("\n", "\r\n"), (entries, end) => {
        const csv = entries.map((fields) => fields.map((one) => quote(one ?? "")).join(",") + end).join("");
        const sorted = (rows: unknown[]) => rows.map((row) => JSON.stringify(row)).sort();
        expect(sorted(plain(readClassMap(`set,folder,label${end}${csv}`, "x")))).toEqual(sorted(entries));
        const tables: Record<string, Record<string, string | null>> = Object.create(null);
        for (const [set, folder, label] of entries) {
          tables[set] ??= Object.create(null) as Record<string, string | null>;
          (tables[set] as Record<string, string | null>)[folder] = label;
        }
        expect(sorted(plain(readClassMap(JSON.stringify(tables), "x")))).toEqual(sorted(entries));
      }),
      { numRuns: 200 },
    );
  });

  test("whatever the text, there are tables or a Failure", () => {
    const bits = fc.constantFrom('"', ",", "\n", "\r", "{", "}", ":", "a", "set", "null", "[", "7");
    fc.assert(
      fc.property(fc.array(bits, { maxLength: 20 }), (parts) => {
        try {
          readClassMap(parts.join(""), "x");
        } catch (error) {
          expect(error).toBeInstanceOf(Failure);
        }
      }),
      { numRuns: 500 },
    );
  });
});

const report = (name: string, classes: string[], choices?: string[]): DataReport => ({
  id: `id of ${name}`,
  role: "retention",
  name,
  classes: classes.map((one) => ({
    name: one,
    counts: { train: 0, val: 0, test: 1 },
    mapsTo: one === "tench" ? "tench" : null,
    ...(one === "crane" && choices && { choices }),
  })),
  mappable: ["tench", "crane (row 1)", "crane (row 2)"],
  ownLabels: 0,
  splitOrigin: "none",
  issues: [],
  count: 3,
  fingerprint: null,
  corruption: null,
  reading: null,
});

test("options stand above the file, folders may hold any sign, and sets that are not named stay as they are", async () => {
  const folder = mkdtempSync(join(tmpdir(), "selora-map-"));
  const path = join(folder, "map.csv");
  writeFileSync(path, "old: one,crane,1\nold: one,cow,tench\n");
  const options = {
    map: ["old: one:a=b=c:d=crane (row 2)", "old: one:crane=2", "old: one:owl="],
    "map-file": path,
  };
  const map = await classMapFrom(options, ["old: one", "new", "old"]);
  const asked = vi.fn(async () => report("x", []));
  const session = { mapClasses: asked } as unknown as Session;
  await mapClasses(session, report("old: one", ["crane", "cow", "owl", "a", "a=b=c:d"]), map);
  expect(asked).toHaveBeenCalledWith("id of old: one", {
    crane: "2",
    cow: "tench",
    "a=b=c:d": "crane (row 2)",
    owl: null,
  });
  const other = report("new", ["crane"]);
  expect(await mapClasses(session, other, map)).toBe(other);
  expect(asked).toHaveBeenCalledTimes(1);
});

test.each<[Record<string, unknown>, RegExp]>([
  [{ map: ["crane=2"] }, /--map takes SET:FOLDER=LABEL, got "crane=2"/],
  [{ map: ["other:crane=2"] }, /is of no set whose classes can be mapped. The sets are old\./],
  [{ "map-file": "/nowhere/map.csv" }, /The file cannot be read/],
])("%j is refused before anything is loaded", async (values, words) => {
  await expect(classMapFrom(values as never, ["old"])).rejects.toThrow(words);
});

test("one class with two labels is refused", async () => {
  const map = await classMapFrom({ map: ["old:crane=1", "old:crane=2"] }, ["old"]);
  await expect(mapClasses({} as Session, report("old", ["crane"]), map)).rejects.toThrow("two labels");
});

test("advice names the option, with what there is to choose of", () => {
  expect(mappingAdvice(report("old", ["tench"]))).toBeNull();
  expect(mappingAdvice(report("old", ["tench", "cow"]))).toBe(
    'A class can be mapped with --map "old:cow=LABEL".',
  );
  expect(mappingAdvice(report("old", ["tench", "cow", "crane"], ["crane (row 1)", "crane (row 2)"]))).toBe(
    'Choose with --map "old:crane=crane (row 1)", for one.',
  );
});

test("a name of thousands of letters is not said in full", () => {
  const long = "a".repeat(5000);
  for (const text of [
    JSON.stringify({ [long]: 1 }),
    JSON.stringify({ pets: { [long]: [] } }),
    `pets,${long},x\npets,${long},y`,
  ])
    expect(() => readClassMap(text, "map")).toThrow(/^.{1,400}$/s);
});
