import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { AccuracyPoint, StepReport } from "../../session/protocol.ts";
import { curveRows, curvesCsv, phaseSpans, smooth, thin, totalSteps, withStart } from "./series.ts";

function report(step: number, more: Partial<StepReport> = {}): StepReport {
  return {
    step,
    steps: 100,
    epoch: 1,
    loss: 1,
    penalty: 0,
    learningRate: 0.001,
    open: 24,
    imagesPerSecond: 10,
    secondsLeft: 5,
    phase: "selecting",
    ...more,
  };
}

function point(step: number, accuracy: number, name = "Sketch"): AccuracyPoint {
  return { step, epoch: 2, sets: [{ id: "t", role: "target", name, accuracy, before: 0.5 }] };
}

describe("smooth", () => {
  it("starts at the first value and holds a constant", () => {
    for (const value of smooth([3, 3, 3, 3])) expect(value).toBeCloseTo(3, 12);
  });

  it("weighs by hand-computed debiased averages", () => {
    const [first, second] = smooth([1, 0], 0.5);
    expect(first).toBe(1);
    expect(second).toBeCloseTo(0.25 / 0.75, 12);
  });

  it("passes over what is not finite", () => {
    expect(smooth([2, Number.NaN, 2], 0.5)).toEqual([2, 2, 2]);
  });

  it("never leaves the range of its values", () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: -10, max: 10, noNaN: true }), { minLength: 1 }), (values) => {
        for (const value of smooth(values)) {
          expect(value).toBeGreaterThanOrEqual(Math.min(...values) - 1e-9);
          expect(value).toBeLessThanOrEqual(Math.max(...values) + 1e-9);
        }
      }),
    );
  });
});

describe("thin", () => {
  it("keeps both ends, the highest, the lowest, and the limit", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: -10, max: 10, noNaN: true }), { minLength: 1, maxLength: 500 }),
        fc.integer({ min: 6, max: 100 }),
        (values, limit) => {
          const kept = thin(values, limit);
          expect(kept.length).toBeLessThanOrEqual(Math.max(limit, 0));
          expect(kept[0]).toBe(0);
          expect(kept.at(-1)).toBe(values.length - 1);
          const drawn = kept.map((index) => values[index]!);
          expect(Math.max(...drawn)).toBe(Math.max(...values));
          expect(Math.min(...drawn)).toBe(Math.min(...values));
          for (let i = 1; i < kept.length; i++) expect(kept[i]!).toBeGreaterThan(kept[i - 1]!);
        },
      ),
    );
  });
});

describe("phaseSpans", () => {
  it("joins reports of a phase and leaves no gap", () => {
    const steps = [
      report(2, { phase: "warm-up" }),
      report(4, { phase: "warm-up" }),
      report(6),
      report(8),
      report(10, { phase: "settling" }),
    ];
    expect(phaseSpans(steps)).toEqual([
      { phase: "warm-up", from: 0, to: 6 },
      { phase: "selecting", from: 6, to: 10 },
      { phase: "settling", from: 10, to: 10 },
    ]);
    expect(phaseSpans([])).toEqual([]);
  });
});

