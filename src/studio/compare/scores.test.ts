import { describe, expect, it } from "vitest";
import type { AccuracyPoint, Evaluation, SetAccuracy, SetRole } from "../../session/protocol.ts";
import { accuracyAxis, classRows, roleAccuracy, setRows } from "./scores.ts";
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
  sets: [{ id: "t", role: "target", name: "T", accuracy, before: 0.5, count: 40, basis: "validation" }],
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
    expect(setRows(before, null, null, [point(0.1), point(0.65)])[0]!.live).toBe(0.65);
    expect(setRows(before, before, null, [point(0.65)])[0]!.live).toBeNull();
    expect(setRows(null, null, null, [])).toEqual([]);
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
  expect(classRows(before, null)[0]).toMatchObject({ name: "a", before: 0.5, after: null, change: 0 });
});
