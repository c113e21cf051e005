// Multi-head self-attention on packed rows q|k|v, head-major inside each, as `attn.qkv` of the timm family lays them
// out. The backward takes the forward's output instead of its probabilities: rowsum(dP ∘ P) = rowsum(dO ∘ O)
// (Dao et al. 2022, arXiv 2205.14135), so nothing of size tokens² outlives an op.
import * as tf from "@tensorflow/tfjs-core";
import { runBody } from "./body.ts";

export interface AttentionShape {
  batch: number;
  tokens: number;
  heads: number;
}

/**
 * out = softmax(q kᵀ / sqrt(head size)) v for every image and head.
 * @param qkv [batch·tokens, 3D]
 * @returns [batch·tokens, D]
 */
export function attention(qkv: tf.Tensor2D, shape: AttentionShape): tf.Tensor2D {
  return runBody("Attention", { qkv }, { ...shape }, () => attentionReference(qkv, shape));
}

/** The composed body of `attention`. */
export function attentionReference(qkv: tf.Tensor2D, shape: AttentionShape): tf.Tensor2D {
  const { q, k, v, scale } = unpack(qkv, shape);
  const probabilities = tf.softmax(tf.mul(tf.matMul(q, k, false, true), scale));
  return packHeads(tf.matMul(probabilities, v), shape);
}

/**
 * `attention` where a token sees itself and those before it, as a text tower's do. Forward only: nothing here trains a
 * text tower, and it runs once a run, so it has the composed body alone.
 * @param qkv [batch·tokens, 3D]
 * @returns [batch·tokens, D]
 */
export function causalAttention(qkv: tf.Tensor2D, shape: AttentionShape): tf.Tensor2D {
  return tf.tidy(() => {
    const { q, k, v, scale } = unpack(qkv, shape);
    const { tokens } = shape;
    const later = Float32Array.from({ length: tokens * tokens }, (_, i) =>
      i % tokens > Math.floor(i / tokens) ? -1e30 : 0,
    );
    const scores = tf.mul(tf.matMul(q, k, false, true), scale);
    const probabilities = tf.softmax(tf.add(scores, tf.tensor2d(later, [tokens, tokens])));
    return packHeads(tf.matMul(probabilities, v), shape);
  });
}

/**
 * dqkv of `attention`.
 * @param dout [batch·tokens, D]
 * @param qkv [batch·tokens, 3D], the input of the forward
 * @param out [batch·tokens, D], its output
 * @returns [batch·tokens, 3D]
 */
export function attentionInputGradient(
  dout: tf.Tensor2D,
  qkv: tf.Tensor2D,
  out: tf.Tensor2D,
  shape: AttentionShape,
): tf.Tensor2D {
  return runBody("AttentionInputGradient", { dout, qkv, out }, { ...shape }, () =>
    attentionInputGradientReference(dout, qkv, out, shape),
  );
}

/** The composed body of `attentionInputGradient`. */
export function attentionInputGradientReference(
  dout: tf.Tensor2D,
  qkv: tf.Tensor2D,
  out: tf.Tensor2D,
  shape: AttentionShape,
): tf.Tensor2D {
  const { q, k, v, scale } = unpack(qkv, shape);
  const probabilities = tf.softmax(tf.mul(tf.matMul(q, k, false, true), scale));
  const dO = splitHeads(dout, shape);
  const dv = tf.matMul(probabilities, dO, true, false);
  const dP = tf.matMul(dO, v, false, true);
  const delta = tf.sum(tf.mul(dO, splitHeads(out, shape)), -1, true);
  const dS = tf.mul(tf.mul(probabilities, tf.sub(dP, delta)), scale);
  const dq = tf.matMul(dS, k);
  const dk = tf.matMul(dS, q, true, false);
  return tf.concat2d(
    [dq, dk, dv].map((part) => packHeads(part, shape)),
    1,
  );
}

function unpack(qkv: tf.Tensor2D, { batch, tokens, heads }: AttentionShape) {
  const width = qkv.shape[1] / 3;
  const parts = [0, 1, 2].map((i) =>
    splitHeads(tf.slice2d(qkv, [0, i * width], [batch * tokens, width]), { batch, tokens, heads }),
  ) as [tf.Tensor4D, tf.Tensor4D, tf.Tensor4D];
  return { q: parts[0], k: parts[1], v: parts[2], scale: 1 / Math.sqrt(width / heads) };
}

/** [batch·tokens, D] -> [batch, heads, tokens, head size] */
function splitHeads(x: tf.Tensor2D, { batch, tokens, heads }: AttentionShape): tf.Tensor4D {
  return tf.transpose(tf.reshape(x, [batch, tokens, heads, x.shape[1] / heads]), [0, 2, 1, 3]);
}

/** [batch, heads, tokens, head size] -> [batch·tokens, D] */
function packHeads(x: tf.Tensor, { batch, tokens, heads }: AttentionShape): tf.Tensor2D {
  return tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [batch * tokens, heads * x.shape[3]!]);
}
