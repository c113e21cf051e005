import { expect, test } from "vitest";
import { defaultRecipe, type Recipe } from "../../session/recipe.ts";
import type { RunDetails, RunRecord } from "../../session/run_record.ts";
import {
  differences,
  groupBySeed,
  groupName,
  inPlane,
  matches,
  overlaid,
  roleBalanced,
  runsCsv,
  runsJson,
  sorted,
} from "./comparison.ts";

function run(id: string, recipe: Partial<Recipe> = {}, target = 0.5, ood = 0.25): RunRecord {
  const score = { judge: "linear" as const, count: 10, interval: [0, 1] as [number, number] };
  return {
    ...{ version: 1, id, name: `Run ${id}`, tags: ["a", "b"], colour: 0, when: 0, series: null },
    recipe: { ...defaultRecipe, ...recipe },
    device: { backend: "wasm", adapter: "WASM, 1 thread" },
    model: { name: "vit", parameters: 1, fingerprint: "f" },
    ...{ data: [], complete: true, steps: 10, seconds: 1, open: 2, gates: 24 },
    scores: [
      { role: "target", name: "t", before: 0.25, after: target, ...score },
      { role: "ood", name: "o, p", before: 0.125, after: ood, ...score },
    ],
  };
}
const step = (n: number, loss: number) => ({
  ...{ step: n, steps: 10, epoch: 0, loss, penalty: 0, learningRate: 0, open: n, imagesPerSecond: 1 },
  ...{ secondsLeft: 0, phase: "selecting" as const },
});
const details = (id: string, last: number): RunDetails => ({
  ...{ version: 1, id, gates: [], frames: [] },
  steps: Array.from({ length: last }, (_, i) => step(i + 1, 1 / (i + 1))),
  points: [
    {
      step: 5,
      epoch: 0,
      sets: [
        {
          id: "x",
          role: "target",
          name: "t",
          accuracy: 0.5,
          before: 0,
          basis: { images: "validation", count: 40, of: 40 },
        },
      ],
    },
  ],
  final: { scores: [], open: [], sensitivity: [], deltaNorm: [] },
  path: [
    {
      strength: 0.5,
      sets: [
        { role: "target", name: "t", accuracy: 0.375 },
        { role: "ood", name: "o", accuracy: 0.5 },
      ],
    },
  ],
});

test("only settings that differ are differences; seeds of one recipe are a group", () => {
  const runs = [run("1"), run("2", { seed: 1 }), run("3", { rank: 4, lambda: 2 })];
  expect(differences(runs)).toEqual(["rank", "lambda", "seed"]);
  expect(differences(runs.slice(0, 1))).toEqual([]);
  const groups = groupBySeed(runs);
  expect(groups.map((group) => group.map(({ id }) => id))).toEqual([["1", "2"], ["3"]]);
  const series = { id: "s", name: "Suite", entry: "Selective, 5%" };
  expect(groupName([{ ...run("1"), series }, run("2")])).toBe("Selective, 5%");
  expect(groupName([run("1")])).toBe("Run 1");
});

test("curves show what was measured, at the steps where it was, and end where their run ended", () => {
  const both = [
    { run: run("1"), details: details("1", 10) },
    { run: run("2"), details: details("2", 4) },
  ];
  const rows = overlaid(both, "loss");
  expect(rows.map((row) => row.step)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  expect(rows[9]?.at["1"]?.raw).toBe(0.1);
  expect([rows[3]?.at["2"]?.raw, rows[4]?.at["2"], rows[4]?.last["2"]]).toEqual([0.25, undefined, undefined]);
  // Smoothed lags behind a falling curve.
  expect(rows[9]!.at["1"]!.smooth).toBeGreaterThan(0.1);
  expect(overlaid([], "loss")).toEqual([]);
});

test("a curve of accuracies begins with the same images before, and says nothing between two measurements", () => {
  const more = details("1", 10);
  const points = [
    ...more.points,
    { step: 9, epoch: 1, sets: [{ ...more.points[0]!.sets[0]!, accuracy: 0.75 }] },
  ];
  const other = { ...details("2", 10), points: [{ ...points[1]!, step: 7 }] };
  const rows = overlaid(
    [
      { run: run("1"), details: { ...more, points } },
      { run: run("2"), details: other },
    ],
    "target",
  );
  expect(rows.map(({ step, at }) => [step, at["1"]?.raw, at["2"]?.raw])).toEqual([
    [0, 0, 0],
    [5, 50, undefined],
    [7, undefined, 75],
    [9, 75, undefined],
  ]);
  expect(rows[2]?.last["1"]).toEqual({ step: 5, raw: 50, smooth: 50 });
  expect(rows[3]?.last["2"]).toBeUndefined();
});

test("a run's place in the plane, and its path where there is one", () => {
  const points = inPlane(
    [
      { run: run("1"), details: details("1", 1) },
      { run: run("2"), details: null },
    ],
    "ood",
  );
  expect(points[0]).toMatchObject({
    ...{ x: 25, y: 50, before: { x: 12.5, y: 25 } },
    path: [{ strength: 0.5, x: 50, y: 37.5 }],
  });
  expect(points[1]?.path).toEqual([]);
  expect(inPlane([{ run: run("1"), details: null }], "retention")).toEqual([]);
});

test("the CSV has a row a run and survives commas; the JSON holds all", () => {
  const lines = runsCsv([run("1"), run("2", { prompts: 'a "{}", b' })]).split("\r\n");
  expect(lines).toHaveLength(4);
  expect(lines[0]).toContain('"ood o, p after"');
  expect(lines[2]).toContain('"a ""{}"", b"');
  expect(lines[1]).toContain("1,Run 1,a b,");
  const parsed = JSON.parse(runsJson([{ run: run("1"), details: details("1", 2) }]));
  expect(parsed.runs[0].details.steps).toHaveLength(2);
});

test("a list is in any order, and what a run has not comes last", () => {
  const runs = [
    { ...run("1", { rank: 16 }, 0.5), when: 1 },
    { ...run("2", { rank: 4 }, 0.75), when: 2, note: "b" },
    { ...run("3", { rank: 128 }, 0.5), when: 3, note: "a" },
  ];
  const order = (by: Parameters<typeof sorted>[1]["by"], down = false) =>
    sorted(runs, { by, down }).map(({ id }) => id);
  expect(order("target", true)).toEqual(["2", "3", "1"]);
  expect(order("rank")).toEqual(["2", "1", "3"]);
  expect(order("when", true)).toEqual(["3", "2", "1"]);
  expect(order("note")).toEqual(["3", "2", "1"]);
  expect(order("note", true)).toEqual(["2", "3", "1"]);
  expect(order("retention")).toEqual(["3", "2", "1"]);
});

test("a run is found by its name, its note and its settings", () => {
  const one = { ...run("1", { rank: 4 }), note: "for the paper" };
  for (const words of ["", "run 1", "PAPER", "rank=4 paper", "method=selective"])
    expect(matches(one, words)).toBe(true);
  for (const words of ["rank=8", "paper other"]) expect(matches(one, words)).toBe(false);
});

test("the balanced accuracy stands beside an accuracy that does not say it, and there alone", () => {
  const even = (after: number) => {
    const one = run("1");
    const [target, ood] = one.scores;
    const scores = [
      { ...target!, interval: [0.4, 0.6] as [number, number], balanced: { before: 0.3, after } },
      ood!,
    ];
    return roleBalanced({ ...one, scores }, "target");
  };
  expect(even(0.2)).toBe(0.2);
  expect(even(0.5)).toBeNull();
  expect(roleBalanced(run("1"), "target")).toBeNull();
});
