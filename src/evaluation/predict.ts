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
import type { FrozenFeatures, SeenBatch, SeenImages } from "./frozen.ts";
import type { Answers } from "./types.ts";

export interface SetOptions {
  /** Images at once. */
  batch: number;
  /** Called with images done and images in all; may throw to cancel. */
  onProgress?: (done: number, total: number) => void;
  /** What is kept of this source from one time to the next, and what stands in the network this time. */
  kept?: { entries: Entries; standing: Standing } | undefined;
  /** What the frozen network made of images before, and which of them this source is. */
  frozen?: { features: FrozenFeatures; images: Omit<SeenImages, "batch"> } | null;
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
  { batch, onProgress, kept, frozen }: SetOptions,
  wanted: Pick<Classifier, "pooling" | "dist">,
  readers: readonly Reader[],
): Promise<void> {
  const { imageSize: size, hiddenSize } = weights.architecture;
  const { count } = source;
  const seen = effective === null && frozen?.features.of(weights) ? frozen.features : null;
  const images: SeenImages = { ...(frozen?.images ?? { set: "", indices: [] }), batch };
  const fetch = (first: number): SeenBatch | Promise<Uint8Array> =>
    seen?.batch(images, wanted, first) ??
    source.pixels(Array.from({ length: Math.min(batch, count - first) }, (_, i) => first + i));
  onProgress?.(0, count);
  let next = count > 0 ? fetch(0) : null;
  for (let first = 0; first < count; first += batch) {
    const real = Math.min(batch, count - first);
    const given = (await next) as SeenBatch | Uint8Array;
    const anew = given instanceof Uint8Array;
    next = first + batch < count ? fetch(first + batch) : null;
    // A failed fetch is thrown when its turn comes, not reported as unhandled before.
    if (next instanceof Promise) next.catch(() => {});
    const entries = anew ? kept?.entries : undefined;
    const standing = kept?.standing ?? [];
    const start = entries?.highest(first, standing, hiddenSize) ?? null;
    const recorder = entries?.recorder(first, standing, start?.layer ?? 0);
    let features: Features;
    if (!anew) {
      features = uploadFeatures(given, batch);
      source.labels.set(given.labels, first);
    } else {
      const padded = new Int32Array(batch * size * size * 3);
      padded.set(given);
      const input: ForwardInput = start
        ? { ...start, batch }
        : { pixels: tf.tensor4d(padded, [batch, size, size, 3], "int32") };
      const work = forwardInParts(weights, input, effective, { ...wanted, onEntry: recorder?.onEntry });
      try {
        ({ features } = await inTurns(work, () => onProgress?.(first, count)));
      } finally {
        ("pixels" in input ? input.pixels : input.entry).dispose();
      }
    }
    const keeps = anew ? seen : null;
    const rows = readers.map(({ read }) => read(features));
    if (keeps) rows.push(features.pooled.clone(), ...(features.dist ? [features.dist.clone()] : []));
    features.dispose();
    const values = (await Promise.all(rows.map((one) => one.data()))) as Float32Array[];
    tf.dispose(rows);
    throwIfFaulty();
    await nextTurn();
    await recorder?.done();
    if (keeps) {
      const [pooled, dist = null] = values.splice(readers.length) as [Float32Array, Float32Array?];
      const labels = source.labels.slice(first, first + real);
      keeps.keep(images, wanted, first, { pooled: pooled.slice(), dist: dist?.slice() ?? null, labels });
    }
    readers.forEach(({ take }, i) => {
      const read = values[i] as Float32Array;
      take(read.subarray(0, (read.length / batch) * real), first, real);
    });
    onProgress?.(first + real, count);
  }
}

/** Features as they were kept, on the device again. */
function uploadFeatures({ pooled, dist }: SeenBatch, batch: number): Features {
  const rows = (values: Float32Array) => tf.tensor2d(values, [batch, values.length / batch]);
  const uploaded = { pooled: rows(pooled), dist: dist && rows(dist) };
  return { ...uploaded, dispose: () => tf.dispose(Object.values(uploaded).filter((one) => one !== null)) };
}
