import { expect, test } from "vitest";
import { PixelStore } from "../dataset/pixels.ts";
import type { ImageItem, Split } from "../dataset/types.ts";
import { Failure } from "../failure.ts";
import type { SetRole } from "./protocol.ts";
import {
  classMapping,
  handMapping,
  type LoadedSet,
  measured,
  ofSplit,
  ownRows,
  pixelSource,
  reportOn,
  thin,
  thinClasses,
} from "./sets.ts";

/** A set of which each image is written as class and split, e.g. `cat train`. */
function set(role: SetRole, images: string[], byHand: Record<string, string | null> = {}): LoadedSet {
  const rows = images.map((text) => text.split(" ") as [string, Split]);
  const classes = [...new Set(rows.map(([name]) => name))];
  const items: ImageItem[] = rows.map(([name, split], i) => ({
    path: `${name}/${i}.png`,
    label: classes.indexOf(name),
    split,
    read: async () => new Blob([String(i)]),
  }));
  return {
    id: "set-1",
    role,
    name: "x",
    images: { name: "x", classes, items, splitOrigin: "folders", issues: [], reading: null },
    byHand: new Map(Object.entries(byHand)),
    unreadable: new Set(),
    unchecked: [],
    pixels: null,
    fingerprint: null,
  };
}

test("a target's classes are its own, whatever they are called", () => {
  const target = set("target", ["b train", "a train", "b val", "a val"]);
  expect(classMapping(target, ["z"])).toEqual([0, 1]);
  expect(ofSplit(target, "val")).toEqual({ indices: [2, 3], labels: Int32Array.of(0, 1) });
});

test("other sets match by name; a hand comes before the name, and null leaves out", () => {
  const ood = set("ood", ["Big-Cat test", "dog test", "cow test"], { dog: null, cow: "dog" });
  expect(classMapping(ood, ["dog", "big cat"])).toEqual([1, null, 0]);
  expect(measured(ood, ["dog", "big cat"])).toEqual({ indices: [0, 2], labels: Int32Array.of(1, 0) });
});

test("a hand that pointed at a class that is gone leaves out", () => {
  expect(classMapping(set("ood", ["cow test"], { cow: "dog" }), ["cow"])).toEqual([null]);
});

test("the test split is measured, or validation where there is none; never what cannot be read", () => {
  const target = set("target", ["a train", "a val", "a test", "b test"]);
  expect(measured(target, ["a", "b"]).indices).toEqual([2, 3]);
  target.unreadable.add(2);
  expect(measured(target, ["a", "b"])).toEqual({ indices: [3], labels: Int32Array.of(1) });
  expect(measured(set("target", ["a train", "b val"]), ["a", "b"]).indices).toEqual([1]);
});

test("what cannot be read is not counted among the images", () => {
  const target = set("target", ["a train", "a train", "a test", "b train"]);
  target.unreadable.add(0);
  const { count, classes } = reportOn(target, []);
  expect(count).toBe(3);
  expect(classes[0]?.counts).toEqual({ train: 1, val: 0, test: 1 });
});

test("a thinned set is spread over all of it", () => {
  const all = {
    indices: [...Array(1000).keys()],
    labels: Int32Array.from({ length: 1000 }, (_, i) => i % 7),
  };
  expect(thin(all, 1000)).toEqual(all);
  const few = thin(all, 4);
  expect(few.indices).toEqual([125, 375, 625, 875]);
  expect([...few.labels]).toEqual(few.indices.map((i) => i % 7));
});

test("a set thinned by classes keeps each class's share, spread over all of it, and no class is lost", () => {
  const sizes = [6000, 3000, 990, 10];
  const labels = Int32Array.from(sizes.flatMap((size, label) => Array<number>(size).fill(label)));
  const all = { indices: [...labels.keys()].map((i) => i + 7), labels };
  expect(thinClasses(all, 10_000)).toBe(all);
  const few = thinClasses(all, 100);
  const counts = sizes.map((_, label) => few.labels.filter((one) => one === label).length);
  expect(counts).toEqual([60, 30, 10, 1]);
  expect(few.indices.slice(0, 3)).toEqual([57, 157, 257]);
  expect([...few.labels]).toEqual(few.indices.map((index) => labels[index - 7]));
  expect(new Set(few.indices).size).toBe(few.indices.length);
});

test("a pixel source counts from 0 and reads the images that were chosen", async () => {
  const target = set("target", ["a train", "b train", "a test"]);
  const spec = {
    resize: { mode: "exact" as const, height: 1, width: 1 },
    crop: null,
    interpolation: "nearest" as const,
  };
  const chosen = measured(target, ["a", "b"]);
  expect(() => pixelSource(target, chosen)).toThrow("no pixels");
  target.pixels = new PixelStore(target.images, spec, async (blob) => {
    const value = 10 * Number(await blob.text());
    return { width: 1, height: 1, data: Uint8Array.of(value, value, value) };
  });
  const source = pixelSource(target, chosen);
  expect(source.count).toBe(1);
  expect(await source.pixels([0])).toEqual(Uint8Array.of(20, 20, 20));
});

