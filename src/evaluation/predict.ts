// Runs a set through the network in batches of one shape: answers, or the features a probe learns from. The last batch
// is padded with black images whose answers nobody reads.
import * as tf from "@tensorflow/tfjs-core";
import { throwIfFaulty } from "../tensor/faults.ts";
import { forward } from "../vit/forward.ts";
import type { Classifier, EffectiveWeights, Features, PixelSource, VitWeights } from "../vit/types.ts";

export interface SetOptions {
  /** Images at once. */
  batch: number;
  /** Called with images done and images in all; may throw to cancel. */
  onProgress?: (done: number, total: number) => void;
}

/**
 * The most likely class of every image, in the source's order.
 * @param effective the weights that stand; null for the frozen network
 */
export async function predict(
  weights: VitWeights,
  effective: EffectiveWeights | null,
  classifier: Classifier,
  source: PixelSource,
  options: SetOptions,
): Promise<Int32Array> {
  const predictions = new Int32Array(source.count);
  await throughNetwork(weights, effective, source, options, weights.headDist !== null, {
    read: (features) => {
      const logits = classifier(features);
      const answers = tf.tidy(() => tf.argMax(logits, 1));
      logits.dispose();
      return answers;
    },
    take: (values, first) => predictions.set(values as Int32Array, first),
  });
  return predictions;
}

/** CLS features of every image, row-major [count, D]. */
export async function extractFeatures(
  weights: VitWeights,
  effective: EffectiveWeights | null,
  source: PixelSource,
  options: SetOptions,
): Promise<Float32Array> {
  const width = weights.architecture.hiddenSize;
  const all = new Float32Array(source.count * width);
  await throughNetwork(weights, effective, source, options, false, {
    read: (features) => features.cls.clone(),
    take: (values, first) => all.set(values as Float32Array, first * width),
  });
  return all;
}

interface Reader {
  /** What to read of a batch: a tensor with one row an image. */
  read(features: Features): tf.Tensor;
  /** Values of the real images of a batch that begins at image `first`. */
  take(values: Float32Array | Int32Array, first: number): void;
}

async function throughNetwork(
  weights: VitWeights,
  effective: EffectiveWeights | null,
  source: PixelSource,
  { batch, onProgress }: SetOptions,
  dist: boolean,
  { read, take }: Reader,
): Promise<void> {
  const { imageSize: size } = weights.architecture;
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
    const pixels = tf.tensor4d(padded, [batch, size, size, 3], "int32");
    const { features } = forward(weights, { pixels }, effective, { dist });
    pixels.dispose();
    const rows = read(features);
    features.dispose();
    const values = (await rows.data()) as Float32Array | Int32Array;
    rows.dispose();
    throwIfFaulty();
    const real = Math.min(batch, count - first);
    take(values.subarray(0, (values.length / batch) * real), first);
    onProgress?.(first + real, count);
  }
}
