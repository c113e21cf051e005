// `linear` against a float64 triple loop; its gradient against the same, tf.grads and finite differences.
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import "./allclose.ts";
import "./testing/tape.ts";
import { type GeluKind, gelu, geluInputGradient } from "./gelu.ts";
import {
  linear,
  linearGelu,
  linearGeluInputGradient,
  linearInputGradient,
  linearReference,
} from "./linear.ts";
import { onEveryBackend } from "./testing/backends.ts";
import { finiteDifferences, normal, take } from "./testing/numbers.ts";

/** x Wᵀ + b + r in float64. */
function plain(
  x: ArrayLike<number>,
  w: ArrayLike<number>,
  [rows, width, out]: [number, number, number],
  bias?: ArrayLike<number>,
  residual?: ArrayLike<number>,
): Float64Array {
  const y = new Float64Array(rows * out);
  for (let t = 0; t < rows; t++) {
    for (let o = 0; o < out; o++) {
      let sum = (bias?.[o] ?? 0) + (residual?.[t * out + o] ?? 0);
      for (let i = 0; i < width; i++) sum += x[t * width + i]! * w[o * width + i]!;
      y[t * out + o] = sum;
    }
  }
  return y;
}

// rows, in, out: odd tokens, widths that are no multiple of 4, and one of real size
const sizes: [number, number, number][] = [
  [1, 4, 8],
  [7, 6, 5],
  [65, 48, 144],
  [197, 37, 70],
  [33, 3, 1],
  [66, 128, 20],
  [130, 32, 129],
];

onEveryBackend(() => {
  it.each(sizes)("x Wᵀ + b + residual, rows %i, in %i, out %i", async (rows, width, out) => {
    const x = tf.tensor2d(normal(rows * width, 1), [rows, width]);
    const w = tf.tensor2d(normal(out * width, 2), [out, width]);
    const b = tf.tensor1d(normal(out, 3));
    const r = tf.tensor2d(normal(rows * out, 4), [rows, out]);
    const [xs, ws, bs, rs] = [await x.data(), await w.data(), await b.data(), await r.data()];
    const size: [number, number, number] = [rows, width, out];
    const close = { atol: 2e-5 };
    expect(await take(linear(x, w, b, r))).toBeAllClose(plain(xs, ws, size, bs, rs), close);
    if (rows < 10) {
      expect(await take(linear(x, w, null))).toBeAllClose(plain(xs, ws, size), close);
      expect(await take(linear(x, w, b))).toBeAllClose(plain(xs, ws, size, bs), close);
      expect(await take(linear(x, w, null, r))).toBeAllClose(plain(xs, ws, size, undefined, rs), close);
    }
    tf.dispose([x, w, b, r]);
  });

  it.each(sizes)("dy W (+ add), rows %i, in %i, out %i", async (rows, width, out) => {
    const x = tf.tensor2d(normal(rows * width, 1), [rows, width]);
    const w = tf.tensor2d(normal(out * width, 2), [out, width]);
    const dy = tf.tensor2d(normal(rows * out, 3), [rows, out]);
    const add = tf.tensor2d(normal(rows * width, 4), [rows, width]);
    const wt = tf.transpose(w);
    const expected = plain(await dy.data(), await wt.data(), [rows, out, width]);
    const close = { atol: 3e-5 };
    const dx = await take(linearInputGradient(dy, w));
    expect(dx).toBeAllClose(expected, close);
    const adds = await add.data();
    const withAdd = expected.map((value, i) => value + adds[i]!);
    expect(await take(linearInputGradient(dy, w, add))).toBeAllClose(withAdd, close);

    const [tape] = tf.grads((x) => linearReference(x as tf.Tensor2D, w, null))([x], dy);
    expect(await take(tape!)).toBeAllClose(expected, close);
    const at = [0, rows * width - 1, (rows * width) >> 1];
    const ws = await w.data();
    const slopes = finiteDifferences(
      (moved) => plain(moved, ws, [rows, width, out]),
      await x.data(),
      await dy.data(),
      at,
    );
    expect(at.map((i) => dx[i]!)).toBeAllClose(slopes, { atol: 1e-4 });
    tf.dispose([x, w, dy, add, wt]);
  });

  const kinds: GeluKind[] = ["gelu", "gelu_tanh", "quick_gelu"];
  it.each(sizes.map((size, i) => [...size, kinds[i % 3]!] as const))(
    "a GELU as the last step, rows %i, in %i, out %i, %s",
    async (rows, width, out, kind) => {
      const x = tf.tensor2d(normal(rows * width, 1), [rows, width]);
      const w = tf.tensor2d(normal(out * width, 2, 0.3), [out, width]);
      const b = tf.tensor1d(normal(out, 3));
      const u = linear(x, w, b);
      const h = gelu(u, kind);
      // |gelu'| stays below 1.13, so the sums' own error passes through hardly changed.
      expect(await take(linearGelu(x, w, b, kind))).toBeAllClose(await take(h), { atol: 2e-5 });
      u.dispose();

      const entered = tf.tensor2d(normal(rows * width, 4), [rows, width]);
      const dy = tf.tensor2d(normal(rows * out, 5), [rows, out]);
      const dh = linearInputGradient(dy, w);
      const du = geluInputGradient(dh, entered, kind);
      expect(await take(linearGeluInputGradient(dy, w, entered, kind))).toBeAllClose(await take(du), {
        atol: 2e-5,
      });
      tf.dispose([x, w, b, entered, dy, dh]);
    },
  );
});
