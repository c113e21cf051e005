// The gradients that one batch leaves, for tests that hold them to PyTorch's.
import * as tf from "@tensorflow/tfjs-core";
import { createTrainables } from "../../tensor/trainables.ts";
import type { Adaptation, AdaptationStep } from "../types.ts";

export interface BatchGradients {
  /** One for each index of `learning()`, times its scale; the caller disposes them. */
  gradients: tf.Tensor[];
  /** dL/ds, [gates], or null once frozen; the caller disposes it. */
  scores: tf.Tensor1D | null;
}

/**
 * A step that is only looked at: nothing is updated.
 * @returns the step, and `end`, which is called after backward and frees the step's weights
 */
export function beginStep(
  adaptation: Adaptation,
  noise: number | null = null,
): { step: AdaptationStep; end: () => BatchGradients } {
  const trainables = createTrainables(adaptation.parameters, { kind: "sgd", momentum: 0 });
  const step = adaptation.beginStep(trainables, noise);
  return {
    step,
    end: () => {
      trainables.endBatch();
      const scores = step.scoreGradient();
      const gradients = adaptation.learning().map((index) =>
        tf.tidy(() => {
          const gradient = trainables.gradient(index);
          const scale = step.scaleOf(index);
          if (!scale) return gradient.clone();
          const byPiece = tf.reshape(gradient, [scale.size, -1]);
          return tf.reshape(tf.mul(byPiece, tf.reshape(scale, [scale.size, 1])), gradient.shape);
        }),
      );
      trainables.dispose();
      step.effective.dispose();
      return { gradients, scores };
    },
  };
}
