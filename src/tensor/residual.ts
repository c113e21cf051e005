// A whole-matrix change of a frozen weight, gated piece by piece: W' = W + scale·R. Its gradient is the plain product
// dyᵀx, which `Trainables.collect` computes (tensor/trainables.ts).
import * as tf from "@tensorflow/tfjs-core";
import { runBody } from "./body.ts";

/**
 * W' = W + scale·R, piece by piece.
 * @param weight [out, in]
 * @param residual [out, in]
 * @param scale [p]; the rows of W are p equal shares
 * @returns [out, in]
 */
export function formResidual(weight: tf.Tensor2D, residual: tf.Tensor2D, scale: tf.Tensor1D): tf.Tensor2D {
  return runBody("FormResidual", { weight, residual, scale }, {}, () =>
    formResidualReference(weight, residual, scale),
  );
}

/** The composed body of `formResidual`. */
export function formResidualReference(
  weight: tf.Tensor2D,
  residual: tf.Tensor2D,
  scale: tf.Tensor1D,
): tf.Tensor2D {
  const pieces = scale.size;
  const scaled = tf.mul(tf.reshape(residual, [pieces, -1]), tf.reshape(scale, [pieces, 1]));
  return tf.add(weight, tf.reshape(scaled, weight.shape));
}
