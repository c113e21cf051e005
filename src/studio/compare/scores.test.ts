import { describe, expect, it } from "vitest";
import type { AccuracyPoint, Evaluation, SetAccuracy, SetRole } from "../../session/protocol.ts";
import { accuracyAxis, classRows, roleAccuracy, setRows, shownOf } from "./scores.ts";
import { setAccuracy } from "./testing.ts";

function set(id: string, role: SetRole, accuracy: number, more: Partial<SetAccuracy> = {}): SetAccuracy {
  return setAccuracy({
    id,
    role,
    name: id.toUpperCase(),
    accuracy,
    interval: [accuracy - 0.05, accuracy + 0.05],
    ...more,
  });
}

const evaluation = (...sets: SetAccuracy[]): Evaluation => ({ sets, open: new Uint8Array(), strength: 1 });
const point = (accuracy: number): AccuracyPoint => ({
  step: 1,
  epoch: 1,
  sets: [
    {
      id: "t",
      role: "target",
      name: "T",
      accuracy,
      before: 0.5,
      basis: { images: "validation", count: 40, of: 40 },
    },
  ],
});

describe("roleAccuracy", () => {
  it("counts every set of a role alike", () => {
    const sets = [set("a", "ood", 0.5), set("b", "ood", 0.7, { count: 9000 }), set("t", "target", 0.9)];
    expect(roleAccuracy(sets, "ood")).toBeCloseTo(0.6);
    expect(roleAccuracy(sets, "retention")).toBeNull();
    expect(roleAccuracy(undefined, "target")).toBeNull();
  });
});

describe("setRows", () => {
  it("puts target first, retention last, and joins by id", () => {
    const before = evaluation(set("r", "retention", 0.9), set("o", "ood", 0.4), set("t", "target", 0.6));
    const after = evaluation(set("r", "retention", 0.8), set("t", "target", 0.8));
    const rows = setRows(before, after, evaluation(set("t", "target", 0.7)), [point(0.1)]);
    expect(rows.map((row) => row.id)).toEqual(["t", "o", "r"]);
    expect(rows[0]).toMatchObject({
      before: { accuracy: 0.6 },
      after: { accuracy: 0.8 },
      now: { accuracy: 0.7 },
    });
    expect(rows[1]).toMatchObject({ after: null, now: null, live: null });
  });

  it("shows live accuracies only until training has ended", () => {
    const before = evaluation(set("t", "target", 0.6));
    expect(setRows(before, null, null, [point(0.1), point(0.65)])[0]!.live?.accuracy).toBe(0.65);
    expect(setRows(before, before, null, [point(0.65)])[0]!.live).toBeNull();
    expect(setRows(null, null, null, [])).toEqual([]);
  });
});

describe("shownOf", () => {
  const live = (accuracy: number) => {
    const basis = { images: "sample" as const, count: 40, of: 100 };
    const one = { id: "t", role: "target" as const, name: "T", accuracy, before: 0.5, basis };
    return [{ step: 3, epoch: 0, sets: [{ ...one, pairs: { fixed: 8, broken: 2 } }] }];
  };

  it("puts beside a live number what the same images were before", () => {
    const [row] = setRows(evaluation(set("t", "target", 0.62)), null, null, live(0.65));
    const shown = shownOf(row!);
    expect(shown.before?.accuracy).toBe(0.5);
    expect(shown.latest?.accuracy).toBe(0.65);
    expect(shown.basis).toEqual({ images: "sample", count: 40, of: 100 });
    expect(shown.compared).toEqual({
      before: 0.5,
      after: 0.65,
      count: 40,
      pairs: { fixed: 8, broken: 2 },
    });
    // The interval is of as many images as were asked.
    expect(shown.latest!.interval[1] - shown.latest!.interval[0]).toBeGreaterThan(0.25);
  });

  it("turns to all images once the run is done, and never mixes the two", () => {
    const [before, after] = [evaluation(set("t", "target", 0.62)), evaluation(set("t", "target", 0.7))];
    const shown = shownOf(setRows(before, after, null, live(0.65))[0]!);
    expect([shown.before?.accuracy, shown.latest?.accuracy]).toEqual([0.62, 0.7]);
    expect(shown.basis).toEqual({ images: "all", count: 100, of: 100 });
    const other = evaluation(set("t", "target", 0.7, { count: 60 }));
    expect(shownOf(setRows(before, other, null, [])[0]!)).toMatchObject({ before: null, compared: null });
  });

  it("knows nothing of what is still being measured", () => {
    const one = evaluation(set("t", "target", 0.62));
    expect(shownOf(setRows(one, one, null, [])[0]!, true)).toMatchObject({ latest: null, compared: null });
  });
});

it("spans an axis over every interval", () => {
  const rows = setRows(evaluation(set("t", "target", 0.47)), evaluation(set("t", "target", 0.82)), null, []);
  const [low, high] = accuracyAxis(rows);
  expect(low).toBeCloseTo(0.4);
  expect(high).toBeCloseTo(0.9);
  expect(accuracyAxis([])).toEqual([0, 1]);
  const [bottom, top] = accuracyAxis(
    setRows(evaluation(set("t", "target", 1, { interval: [1, 1] })), null, null, []),
  );
  expect(top - bottom).toBeGreaterThan(0.09);
});

it("lists classes by how much they changed, without empty ones", () => {
  const perClass = (a: number, b: number, c: number) => [
    { name: "a", count: 10, correct: a },
    { name: "b", count: 10, correct: b },
    { name: "c", count: 10, correct: c },
    { name: "none", count: 0, correct: 0 },
  ];
  const before = set("t", "target", 0.5, { perClass: perClass(5, 8, 5) });
  const after = set("t", "target", 0.5, { perClass: perClass(5, 4, 6) });
  expect(classRows(before, after).map((row) => [row.name, row.before, row.after])).toEqual([
    ["b", 0.8, 0.4],
    ["c", 0.5, 0.6],
    ["a", 0.5, 0.5],
  ]);
  const answers = (...predictions: number[]) => ({
    ...{ names: ["a", "b"], labels: Int32Array.of(0, 0, 1, 1) },
    predictions: Int32Array.from(predictions),
    perClass: [
      { name: "a", count: 2, correct: 1 },
      { name: "b", count: 2, correct: 1 },
    ],
  });
  const rows = classRows(
    set("t", "target", 0.5, answers(0, 1, 1, 0)),
    set("t", "target", 0.5, answers(1, 0, 1, 0)),
  );
  expect(rows.map(({ compared }) => compared?.pairs)).toEqual([
    { fixed: 1, broken: 1 },
    { fixed: 0, broken: 0 },
  ]);
  expect(classRows(before, null)[0]).toMatchObject({ name: "a", before: 0.5, after: null, compared: null });
});
