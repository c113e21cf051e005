// `layerNorm` against float64; its gradient against finite differences of that, and tf.grads.
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import "./allclose.ts";
import "./testing/tape.ts";
import { layerNorm, layerNormInputGradient, layerNormReference } from "./layer_norm.ts";
import { onEveryBackend } from "./testing/backends.ts";
import { finiteDifferences, normal, take } from "./testing/numbers.ts";

function plain(
  x: ArrayLike<number>,
  gamma: ArrayLike<number>,
  beta: ArrayLike<number>,
  eps: number,
): Float64Array {
  const width = gamma.length;
  const y = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += width) {
    let mean = 0;
    for (let i = 0; i < width; i++) mean += x[start + i]! / width;
    let variance = 0;
    for (let i = 0; i < width; i++) variance += (x[start + i]! - mean) ** 2 / width;
    const rstd = 1 / Math.sqrt(variance + eps);
    for (let i = 0; i < width; i++) y[start + i] = (x[start + i]! - mean) * rstd * gamma[i]! + beta[i]!;
  }
  return y;
}

const sizes: [number, number, number][] = [
  [1, 16, 1e-6],
  [7, 37, 1e-5],
  [65, 128, 1e-12],
  [197, 70, 1e-6],
  [2, 768, 1e-6],
];

onEveryBackend(() => {
  it.each(sizes)("rows %i, width %i, eps %f", async (rows, width, eps) => {
    // a mean far from 0 shows a variance computed as E[x²] - E[x]²
    const x = tf.tensor2d(
      normal(rows * width, 1).map((v) => v * 0.5 + 30),
      [rows, width],
    );
    const gamma = tf.tensor1d(normal(width, 2));
    const beta = tf.tensor1d(normal(width, 3));
    const [xs, gs, bs] = [await x.data(), await gamma.data(), await beta.data()];
    expect(await take(layerNorm(x, gamma, beta, eps))).toBeAllClose(plain(xs, gs, bs, eps), { atol: 5e-5 });
    tf.dispose([x, gamma, beta]);
  });

  it.each(sizes)("its gradient, rows %i, width %i, eps %f", async (rows, width, eps) => {
    const x = tf.tensor2d(
      normal(rows * width, 1).map((v) => v * 2 + 1),
      [rows, width],
    );
    const dy = tf.tensor2d(normal(rows * width, 4), [rows, width]);
    const add = tf.tensor2d(normal(rows * width, 5), [rows, width]);
    const gamma = tf.tensor1d(normal(width, 2));
    const beta = tf.tensor1d(normal(width, 3));
    const dx = await take(layerNormInputGradient(dy, x, gamma, eps));
    const [tape] = tf.grads((x) => layerNormReference(x as tf.Tensor2D, gamma, beta, eps))([x], dy);
    expect(dx).toBeAllClose(await take(tape!), { atol: 2e-5 });
    const adds = await add.data();
    expect(await take(layerNormInputGradient(dy, x, gamma, eps, add))).toBeAllClose(
      dx.map((value, i) => value + adds[i]!),
      { atol: 2e-6 },
    );
    const at = [0, width - 1, (rows - 1) * width, rows * width - 1];
    const [gs, bs] = [await gamma.data(), await beta.data()];
    const slopes = finiteDifferences(
      (moved) => plain(moved, gs, bs, eps),
      await x.data(),
      await dy.data(),
      at,
    );
    expect(at.map((i) => dx[i]!)).toBeAllClose(slopes, { atol: 1e-5 });
    tf.dispose([x, dy, add, gamma, beta]);
  });
});
