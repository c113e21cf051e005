// Attention by one learned query against the plain form in f64, where every token is mapped to v, and its gradient
// against finite differences.
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import "./allclose.ts";
import { attentionPool, attentionPoolGradient } from "./attention_pool.ts";
import { onEveryBackend } from "./testing/backends.ts";
import { finiteDifferences, normal, take } from "./testing/numbers.ts";

/** softmax(q·kᵀ)·v in f64; `keys` holds q through the key map. */
function plain(
  x: ArrayLike<number>,
  keys: ArrayLike<number>,
  value: ArrayLike<number>,
  bias: ArrayLike<number>,
  [batch, tokens, width, heads]: readonly [number, number, number, number],
): Float64Array {
  const out = new Float64Array(batch * width);
  const size = width / heads;
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const scores = Array.from({ length: tokens }, (_, t) => {
        let sum = 0;
        for (let i = 0; i < width; i++) sum += x[(b * tokens + t) * width + i]! * keys[h * width + i]!;
        return sum;
      });
      const top = Math.max(...scores);
      const total = scores.reduce((all, s) => all + Math.exp(s - top), 0);
      for (let row = h * size; row < (h + 1) * size; row++) {
        let sum = 0;
        for (let t = 0; t < tokens; t++) {
          let v = bias[row]!;
          for (let i = 0; i < width; i++) v += value[row * width + i]! * x[(b * tokens + t) * width + i]!;
          sum += (Math.exp(scores[t]! - top) / total) * v;
        }
        out[b * width + row] = sum;
      }
    }
  }
  return out;
}

onEveryBackend(() => {
  it.each([
    [1, 1, 4, 1],
    [2, 9, 12, 3],
    [3, 17, 16, 4],
  ] as const)("batch %i, tokens %i, width %i, heads %i", async (batch, tokens, width, heads) => {
    const shape = [batch, tokens, width, heads] as const;
    const xs = normal(batch * tokens * width, 1);
    const keys = normal(heads * width, 2, 0.5);
    const value = normal(width * width, 3, 0.5);
    const bias = normal(width, 4);
    const x = tf.tensor2d(xs, [batch * tokens, width]);
    const maps = {
      keys: tf.tensor2d(keys, [heads, width]),
      value: tf.tensor2d(value, [width, width]),
      valueBias: tf.tensor1d(bias),
    };
    const out = attentionPool(x, maps, batch);
    expect(out.shape).toEqual([batch, width]);
    expect(await take(out)).toBeAllClose(plain(xs, keys, value, bias, shape), { atol: 1e-5 });

    const ds = normal(batch * width, 5);
    const dout = tf.tensor2d(ds, [batch, width]);
    const dx = attentionPoolGradient(dout, x, maps, batch);
    expect(dx.shape).toEqual(x.shape);
    const dxs = await take(dx);
    const at = Array.from({ length: 12 }, (_, i) => (i * 31) % xs.length);
    const slopes = finiteDifferences((moved) => plain(moved, keys, value, bias, shape), xs, ds, at);
    expect(at.map((i) => dxs[i]!)).toBeAllClose(slopes, { atol: 1e-4 });
    tf.dispose([x, dout, maps.keys, maps.value, maps.valueBias]);
  });
});
