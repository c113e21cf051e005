// Adapters and gates over one frozen network: what stands in it now, what a step needs of it, what it has learned.
// The scores live on the device, so that a step on a GPU waits for nothing; where reading them is free (WASM), or once
// the gates are frozen, closed gates are known here and their cost is saved. Results are the same either way: the
// device's own indicator scales a closed gate's weight change and gradients by exactly 0.
import * as tf from "@tensorflow/tfjs-core";
import { Failure } from "../failure.ts";
import { checkFinite } from "../tensor/faults.ts";
import { formWeight } from "../tensor/low_rank.ts";
import type { EffectiveWeights, LayerWeights, Position, Site, VitWeights } from "../vit/types.ts";
import { type Adapter, createAdapters, disposeAdapters, siteMatrices } from "./adapters.ts";
import { changeSquared, frozenSquared } from "./change_norm.ts";
import {
  createScores,
  disposeScores,
  indicator,
  indicatorOf,
  listGates,
  type Scores,
  stepScores,
} from "./gates.ts";
import { type AdapterGradients, siteGradients } from "./gradients.ts";
import type {
  Adaptation,
  AdaptationOptions,
  AdaptationSnapshot,
  AdaptationStep,
  Applied,
  Gate,
  GateReading,
  SavedTensors,
} from "./types.ts";

/** Puts fresh adapters and gates (all open, B = 0: the network as it was) over `weights`, which stay the caller's. */
export function createAdaptation(weights: VitWeights, options: AdaptationOptions): Adaptation {
  return new SelectiveAdaptation(weights, options);
}

class SelectiveAdaptation implements Adaptation {
  readonly options: AdaptationOptions;
  readonly gates: readonly Gate[];
  readonly sites: readonly Adapter[];
  readonly parameters: readonly tf.Variable[];
  readonly #weights: VitWeights;
  readonly #bySite: Map<string, Adapter>;
  readonly #scores: Scores;
  /** 0/1 [gates, pieces of all sites]: sums what pieces yield into their gates. */
  readonly #membership: tf.Tensor2D;
  /** ‖W‖² of each gate's matrices, [gates]. */
  readonly #frozenNorms: tf.Tensor1D;
  /** alpha/r times each pattern of open pieces that was met, at full strength. */
  readonly #scales = new Map<string, tf.Tensor1D>();
  #frozenOpen: Uint8Array | null;

