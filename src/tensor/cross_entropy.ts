// Softmax cross-entropy with label smoothing (Szegedy et al. 2015, arXiv 1512.00567; as torch's `label_smoothing`)
// and its gradient in one go, because a training step always wants both.
import * as tf from "@tensorflow/tfjs-core";
import { runBody } from "./body.ts";

export interface CrossEntropy {
  /** Scalar: Σ weight·loss / Σ weight. */
  loss: tf.Scalar;
  /** [B, C], the gradient of `loss` towards the logits. */
  gradient: tf.Tensor2D;
}

/**
 * Weighted mean of the cross-entropy against (1 - smoothing)·onehot + smoothing / C.
 * @param logits [B, C]
 * @param labels int32 [B], each in 0..C-1
 * @param weights f32 [B]; 0 for rows that only pad the batch; at least one is not 0
 * @param smoothing in [0, 1)
 */
export function softmaxCrossEntropy(
  logits: tf.Tensor2D,
  labels: tf.Tensor1D,
  weights: tf.Tensor1D,
  smoothing: number,
): CrossEntropy {
  // Both results leave in one tensor [B, C + 1], because a GPU program has one output.
  const packed = runBody("SoftmaxCrossEntropy", { logits, labels, weights }, { smoothing }, () =>
    softmaxCrossEntropyReference(logits, labels, weights, smoothing),
  );
  const [batch, classes] = logits.shape;
  const loss = tf.tidy(() => tf.sum(tf.slice2d(packed, [0, classes], [batch, 1]))) as tf.Scalar;
  const gradient = tf.slice2d(packed, [0, 0], [batch, classes]);
  packed.dispose();
  return { loss, gradient };
}

/** The composed body of `softmaxCrossEntropy`: [B, C + 1], the gradient and in the last column each row's share of the loss. */
export function softmaxCrossEntropyReference(
  logits: tf.Tensor2D,
  labels: tf.Tensor1D,
  weights: tf.Tensor1D,
  smoothing: number,
): tf.Tensor2D {
  const classes = logits.shape[1];
  const target = tf.add(tf.mul(tf.oneHot(labels, classes), 1 - smoothing), smoothing / classes);
  const share = tf.expandDims(tf.div(weights, tf.sum(weights)), 1);
  const shifted = tf.sub(logits, tf.max(logits, 1, true));
  const exponentials = tf.exp(shifted);
  const total = tf.sum(exponentials, 1, true);
  const logProbabilities = tf.sub(shifted, tf.log(total));
  const gradient = tf.mul(tf.sub(tf.div(exponentials, total), target), share) as tf.Tensor2D;
  const losses = tf.neg(tf.sum(tf.mul(tf.mul(target, logProbabilities), share), 1, true)) as tf.Tensor2D;
  return tf.concat2d([gradient, losses], 1);
}
