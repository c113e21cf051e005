// Mean over the tokens of every image, and its gradient: what a classifier reads that pools patches.
import * as tf from "@tensorflow/tfjs-core";
import { runBody } from "./body.ts";

/**
 * Mean of each image's tokens from `first` on.
 * @param x [T, D], T = batch · tokens
 * @param first how many tokens of every image are left out (its prefix); at least one must be left
 * @returns [batch, D]
 */
export function meanTokens(x: tf.Tensor2D, batch: number, first: number): tf.Tensor2D {
  return runBody("MeanTokens", { x }, { batch, first }, () => meanTokensReference(x, batch, first));
}

/** The composed body of `meanTokens`. */
export function meanTokensReference(x: tf.Tensor2D, batch: number, first: number): tf.Tensor2D {
  const [rows, width] = x.shape;
  const tokens = rows / batch;
  const image: tf.Tensor3D = tf.reshape(x, [batch, tokens, width]);
  return tf.mean(tf.slice3d(image, [0, first, 0], [batch, tokens - first, width]), 1);
}

/**
 * dx of `meanTokens`: dy / (tokens - first) in every row that counted, 0 in the others.
 * @param dy [batch, D]
 * @param tokens tokens per image
 * @returns [batch · tokens, D]
 */
export function meanTokensGradient(dy: tf.Tensor2D, tokens: number, first: number): tf.Tensor2D {
  return runBody("MeanTokensGradient", { dy }, { tokens, first }, () =>
    meanTokensGradientReference(dy, tokens, first),
  );
}

/** The composed body of `meanTokensGradient`. */
export function meanTokensGradientReference(dy: tf.Tensor2D, tokens: number, first: number): tf.Tensor2D {
  const [batch, width] = dy.shape;
  const count = tokens - first;
  const each = tf.tile(tf.reshape(tf.mul(dy, 1 / count), [batch, 1, width]), [1, count, 1]) as tf.Tensor3D;
  const padded = tf.pad3d(each, [
    [0, 0],
    [first, 0],
    [0, 0],
  ]);
  return tf.reshape(padded, [batch * tokens, width]);
}
