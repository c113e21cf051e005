// Gate scores as they move and what they switch, on the device: a step of SGD with the pull of the penalty, and
// the scale of every adapted piece, alpha/r where its gate is open and 0 where it is closed.
import * as tf from "@tensorflow/tfjs-core";
import { createPackedScales, runScoreStep } from "./webgpu/gate_scores.ts";

/** Scores and what moves with them, [gates] each. */
export interface ScoreState {
  readonly values: tf.Variable<tf.Rank.R1>;
  readonly velocity: tf.Variable<tf.Rank.R1>;
  /** Σ |dL/ds| since it was last set to 0. */
  readonly sensitivity: tf.Variable<tf.Rank.R1>;
}

export interface ScoreStep {
  /** Weight of mean|s|, whose gradient is lambda·sign(s)/gates, 0 at 0. */
  lambda: number;
  learningRate: number;
  momentum: number;
}

/**
 * One step: v ← μ v + g + lambda·sign(s)/gates; s ← s - lr·v; sensitivity ← sensitivity + |g|.
 * @param gradient dL/ds of the task, [gates]; stays the caller's
 */
export function stepGateScores(state: ScoreState, gradient: tf.Tensor1D, step: ScoreStep): void {
  if (tf.getBackend() === "webgpu") runScoreStep(state, gradient, step);
  else stepGateScoresReference(state, gradient, step);
}

/** The composed body of `stepGateScores`. */
export function stepGateScoresReference(
  { values, velocity, sensitivity }: ScoreState,
  gradient: tf.Tensor1D,
  { lambda, learningRate, momentum }: ScoreStep,
): void {
  tf.tidy(() => {
    const pull = tf.mul(tf.sign(values), lambda / values.size);
    const moved = tf.add(tf.mul(velocity, momentum), tf.add(gradient, pull)) as tf.Tensor1D;
    velocity.assign(moved);
    values.assign(tf.sub(values, tf.mul(moved, learningRate)));
    sensitivity.assign(tf.add(sensitivity, tf.abs(gradient)));
  });
}

/** Which gates a score opens: those at tau or above, or the `count` highest (of equal ones the first). */
export type Opening = { tau: number } | { count: number };

/** g·factor of each piece of every site, in the order the sites were given. */
export interface PieceScales {
  /** Sets them by the device's own indicator. */
  fromScores(scores: tf.Tensor1D, opening: Opening, factor: number): void;
  /** Sets them by what each gate lets through, [gates]. */
  fromValues(values: tf.Tensor1D, factor: number): void;
  /** Sets them by gates known here, 1 open and 0 closed. */
  fromOpen(open: Uint8Array, factor: number): void;
  /** [pieces] of a site as it was last set; gone with the next setting. */
  of(site: number): tf.Tensor1D;
  dispose(): void;
}

/** @param gates gate of each piece of each site */
export function createPieceScales(gates: readonly (readonly number[])[]): PieceScales {
  return tf.getBackend() === "webgpu" ? createPackedScales(gates) : new SeparateScales(gates);
}

/** The composed body: a tensor for each site. */
class SeparateScales implements PieceScales {
  readonly #gates: readonly (readonly number[])[];
  #tensors: tf.Tensor1D[] = [];
  #standing = "";

  constructor(gates: readonly (readonly number[])[]) {
    this.#gates = gates;
  }

  fromScores(scores: tf.Tensor1D, opening: Opening, factor: number): void {
    this.dispose();
    this.#tensors = tf.tidy(() => {
      const open =
        "tau" in opening ? tf.greaterEqual(scores, opening.tau) : tf.less(ranks(scores), opening.count);
      const all = tf.mul(tf.cast(open, "float32"), factor);
      return this.#gates.map((gates) => tf.gather(all, tf.tensor1d([...gates], "int32")) as tf.Tensor1D);
    });
  }

  fromValues(values: tf.Tensor1D, factor: number): void {
    this.dispose();
    this.#tensors = tf.tidy(() => {
      const all = tf.mul(values, factor);
      return this.#gates.map((gates) => tf.gather(all, tf.tensor1d([...gates], "int32")) as tf.Tensor1D);
    });
  }

  fromOpen(open: Uint8Array, factor: number): void {
    const pattern = `${factor} ${open}`;
    if (pattern === this.#standing) return;
    this.dispose();
    this.#standing = pattern;
    this.#tensors = this.#gates.map((gates) =>
      tf.keep(tf.tensor1d(gates.map((gate) => (open[gate] === 1 ? factor : 0)))),
    );
  }

  of(site: number): tf.Tensor1D {
    return this.#tensors[site] as tf.Tensor1D;
  }

  dispose(): void {
    tf.dispose(this.#tensors);
    this.#tensors = [];
    this.#standing = "";
  }
}

/** 1 for the `count` highest scores, of equal ones the first, and 0 for the rest: [gates]; the caller disposes it. */
export function highest(scores: tf.Tensor1D, count: number): tf.Tensor1D {
  return tf.tidy(() => tf.cast(tf.less(ranks(scores), count), "float32"));
}

/** How many scores stand before each: the higher ones, and of equal ones the earlier. [gates] */
function ranks(scores: tf.Tensor1D): tf.Tensor1D {
  const count = scores.size;
  const [own, other] = [tf.reshape(scores, [count, 1]), tf.reshape(scores, [1, count])];
  const index = tf.range(0, count, 1, "int32");
  const earlier = tf.less(tf.reshape(index, [1, count]), tf.reshape(index, [count, 1]));
  const before = tf.logicalOr(tf.greater(other, own), tf.logicalAnd(tf.equal(other, own), earlier));
  return tf.sum(tf.cast(before, "int32"), 1);
}