  constructor(weights: VitWeights, options: AdaptationOptions) {
    this.#weights = weights;
    this.options = options;
    this.gates = listGates(weights.architecture, options);
    this.sites = createAdapters(weights.architecture, this.gates, options);
    this.parameters = this.sites.flatMap(({ A, B }) => [A, B]);
    this.#bySite = new Map(this.sites.map((adapter) => [siteKey(adapter.layer, adapter.site), adapter]));
    this.#scores = createScores(this.gates.length);
    const owners = this.sites.flatMap((adapter) => adapter.gates);
    this.#membership = tf.tensor2d(
      this.gates.flatMap((gate) => owners.map((owner) => (owner === gate.id ? 1 : 0))),
      [this.gates.length, owners.length],
    );
    this.#frozenNorms = this.#sumByGate(this.sites.map((adapter) => frozenSquared(weights, adapter)));
    this.#frozenOpen = options.method === "lora" ? new Uint8Array(this.gates.length).fill(1) : null;
  }

  get frozen(): boolean {
    return this.#frozenOpen !== null;
  }

  effective({ open, strength = 1 }: Applied = {}): EffectiveWeights {
    const known = open ?? this.#knownOpen();
    const { scaleOf, release } = this.#scaleSource(known, strength);
    const formed = new Map<string, tf.Tensor2D>();
    for (const adapter of this.sites) {
      if (strength === 0 || (known && !adapter.gates.some((gate) => known[gate] === 1))) continue;
      const { weight } = this.#layer(adapter.layer)[adapter.site];
      formed.set(
        siteKey(adapter.layer, adapter.site),
        formWeight(weight, adapter.A, adapter.B, scaleOf(adapter)),
      );
    }
    release();
    return {
      weight: (layer, site) => formed.get(siteKey(layer, site)) ?? this.#layer(layer)[site].weight,
      dispose: () => tf.dispose([...formed.values()]),
    };
  }

  lowest(open: Uint8Array): Position | null {
    const adapter = this.sites.find(({ gates }) => gates.some((gate) => open[gate] === 1));
    return adapter ? { layer: adapter.layer, site: adapter.site } : null;
  }

  async read(reset = false): Promise<GateReading> {
    const count = this.gates.length;
    const steps = Math.max(1, this.#scores.steps);
    const norms = this.#sumByGate(this.sites.map(changeSquared));
    const packed = tf.concat1d([this.#scores.values, this.#scores.sensitivity, norms, this.#frozenNorms]);
    norms.dispose();
    if (reset) {
      tf.tidy(() => this.#scores.sensitivity.assign(tf.zerosLike(this.#scores.sensitivity)));
      this.#scores.steps = 0;
    }
    const frozen = this.#frozenOpen;
    const values = (await packed.data()) as Float32Array;
    packed.dispose();
    const scores = values.slice(0, count);
    for (const score of scores) checkFinite(score, "gate scores");
    const ratio = this.options.alpha / this.options.rank;
    return {
      scores,
      open: frozen ? frozen.slice() : indicatorOf(scores, this.options.tau),
      sensitivity: values.slice(count, 2 * count).map((sum) => sum / steps),
      deltaNorm: values
        .slice(2 * count, 3 * count)
        // Rounding can leave a tiny negative square where nothing was learned yet.
        .map((square, gate) => ratio * Math.sqrt(Math.max(0, square) / (values[3 * count + gate] as number))),
    };
  }

  async merge({ open, strength = 1 }: Applied = {}): Promise<Map<string, Float32Array<ArrayBuffer>>> {
    const standing = open ?? this.#frozenOpen ?? (await this.#readOpen());
    const merged = new Map<string, Float32Array<ArrayBuffer>>();
    if (strength === 0) return merged;
    const effective = this.effective({ open: standing, strength });
    try {
      for (const adapter of this.sites) {
        if (!adapter.gates.some((gate) => standing[gate] === 1)) continue;
        const values = (await effective.weight(adapter.layer, adapter.site).data()) as Float32Array;
        const size = values.length / adapter.pieces;
        siteMatrices[adapter.site].forEach((matrix, piece) => {
          if (standing[adapter.gates[piece] as number] !== 1) return;
          merged.set(
            `layer.${adapter.layer}.${matrix}.weight`,
            values.slice(piece * size, (piece + 1) * size),
          );
        });
      }
    } finally {
      effective.dispose();
    }
    return merged;
  }

  async snapshot(): Promise<AdaptationSnapshot> {
    const sensitivitySteps = this.#scores.steps;
    const tensors: SavedTensors = {};
    await Promise.all(
      Object.entries(this.#saved()).map(async ([name, tensor]) => {
        tensors[name] = { shape: [...tensor.shape], data: new Float32Array(await tensor.data()) };
      }),
    );
    return { tensors, sensitivitySteps, frozen: this.#frozenOpen?.slice() ?? null };
  }

  restore(snapshot: AdaptationSnapshot): void {
    restoreTensors(this.#saved(), snapshot.tensors);
    this.#scores.steps = snapshot.sensitivitySteps;
    this.#frozenOpen = snapshot.frozen?.slice() ?? null;
  }

  dispose(): void {
    disposeAdapters(this.sites);
    disposeScores(this.#scores);
    tf.dispose([this.#membership, this.#frozenNorms, ...this.#scales.values()]);
    this.#scales.clear();
  }

  learning(): number[] {
    const open = this.#frozenOpen;
    return this.sites.flatMap(({ gates }, i) =>
      open && !gates.some((gate) => open[gate] === 1) ? [] : [2 * i, 2 * i + 1],
    );
  }

  async freeze(): Promise<void> {
    this.#frozenOpen ??= await this.#readOpen();
  }

  beginStep(): AdaptationStep {
    const open = this.#knownOpen();
    const moving = !this.frozen;
    const collected = new Map<Adapter, { adapter: AdapterGradients | null; product: tf.Tensor1D | null }>();
    const costs = (adapter: Adapter) =>
      moving || adapter.gates.some((gate) => (open as Uint8Array)[gate] === 1);
    const lowest = this.sites.find(costs);
    const { scaleOf, release } = this.#scaleSource(open, 1);
    return {
      effective: this.effective(open ? { open } : {}),
      keepFrom: lowest ? { layer: lowest.layer, site: lowest.site } : null,
      keepInput: (layer, site) => {
        const adapter = this.#bySite.get(siteKey(layer, site));
        return adapter !== undefined && costs(adapter);
      },
      visit: (layer, site, x, dy) => {
        const adapter = this.#bySite.get(siteKey(layer, site)) as Adapter;
        collected.set(adapter, siteGradients(adapter, x, dy, scaleOf(adapter), { open, moving }));
      },
      finish: () => {
        release();
        const gradients = this.sites.filter(costs).flatMap((adapter) => {
          const found = collected.get(adapter)?.adapter;
          // A closed gate that may re-open has gradient 0, which AdamW must still see: its moments fade.
          return found ? [found.A, found.B] : [zerosLike(adapter.A), zerosLike(adapter.B)];
        });
        if (!moving) return { gradients, scores: null };
        const products = this.#sumByGate(
          this.sites.map((adapter) => collected.get(adapter)?.product as tf.Tensor1D),
        );
        const scores = tf.mul(products, this.options.alpha / this.options.rank) as tf.Tensor1D;
        products.dispose();
        return { gradients, scores };
      },
    };
  }

  stepScores(gradient: tf.Tensor1D, lambda: number, learningRate: number): void {
    stepScores(this.#scores, gradient, lambda, learningRate);
  }

  #layer(index: number): LayerWeights {
    return this.#weights.layers[index] as LayerWeights;
  }

  /** The indicator, where it can be had without waiting for a device. */
  #knownOpen(): Uint8Array | null {
    if (this.#frozenOpen) return this.#frozenOpen;
    if (tf.getBackend() === "webgpu") return null;
    return indicatorOf(this.#scores.values.dataSync() as Float32Array, this.options.tau);
  }

  async #readOpen(): Promise<Uint8Array> {
    return indicatorOf((await this.#scores.values.data()) as Float32Array, this.options.tau);
  }

  /** g·strength·alpha/r of each piece of a site, [pieces]. What it hands out is its own and gone after `release`. */
  #scaleSource(known: Uint8Array | null, strength: number) {
    const factor = (strength * this.options.alpha) / this.options.rank;
    const made: tf.Tensor[] = [];
    const keep = <T extends tf.Tensor>(tensor: T): T => {
      made.push(tensor);
      return tensor;
    };
    const device = known
      ? null
      : keep(tf.tidy(() => tf.mul(indicator(this.#scores, this.options.tau), factor) as tf.Tensor1D));
    return {
      scaleOf: ({ gates, gateIndex }: Adapter): tf.Tensor1D => {
        if (device) return keep(tf.gather(device, gateIndex));
        const values = gates.map((gate) => (known?.[gate] === 1 ? factor : 0));
        if (strength !== 1) return keep(tf.tensor1d(values));
        const pattern = values.join();
        const found = this.#scales.get(pattern) ?? tf.keep(tf.tensor1d(values));
        this.#scales.set(pattern, found);
        return found;
      },
      release: () => tf.dispose(made),
    };
  }

  /** Sums per-piece vectors, one a site, into their gates; disposes them. */
  #sumByGate(perSite: tf.Tensor1D[]): tf.Tensor1D {
    return tf.tidy(() => {
      const all = tf.concat1d(perSite);
      tf.dispose(perSite);
      return tf.reshape(tf.matMul(this.#membership, tf.reshape(all, [all.size, 1])), [this.gates.length]);
    }) as tf.Tensor1D;
  }

  #saved(): Record<string, tf.Variable> {
    const tensors: Record<string, tf.Variable> = {};
    for (const { layer, site, A, B } of this.sites) {
      tensors[`layer.${layer}.${site}.lora_A`] = A;
      tensors[`layer.${layer}.${site}.lora_B`] = B;
    }
    tensors.scores = this.#scores.values;
    tensors.score_momentum = this.#scores.optimiser.velocity[0] as tf.Variable;
    tensors.sensitivity = this.#scores.sensitivity;
    return tensors;
  }
}

/**
 * @throws Failure "state" when saved values are not of the same names and shapes as the variables
 */
export function requireFit(into: Record<string, tf.Variable>, saved: SavedTensors): void {
  for (const [name, variable] of Object.entries(into)) {
    const found = saved[name];
    if (found?.shape.join() === variable.shape.join() && found.data.length === variable.size) continue;
    throw new Failure({
      code: "state",
      what: "The snapshot is of another model or another recipe.",
      where: name,
      remedy: "Load the model and the recipe it was made with, or start anew.",
    });
  }
}

/** Puts saved values back into variables they fit. */
export function restoreTensors(into: Record<string, tf.Variable>, saved: SavedTensors): void {
  requireFit(into, saved);
  for (const [name, variable] of Object.entries(into)) {
    const { shape, data } = saved[name] as SavedTensors[string];
    tf.tidy(() => variable.assign(tf.tensor(data.slice(), shape, "float32")));
  }
}

function siteKey(layer: number, site: Site): string {
  return `${layer}.${site}`;
}

function zerosLike(variable: tf.Variable<tf.Rank.R2>): tf.Tensor2D {
  return tf.zeros(variable.shape);
}
