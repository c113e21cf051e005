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
import { minimise } from "./lbfgs.ts";
import type { HeadArrays } from "./types.ts";

/** Tried from strong to weak, each from where the one before ended. */
export const l2Grid = [1, 0.1, 0.01, 0.001, 0.0001] as const;
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
}

/**
 * Minimises mean cross-entropy + l2/2·‖W‖² (bias free) over standardised features. The L2 is the one of the grid with
 * the best validation accuracy, then the lowest validation loss.
 * @param onProgress fits done and fits in all; may throw to cancel
 * @throws Failure "bad-data" without training features
 */
export async function linearProbe(
  train: LabelledFeatures,
  classes: number,
  validation: LabelledFeatures | null,
  onProgress?: (done: number, total: number) => void,
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
  const { mean, deviation } = moments(train.features, width);
  const standard = train.features.map((value, i) => (value - mean[i % width]!) / deviation[i % width]!);
  const fit = new Fit(standard, train.labels, width, classes);
  const held = validation && validation.labels.length > 0 ? validation : null;
  const grid = held ? l2Grid : [usualL2];
  let point = new Float64Array(classes * (width + 1));
  let best: { probe: Probe; loss: number } | null = null;
  try {
    for (const [done, l2] of grid.entries()) {
      onProgress?.(done, grid.length);
      const found = await minimise((x) => fit.evaluate(x, l2), point, { iterations: 200, tolerance: 2e-5 });
      checkFinite(found.value, "linear probe");
      point = found.x as Float64Array<ArrayBuffer>;
      const head = unstandardise(point, width, classes, mean, deviation);
      const judged = held ? judge(head, held) : { accuracy: null, loss: 0 };
      const better =
        best === null ||
        (judged.accuracy as number) > (best.probe.validation as number) ||
        (judged.accuracy === best.probe.validation && judged.loss < best.loss);
      if (better) best = { probe: { head, l2, validation: judged.accuracy }, loss: judged.loss };
    }
  } finally {
    fit.dispose();
  }
  onProgress?.(grid.length, grid.length);
  return (best as NonNullable<typeof best>).probe;
}

/** Value and gradient on the device; x is W [C, D] then b [C]. */
class Fit {
  readonly #features: tf.Tensor2D;
  readonly #labels: tf.Tensor1D;
  readonly #weights: tf.Tensor1D;
  readonly #width: number;
  readonly #classes: number;

  constructor(features: Float32Array, labels: Int32Array, width: number, classes: number) {
    this.#features = tf.tensor2d(features, [labels.length, width]);
    this.#labels = tf.tensor1d(labels, "int32");
    this.#weights = tf.ones([labels.length]);
    this.#width = width;
    this.#classes = classes;
  }

  async evaluate(x: Float64Array, l2: number): Promise<{ value: number; gradient: Float64Array }> {
    const size = this.#classes * this.#width;
    const weight = tf.tensor2d(Float32Array.from(x.subarray(0, size)), [this.#classes, this.#width]);
    const bias = tf.tensor1d(Float32Array.from(x.subarray(size)));
    const logits = linear(this.#features, weight, bias);
    const { loss, gradient } = softmaxCrossEntropy(logits, this.#labels, this.#weights, 0);
    const packed = tf.tidy(() => {
      const slope = outerSum(gradient, this.#features);
      return tf.concat1d([tf.reshape(slope, [size]), tf.sum(gradient, 0), tf.reshape(loss, [1])]);
    });
    tf.dispose([weight, bias, logits, loss, gradient]);
    const values = await packed.data();
    packed.dispose();
    await nextTurn();
    const result = Float64Array.from(values.subarray(0, size + this.#classes));
    let norm = 0;
    for (let i = 0; i < size; i++) {
      norm += x[i]! * x[i]!;
      result[i] = result[i]! + l2 * x[i]!;
    }
    return { value: values[size + this.#classes]! + (l2 / 2) * norm, gradient: result };
  }

  dispose(): void {
    tf.dispose([this.#features, this.#labels, this.#weights]);
  }
}

/** Per-column mean and (biased) standard deviation in f64; a constant column counts as deviation 1e-6. */
function moments(features: Float32Array, width: number): { mean: Float64Array; deviation: Float64Array } {
  const count = features.length / width;
  const mean = new Float64Array(width);
  const square = new Float64Array(width);
  features.forEach((value, i) => {
    mean[i % width] = mean[i % width]! + value / count;
  });
  features.forEach((value, i) => {
    square[i % width] = square[i % width]! + (value - mean[i % width]!) ** 2 / count;
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

/** Accuracy and mean cross-entropy in f64. */
function judge(
  { weight, bias, classes }: HeadArrays,
  { features, labels }: LabelledFeatures,
): { accuracy: number; loss: number } {
  const width = weight.length / classes;
  const logits = new Float64Array(classes);
  let correct = 0;
  let loss = 0;
  labels.forEach((label, i) => {
    for (let c = 0; c < classes; c++) {
      let sum = bias[c]!;
      for (let d = 0; d < width; d++) sum += weight[c * width + d]! * features[i * width + d]!;
      logits[c] = sum;
    }
    const top = Math.max(...logits);
    if (logits.indexOf(top) === label) correct += 1;
    loss += top - logits[label]! + Math.log(logits.reduce((all, value) => all + Math.exp(value - top), 0));
  });
  return { accuracy: correct / labels.length, loss: loss / labels.length };
}
