// `unitRows` against its definition in f64, its gradient against finite differences.
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import "./allclose.ts";
import { onEveryBackend } from "./testing/backends.ts";
import { finiteDifferences, normal, take } from "./testing/numbers.ts";
import { unitRows, unitRowsInputGradient, unitRowsOf } from "./unit_rows.ts";

const width = 7;

function plain(x: ArrayLike<number>): Float64Array {
  const y = Float64Array.from(x);
  for (let r = 0; r < y.length; r += width) {
    const length = Math.hypot(...y.subarray(r, r + width));
    for (let i = r; i < r + width; i++) y[i]! /= length;
  }
  return y;
}

onEveryBackend(() => {
  it("makes rows of length 1 and knows the way back", async () => {
    const x = tf.tensor2d(normal(5 * width, 1, 3), [5, width]);
    const dy = tf.tensor2d(normal(5 * width, 2), [5, width]);
    const values = await x.data();
    expect(await take(unitRows(x))).toBeAllClose(plain(values), { atol: 1e-6 });
    expect(unitRowsOf(values as Float32Array, width)).toBeAllClose(plain(values), { atol: 1e-6 });
    const dx = await take(unitRowsInputGradient(dy, x));
    const all = Array.from(values, (_, i) => i);
    expect(dx).toBeAllClose(finiteDifferences(plain, values, await dy.data(), all), { atol: 1e-5 });
    tf.dispose([x, dy]);
  });

  it("leaves a row of zeros as it is", async () => {
    const x = tf.tensor2d([0, 0, 3, 4], [2, 2]);
    expect([...(await take(unitRows(x)))]).toEqual([0, 0, Math.fround(0.6), Math.fround(0.8)]);
    expect([...unitRowsOf(Float32Array.from([0, 0, 0, 2]), 2)]).toEqual([0, 0, 0, 1]);
    x.dispose();
  });
});
