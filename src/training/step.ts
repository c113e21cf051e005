// One step on one batch: forward, loss, the explicit backward, and the updates of adapters, classifier and scores.
// Nothing in it waits for the device.
import * as tf from "@tensorflow/tfjs-core";
import type { Adaptation, AdaptationStep } from "../adaptation/types.ts";
import type { Pooling } from "../checkpoint/pooling.ts";
import { cosineDistance } from "../tensor/cosine.ts";
import { type CrossEntropy, softmaxCrossEntropy } from "../tensor/cross_entropy.ts";
import { linear, linearInputGradient } from "../tensor/linear.ts";
import type { Trainables } from "../tensor/trainables.ts";
import { unitRows, unitRowsInputGradient } from "../tensor/unit_rows.ts";
import { atOnce, type InParts } from "../turn.ts";
import { backwardInParts } from "../vit/backward.ts";
import { forwardInParts } from "../vit/forward.ts";
import type { ForwardInput, SiteVisitor, VitWeights } from "../vit/types.ts";
import { adapterRate, rateFactor, type Schedule } from "./schedule.ts";
import type { TrainingRecipe } from "./types.ts";

export interface HeadVariables {
  weight: tf.Variable<tf.Rank.R2>;
  bias: tf.Variable<tf.Rank.R1>;
  /** Whether it reads features of length 1. */
  unit?: boolean;
  /** What of it learns; both unless said otherwise. */
  learns?: "both" | "weight" | "nothing";
}

export interface Learner {
  weights: VitWeights;
  /** What the head reads; by default what the model's own classifier does. */
  pooling?: Pooling;
  adaptation: Adaptation;
  head: HeadVariables;
  /** Over `adaptation.parameters`, then the head's weight and bias. */
  optimiser: Trainables;
  recipe: TrainingRecipe;
  schedule: Schedule;
  /** Where the network is to stay near what it was: the weight of that, and Σ of the steps' mean distances. */
  keep?: { weight: number; total: tf.Variable };
}

export interface StepBatch {
  /** Stays the caller's. */
  input: ForwardInput;
  /** [batch]; anything in 0..classes-1 where the mask is 0. null: images without a class, which only `teacher` is for. */
  labels: Int32Array | null;
  /** 1 for an image, 0 for padding. */
  mask: Float32Array;
  /** What each image weighs in the cross-entropy, 0 for padding; the mask where classes weigh alike. */
  weights?: Float32Array;
  /** What the frozen network makes of the same pixels, [batch, F], where the learner keeps near it; the caller's. */
  teacher?: tf.Tensor2D | null;
}

/** What a step is made of, for whoever measures it; "adapters" is met within "backward", site by site. */
export type StepPhase = "weights" | "forward" | "loss" | "backward" | "adapters" | "update";

/** The head's weight, then its bias, behind the adapters' parameters. */
const headIndices = { both: [0, 1], weight: [0], nothing: [] } as const;

/**
 * Trains on one batch, given whole or in parts: where memory is short, parts go through the network one after the other
 * and their gradients are added up to those of the whole.
 * @param at 0-based step
 * @param onPhase hears of each phase as it begins
 * @returns the batch's cross-entropy before the update, still on the device; the caller disposes it
 */
export const trainStep = (...asked: Parameters<typeof trainInParts>): tf.Scalar =>
  atOnce(trainInParts(...asked));

/** `trainStep`, half a layer at a time. Given up before its end, nothing has learned anything. */
export function* trainInParts(
  learner: Learner,
  batch: StepBatch | readonly StepBatch[],
  at: number,
  onPhase?: (phase: StepPhase) => void,
): InParts<tf.Scalar> {
  const { adaptation, head, optimiser, recipe, schedule } = learner;
  onPhase?.("weights");
  const parts = Array.isArray(batch) ? (batch as readonly StepBatch[]) : [batch as StepBatch];
  // Gates that draw noise rest while all are open, until the warm-up ends.
  const step = adaptation.beginStep(optimiser, at < schedule.penaltyFrom ? null : at);
  const sumOf = (values: Float32Array) => values.reduce((sum, value) => sum + value, 0);
  const weightOf = ({ labels, mask, weights = mask }: StepBatch) => (labels ? sumOf(weights) : 0);
  const labelled = parts.reduce((sum, part) => sum + weightOf(part), 0);
  const images = parts.reduce((sum, { mask }) => sum + sumOf(mask), 0);
  const losses: tf.Scalar[] = [];
  let whole = false;
  try {
    for (const part of parts) {
      const shares = { ofLabelled: weightOf(part) / labelled, ofAll: 1 / images };
      losses.push(...(yield* collectBatch(learner, step, part, shares, onPhase)));
    }
    whole = true;
  } finally {
    step.effective.dispose();
    if (!whole) {
      tf.dispose(losses);
      optimiser.discard();
    }
  }
  const loss = losses.length === 1 ? (losses[0] as tf.Scalar) : (tf.addN(losses) as tf.Scalar);
  if (losses.length > 1) tf.dispose(losses);

  const scoreGradient = step.scoreGradient();
  const count = adaptation.parameters.length;
  const { learns = "both" } = head;
  const factor = rateFactor(at, schedule.steps);
  optimiser.update(
    [
      { indices: adaptation.learning(), learningRate: adapterRate(recipe) * factor },
      { indices: headIndices[learns].map((i) => count + i), learningRate: recipe.headLearningRate * factor },
    ],
    step.scaleOf,
  );
  if (scoreGradient) {
    const lambda = at >= schedule.penaltyFrom ? recipe.lambda : 0;
    adaptation.stepScores(scoreGradient, lambda, recipe.scoreLearningRate);
    scoreGradient.dispose();
  }
  return loss;
}

