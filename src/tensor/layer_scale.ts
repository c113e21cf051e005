// LayerScale: a learned factor for every channel of a residual branch (Touvron et al. 2021, arXiv 2103.17239), and its
// gradient towards the branch. It stays an op of its own, so that adapters act on the matrix as the file holds it.
import * as tf from "@tensorflow/tfjs-core";
import { runBody } from "./body.ts";

/**
 * y = residual + x·gamma.
 * @param x [T, D], the branch
 * @param gamma [D]
 * @param residual [T, D]
 */
export function layerScale(x: tf.Tensor2D, gamma: tf.Tensor1D, residual: tf.Tensor2D): tf.Tensor2D {
  return runBody("LayerScale", { x, gamma, residual }, {}, () => layerScaleReference(x, gamma, residual));
}

/** The composed body of `layerScale`. */
export function layerScaleReference(x: tf.Tensor2D, gamma: tf.Tensor1D, residual: tf.Tensor2D): tf.Tensor2D {
  return tf.add(residual, tf.mul(x, gamma));
}

/**
 * dx = dy·gamma. The residual's gradient is dy itself.
 * @param dy [T, D]
 */
export function layerScaleInputGradient(dy: tf.Tensor2D, gamma: tf.Tensor1D): tf.Tensor2D {
  return runBody("LayerScaleInputGradient", { dy, gamma }, {}, () =>
    layerScaleInputGradientReference(dy, gamma),
  );
}

/** The composed body of `layerScaleInputGradient`. */
export function layerScaleInputGradientReference(dy: tf.Tensor2D, gamma: tf.Tensor1D): tf.Tensor2D {
  return tf.mul(dy, gamma);
}
