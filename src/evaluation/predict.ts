// Runs a set through the network in batches of one shape: answers, or the features a probe learns from. The last batch
// is padded with black images whose answers nobody reads.
import * as tf from "@tensorflow/tfjs-core";
import { featureSize, type Pooling } from "../checkpoint/pooling.ts";
import { throwIfFaulty } from "../tensor/faults.ts";
import { inTurns, nextTurn } from "../turn.ts";
import { forwardInParts } from "../vit/forward.ts";
import type {
  Classifier,
  EffectiveWeights,
  Features,
  ForwardInput,
  PixelSource,
  VitWeights,
} from "../vit/types.ts";
import type { Entries, Standing } from "./entries.ts";
import type { Answers } from "./types.ts";

export interface SetOptions {
  /** Images at once. */
  batch: number;
  /** Called with images done and images in all; may throw to cancel. */
  onProgress?: (done: number, total: number) => void;
  /** What is kept of this source from one time to the next, and what stands in the network this time. */
  kept?: { entries: Entries; standing: Standing };
}

/**
 * The most likely class of every image, in the source's order, and how sure it is.
 * @param effective the weights that stand; null for the frozen network
 */
export async function predict(
  weights: VitWeights,
  effective: EffectiveWeights | null,
  classifier: Classifier,
  source: PixelSource,
  options: SetOptions,
): Promise<Answers> {
  const [answers] = await predictAll(weights, effective, [classifier], source, options);
  return answers as Answers;
}

/** Answers of several classifiers; those that read the same of the network share its passes. */
export async function predictAll(
  weights: VitWeights,
  effective: EffectiveWeights | null,
  classifiers: readonly Classifier[],
  source: PixelSource,
  options: SetOptions,
): Promise<Answers[]> {
  const answers = classifiers.map(() => emptyAnswers(source.count));
  const poolings = [...new Set(classifiers.map((one) => one.pooling))];
  for (const [round, pooling] of poolings.entries()) {
    const reading = classifiers.flatMap((one, i) => (one.pooling === pooling ? [i] : []));
    const dist = reading.some((i) => (classifiers[i] as Classifier).dist);
    const onProgress = (done: number, total: number) =>
      options.onProgress?.(Math.floor((round * total + done) / poolings.length), total);
    await throughNetwork(
      weights,
      effective,
      source,
      { ...options, onProgress },
      { pooling, dist },
      reading.map((i) => ({
        read: (features) => (classifiers[i] as Classifier).logits(features),
        take: (logits, first, count) => readLogits(logits, first, count, answers[i]!),
      })),
    );
  }
  return answers;
}

const emptyAnswers = (count: number) => ({
  predictions: new Int32Array(count),
  confidence: new Float32Array(count),
  energy: new Float32Array(count),
});

/** Class, softmax probability and log Σ exp of each row of logits; the first of equal classes. */
export function readLogits(
  logits: Float32Array,
  first: number,
  count: number,
  into: ReturnType<typeof emptyAnswers>,
): void {
  const classes = logits.length / count;
  for (let i = 0; i < count; i++) {
    const row = logits.subarray(i * classes, (i + 1) * classes);
    let best = 0;
    for (let c = 1; c < classes; c++) if ((row[c] as number) > (row[best] as number)) best = c;
    const top = row[best] as number;
    let sum = 0;
    for (const value of row) sum += Math.exp(value - top);
    into.predictions[first + i] = best;
    into.confidence[first + i] = 1 / sum;
    into.energy[first + i] = top + Math.log(sum);
  }
}

/** What `pooling` makes of every image, by default what the model's own classifier reads: row-major [count, F]. */
export async function extractFeatures(
  weights: VitWeights,
  effective: EffectiveWeights | null,
  source: PixelSource,
  options: SetOptions & { pooling?: Pooling },
): Promise<Float32Array> {
  const { pooling = weights.architecture.pooling } = options;
  const width = featureSize(weights.architecture, pooling);
  const all = new Float32Array(source.count * width);
  await throughNetwork(weights, effective, source, options, { pooling, dist: false }, [
    {
      read: (features) => features.pooled.clone(),
      take: (values, first) => all.set(values, first * width),
    },
  ]);
  return all;
}

interface Reader {
  /** What to read of a batch: a tensor with one row an image. */
  read(features: Features): tf.Tensor;
  /** Values of the `count` real images of a batch that begins at image `first`. */
  take(values: Float32Array, first: number, count: number): void;
}

async function throughNetwork(
  weights: VitWeights,
  effective: EffectiveWeights | null,
  source: PixelSource,
  { batch, onProgress, kept }: SetOptions,
  wanted: Pick<Classifier, "pooling" | "dist">,
  readers: readonly Reader[],
): Promise<void> {
  const { imageSize: size, hiddenSize } = weights.architecture;
  const { count } = source;
  const fetch = (first: number) =>
    source.pixels(Array.from({ length: Math.min(batch, count - first) }, (_, i) => first + i));
  onProgress?.(0, count);
  let next = count > 0 ? fetch(0) : null;
  for (let first = 0; first < count; first += batch) {
    const bytes = (await next) as Uint8Array;
    next = first + batch < count ? fetch(first + batch) : null;
    // A failed fetch is thrown when its turn comes, not reported as unhandled before.
    next?.catch(() => {});
    const padded = new Int32Array(batch * size * size * 3);
    padded.set(bytes);
    const start = kept?.entries.highest(first, kept.standing, hiddenSize) ?? null;
    const recorder = kept?.entries.recorder(first, kept.standing, start?.layer ?? 0);
    const input: ForwardInput = start
      ? { ...start, batch }
      : { pixels: tf.tensor4d(padded, [batch, size, size, 3], "int32") };
    const work = forwardInParts(weights, input, effective, {
      pooling: wanted.pooling,
      dist: wanted.dist,
      onEntry: recorder?.onEntry,
    });
    let features: Features;
    try {
      ({ features } = await inTurns(work, () => onProgress?.(first, count)));
    } finally {
      ("pixels" in input ? input.pixels : input.entry).dispose();
    }
    const rows = readers.map(({ read }) => read(features));
    features.dispose();
    const values = (await Promise.all(rows.map((one) => one.data()))) as Float32Array[];
    tf.dispose(rows);
    throwIfFaulty();
    await nextTurn();
    await recorder?.done();
    const real = Math.min(batch, count - first);
    readers.forEach(({ take }, i) => {
      const read = values[i] as Float32Array;
      take(read.subarray(0, (read.length / batch) * real), first, real);
    });
    onProgress?.(first + real, count);
  }
}
