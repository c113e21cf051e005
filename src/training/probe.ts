// The linear probe: L2-regularised multinomial logistic regression on frozen features. It is the "before" of every
// comparison and where the classifier starts (LP-FT, arXiv 2202.10054). Features are standardised for the fit and the
// scale is folded back, so that one grid of L2 strengths suits every network.
import * as tf from "@tensorflow/tfjs-core";
import { Failure } from "../failure.ts";
import { softmaxCrossEntropy } from "../tensor/cross_entropy.ts";
import { checkFinite } from "../tensor/faults.ts";
import { linear } from "../tensor/linear.ts";
import { outerSum } from "../tensor/low_rank.ts";
import { nextTurn } from "../turn.ts";
import { type ClassWeighting, classWeights } from "./class_weights.ts";
import { minimise } from "./lbfgs.ts";
import type { HeadArrays } from "./types.ts";

/** Tried from strong to weak, each from where the one before ended. */
export const l2Grid = [1, 0.1, 0.01, 0.001, 0.0001] as const;
/** Most iterations of a fit; it ends earlier where the gradient is as good as 0. */
const ITERATIONS = 200;
/** Multiplications that features and classifier may take at once, so that the longest product lasts some 0.1 s on a CPU. */
const PRODUCT = 2 ** 31;
/** Numbers that this thread may go through without a turn for others. */
const NUMBERS = 2 ** 23;

/** Used where there is no validation split to choose by. */
export const usualL2 = 0.01;

export interface LabelledFeatures {
  /** Row-major [count, D]. */
  features: Float32Array;
  labels: Int32Array;
}

export interface Probe {
  head: HeadArrays;
  l2: number;
  /** Accuracy on the validation features; null without them. */
  validation: number | null;
  /** Which of them it answers right, 1 each; null without them. */
  right: Uint8Array | null;
}

/**
 * Minimises mean cross-entropy + l2/2·‖W‖² (bias free) over standardised features. The L2 is the one of the grid with
 * the best validation accuracy, then the lowest validation loss; where classes weigh, images of each weigh so in all three.
 * @param onProgress iterations done and the most there can be; may throw to cancel
 * @throws Failure "bad-data" without training features
 */
export async function linearProbe(
  train: LabelledFeatures,
  classes: number,
  validation: LabelledFeatures | null,
  onProgress?: (done: number, total: number) => void,
  weighting: ClassWeighting = "none",
): Promise<Probe> {
  const count = train.labels.length;
  if (count === 0) {
    throw new Failure({
      code: "bad-data",
      what: "There are no images to train on.",
      remedy: "Load a folder with training images.",
    });
  }
  const width = train.features.length / count;
  const weights = classWeights(weighting, train.labels, classes);
  const held = validation && validation.labels.length > 0 ? validation : null;
  const grid = held ? l2Grid : [usualL2];
  const total = grid.length * ITERATIONS;
  onProgress?.(0, total);
  const { mean, deviation } = await moments(train.features, width);
  const standard = new Float32Array(train.features.length);
  await byRows(count, width, (i) => {
    for (let d = 0, at = i * width; d < width; d++, at++)
      standard[at] = (train.features[at]! - mean[d]!) / deviation[d]!;
  });
  const fit = new Fit(standard, train.labels, width, classes, weights);
  let point = new Float64Array(classes * (width + 1));
  let best: { probe: Probe; share: number; loss: number } | null = null;
  try {
    for (const [done, l2] of grid.entries()) {
      let reached = 0;
      const tick = (iteration = reached) => {
        reached = iteration;
        onProgress?.(done * ITERATIONS + iteration, total);
      };
      tick();
      const found = await minimise((x) => fit.evaluate(x, l2, tick), point, {
        iterations: ITERATIONS,
        tolerance: 2e-5,
        onIteration: tick,
      });
      checkFinite(found.value, "linear probe");
      point = found.x as Float64Array<ArrayBuffer>;
      const head = unstandardise(point, width, classes, mean, deviation);
      const { accuracy, right, share, loss } = held
        ? await judge(head, held, weights, tick)
        : { accuracy: null, right: null, share: 0, loss: 0 };
      const better = best === null || share > best.share || (share === best.share && loss < best.loss);
      if (better) best = { probe: { head, l2, validation: accuracy, right }, share, loss };
    }
  } finally {
    fit.dispose();
  }
  onProgress?.(total, total);
  return (best as NonNullable<typeof best>).probe;
}

/** Images that go through the classifier at once. */
interface Part {
  features: tf.Tensor2D;
  labels: tf.Tensor1D;
  weights: tf.Tensor1D;
  /** What its mean counts in the whole. */
  share: number;
}

/** Mean cross-entropy + l2/2·‖W‖² and its gradient, on the device; x is W [C, D] then b [C]. */
export class Fit {
  readonly #parts: Part[] = [];
  readonly #width: number;
  readonly #classes: number;

