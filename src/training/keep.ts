// Staying near what the network was: what the frozen network makes of the images of a step, remembered where images never
// change, and the images without classes that a step sees beside its own.
import * as tf from "@tensorflow/tfjs-core";
import type { Pooling } from "../checkpoint/pooling.ts";
import { random, seedFor } from "../random.ts";
import { forward } from "../vit/forward.ts";
import type { VitWeights } from "../vit/types.ts";

/** Numbers that remembered features may take: 128 MiB. */
const most = 32 * 2 ** 20;

/** The frozen network, as a teacher. */
export class Teacher {
  readonly #weights: VitWeights;
  readonly #pooling: Pooling | undefined;
  /** Features [1, F] by image; null where images differ from epoch to epoch. */
  readonly #rows: Map<number, tf.Tensor2D> | null;
  #held = 0;

  /** @param remembers whether an image is always the same */
  constructor(weights: VitWeights, pooling: Pooling | undefined, remembers: boolean) {
    this.#weights = weights;
    this.#pooling = pooling;
    this.#rows = remembers ? new Map() : null;
  }

  /** Whether what is made of these images is known without their pixels. */
  has(chosen: readonly number[]): boolean {
    return chosen.every((index) => this.#rows?.has(index));
  }

  /**
   * Features of a batch, [batch, F], padded as it is; the caller disposes them.
   * @param pixels called only where they are needed; its result is the caller's
   */
  features(chosen: readonly number[], batch: number, pixels: () => tf.Tensor4D): tf.Tensor2D {
    if (this.has(chosen)) {
      const rows = Array.from(
        { length: batch },
        (_, i) => this.#rows?.get(chosen[i] ?? (chosen[0] as number)) as tf.Tensor2D,
      );
      return tf.concat2d(rows, 0);
    }
    const { features } = forward(this.#weights, { pixels: pixels() }, null, { pooling: this.#pooling });
    const found = features.pooled.clone();
    features.dispose();
    chosen.forEach((index, i) => {
      if (!this.#rows || this.#rows.has(index) || this.#held > most) return;
      // It outlives the step, whatever scope that is in.
      this.#rows.set(index, tf.keep(tf.slice2d(found, [i, 0], [1, found.shape[1]])));
      this.#held += found.shape[1];
    });
    return found;
  }

  dispose(): void {
    tf.dispose([...(this.#rows?.values() ?? [])]);
    this.#rows?.clear();
    this.#held = 0;
  }
}

/** The images without classes that a step sees: as many as its batch, each once before any comes again. */
export function chooseKept(step: number, count: number, batch: number, seed: number): number[] {
  const each = Math.min(batch, count);
  const rounds = Math.ceil(count / each);
  const order = Array.from({ length: count }, (_, i) => i);
  random(seedFor(seed, `keep ${Math.floor(step / rounds)}`)).shuffle(order);
  const first = (step % rounds) * each;
  return order.slice(first, first + each);
}
