// Which images a step sees, and how they get to the network. Order and augmentation are pure functions of seed, epoch
// and index, so a run can be taken up at any step. Every batch has the same shape; a short one is padded and masked.
import * as tf from "@tensorflow/tfjs-core";
import { random, seedFor } from "../random.ts";
import type { InParts } from "../turn.ts";
import { entryInParts, tokensPerImage } from "../vit/forward.ts";
import type { ForwardInput, PixelSource, VitWeights } from "../vit/types.ts";
import type { Schedule } from "./schedule.ts";
import type { TrainingRecipe } from "./types.ts";

/** Device memory that cached activations may take. */
const cacheLimit = 256 * 2 ** 20;

/** The images of one step: real indices only, at most `schedule.batch`. */
export function chooseImages(step: number, count: number, schedule: Schedule, seed: number): number[] {
  const epoch = Math.floor(step / schedule.stepsPerEpoch);
  const order = Array.from({ length: count }, (_, i) => i);
  random(seedFor(seed, `shuffle ${epoch}`)).shuffle(order);
  const first = (step % schedule.stepsPerEpoch) * schedule.batch;
  return order.slice(first, first + schedule.batch);
}

/** Labels and mask of a batch, padded, and where classes weigh (class_weights.ts) each image's weight. */
export function labelsOf(
  source: PixelSource,
  chosen: readonly number[],
  batch: number,
  ofClass: Float32Array | null = null,
) {
  const labels = new Int32Array(batch);
  const mask = new Float32Array(batch);
  chosen.forEach((index, i) => {
    labels[i] = source.labels[index] as number;
    mask[i] = 1;
  });
  if (!ofClass) return { labels, mask };
  return { labels, mask, weights: mask.map((one, i) => one * (ofClass[labels[i] as number] as number)) };
}

/** Pixels of a batch on the device, [batch, H, W, 3] int32, black where padded; the caller disposes it. */
export function uploadPixels(pixels: Uint8Array, batch: number, size: number): tf.Tensor4D {
  const values = new Int32Array(batch * size * size * 3);
  values.set(pixels);
  return tf.tensor4d(values, [batch, size, size, 3], "int32");
}

/** Asks the source for a step's pixels, augmented as the recipe says. */
export function fetchPixels(
  source: PixelSource,
  chosen: readonly number[],
  epoch: number,
  { augmentation, seed }: Pick<TrainingRecipe, "augmentation" | "seed">,
): Promise<Uint8Array> {
  return augmentation === "none"
    ? source.pixels(chosen)
    : source.pixels(chosen, { kind: augmentation, seed, epoch });
}

/**
 * Once the gates are frozen and images never change, what enters the lowest layer that still learns never changes
 * either: it is computed once an image and kept on the device.
 */
export class EntryCache {
  readonly layer: number;
  readonly #weights: VitWeights;
  readonly #rows = new Map<number, tf.Tensor2D>();

  constructor(weights: VitWeights, layer: number) {
    this.#weights = weights;
    this.layer = layer;
  }

  /** Whether caching saves anything and fits. */
  static pays(weights: VitWeights, layer: number, images: number): boolean {
    const perImage = tokensPerImage(weights) * weights.architecture.hiddenSize * 4;
    return layer > 0 && images * perImage <= cacheLimit;
  }

  has(chosen: readonly number[]): boolean {
    return chosen.every((index) => this.#rows.has(index));
  }

  /** Runs the frozen layers on a batch and remembers what came out. */
  *fill(chosen: readonly number[], pixels: tf.Tensor4D): InParts<void> {
    const entry = yield* entryInParts(this.#weights, pixels, null, this.layer);
    const tokens = tokensPerImage(this.#weights);
    chosen.forEach((index, i) => {
      if (this.#rows.has(index)) return;
      this.#rows.set(index, tf.slice2d(entry, [i * tokens, 0], [tokens, entry.shape[1]]));
    });
    entry.dispose();
  }

  /** The batch from memory, padded with its first image; the caller disposes `entry`. */
  take(chosen: readonly number[], batch: number): Extract<ForwardInput, { entry: tf.Tensor2D }> {
    const rows = Array.from(
      { length: batch },
      (_, i) => this.#rows.get(chosen[i] ?? (chosen[0] as number)) as tf.Tensor2D,
    );
    return { entry: tf.concat2d(rows, 0), layer: this.layer, batch };
  }

  dispose(): void {
    tf.dispose([...this.#rows.values()]);
    this.#rows.clear();
  }
}