  /**
   * @param ofClass what an image of each class weighs; null where all weigh alike
   * @param atOnce multiplications that a part of the images may take
   */
  constructor(
    features: Float32Array,
    labels: Int32Array,
    width: number,
    classes: number,
    ofClass: Float32Array | null = null,
    atOnce: number = PRODUCT,
  ) {
    const sumOf = (own: Int32Array) =>
      ofClass ? own.reduce((sum, label) => sum + ofClass[label]!, 0) : own.length;
    const whole = sumOf(labels);
    this.#width = width;
    this.#classes = classes;
    const rows = Math.max(1, Math.floor(atOnce / (width * classes)));
    for (let from = 0; from < labels.length; from += rows) {
      const own = labels.subarray(from, from + rows);
      const values = features.subarray(from * width, (from + own.length) * width);
      this.#parts.push({
        features: tf.tensor2d(values, [own.length, width]),
        labels: tf.tensor1d(own, "int32"),
        weights: ofClass
          ? tf.tensor1d(Float32Array.from(own, (label) => ofClass[label]!))
          : tf.ones([own.length]),
        share: sumOf(own) / whole,
      });
    }
  }

  /** @param goOn asked after each part; throws to cancel */
  async evaluate(
    x: Float64Array,
    l2: number,
    goOn: () => void,
  ): Promise<{ value: number; gradient: Float64Array }> {
    const size = this.#classes * this.#width;
    const weight = tf.tensor2d(Float32Array.from(x.subarray(0, size)), [this.#classes, this.#width]);
    const bias = tf.tensor1d(Float32Array.from(x.subarray(size)));
    const sums = new Float64Array(size + this.#classes + 1);
    try {
      for (const { features, labels, weights, share } of this.#parts) {
        const logits = linear(features, weight, bias);
        const { loss, gradient } = softmaxCrossEntropy(logits, labels, weights, 0);
        const packed = tf.tidy(() => {
          const slope = outerSum(gradient, features);
          return tf.concat1d([tf.reshape(slope, [size]), tf.sum(gradient, 0), tf.reshape(loss, [1])]);
        });
        tf.dispose([logits, loss, gradient]);
        const values = await packed.data();
        packed.dispose();
        await nextTurn();
        goOn();
        for (let i = 0; i < sums.length; i++) sums[i] = sums[i]! + share * values[i]!;
      }
    } finally {
      tf.dispose([weight, bias]);
    }
    const result = sums.slice(0, size + this.#classes);
    let norm = 0;
    for (let i = 0; i < size; i++) {
      norm += x[i]! * x[i]!;
      result[i] = result[i]! + l2 * x[i]!;
    }
    return { value: sums[size + this.#classes]! + (l2 / 2) * norm, gradient: result };
  }

  dispose(): void {
    for (const { features, labels, weights } of this.#parts) tf.dispose([features, labels, weights]);
  }
}

/** Calls `work` with every row's index, and lets others have a turn before it has gone through too many numbers. */
async function byRows(count: number, perRow: number, work: (row: number) => void): Promise<void> {
  const rows = Math.max(1, Math.floor(NUMBERS / perRow));
  for (let i = 0; i < count; i++) {
    if (i > 0 && i % rows === 0) await nextTurn();
    work(i);
  }
}

/** Per-column mean and (biased) standard deviation in f64; a constant column counts as deviation 1e-6. */
async function moments(
  features: Float32Array,
  width: number,
): Promise<{ mean: Float64Array; deviation: Float64Array }> {
  const count = features.length / width;
  const mean = new Float64Array(width);
  const square = new Float64Array(width);
  await byRows(count, width, (i) => {
    for (let d = 0; d < width; d++) mean[d] = mean[d]! + features[i * width + d]! / count;
  });
  await byRows(count, width, (i) => {
    for (let d = 0; d < width; d++)
      square[d] = square[d]! + (features[i * width + d]! - mean[d]!) ** 2 / count;
  });
  return { mean, deviation: square.map((value) => Math.max(1e-6, Math.sqrt(value))) };
}

/** The same classifier for features as they come: W / σ, b - W·μ/σ. */
function unstandardise(
  x: Float64Array,
  width: number,
  classes: number,
  mean: Float64Array,
  deviation: Float64Array,
): HeadArrays {
  const weight = new Float32Array(classes * width);
  const bias = new Float32Array(classes);
  for (let c = 0; c < classes; c++) {
    let shift = 0;
    for (let d = 0; d < width; d++) {
      const w = x[c * width + d]! / deviation[d]!;
      weight[c * width + d] = w;
      shift += w * mean[d]!;
    }
    bias[c] = x[classes * width + c]! - shift;
  }
  return { weight, bias, classes };
}

/**
 * Accuracy and what is right, and share of right answers and mean cross-entropy as the classes weigh, in f64.
 * @param goOn asked along the way; throws to cancel
 */
async function judge(
  { weight, bias, classes }: HeadArrays,
  { features, labels }: LabelledFeatures,
  weights: Float32Array | null,
  goOn: () => void,
): Promise<{ accuracy: number; right: Uint8Array; share: number; loss: number }> {
  const width = weight.length / classes;
  const logits = new Float64Array(classes);
  const right = new Uint8Array(labels.length);
  let correct = 0;
  let weighed = 0;
  let loss = 0;
  let whole = 0;
  await byRows(labels.length, width * classes, (i) => {
    const label = labels[i]!;
    if (i % 256 === 0) goOn();
    for (let c = 0; c < classes; c++) {
      let sum = bias[c]!;
      for (let d = 0; d < width; d++) sum += weight[c * width + d]! * features[i * width + d]!;
      logits[c] = sum;
    }
    const top = Math.max(...logits);
    const own = weights ? weights[label]! : 1;
    whole += own;
    if (logits.indexOf(top) === label) {
      correct += 1;
      right[i] = 1;
      weighed += own;
    }
    loss +=
      own * (top - logits[label]! + Math.log(logits.reduce((all, value) => all + Math.exp(value - top), 0)));
  });
  // Where no class of the validation images is trained on, nothing weighs.
  return {
    accuracy: correct / labels.length,
    right,
    share: weighed / (whole || 1),
    loss: loss / (whole || 1),
  };
}
