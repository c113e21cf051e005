// What the frozen network made of images that it has seen: its features, a few hundred numbers an image, kept batch by
// batch in this computer's memory for as long as the network lies on the device. Whatever reads them again (a probe,
// another classifier, k-NN) gets what a pass through the network would give, to the last bit.
import type { Pooling } from "../checkpoint/pooling.ts";
import type { VitWeights } from "../vit/types.ts";

/** Bytes of features; beyond, those that were asked for longest ago give way. */
const ROOM = 256 * 2 ** 20;

/** Which images: a set by its id, the places in it, and how many go through the network at once. */
export interface SeenImages {
  set: string;
  indices: readonly number[];
  batch: number;
}

/** What of the network's output is read. */
interface Reading {
  pooling: Pooling;
  dist: boolean;
}

/** Features of one batch, padding included, and the labels of its images; those of a stand-in are its own. */
export interface SeenBatch {
  pooled: Float32Array;
  dist: Float32Array | null;
  labels: Int32Array;
}

interface Part extends SeenImages, Reading {
  /** By the place of their first image. */
  batches: Map<number, SeenBatch>;
  bytes: number;
}

/** The features of one frozen network. */
export class FrozenFeatures {
  readonly #weights: VitWeights;
  readonly #room: number;
  /** Used longest ago first. */
  #parts: Part[] = [];

  constructor(weights: VitWeights, room = ROOM) {
    this.#weights = weights;
    this.#room = room;
  }

  /** Bytes that are kept. */
  get bytes(): number {
    return this.#parts.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Whether these are features of this very network. */
  of(weights: VitWeights): boolean {
    return this.#weights === weights;
  }

  batch(images: SeenImages, reading: Reading, first: number): SeenBatch | null {
    return this.#part(images, reading)?.batches.get(first) ?? null;
  }

  /** Keeps a batch; what does not fit beside what is used is not kept. */
  keep(images: SeenImages, reading: Reading, first: number, batch: SeenBatch): void {
    const known = this.#part(images, reading);
    const part: Part = known ?? { ...images, ...reading, batches: new Map(), bytes: 0 };
    if (!known) this.#parts.push(part);
    part.batches.set(first, batch);
    part.bytes += batch.pooled.byteLength + (batch.dist?.byteLength ?? 0) + batch.labels.byteLength;
    while (this.bytes > this.#room) this.#parts.shift();
  }

  /** Lets go of the features of a set that is gone. */
  forget(set: string): void {
    this.#parts = this.#parts.filter((part) => part.set !== set);
  }

  /** What is kept of these images, which is then what was used last. */
  #part(images: SeenImages, { pooling, dist }: Reading): Part | null {
    const at = this.#parts.findIndex(
      (part) =>
        part.set === images.set &&
        part.batch === images.batch &&
        part.pooling === pooling &&
        part.dist === dist &&
        sameIndices(part.indices, images.indices),
    );
    if (at < 0) return null;
    const [part] = this.#parts.splice(at, 1) as [Part];
    this.#parts.push(part);
    return part;
  }
}

const sameIndices = (one: readonly number[], other: readonly number[]) =>
  one === other || (one.length === other.length && one.every((index, i) => index === other[i]));
