// One step on one batch: forward, loss, the explicit backward, and the updates of adapters, classifier and scores.
// Nothing in it waits for the device.
import * as tf from "@tensorflow/tfjs-core";
import type { Adaptation } from "../adaptation/types.ts";
import { softmaxCrossEntropy } from "../tensor/cross_entropy.ts";
import { linear, linearInputGradient } from "../tensor/linear.ts";
import { outerSum } from "../tensor/low_rank.ts";
import { backward } from "../vit/backward.ts";
import { forward } from "../vit/forward.ts";
import type { ForwardInput, VitWeights } from "../vit/types.ts";
import type { Optimiser } from "./optimiser.ts";
import { rateFactor, type Schedule } from "./schedule.ts";
import type { TrainingRecipe } from "./types.ts";

export interface HeadVariables {
  weight: tf.Variable<tf.Rank.R2>;
  bias: tf.Variable<tf.Rank.R1>;
}

export interface Learner {
  weights: VitWeights;
  adaptation: Adaptation;
  head: HeadVariables;
  /** Over `adaptation.parameters`, then the head's weight and bias. */
  optimiser: Optimiser;
  recipe: TrainingRecipe;
  schedule: Schedule;
}

export interface StepBatch {
  /** Stays the caller's. */
  input: ForwardInput;
  /** [batch]; anything in 0..classes-1 where the mask is 0. */
  labels: Int32Array;
  /** 1 for an image, 0 for padding. */
  mask: Float32Array;
}

/**
 * Trains on one batch.
 * @param at 0-based step
 * @returns the batch's cross-entropy before the update, still on the device; the caller disposes it
 */
export function trainStep(learner: Learner, batch: StepBatch, at: number): tf.Scalar {
  const { weights, adaptation, head, optimiser, recipe, schedule } = learner;
  const step = adaptation.beginStep();
  const { features, kept } = forward(weights, batch.input, step.effective, {
    keepFrom: step.keepFrom,
    keepInput: step.keepInput,
  });
  const labels = tf.tensor1d(batch.labels, "int32");
  const mask = tf.tensor1d(batch.mask);
  const logits = linear(features.cls, head.weight, head.bias);
  const { loss, gradient } = softmaxCrossEntropy(logits, labels, mask, 0);
  tf.dispose([labels, mask, logits]);
  const headGradients = [outerSum(gradient, features.cls), tf.sum(gradient, 0)];
  if (kept) {
    const dcls = linearInputGradient(gradient, head.weight);
    backward(weights, kept, dcls, step.effective, step.visit);
    dcls.dispose();
  }
  gradient.dispose();
  features.dispose();
  step.effective.dispose();

  const found = step.finish();
  const learning = adaptation.learning();
  const count = adaptation.parameters.length;
  const factor = rateFactor(at, schedule.steps);
  optimiser.step(
    [...learning, count, count + 1],
    [...found.gradients, ...headGradients],
    [
      ...learning.map(() => recipe.learningRate * factor),
      recipe.headLearningRate * factor,
      recipe.headLearningRate * factor,
    ],
  );
  tf.dispose([...found.gradients, ...headGradients]);
  if (found.scores) {
    const lambda = at >= schedule.penaltyFrom ? recipe.lambda : 0;
    adaptation.stepScores(found.scores, lambda, recipe.scoreLearningRate);
    found.scores.dispose();
  }
  return loss;
}
