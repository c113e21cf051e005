// The scores against scikit-learn, SciPy and NumPy (interop/make_fixtures_scores.py), and what must hold of any answers.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import "../tensor/allclose.ts";
import { calibrationBins, calibrationOf } from "./calibration.ts";
import { changeOf, mcNemar } from "./change.ts";
import { auroc } from "./detection.ts";
import { kneeOf } from "./knee.ts";
import { readLogits } from "./predict.ts";
import { accuracyLogit, robustnessOf } from "./robustness.ts";
import { score } from "./score.ts";

interface Described {
  logits: number[];
  predictions: number[];
  confidence: number[];
  energy: number[];
  balanced: number;
  ece: number;
  bins: number[];
}

const fixture: {
  classes: number;
  labels: number[];
  before: Described;
  after: Described;
  strange: number[];
  auroc: { confidence: number; energy: number };
  change: Record<"stayedRight" | "fixed" | "broken" | "stayedWrong" | "p", number>;
  mcnemar: [number, number, number][];
  robustness: {
    references: [number, number][];
    judged: [number, number];
    counts: [number, number];
    slope: number;
    intercept: number;
    effective: number;
  };
} = JSON.parse(readFileSync(new URL("./fixtures/scores.json", import.meta.url), "utf8"));

const labels = Int32Array.from(fixture.labels);
const names = ["a", "b", "c", "d"];

function answersTo(logits: number[]) {
  const count = logits.length / fixture.classes;
  const answers = {
    predictions: new Int32Array(count),
    confidence: new Float32Array(count),
    energy: new Float32Array(count),
  };
  // In two parts, as batches come.
  const first = 7 * fixture.classes;
  readLogits(Float32Array.from(logits.slice(0, first)), 0, 7, answers);
  readLogits(Float32Array.from(logits.slice(first)), 7, count - 7, answers);
  return answers;
}

const shares = fc.array(fc.float({ min: 0, max: 1, noNaN: true }), { maxLength: 40 });

describe("certainty", () => {
  it.each(["before", "after"] as const)("of answers %s is NumPy's", (when) => {
    const expected = fixture[when];
    const answers = answersTo(expected.logits);
    expect([...answers.predictions]).toEqual(expected.predictions);
    expect(answers.confidence).toBeAllClose(Float32Array.from(expected.confidence), { atol: 1e-6 });
    expect(answers.energy).toBeAllClose(Float32Array.from(expected.energy), { atol: 1e-5 });
    const scores = score(answers, labels, names);
    expect(scores.balanced).toBeCloseTo(expected.balanced, 12);
    expect(scores.balanced).not.toBeCloseTo(scores.accuracy, 3);
    expect(scores.calibration.ece).toBeCloseTo(expected.ece, 6);
    expect(scores.calibration.bins.map(({ count }) => count)).toEqual(expected.bins);
  });

  it("survives logits that would overflow exp", () => {
    const answers = answersTo(Array.from({ length: 32 }, (_, i) => (i % 4 === 1 ? 900 : -900)));
    expect([...answers.predictions]).toEqual(Array(8).fill(1));
    expect([...answers.confidence]).toEqual(Array(8).fill(1));
    expect([...answers.energy]).toEqual(Array(8).fill(900));
  });
});

describe("calibration", () => {
  it("puts every answer into the one bin that holds its confidence", () => {
    fc.assert(
      fc.property(shares, (confidence) => {
        const { bins, ece } = calibrationOf(
          confidence,
          confidence.map((_, i) => i % 2),
        );
        expect(bins.reduce((sum, { count }) => sum + count, 0)).toBe(confidence.length);
        expect(ece).toBeGreaterThanOrEqual(0);
        expect(ece).toBeLessThanOrEqual(1);
        bins.forEach((bin, i) => {
          if (bin.count === 0) return;
          expect(bin.confidence).toBeGreaterThanOrEqual(i / calibrationBins - 1e-6);
          expect(bin.confidence).toBeLessThanOrEqual((i + 1) / calibrationBins + 1e-6);
        });
      }),
    );
    expect(calibrationOf([1, 1], [1, 1]).ece).toBe(0);
    expect(calibrationOf([1, 1], [0, 0]).ece).toBe(1);
  });
});

