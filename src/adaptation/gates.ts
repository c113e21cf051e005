// The gates: which matrices open and close as one, their scores on the device, and how a score moves. A gate is open
// while its score is at least tau, or under a budget while it is among the highest; its score moves by the
// straight-through gradient dL/dg of its indicator, by the pull of lambda·mean|s| towards 0, and by SGD with momentum
// (TAPS, arXiv 2203.16708; METHOD 2.2 to 2.4). Hard-concrete gates: hard_concrete.ts.
import * as tf from "@tensorflow/tfjs-core";
import type { Architecture } from "../checkpoint/types.ts";
import { type Opening, type ScoreState, stepGateScores } from "../tensor/gate_scores.ts";
import { scoreMomentum, traitsOf } from "./methods.ts";
import type { AdaptationOptions, Gate, Matrix } from "./types.ts";

export const attentionMatrices: readonly Matrix[] = ["q", "k", "v", "o"];
export const mlpMatrices: readonly Matrix[] = ["fc1", "fc2"];

/** [out, in] of a matrix. */
export function matrixShape(architecture: Architecture, matrix: Matrix): [number, number] {
  const { hiddenSize: d, mlpSize: m, gatedMlp } = architecture;
  if (matrix === "fc1") return [gatedMlp ? 2 * m : m, d];
  if (matrix === "fc2") return [d, m];
  return [d, d];
}

/** Every gate, layer by layer, attention before MLP, q k v o fc1 fc2. Full fine-tuning has one for every matrix. */
export function listGates(
  architecture: Architecture,
  options: Pick<AdaptationOptions, "method" | "granularity" | "targetModules" | "rank">,
): Gate[] {
  const { granularity, rank } = options;
  const { change, everything } = traitsOf(options.method);
  const targetModules = everything ? "both" : options.targetModules;
  const learned: Record<typeof change, (out: number, input: number) => number> = {
    "low-rank": (out, input) => rank * (out + input),
    dora: (out, input) => rank * (out + input) + out,
    residual: (out, input) => out * input,
    nothing: () => 0,
  };
  const attention = targetModules === "mlp" ? [] : [...attentionMatrices];
  const mlp = targetModules === "attention" ? [] : [...mlpMatrices];
  const gates: Gate[] = [];
  const add = (layer: number, column: Gate["column"], matrices: Matrix[]) => {
    if (matrices.length === 0) return;
    const parameters = matrices
      .map((matrix) => matrixShape(architecture, matrix))
      .reduce((sum, [out, input]) => sum + learned[change](out, input), 0);
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
export interface Scores extends ScoreState {
  /** Steps in `sensitivity`; 0 once it was read: it is the mean of the steps before then, and starts anew with the next. */
  steps: number;
}

export function createScores(count: number, start: number): Scores {
  return {
    values: variable(tf.fill([count], start)),
    velocity: variable(tf.zeros([count])),
    sensitivity: variable(tf.zeros([count])),
    steps: 0,
  };
}

export function disposeScores(scores: Scores): void {
  tf.dispose([scores.values, scores.velocity, scores.sensitivity]);
}

/** Before a step: forgets the mean that was read, so that the sum starts with this step. */
export function beginSensitivity(scores: Scores): void {
  if (scores.steps === 0) tf.tidy(() => scores.sensitivity.assign(tf.zerosLike(scores.sensitivity)));
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
  beginSensitivity(scores);
  stepGateScores(scores, gradient, { lambda, learningRate, momentum: scoreMomentum });
  scores.steps += 1;
}

/** What scores open, read back. The device compares in f32, where tau itself is rounded, and so does this. */
export function indicatorOf(scores: Float32Array, opening: Opening): Uint8Array {
  if ("tau" in opening) {
    const threshold = Math.fround(opening.tau);
    return Uint8Array.from(scores, (score) => (score >= threshold ? 1 : 0));
  }
  const open = new Uint8Array(scores.length);
  // Sorting is stable: of equal scores the first one opens.
  const order = Array.from(scores.keys()).sort((a, b) => (scores[b] as number) - (scores[a] as number));
  for (const gate of order.slice(0, opening.count)) open[gate] = 1;
  return open;
}

function variable(start: tf.Tensor): tf.Variable<tf.Rank.R1> {
  const made = tf.variable(start, false) as tf.Variable<tf.Rank.R1>;
  start.dispose();
  return made;
}
