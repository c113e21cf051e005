// LayerNorm over the last axis and its gradient towards x. Gamma and beta are frozen, so they need no gradient.
// Ba, Kiros, Hinton 2016 (arXiv 1607.06450); biased variance, as PyTorch.
import * as tf from "@tensorflow/tfjs-core";
import { runBody } from "./body.ts";

/**
 * y = (x - mean) / sqrt(var + eps) · gamma + beta, row by row.
 * @param x [T, D]
 * @param gamma [D]
 * @param beta [D]
 * @returns [T, D]
 */
export function layerNorm(x: tf.Tensor2D, gamma: tf.Tensor1D, beta: tf.Tensor1D, eps: number): tf.Tensor2D {
  return runBody("LayerNorm", { x, gamma, beta }, { eps }, () => layerNormReference(x, gamma, beta, eps));
}

/** The composed body of `layerNorm`. */
export function layerNormReference(
  x: tf.Tensor2D,
  gamma: tf.Tensor1D,
  beta: tf.Tensor1D,
  eps: number,
): tf.Tensor2D {
  const { normalised } = normalise(x, eps);
  return tf.add(tf.mul(normalised, gamma), beta);
}

/**
 * dx of `layerNorm` (+ add). With n = (x - mean)·rstd and d = dy·gamma: dx = rstd·(d - mean(d) - n·mean(d·n)).
 * @param dy [T, D]
 * @param x [T, D], the input of the forward
 * @param gamma [D]
 * @param add [T, D], another gradient that reaches the same x (the residual path)
 * @returns [T, D]
 */
export function layerNormInputGradient(
  dy: tf.Tensor2D,
  x: tf.Tensor2D,
  gamma: tf.Tensor1D,
  eps: number,
  add?: tf.Tensor2D | null,
): tf.Tensor2D {
  return runBody("LayerNormInputGradient", { dy, x, gamma, add }, { eps }, () =>
    layerNormInputGradientReference(dy, x, gamma, eps, add),
  );
}

/** The composed body of `layerNormInputGradient`. */
export function layerNormInputGradientReference(
  dy: tf.Tensor2D,
  x: tf.Tensor2D,
  gamma: tf.Tensor1D,
  eps: number,
  add?: tf.Tensor2D | null,
): tf.Tensor2D {
  const { normalised, rstd } = normalise(x, eps);
  const d = tf.mul(dy, gamma);
  const inner = tf.add(tf.mean(d, 1, true), tf.mul(normalised, tf.mean(tf.mul(d, normalised), 1, true)));
  const dx: tf.Tensor2D = tf.mul(rstd, tf.sub(d, inner));
  return add ? tf.add(dx, add) : dx;
}

function normalise(x: tf.Tensor2D, eps: number): { normalised: tf.Tensor2D; rstd: tf.Tensor2D } {
  const roughly = tf.sub<tf.Tensor2D>(x, tf.mean(x, 1, true));
  // Once more, because a mean far from 0 leaves a rounding error that the small variance magnifies.
  const centred = tf.sub<tf.Tensor2D>(roughly, tf.mean(roughly, 1, true));
  const variance = tf.mean<tf.Tensor2D>(tf.square(centred), 1, true);
  const rstd = tf.rsqrt<tf.Tensor2D>(tf.add(variance, eps));
  return { normalised: tf.mul(centred, rstd), rstd };
}
