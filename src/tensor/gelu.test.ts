// Three GELUs against float64 (erf by its series and continued fraction), gradients against finite differences.
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import "./allclose.ts";
import { type GeluKind, gelu, geluInputGradient } from "./gelu.ts";
import { onEveryBackend } from "./testing/backends.ts";
import { finiteDifferences, normal, take } from "./testing/numbers.ts";

/** erf to about 1e-15: Taylor series near 0, Lentz's continued fraction of erfc beyond. */
function erf(x: number): number {
  const a = Math.abs(x);
  if (a < 2.5) {
    let term = x;
    let sum = x;
    for (let n = 1; n < 200 && Math.abs(term) > 1e-18; n++) {
      term *= (-x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let n = 60; n > 0; n--) fraction = n / 2 / (a + fraction);
  return Math.sign(x) * (1 - Math.exp(-a * a) / Math.sqrt(Math.PI) / (a + fraction));
}

const plain: Record<GeluKind, (u: number) => number> = {
  gelu: (u) => 0.5 * u * (1 + erf(u * Math.SQRT1_2)),
  gelu_tanh: (u) => 0.5 * u * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (u + 0.044715 * u ** 3))),
  quick_gelu: (u) => u / (1 + Math.exp(-1.702 * u)),
};

describe("the float64 erf of this test", () => {
  it("has its tabulated values", () => {
    // Abramowitz & Stegun, table 7.1
    expect(erf(0.5)).toBeCloseTo(0.5204998778, 9);
    expect(erf(1)).toBeCloseTo(0.8427007929, 9);
    expect(erf(-2)).toBeCloseTo(-0.995322265, 9);
    expect(erf(3)).toBeCloseTo(0.9999779095, 9);
  });
});

/** Every size of argument: dense around 0, far out on both sides. */
const arguments_ = Float32Array.from([
  ...Array.from({ length: 1001 }, (_, i) => (i - 500) / 80),
  ...[0, -0, 1e-30, -1e-30, 9, -9, 20, -20, 80, -80, 300, -300],
]);

onEveryBackend(() => {
  it.each(["gelu", "gelu_tanh", "quick_gelu"] as const)("%s", async (kind) => {
    const u = tf.tensor1d(arguments_);
    const expected = Array.from(arguments_, plain[kind]);
    expect(await take(gelu(u, kind))).toBeAllClose(expected, { atol: 1e-6, rtol: 1e-6 });
    u.dispose();
  });

  it.each(["gelu", "gelu_tanh", "quick_gelu"] as const)("the gradient of %s", async (kind) => {
    const u = tf.tensor1d(arguments_);
    const dh = tf.tensor1d(normal(arguments_.length, 1));
    const du = await take(geluInputGradient(dh, u, kind));
    const at = Array.from(arguments_, (_, i) => i);
    const dhs = await dh.data();
    const slopes = at.map(
      (i) => finiteDifferences((x) => [plain[kind](x[0]!)], [arguments_[i]!], [dhs[i]!], [0], 1e-5)[0]!,
    );
    expect(du).toBeAllClose(slopes, { atol: 3e-6, rtol: 2e-6 });
    tf.dispose([u, dh]);
  });

  it("keeps the shape, odd lengths included", async () => {
    for (const shape of [
      [1, 1],
      [7, 5],
      [65, 33],
    ] as [number, number][]) {
      const u = tf.tensor2d(normal(shape[0] * shape[1], 3), shape);
      const h = gelu(u, "gelu");
      expect(h.shape).toEqual(shape);
      expect(await take(h)).toBeAllClose(Array.from(await u.data(), plain.gelu), { atol: 1e-6 });
      u.dispose();
    }
  });
});