describe("curveRows", () => {
  it("puts accuracies at their step and keeps the limit", () => {
    const steps = Array.from({ length: 5000 }, (_, i) => report(i + 1, { loss: Math.sin(i) }));
    const points = Array.from({ length: 500 }, (_, i) => point(i * 10 + 5, i / 500));
    const rows = curveRows(steps, points, 400);
    expect(rows.length).toBeLessThanOrEqual(400);
    expect(rows.length).toBeGreaterThan(300);
    expect(rows.at(-1)!.step).toBe(5000);
    expect(rows.filter((row) => row.accuracy.t !== undefined).length).toBeGreaterThan(50);
    for (let i = 1; i < rows.length; i++) expect(rows[i]!.step).toBeGreaterThan(rows[i - 1]!.step);
  });

  it("joins what happened at the same step", () => {
    const rows = curveRows([report(5, { loss: 0.7 })], [point(5, 0.5), point(6, 0.6)], 400);
    expect(rows).toHaveLength(2);
    expect(rows[0]).toMatchObject({ step: 5, loss: 0.7, accuracy: { t: 50 } });
    expect(rows[1]).toMatchObject({ step: 6, loss: null, accuracy: { t: 60 } });
  });

  it("tells at every step what was measured last", () => {
    const rows = curveRows([report(2), report(5), report(8)], [point(5, 0.5)], 400);
    expect(rows.map((row) => row.measured)).toEqual([
      null,
      { step: 5, accuracy: { t: 50 } },
      { step: 5, accuracy: { t: 50 } },
    ]);
  });

  it("looks closer without another curve, and with an end for the lines that leave the picture", () => {
    const steps = Array.from({ length: 3000 }, (_, i) => report(i + 1, { loss: Math.sin(i / 50) }));
    const points = Array.from({ length: 30 }, (_, i) => point(100 * (i + 1), i / 30));
    const near = curveRows(steps, points, 400, [1000, 1200]);
    expect(near[0]!.step).toBeLessThan(1000);
    expect(near.at(-1)!.step).toBeGreaterThan(1200);
    expect(near.filter(({ loss, step }) => loss !== null && step >= 1000 && step <= 1200)).toHaveLength(201);
    const whole = curveRows(steps, [], 3000);
    const smoothed = (rows: typeof near) => rows.find(({ step }) => step === 1100)!.smoothed;
    expect(smoothed(near)).toBe(smoothed(whole));
    expect(curveRows(steps, points, 400, [5000, 6000]).map(({ step }) => step)).toEqual([3000]);
  });

  it("draws no loss that is not a number", () => {
    expect(curveRows([report(1, { loss: Number.NaN })], [], 400)[0]).toMatchObject({
      loss: null,
      smoothed: null,
    });
  });
});

it("starts where the same images were before, in runs of older versions too", () => {
  const [start, first] = withStart([point(5, 0.75)]);
  expect(start).toMatchObject({ step: 0, sets: [{ id: "t", accuracy: 0.5, before: 0.5 }] });
  expect(first).toEqual(point(5, 0.75));
  const whole = [point(0, 0.5), point(5, 0.75)];
  expect(withStart(whole)).toBe(whole);
  expect(withStart([])).toEqual([]);
});

it("knows the length of a run from what there is", () => {
  expect(totalSteps([], 0)).toBe(0);
  expect(totalSteps([report(4)], 4)).toBe(100);
  expect(totalSteps([], 30)).toBe(30);
});

describe("curvesCsv", () => {
  it("writes one line a step and quotes names", () => {
    const csv = curvesCsv([report(1), report(2, { loss: 0.5 })], [point(2, 0.75, 'Pen, "ink"'), point(3, 1)]);
    expect(csv.split("\r\n")).toEqual([
      "step,epoch,phase,loss,penalty,learning rate,open,images per second,target accuracy: Sketch",
      "1,1,selecting,1,0,0.001,24,10,",
      "2,1,selecting,0.5,0,0.001,24,10,0.75",
      "3,2,,,,,,,1",
      "",
    ]);
    const whole = [{ id: "t", name: "Sketch", step: 2, accuracy: 0.7 }];
    expect(
      curvesCsv([], [point(2, 0.75)], whole)
        .split("\r\n")
        .slice(0, 2),
    ).toEqual([
      "step,epoch,phase,loss,penalty,learning rate,open,images per second,target accuracy: Sketch,Sketch (all held-out images)",
      "2,2,,,,,,,0.75,0.7",
    ]);
    expect(curvesCsv([], [point(2, 0.75, 'Pen, "ink"')]).split("\r\n")[0]).toContain(
      '"target accuracy: Pen, ""ink"""',
    );
  });
});