test("the report says what each class counts as, and what could it count as", () => {
  const report = reportOn(set("ood", ["cat test", "cow test", "cow test"]), ["cat", "dog"]);
  expect(report.classes).toEqual([
    { name: "cat", counts: { train: 0, val: 0, test: 1 }, mapsTo: "cat" },
    { name: "cow", counts: { train: 0, val: 0, test: 2 }, mapsTo: null },
  ]);
  expect(report.mappable).toEqual(["cat", "dog"]);
  expect(report.count).toBe(3);
  expect(report.issues).toEqual([
    {
      severity: "warning",
      text: "1 of 2 classes is not among the target's classes and left out: cow. You can rename the folders, or map classes by hand.",
      paths: [],
    },
  ]);
});

test.each<[SetRole, string[], string, string]>([
  ["ood", ["dog"], "error", "No class of this set is one of the target's classes"],
  ["retention", ["dog"], "error", "No class of this set is one of the model's own labels"],
  ["ood", [], "note", "Load the target and the classes are matched by name."],
  ["retention", [], "note", "Load a model and the classes are matched by name."],
])("a %s set against [%s] gives one %s", (role, names, severity, text) => {
  const { issues } = reportOn(set(role, ["cat test"]), names);
  expect(issues.map((issue) => issue.severity)).toEqual([severity]);
  expect(issues[0]?.text).toContain(text);
});

test("a class that fits two labels is asked, by labels that each stand once", () => {
  const names = ["crane", "owl", "crane"];
  const asked = set("retention", ["crane test", "owl test"]);
  expect(classMapping(asked, names)).toEqual([null, 1]);
  const report = reportOn(asked, names);
  expect(report.mappable).toEqual(["crane (row 0)", "owl", "crane (row 2)"]);
  expect(report.classes[0]).toMatchObject({ mapsTo: null, choices: ["crane (row 0)", "crane (row 2)"] });
  expect(report.classes[1]).not.toHaveProperty("choices");
  expect(report.issues.map(({ text }) => text)).toEqual([
    '1 class fits more than one label and is left out until you choose: crane may be "crane (row 0)" or "crane (row 2)".',
  ]);
  expect(() => handMapping(asked, names, { crane: "crane" })).toThrow(
    'Choose "crane (row 0)" or "crane (row 2)".',
  );
  for (const given of ["2", "crane (row 2)"]) {
    asked.byHand = new Map(handMapping(asked, names, { crane: given }));
    expect(classMapping(asked, names)).toEqual([2, 1]);
    const chosen = reportOn(asked, names);
    expect(chosen.classes[0]).toEqual({ ...report.classes[0], mapsTo: "crane (row 2)", choices: undefined });
    expect(chosen.issues).toEqual([]);
  }
  asked.byHand = new Map(handMapping(asked, names, { crane: null }));
  expect(classMapping(asked, names)).toEqual([null, 1]);
  expect(reportOn(asked, names).issues[0]?.text).toContain(
    "not among the model's own labels and left out: crane",
  );
});

test("numbers of rows are taken for a retention set alone, and told", () => {
  const names = ["tench", "goldfish", "shark", "ray"];
  const retention = set("retention", ["3 test", "1 test"]);
  expect(classMapping(retention, names)).toEqual([3, 1]);
  expect(reportOn(retention, names).issues).toEqual([
    {
      severity: "warning",
      text: "2 of 2 classes were taken by their numbers, counted from 0, as rows of the model's classifier: 3 is ray; 1 is goldfish.",
      paths: [],
    },
  ]);
  expect(classMapping(set("ood", ["3 test", "1 test"]), names)).toEqual([null, null]);
  const digits = reportOn(set("retention", ["0 test", "1 test"]), names);
  expect(digits.issues[0]).toMatchObject({
    severity: "error",
    text: expect.stringContaining("not taken as rows"),
  });
  expect(ownRows(set("target", ["3 train", "1 train"]), names)).toEqual([3, 1]);
});

test("a hand may only choose what there is", () => {
  const retention = set("retention", ["a test", "b test"]);
  expect(() => handMapping(retention, ["x"], { c: "x" })).toThrow(
    'This set has no class "c". Its classes are a, b.',
  );
  expect(() => handMapping(retention, ["x"], { a: "1" })).toThrow("Choose one of the classes offered.");
  expect(handMapping(retention, ["x, y"], { a: "Y", b: "0" })).toEqual([
    ["a", "x, y"],
    ["b", "x, y"],
  ]);
  expect(() => handMapping(set("ood", ["a test"]), ["x"], { a: "0" })).toThrow("offered");
});

test("a long list of classes left out is cut", () => {
  const images = Array.from({ length: 9 }, (_, i) => `odd${i} test`);
  const { issues } = reportOn(set("ood", [...images, "cat test"]), ["cat"]);
  expect(issues[0]?.text).toContain("9 of 10 classes");
  expect(issues[0]?.text).toContain("odd0, odd1, odd2, odd3, odd4, ...");
});

test("a target reports no matches, and names what cannot be read", async () => {
  const target = set("target", ["a train", "b train"]);
  const decode = async (_: Blob, path: string) => {
    throw new Failure({ code: "bad-file", what: "It is broken.", where: path, remedy: "Mend it." });
  };
  const pixels = new PixelStore(
    target.images,
    { resize: { mode: "exact", height: 1, width: 1 }, crop: null, interpolation: "nearest" },
    decode,
  );
  target.pixels = pixels;
  await pixels.prepare([0]);
  const report = reportOn(target, ["a", "b"]);
  expect(report.mappable).toEqual([]);
  expect(report.classes.map(({ mapsTo }) => mapsTo)).toEqual(["a", "b"]);
  expect(report.issues[0]).toMatchObject({ severity: "warning", paths: ["a/0.png"] });
});
