// Classifiers on features: the checkpoint's own, and any linear one on a pooling of one's choice.
import * as tf from "@tensorflow/tfjs-core";
import type { Pooling } from "../checkpoint/pooling.ts";
import { Failure } from "../failure.ts";
import { linear } from "../tensor/linear.ts";
import { unitRows } from "../tensor/unit_rows.ts";
import type { Classifier, LinearWeights, VitWeights } from "./types.ts";

/** A classifier given as plain data (weight [classes, F] row-major), on the device; the caller disposes both tensors. */
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

/**
 * A linear classifier on what `pooling` gives (of a distilled DeiT too: a new task has one head).
 * @param unit whether it reads features of length 1, as a classifier by cosine does
 */
export function linearClassifier(head: LinearWeights, pooling: Pooling, unit = false): Classifier {
  const logits: Classifier["logits"] = ({ pooled }) =>
    unit
      ? tf.tidy(() => linear(unitRows(pooled), head.weight, head.bias))
      : linear(pooled, head.weight, head.bias);
  return { pooling, dist: false, logits };
}

/**
 * The classifier the checkpoint came with. A distilled DeiT answers with the mean of its two heads (Touvron et al.
 * 2021, arXiv 2012.12877).
 * @throws Failure "state" when the checkpoint has none
 */
export function ownClassifier(weights: VitWeights): Classifier {
  const { head, headDist } = weights;
  const { pooling } = weights.architecture;
  if (!head) {
    throw new Failure({
      code: "state",
      what: "This model has no classifier of its own.",
      remedy: "Leave retention out, or load a model with a classifier.",
    });
  }
  if (!headDist) return linearClassifier(head, pooling);
  return {
    pooling,
    dist: true,
    logits: (features) =>
      tf.tidy(() => {
        const cls = linear(features.pooled, head.weight, head.bias);
        const dist = linear(features.dist as tf.Tensor2D, headDist.weight, headDist.bias);
        return tf.mul(tf.add(cls, dist), 0.5);
      }),
  };
}
