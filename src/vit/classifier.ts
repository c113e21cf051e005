// Classifiers on features: the checkpoint's own, and any linear one on the CLS token.
import * as tf from "@tensorflow/tfjs-core";
import { Failure } from "../failure.ts";
import { linear } from "../tensor/linear.ts";
import type { Classifier, LinearWeights, VitWeights } from "./types.ts";

/** A classifier given as plain data (weight [classes, D] row-major), on the device; the caller disposes both tensors. */
export function uploadHead(head: {
  weight: Float32Array;
  bias: Float32Array;
  classes: number;
}): LinearWeights {
  return {
    weight: tf.tensor2d(head.weight, [head.classes, head.weight.length / head.classes]),
    bias: tf.tensor1d(head.bias),
  };
}

/** Logits of a linear classifier on the CLS features (of a distilled DeiT too: a new task has one head). */
export function linearClassifier(head: LinearWeights): Classifier {
  return (features) => linear(features.cls, head.weight, head.bias);
}

/**
 * The classifier the checkpoint came with. A distilled DeiT answers with the mean of its two heads (Touvron et al.
 * 2021, arXiv 2012.12877), so its features need `dist`.
 * @throws Failure "state" when the checkpoint has none
 */
export function ownClassifier(weights: VitWeights): Classifier {
  const { head, headDist } = weights;
  if (!head) {
    throw new Failure({
      code: "state",
      what: "This model has no classifier of its own.",
      remedy: "Leave retention out, or load a model with a classifier.",
    });
  }
  if (!headDist) return linearClassifier(head);
  return (features) =>
    tf.tidy(() => {
      const cls = linear(features.cls, head.weight, head.bias);
      const dist = linear(features.dist as tf.Tensor2D, headDist.weight, headDist.bias);
      return tf.mul(tf.add(cls, dist), 0.5);
    });
}
