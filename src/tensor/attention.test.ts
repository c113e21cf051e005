// `attention` against float64 loops; its gradient against tf.grads and finite differences.
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import "./allclose.ts";
import "./testing/tape.ts";
import {
  type AttentionShape,
  attention,
  attentionInputGradient,
  attentionReference,
  causalAttention,
} from "./attention.ts";
import { onEveryBackend } from "./testing/backends.ts";
import { finiteDifferences, normal, take } from "./testing/numbers.ts";

function plain(
  qkv: ArrayLike<number>,
  { batch, tokens, heads }: AttentionShape,
  width: number,
  causal = false,
): Float64Array {
  const size = width / heads;
  const out = new Float64Array(batch * tokens * width);
  const at = (b: number, t: number, part: number, h: number, i: number) =>
    qkv[(b * tokens + t) * 3 * width + part * width + h * size + i]!;
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      for (let t = 0; t < tokens; t++) {
        const seen = causal ? t + 1 : tokens;
        const scores = new Float64Array(seen);
        for (let s = 0; s < seen; s++) {
          for (let i = 0; i < size; i++) scores[s]! += at(b, t, 0, h, i) * at(b, s, 1, h, i);
          scores[s]! /= Math.sqrt(size);
        }
        const top = Math.max(...scores);
        const weights = scores.map((s) => Math.exp(s - top));
        const total = weights.reduce((a, c) => a + c, 0);
        for (let s = 0; s < seen; s++) {
          for (let i = 0; i < size; i++) {
            out[(b * tokens + t) * width + h * size + i]! += (weights[s]! / total) * at(b, s, 2, h, i);
          }
        }
      }
    }
  }
  return out;
}

// batch, tokens, heads, head size
const sizes: [number, number, number, number][] = [
  [2, 1, 2, 16],
  [3, 7, 3, 20],
  [2, 65, 2, 32],
  [1, 197, 2, 64],
  [1, 50, 1, 80],
  [1, 257, 1, 16],
  [1, 9, 1, 72],
];

onEveryBackend(() => {
  it.each(sizes)("batch %i, tokens %i, heads %i, head size %i", async (batch, tokens, heads, size) => {
    const shape = { batch, tokens, heads };
    const width = heads * size;
    const qkv = tf.tensor2d(normal(batch * tokens * 3 * width, 1), [batch * tokens, 3 * width]);
    const out = attention(qkv, shape);
    const values = await qkv.data();
    expect(await out.data()).toBeAllClose(plain(values, shape, width), { atol: 1e-5 });

    const dout = tf.tensor2d(normal(batch * tokens * width, 2), [batch * tokens, width]);
    const dqkv = await take(attentionInputGradient(dout, qkv, out, shape));
    const [tape] = tf.grads((x) => attentionReference(x as tf.Tensor2D, shape))([qkv], dout);
    expect(dqkv).toBeAllClose(await take(tape!), { atol: 3e-5 });
    if (tokens <= 65) {
      const last = values.length;
      const at = [0, width, 2 * width, last - 1, last - 1 - width, last - 1 - 2 * width];
      const slopes = finiteDifferences((x) => plain(x, shape, width), values, await dout.data(), at);
      expect(at.map((i) => dqkv[i]!)).toBeAllClose(slopes, { atol: 3e-5 });
    }
    tf.dispose([qkv, out, dout]);
  });

  it("sees only what stands before where it is causal", async () => {
    const shape = { batch: 2, tokens: 7, heads: 3 };
    const qkv = tf.tensor2d(normal(14 * 180, 4), [14, 180]);
    const expected = plain(await qkv.data(), shape, 60, true);
    expect(await take(causalAttention(qkv, shape))).toBeAllClose(expected, { atol: 1e-5 });
    qkv.dispose();
  });

  it("does not overflow on large scores", async () => {
    const shape = { batch: 1, tokens: 5, heads: 1 };
    const qkv = tf.tensor2d(normal(5 * 48, 1, 60), [5, 48]);
    const out = attention(qkv, shape);
    const expected = plain(await qkv.data(), shape, 16);
    expect(await take(out)).toBeAllClose(expected, { atol: 0.05, rtol: 1e-3 });
    qkv.dispose();
  });
});