describe("AUROC", () => {
  it("is scikit-learn's, ties and all", () => {
    const known = answersTo(fixture.after.logits);
    const strange = answersTo(fixture.strange);
    expect(auroc(known.confidence, strange.confidence)).toBeCloseTo(fixture.auroc.confidence, 6);
    expect(auroc(known.energy, strange.energy)).toBeCloseTo(fixture.auroc.energy, 6);
  });

  it("is the share of pairs in the right order, turned round it is the rest", () => {
    const some = fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(some, some, (inside, outside) => {
        const area = auroc(Float32Array.from(inside), Float32Array.from(outside))!;
        let pairs = 0;
        for (const a of inside) for (const b of outside) pairs += a > b ? 1 : a === b ? 0.5 : 0;
        expect(area).toBeCloseTo(pairs / (inside.length * outside.length), 12);
        expect(auroc(Float32Array.from(outside), Float32Array.from(inside))).toBeCloseTo(1 - area, 12);
      }),
    );
    expect(auroc(new Float32Array(), new Float32Array(1))).toBeNull();
  });
});

describe("change against the base", () => {
  it("is counted, and McNemar's p is SciPy's", () => {
    const before = Int32Array.from(fixture.before.predictions);
    const after = Int32Array.from(fixture.after.predictions);
    const { p, ...counts } = changeOf(before, after, labels);
    const { p: expected, ...expectedCounts } = fixture.change;
    expect(counts).toEqual(expectedCounts);
    expect(p).toBeCloseTo(expected, 10);
    for (const [fixed, broken, probability] of fixture.mcnemar) {
      expect(Math.abs(mcNemar(fixed, broken) / probability - 1)).toBeLessThan(1e-9);
      expect(mcNemar(broken, fixed)).toBe(mcNemar(fixed, broken));
    }
    expect(mcNemar(0, 0)).toBe(1);
    expect(mcNemar(0, 100_000)).toBe(0);
  });
});

describe("effective robustness", () => {
  const { references, judged, counts, slope, intercept, effective } = fixture.robustness;
  const point = ([id, ood]: [number, number]) => ({ id, ood });
  const images = { id: counts[0], ood: counts[1] };
  const before = point(references[0]!);

  it("is what lies above the line through the logits, as NumPy's fit has it", () => {
    const found = robustnessOf(before, point(judged), references.map(point), images);
    expect(found.line?.slope).toBeCloseTo(slope, 9);
    expect(found.line?.intercept).toBeCloseTo(intercept, 9);
    expect(found.effective).toBeCloseTo(effective, 9);
    expect(found.relative).toBeCloseTo(judged[1] - references[0]![1], 12);
  });

  it("is none without three models, or where they do not differ on the target", () => {
    expect(robustnessOf(before, point(judged), references.slice(0, 2).map(point), images)).toMatchObject({
      effective: null,
      line: null,
    });
    const alike = [0.4, 0.5, 0.6].map((ood) => ({ id: 0.7, ood }));
    expect(robustnessOf(before, point(judged), alike, images).effective).toBeNull();
  });

  it("is 0 for a model on the line, and takes nothing and everything right", () => {
    const on = robustnessOf(
      before,
      before,
      [before, { id: 0.9, ood: 0.8 }, { id: 1, ood: 0.9 }, { id: 0, ood: 0 }],
      images,
    );
    expect(Number.isFinite(on.effective)).toBe(true);
    expect(accuracyLogit(1, 100)).toBeCloseTo(Math.log(199), 9);
    expect(accuracyLogit(0, 100)).toBeCloseTo(-Math.log(199), 9);
    const exact = robustnessOf(
      before,
      { id: 0.5, ood: 0.5 },
      [0.4, 0.5, 0.6].map((p) => ({ id: p, ood: p })),
      images,
    );
    expect(exact.effective).toBeCloseTo(0, 12);
  });
});

describe("the knee", () => {
  const curve = (...accuracies: number[]) => accuracies.map((accuracy, open) => ({ open, accuracy }));

  it("is the fewest blocks within one standard error of the best", () => {
    // The best is 0.8; its standard error on 100 images 0.04.
    expect(kneeOf(curve(0.5, 0.7, 0.76, 0.78, 0.8), 100)).toBe(2);
    expect(kneeOf(curve(0.5, 0.7, 0.7599, 0.78, 0.8), 100)).toBe(3);
    expect(kneeOf([...curve(0.5, 0.7, 0.76, 0.78, 0.8)].reverse(), 100)).toBe(2);
    expect(kneeOf(curve(0.7), 100)).toBe(0);
    expect(kneeOf([], 100)).toBeNull();
  });

  it("never opens more than the best point does, and needs no more blocks with fewer images", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 30 }), (hits) => {
        const points = curve(...hits.map((right) => right / 50));
        const best = points.findIndex(({ accuracy }) => accuracy === Math.max(...hits) / 50);
        const knee = kneeOf(points, 50)!;
        expect(points[knee]!.open).toBeLessThanOrEqual(points[best]!.open);
        expect(points[kneeOf(points, 5)!]!.open).toBeLessThanOrEqual(points[knee]!.open);
      }),
    );
  });
});
