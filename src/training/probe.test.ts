// Holds the linear probe to PyTorch's fit of the same problem, and its solver to problems with a known minimum.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import "../tensor/allclose.ts";
import { readFixture } from "../checkpoint/testing/fixture.ts";
import { random, seedFor } from "../random.ts";
import { onEveryBackend } from "../tensor/testing/backends.ts";
import { minimise } from "./lbfgs.ts";
import { Fit, linearProbe, usualL2 } from "./probe.ts";
import type { HeadArrays } from "./types.ts";

function logits({ weight, bias, classes }: HeadArrays, features: Float32Array): number[] {
  const width = weight.length / classes;
  return Array.from({ length: features.length / width }, (_, i) =>
    Array.from({ length: classes }, (_, c) => {
      let sum = bias[c]!;
      for (let d = 0; d < width; d++) sum += weight[c * width + d]! * features[i * width + d]!;
      return sum;
    }),
  ).flat();
}

onEveryBackend(() => {
  it("finds PyTorch's classifier and its L2", async () => {
    const fixture = await readFixture(new URL("./fixtures/probe.safetensors", import.meta.url));
    const split = (prefix: string) => ({
      features: fixture.values(`${prefix}features`),
      labels: Int32Array.from(fixture.values(`${prefix}labels`)),
    });
    const fits: number[] = [];
    const probe = await linearProbe(split(""), 3, split("val_"), (done) => fits.push(done));
    expect(fits).toEqual([...fits].sort((a, b) => a - b));
    expect([fits[0], fits.at(-1)]).toEqual([0, 1000]);
    // Each of the five fits begins, and is heard of along the way.
    for (const first of [0, 200, 400, 600, 800]) expect(fits).toContain(first);
    expect(fits.length).toBeGreaterThan(20);
    expect(probe.l2).toBe(fixture.json("l2"));
    const val = fixture.values("val_features");
    expect(logits(probe.head, val)).toBeAllClose(fixture.values("logits"), { atol: 2e-3, rtol: 1e-3 });
    const unchosen = await linearProbe(split(""), 3, null);
    expect(unchosen).toMatchObject({ l2: usualL2, validation: null });
    expect(logits(unchosen.head, val)).toBeAllClose(fixture.values("fixed_logits"), {
      atol: 1e-2,
      rtol: 2e-3,
    });
    const again = await linearProbe(split(""), 3, split("val_"));
    expect(again).toEqual(probe);
  });

  it("lets go of everything when it is cancelled, and says when there is nothing to learn from", async () => {
    const train = { features: Float32Array.from([1, 2, 3, 4]), labels: Int32Array.from([0, 1]) };
    const cancel = () => {
      throw new Error("cancelled");
    };
    await expect(linearProbe(train, 2, null, cancel)).rejects.toThrow("cancelled");
    const none = { features: new Float32Array(0), labels: new Int32Array(0) };
    await expect(linearProbe(none, 2, null)).rejects.toMatchObject({ parts: { code: "bad-data" } });
  });
});

onEveryBackend(() => {
  it.each([
    ["", null],
    [", by weights of classes", Float32Array.of(1, 3, 0.5, 2)],
  ])(
    "many images go through the classifier in parts, with the same value and slope%s",
    async (_, weights) => {
      const stream = random(seedFor(3, "parts"));
      const features = Float32Array.from({ length: 50 * 6 }, () => stream.next() - 0.5);
      const labels = Int32Array.from({ length: 50 }, (_, i) => i % 4);
      const point = Float64Array.from({ length: 4 * 7 }, () => stream.next() - 0.5);
      const heard: number[] = [];
      const evaluate = async (atOnce?: number) => {
        const fit = new Fit(features, labels, 6, 4, weights, atOnce);
        try {
          return await fit.evaluate(point, 0.1, () => heard.push(0));
        } finally {
          fit.dispose();
        }
      };
      const whole = await evaluate();
      expect(heard).toHaveLength(1);
      // Parts of 8 images, the last one of 2.
      const parts = await evaluate(8 * 6 * 4);
      expect(heard).toHaveLength(1 + 7);
      expect(parts.value).toBeCloseTo(whole.value, 5);
      expect([...parts.gradient]).toBeAllClose([...whole.gradient], { atol: 1e-6, rtol: 1e-4 });
    },
  );
});

describe("the solver", () => {
  it("finds the minimum of any convex quadratic", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.tuple(fc.double({ min: 0.01, max: 100, noNaN: true }), fc.integer({ min: -50, max: 50 })),
          {
            minLength: 1,
            maxLength: 8,
          },
        ),
        async (terms) => {
          const evaluate = async (x: Float64Array) => ({
            value: terms.reduce((sum, [a, at], i) => sum + (a / 2) * (x[i]! - at) ** 2, 0),
            gradient: Float64Array.from(terms, ([a, at], i) => a * (x[i]! - at)),
          });
          const { x } = await minimise(evaluate, new Float64Array(terms.length), {
            iterations: 500,
            tolerance: 1e-6,
          });
          expect(x).toBeAllClose(
            terms.map(([, at]) => at),
            { atol: 1e-3 },
          );
        },
      ),
      { numRuns: 50 },
    ));

  it("ends where noise of f32 hides the slope", async () => {
    let calls = 0;
    const evaluate = async (x: Float64Array) => {
      calls += 1;
      return { value: Math.fround(1 + 1e-9 * x[0]! ** 2), gradient: Float64Array.from([1 + (calls % 3)]) };
    };
    const { evaluations } = await minimise(evaluate, Float64Array.from([1]), {
      iterations: 1000,
      tolerance: 0,
    });
    expect(evaluations).toBeLessThan(500);
  });
});
