// The gates: which matrices open and close as one, their scores on the device, and how a score moves. A gate is open
// while its score is at least tau; its score moves by the straight-through gradient dL/dg of its indicator, by the
// pull of lambda·mean|s| towards 0, and by SGD with momentum (TAPS, arXiv 2203.16708; METHOD 2.2 to 2.4).
import * as tf from "@tensorflow/tfjs-core";
import type { Architecture } from "../checkpoint/types.ts";
import { createSgdState, disposeSgdState, type SgdState, sgdMomentum } from "../tensor/optimiser.ts";
import type { AdaptationOptions, Gate, Matrix } from "./types.ts";

/** TAPS's start: a little above its tau of 0.1. */
export const scoreStart = 0.15;
/** Momentum of the scores' SGD. */
export const scoreMomentum = 0.9;

export const attentionMatrices: readonly Matrix[] = ["q", "k", "v", "o"];
export const mlpMatrices: readonly Matrix[] = ["fc1", "fc2"];

/** [out, in] of a matrix. */
export function matrixShape(architecture: Architecture, matrix: Matrix): [number, number] {
  const { hiddenSize: d, mlpSize: m } = architecture;
  if (matrix === "fc1") return [m, d];
  if (matrix === "fc2") return [d, m];
  return [d, d];
}

/** Every gate, layer by layer, attention before MLP, q k v o fc1 fc2. */
export function listGates(
  architecture: Architecture,
  { granularity, targetModules, rank }: Pick<AdaptationOptions, "granularity" | "targetModules" | "rank">,
): Gate[] {
  const attention = targetModules === "mlp" ? [] : [...attentionMatrices];
  const mlp = targetModules === "attention" ? [] : [...mlpMatrices];
  const gates: Gate[] = [];
  const add = (layer: number, column: Gate["column"], matrices: Matrix[]) => {
    if (matrices.length === 0) return;
    const parameters = matrices
      .map((matrix) => matrixShape(architecture, matrix))
      .reduce((sum, [out, input]) => sum + rank * (out + input), 0);
    gates.push({ id: gates.length, layer, column, matrices, parameters });
  };
  for (let layer = 0; layer < architecture.layers; layer++) {
    if (granularity === "layer") add(layer, "layer", [...attention, ...mlp]);
    else if (granularity === "block") {
      add(layer, "attention", attention);
      add(layer, "mlp", mlp);
    } else for (const matrix of [...attention, ...mlp]) add(layer, matrix, [matrix]);
  }
  return gates;
}

/** Scores with their momentum and running sensitivity, on the device. */
export interface Scores {
  readonly values: tf.Variable<tf.Rank.R1>;
  readonly optimiser: SgdState;
  /** Σ |dL/ds| since the last reset. */
  readonly sensitivity: tf.Variable<tf.Rank.R1>;
  /** Steps in that sum. */
  steps: number;
}

export function createScores(count: number): Scores {
  const values = variable(tf.fill([count], scoreStart));
  return {
    values,
    optimiser: createSgdState([values]),
    sensitivity: variable(tf.zeros([count])),
    steps: 0,
  };
}

export function disposeScores(scores: Scores): void {
  tf.dispose([scores.values, scores.sensitivity]);
  disposeSgdState(scores.optimiser);
}

/**
 * One step of the scores.
 * @param gradient dL/ds of the task, [gates]; stays the caller's
 * @param lambda weight of mean|s|; 0 while it is not wanted. Its gradient is lambda·sign(s)/gates, 0 at 0
 */
export function stepScores(
  scores: Scores,
  gradient: tf.Tensor1D,
  lambda: number,
  learningRate: number,
): void {
  const count = scores.values.shape[0] as number;
  const whole =
    lambda === 0
      ? gradient
      : tf.tidy(() => tf.add(gradient, tf.mul(tf.sign(scores.values), lambda / count)) as tf.Tensor1D);
  sgdMomentum([scores.values], [whole], scores.optimiser, { learningRate, momentum: scoreMomentum });
  if (whole !== gradient) whole.dispose();
  tf.tidy(() => scores.sensitivity.assign(tf.add(scores.sensitivity, tf.abs(gradient))));
  scores.steps += 1;
}

/** 1[s >= tau], on the device: [gates]; the caller disposes it. */
export function indicator(scores: Scores, tau: number): tf.Tensor1D {
  return tf.tidy(() => tf.cast(tf.greaterEqual(scores.values, tau), "float32"));
}

/** The same from scores read back. Both sides compare in f32, where tau itself is rounded. */
export function indicatorOf(scores: Float32Array, tau: number): Uint8Array {
  const threshold = Math.fround(tau);
  return Uint8Array.from(scores, (score) => (score >= threshold ? 1 : 0));
}

function variable(start: tf.Tensor): tf.Variable<tf.Rank.R1> {
  const made = tf.variable(start, false) as tf.Variable<tf.Rank.R1>;
  start.dispose();
  return made;
}
