// How far rows have turned from what they were, 1 - cos, and its gradient in one go, because a training step always wants
// both. A handful of rows a step, so there is the composed body alone.
import * as tf from "@tensorflow/tfjs-core";
import { unitRows, unitRowsInputGradient } from "./unit_rows.ts";

export interface CosineDistance {
  /** Scalar: Σ weight·(1 - cos). */
  loss: tf.Scalar;
  /** [B, F], the gradient of `loss` towards the rows. */
  gradient: tf.Tensor2D;
}

/**
 * @param rows [B, F]
 * @param towards [B, F], constant
 * @param weights [B]; 0 for rows that only pad the batch
 */
export function cosineDistance(
  rows: tf.Tensor2D,
  towards: tf.Tensor2D,
  weights: tf.Tensor1D,
): CosineDistance {
  return tf.tidy(() => {
    const aim = unitRows(towards);
    const cosine = tf.sum(tf.mul(unitRows(rows), aim), 1) as tf.Tensor1D;
    const loss = tf.sum(tf.mul(weights, tf.sub(1, cosine))) as tf.Scalar;
    const dunit = tf.mul(aim, tf.neg(tf.reshape(weights, [-1, 1]))) as tf.Tensor2D;
    return { loss, gradient: unitRowsInputGradient(dunit, rows) };
  }) as CosineDistance;
}