/**
 * Forward, loss and backward of a part of the step.
 * @param shares its weight in the mean loss of the images with a class, and that of one image of all
 * @returns its share of the cross-entropy; none where its images have no class
 */
function* collectBatch(
  learner: Learner,
  step: AdaptationStep,
  batch: StepBatch,
  shares: { ofLabelled: number; ofAll: number },
  onPhase?: (phase: StepPhase) => void,
): InParts<tf.Scalar[]> {
  const { weights, pooling, head, keep } = learner;
  const { unit = false } = head;
  onPhase?.("forward");
  const { features, kept } = yield* forwardInParts(weights, batch.input, step.effective, {
    pooling,
    keepFrom: step.keepFrom,
    keepInput: step.keepInput,
  });
  onPhase?.("loss");
  const mask = tf.tensor1d(batch.mask);
  const seen = unit ? unitRows(features.pooled) : features.pooled.clone();
  const slopes: tf.Tensor2D[] = [];
  const losses: tf.Scalar[] = [];
  const distances: tf.Scalar[] = [];
  if (batch.labels) {
    const rows = batch.weights ? tf.tensor1d(batch.weights) : mask;
    const { loss, gradient } = classLoss(learner, seen, batch.labels, { mask, rows }, shares.ofLabelled);
    if (rows !== mask) rows.dispose();
    losses.push(loss);
    if (kept) {
      const dseen = linearInputGradient(gradient, head.weight);
      slopes.push(unit ? unitRowsInputGradient(dseen, features.pooled) : dseen);
      if (unit) dseen.dispose();
    }
    gradient.dispose();
  }
  if (keep && batch.teacher) {
    const weighted = tf.mul(mask, shares.ofAll) as tf.Tensor1D;
    const { loss, gradient } = cosineDistance(features.pooled, batch.teacher, weighted);
    distances.push(loss);
    slopes.push(tf.mul(gradient, keep.weight) as tf.Tensor2D);
    tf.dispose([weighted, gradient]);
  }
  if (kept) {
    const dpooled =
      slopes.length === 1 ? (slopes[0] as tf.Tensor2D).clone() : (tf.addN(slopes) as tf.Tensor2D);
    onPhase?.("backward");
    const visit: SiteVisitor = (...site) => {
      onPhase?.("adapters");
      step.visit(...site);
      onPhase?.("backward");
    };
    let whole = false;
    try {
      const dx = yield* backwardInParts(weights, kept, dpooled, step.effective, visit, step.visitRest);
      if (dx) step.visitEntry?.(batch.input, dx);
      dx?.dispose();
      whole = true;
    } finally {
      dpooled.dispose();
      if (!whole) {
        tf.dispose([mask, seen, ...slopes, ...losses, ...distances]);
        features.dispose();
      }
    }
  }
  for (const distance of distances) tf.tidy(() => keep?.total.assign(tf.add(keep.total, distance)));
  tf.dispose([mask, seen, ...slopes, ...distances]);
  features.dispose();
  onPhase?.("update");
  learner.optimiser.endBatch();
  return losses;
}

/** The cross-entropy of a part, by the weights of its rows, and what it says to the head. */
function classLoss(
  { adaptation, head, optimiser }: Learner,
  seen: tf.Tensor2D,
  classes: Int32Array,
  { mask, rows }: { mask: tf.Tensor1D; rows: tf.Tensor1D },
  share: number,
): CrossEntropy {
  const count = adaptation.parameters.length;
  const { learns = "both" } = head;
  const labels = tf.tensor1d(classes, "int32");
  const logits = linear(seen, head.weight, head.bias);
  const result = sharedLoss(softmaxCrossEntropy(logits, labels, rows, 0), share);
  if (learns !== "nothing") optimiser.collect(count, result.gradient, seen);
  if (learns === "both") {
    // Rows that only pad have gradient 0, so that the mask may stand for ones.
    const ones = tf.reshape(mask, [classes.length, 1]) as tf.Tensor2D;
    optimiser.collect(count + 1, ones, result.gradient);
    ones.dispose();
  }
  tf.dispose([labels, logits]);
  return result;
}

function sharedLoss({ loss, gradient }: CrossEntropy, share: number): CrossEntropy {
  if (share === 1) return { loss, gradient };
  const shared = { loss: tf.mul(loss, share) as tf.Scalar, gradient: tf.mul(gradient, share) as tf.Tensor2D };
  tf.dispose([loss, gradient]);
  return shared;
}
