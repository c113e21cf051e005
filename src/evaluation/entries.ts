// What entered some layers when a set last went through the network. When a block is opened or closed afterwards,
// nothing below it has changed, so the set is answered again from there up; the answers are the same to the last bit.
import * as tf from "@tensorflow/tfjs-core";

/** What stands in the network, a word a layer: equal words mean equal weights. */
export type Standing = readonly string[];

/**
 * Layers whose entries are worth keeping: as many as `budget` holds, evenly spread, the last one always among them.
 * @param depth layers of the network
 * @param bytes what the entries of one layer take
 */
export function layersToKeep(depth: number, bytes: number, budget: number): number[] {
  const count = Math.min(depth - 1, Math.floor(budget / bytes));
  return Array.from({ length: count }, (_, i) => Math.round(((i + 1) * (depth - 1)) / count));
}

interface Batch {
  standing: Standing;
  entries: Map<number, Float32Array>;
}

/** The entries of one set, batch by batch, in this computer's memory and not the device's. */
export class Entries {
  readonly #layers: ReadonlySet<number>;
  readonly #batches = new Map<number, Batch>();

  constructor(layers: readonly number[]) {
    this.#layers = new Set(layers);
  }

  /** Gives the memory back; what was kept is found again when it is next asked for. */
  clear(): void {
    this.#batches.clear();
  }

  /** The highest entry of a batch that still holds, as a tensor [T, D] of the caller's; null for none. */
  highest(batch: number, standing: Standing, width: number): { entry: tf.Tensor2D; layer: number } | null {
    const kept = this.#batches.get(batch);
    if (!kept) return null;
    const changed = standing.findIndex((word, layer) => word !== kept.standing[layer]);
    const holding = [...kept.entries.keys()].filter((layer) => changed < 0 || layer <= changed);
    if (holding.length === 0) return null;
    const layer = Math.max(...holding);
    const values = kept.entries.get(layer) as Float32Array;
    return { entry: tf.tensor2d(values, [values.length / width, width]), layer };
  }

  /** Takes down the entries of a batch as it passes; `done` keeps them once they have all arrived. */
  recorder(batch: number, standing: Standing, from: number) {
    const old = this.#batches.get(batch)?.entries ?? new Map<number, Float32Array>();
    const entries = new Map([...old].filter(([layer]) => layer <= from));
    const arriving: Promise<void>[] = [];
    return {
      onEntry: (layer: number, x: tf.Tensor2D) => {
        if (!this.#layers.has(layer) || entries.has(layer)) return;
        const copy = x.clone();
        const arrives = copy.data().then((values) => {
          entries.set(layer, values as Float32Array);
        });
        arriving.push(arrives.finally(() => copy.dispose()));
      },
      done: async () => {
        await Promise.all(arriving);
        this.#batches.set(batch, { standing, entries });
      },
    };
  }
}
