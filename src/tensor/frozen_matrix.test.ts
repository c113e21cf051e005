// Frozen matrices that lie as f16 pairs: which values do, that they come back to the bit, and that products
// compute to the bit what they do of f32.

import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it, test } from "vitest";
import { fitsHalves, frozenMatrix } from "./frozen_matrix.ts";
import { linear, linearInputGradient } from "./linear.ts";
import { formWeight } from "./low_rank.ts";
import { allocatedBytes } from "./memory.ts";
import { formResidual } from "./residual.ts";
import { onEveryBackend } from "./testing/backends.ts";
import { normal, take, toHalf } from "./testing/numbers.ts";
import { formName } from "./webgpu/product.ts";
import { isHalves } from "./webgpu/program.ts";
import { forceVariant, type ProductVariant, productCandidates } from "./webgpu/variants.ts";

/** What an f16's bits say. */
function halfValue(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const [exponent, mantissa] = [(half >> 10) & 31, half & 1023];
  return sign * (exponent === 0 ? mantissa * 2 ** -24 : (1024 + mantissa) * 2 ** (exponent - 25));
}

/** Every f16 of less than 64, subnormal ones and both zeros too. */
const every = Float32Array.from({ length: 2 * 0x5400 }, (_, i) =>
  halfValue(i < 0x5400 ? i : 0x8000 + (i - 0x5400)),
);
const bits = (values: ArrayLike<number>) => new Uint32Array(Float32Array.from(values).buffer);
const lies = (tensor: tf.Tensor) => isHalves(tf.backend() as WebGPUBackend, tensor);

test("every f16 below 64 fits, and nothing that would have to be rounded", () => {
  expect(fitsHalves(every)).toBe(true);
  expect(Math.max(...every)).toBe(63.96875);
  const others = [64, -64, 65504, 1 + 2 ** -11, 2 ** -25, 2 ** -24 + 2 ** -36, 2 ** -140, 1 / 3];
  for (const value of [...others, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(fitsHalves(new Float32Array([0.5, value])), `${value}`).toBe(false);
  }
  expect(fitsHalves(new Float32Array([1 + 2 ** -10, 2 ** -24, -0]))).toBe(true);
});

onEveryBackend((backend) => {
  it("gives every value back to the bit, to a reader, a product and tfjs's own ops", async () => {
    const before = allocatedBytes();
    const matrix = frozenMatrix(every, [every.length / 1024, 1024]);
    if (backend === "webgpu") {
      expect(lies(matrix)).toBe(true);
      expect(allocatedBytes() - before).toBe(2 * every.length);
    }
    expect(bits(await matrix.data())).toEqual(bits(every));
    // Not -0: 0 + -0 is 0.
    const positive = every.map((value) => value + 0);
    const rows = tf.eye(1024) as tf.Tensor2D;
    expect(await take(tf.tidy(() => tf.transpose(linear(rows, matrix, null))))).toEqual(positive);
    const zeros = [tf.zeros([1, 1024]), tf.zeros([matrix.shape[0], 1]), tf.zeros([1])] as const;
    const formed = formWeight(matrix, ...(zeros as unknown as [tf.Tensor2D, tf.Tensor2D, tf.Tensor1D]));
    expect(await take(formed)).toEqual(positive);
    const turned = tf.tidy(() => tf.transpose(tf.transpose(tf.reshape(matrix, [-1, 64]))));
    expect(bits(await take(turned))).toEqual(bits(every));
    expect(await take(tf.tidy(() => tf.sub(matrix, matrix)))).toEqual(new Float32Array(every.length));
    tf.dispose([matrix, rows, ...zeros]);
  });

  it("leaves as f32 what does not fit, and rows that are no fours", async () => {
    const values: [Float32Array, [number, number]][] = [
      [normal(32, 1), [4, 8]],
      [normal(24, 1).map(toHalf), [4, 6]],
      [Float32Array.of(64, 1, 1, 1), [1, 4]],
    ];
    for (const [numbers, shape] of values) {
      const matrix = frozenMatrix(numbers, shape);
      if (backend === "webgpu") expect(lies(matrix)).toBe(false);
      expect(await take(matrix)).toEqual(numbers);
    }
  });

  if (backend === "wasm") return;

  const forms: [string, ProductVariant | null, [number, number, number]][] = [
    ["the software adapter's own", null, [37, 68, 30]],
    [
      formName(productCandidates.small[1] as ProductVariant),
      productCandidates.small[1] ?? null,
      [65, 36, 144],
    ],
  ];
  // no size fits a tile; with out by fours and not
  it.each(forms)("in the form %s: the same bits as of f32", async (_, form, [tokens, width, out]) => {
    const { device } = tf.backend() as WebGPUBackend;
    if (form) forceVariant(device, { product: () => form });
    const values = normal(out * width, 1, 0.05).map(toHalf);
    const pair = [frozenMatrix(values, [out, width]), tf.tensor2d(values, [out, width])];
    expect(pair.map(lies)).toEqual([true, false]);
    const given = tf.tidy(() => ({
      x: tf.tensor2d(normal(tokens * width, 2), [tokens, width]),
      dy: tf.tensor2d(normal(tokens * out, 3), [tokens, out]),
      b: tf.tensor1d(normal(out, 4)),
      A: tf.tensor2d(normal(2 * 3 * width, 5), [2 * 3, width]),
      B: tf.tensor2d(normal(out * 3, 6), [out, 3]),
      scale: tf.tensor1d([0.5, 0]),
      R: tf.tensor2d(normal(out * width, 7), [out, width]),
    }));
    const { x, dy, b, A, B, scale, R } = given;
    const results = (w: tf.Tensor2D) => [
      linear(x, w, b, dy),
      linearInputGradient(dy, w, x),
      formWeight(w, A, B, scale),
      formResidual(w, R, scale),
    ];
    const [halves, whole] = pair.map(results) as [tf.Tensor[], tf.Tensor[]];
    for (const [i, one] of halves.entries()) {
      expect(bits(await take(one)), `${i}`).toEqual(bits(await take(whole[i] as tf.Tensor)));
    }
    tf.dispose([...pair, ...Object.values(given)]);
  });
});
