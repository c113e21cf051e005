// Changes and gates over one frozen network: what stands in it now, what a step needs of it, what it has learned. What is
// learned at a site is a strategy's own (change.ts); here they are all the same.
// The scores live on the device, so that a step on a GPU waits for nothing; where reading them is free (WASM), or once
// the gates are frozen, closed gates are known here and their cost is saved. Results are the same either way: the
// device's own indicator scales a closed gate's weight change and gradients by exactly 0.
import * as tf from "@tensorflow/tfjs-core";
import type { Role } from "../checkpoint/types.ts";
import { Failure } from "../failure.ts";
import { checkFinite } from "../tensor/faults.ts";
import { createPieceScales, highest, type Opening, type PieceScales } from "../tensor/gate_scores.ts";
import { linear } from "../tensor/linear.ts";
import { overwrite, type Trainables } from "../tensor/trainables.ts";
import type { EffectiveWeights, LayerWeights, Position, Site, VitWeights } from "../vit/types.ts";
import type { SiteChange } from "./change.ts";
import { doraChange } from "./dora_change.ts";
import {
  beginSensitivity,
  createScores,
  disposeScores,
  indicatorOf,
  listGates,
  type Scores,
  stepScores,
} from "./gates.ts";
import {
  chanceOpen,
  gateNoise,
  hardConcrete,
  logitClosed,
  logitGradient,
  logitRate,
  logitStart,
  stretchedGate,
} from "./hard_concrete.ts";
import { lowRankChange } from "./low_rank_change.ts";
import { type Selection, scoreMomentum, scoreStart, type Traits, traitsOf } from "./methods.ts";
import { residualChange } from "./residual_change.ts";
import { createRest, type Rest } from "./rest.ts";
import { type GatedSite, listSites, siteMatrices } from "./sites.ts";
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

/** Puts fresh changes (none yet: the network as it was) and gates, all open, over `weights`, which stay the caller's. */
export function createAdaptation(weights: VitWeights, options: AdaptationOptions): Adaptation {
  return new GatedAdaptation(weights, options);
}

function changeAt(site: GatedSite, weights: VitWeights, options: AdaptationOptions): SiteChange[] {
  switch (traitsOf(options.method).change) {
    case "low-rank":
      return [lowRankChange(site, options)];
    case "dora":
      return [doraChange(site, options, (weights.layers[site.layer] as LayerWeights)[site.site].weight)];
    case "residual":
      return [residualChange(site)];
    case "nothing":
      return [];
  }
}

class GatedAdaptation implements Adaptation {
  readonly options: AdaptationOptions;
  readonly gates: readonly Gate[];
  readonly sites: readonly SiteChange[];
  readonly parameters: readonly tf.Variable[];
  readonly names: readonly string[];
  readonly #traits: Traits;
  readonly #select: Selection;
  readonly #weights: VitWeights;
  /** Index of each site, and of its first parameter. */
  readonly #bySite: Map<string, { index: number; first: number }>;
  /** Site of each parameter; those behind them are the rest's. */
  readonly #siteOf: readonly number[];
  readonly #rest: Rest | null;
  readonly #scores: Scores;
  /** 0/1 [gates, pieces of all sites]: sums what pieces yield into their gates. */
  readonly #membership: tf.Tensor2D;
  /** ‖W‖² of each gate's matrices, [gates]. */
  readonly #frozenNorms: tf.Tensor1D;
  /** What multiplies a gate in its pieces' scales. */
  readonly #factor: number;
  /** The scales of each piece in the step at hand. */
  readonly #scales: PieceScales;
  #opening: Opening;
  #frozenOpen: Uint8Array | null;
  /** Whether gates that draw noise have not begun to: they are all open. */
  #resting = true;
  /** The noise of the step at hand, [gates]. */
  #noise: tf.Tensor1D | null = null;

  constructor(weights: VitWeights, options: AdaptationOptions) {
    const traits = traitsOf(options.method);
    this.#weights = weights;
    this.#traits = traits;
    this.#select = traits.gates === "indicator" ? (options.select ?? "learned") : "learned";
    this.options = options;
    this.gates = listGates(weights.architecture, options);
    this.sites = listSites(weights.architecture, this.gates).flatMap((site) =>
      changeAt(site, weights, options),
    );
    this.#rest = traits.everything ? createRest(weights, this.gates, options.stored ?? null) : null;
    const named = [
      ...this.sites.flatMap(({ layer, site, variables }, index) =>
        Object.entries(variables).map(([name, variable]) => ({
          name: `layer.${layer}.${site}.${name}`,
          variable,
          index,
        })),
      ),
      ...Object.entries(this.#rest?.variables ?? {}).map(([name, variable]) => ({
        name: `rest.${name}`,
        variable,
        index: -1,
      })),
    ];
    this.names = named.map(({ name }) => name);
    this.parameters = named.map(({ variable }) => variable);
    this.#siteOf = named.flatMap(({ index }) => (index < 0 ? [] : [index]));
    this.#bySite = new Map(
      this.sites.map(({ layer, site }, index) => [
        siteKey(layer, site),
        { index, first: this.#siteOf.indexOf(index) },
      ]),
    );
    this.#factor = this.sites[0]?.factor ?? 1;
    this.#scales = createPieceScales(this.sites.map(({ gates }) => gates));
    const hard = traits.gates === "hard-concrete";
    const start = hard ? logitStart : this.#select === "learned" ? scoreStart : 0;
    this.#scores = createScores(this.gates.length, start);
    const owners = this.sites.flatMap((site) => site.gates);
    this.#membership = tf.tensor2d(
      this.gates.flatMap((gate) => owners.map((owner) => (owner === gate.id ? 1 : 0))),
      [this.gates.length, owners.length],
    );
    this.#frozenNorms = this.#sumByGate(
      this.sites.map(({ pieces, ...site }) =>
        tf.tidy(() => tf.sum(tf.reshape(tf.square(this.#frozen(site)), [pieces, -1]), 1) as tf.Tensor1D),
      ),
    );
    this.#opening = { tau: hard ? logitClosed : options.tau };
    this.#frozenOpen =
      traits.gates === "open"
        ? new Uint8Array(this.gates.length).fill(traits.change === "nothing" ? 0 : 1)
        : null;
  }

  get frozen(): boolean {
    return this.#frozenOpen !== null;
  }

  effective({ open, strength = 1 }: Applied = {}): EffectiveWeights {
    const known = open ?? this.#knownOpen();
    const scales = createPieceScales(this.sites.map(({ gates }) => gates));
    try {
      this.#setScales(scales, known, strength);
      return this.#form(scales, strength === 0 ? new Uint8Array(this.gates.length) : known, strength);
    } finally {
      scales.dispose();
    }
  }

  lowest(open: Uint8Array): Position | null {
    if (this.#rest && open.includes(1)) return { layer: 0, site: "entry" };
    const change = this.sites.find(({ gates }) => gates.some((gate) => open[gate] === 1));
    return change ? { layer: change.layer, site: change.site } : null;
  }

  lowestLearning(): Position | null {
    return this.lowest(this.#frozenOpen ?? new Uint8Array(this.gates.length).fill(1));
  }

  async read(reset = false): Promise<GateReading> {
    const count = this.gates.length;
    const steps = Math.max(1, this.#scores.steps);
    const norms = this.#squaredByGate();
    const packed = tf.concat1d([this.#scores.values, this.#scores.sensitivity, norms, this.#frozenNorms]);
    norms.dispose();
    if (reset && this.#scores.steps > 0) {
      // Kept as it was read: once the gates are frozen, what they were last sensitive to is still worth knowing.
      tf.tidy(() => this.#scores.sensitivity.assign(tf.div(this.#scores.sensitivity, steps) as tf.Tensor1D));
      this.#scores.steps = 0;
    }
    const [frozen, opening, resting] = [this.#frozenOpen, this.#opening, this.#isResting()];
    const values = (await packed.data()) as Float32Array;
    packed.dispose();
    const scores = values.slice(0, count);
    for (const score of scores) checkFinite(score, "gate scores");
    return {
      scores: this.#shown(scores),
      open: frozen ? frozen.slice() : resting ? new Uint8Array(count).fill(1) : indicatorOf(scores, opening),
      sensitivity: values.slice(count, 2 * count).map((sum) => sum / steps),
      deltaNorm: values.slice(2 * count, 3 * count).map((square, gate) => {
        const whole = values[3 * count + gate] as number;
        // Rounding can leave a tiny negative square where nothing was learned yet.
        return whole > 0 ? Math.sqrt(Math.max(0, square) / whole) : 0;
      }),
    };
  }

  async merge({ open, strength = 1 }: Applied = {}): Promise<Map<Role, Float32Array<ArrayBuffer>>> {
    const standing = open ?? this.#frozenOpen ?? (await this.#readOpen());
    if (strength === 0) return new Map();
    const merged = (await this.#rest?.merge(standing, strength)) ?? new Map();
    const effective = this.effective({ open: standing, strength });
    try {
      for (const site of this.sites) {
        if (!site.gates.some((gate) => standing[gate] === 1)) continue;
        const values = (await effective.weight(site.layer, site.site).data()) as Float32Array;
        const size = values.length / site.pieces;
        siteMatrices[site.site].forEach((matrix, piece) => {
          if (standing[site.gates[piece] as number] !== 1) return;
          merged.set(`layer.${site.layer}.${matrix}.weight`, values.slice(piece * size, (piece + 1) * size));
        });
      }
    } finally {
      effective.dispose();
    }
    return merged;
  }

  async snapshot(): Promise<AdaptationSnapshot> {
    const sensitivitySteps = this.#scores.steps;
    const tensors = await readTensors(this.#saved());
    return { tensors, sensitivitySteps, frozen: this.#frozenOpen?.slice() ?? null };
  }

  restore(snapshot: AdaptationSnapshot): void {
    restoreTensors(this.#saved(), snapshot.tensors);
    this.#scores.steps = snapshot.sensitivitySteps;
    this.#frozenOpen = snapshot.frozen?.slice() ?? null;
  }

  dispose(): void {
    tf.dispose(this.sites.flatMap(({ variables }) => Object.values(variables)));
    this.#rest?.dispose();
    disposeScores(this.#scores);
    this.#scales.dispose();
    this.#noise?.dispose();
    tf.dispose([this.#membership, this.#frozenNorms]);
  }

  learning(): number[] {
    const open = this.#frozenOpen;
    return this.parameters.flatMap((_, i) => {
      const site = this.sites[this.#siteOf[i] ?? -1];
      return open && site && !site.gates.some((gate) => open[gate] === 1) ? [] : [i];
    });
  }

  openHighest(count: number): void {
    this.#opening = { count };
  }

  rank(values: ArrayLike<number>): void {
    if (!this.frozen) overwrite(this.#scores.values, Float32Array.from(values));
  }

  async changeNorms(): Promise<Float32Array> {
    const squares = this.#squaredByGate();
    const values = await squares.data();
    squares.dispose();
    return Float32Array.from(values, (square) => Math.sqrt(Math.max(0, square)));
  }

  async outputNorms(inputOf: (layer: number, site: Site) => tf.Tensor2D): Promise<Float32Array> {
    const perSite = this.sites.map((change) =>
      tf.tidy(() => {
        const { pieces } = change;
        const weight = this.#frozen(change);
        const difference = tf.sub(change.form(weight, tf.fill([pieces], change.factor)), weight);
        const y = linear(inputOf(change.layer, change.site), difference as tf.Tensor2D, null);
        const byToken = tf.sqrt(tf.sum(tf.square(tf.reshape(y, [y.shape[0], pieces, -1])), 2));
        return tf.mean(byToken, 0) as tf.Tensor1D;
      }),
    );
    const summed = this.#sumByGate(perSite);
    const values = new Float32Array(await summed.data());
    summed.dispose();
    return values;
  }

  async freeze(): Promise<void> {
    this.#frozenOpen ??= await this.#readOpen();
  }

  beginStep(trainables: Trainables, noise: number | null): AdaptationStep {
    if (this.#traits.gates === "hard-concrete" && !this.frozen) {
      this.#noise?.dispose();
      const count = this.gates.length;
      this.#noise = noise === null ? null : tf.tensor1d(gateNoise(this.options.seed, noise, count));
      this.#resting = noise === null;
    }
    const open = this.#knownOpen();
    const moving = !this.frozen;
    const mayBeOpen = ({ gates }: SiteChange) => open === null || gates.some((gate) => open[gate] === 1);
    const costs = (change: SiteChange) => moving || mayBeOpen(change);
    const lowest = this.sites.find(costs);
    const rest = this.#rest && this.#frozenOpen?.includes(1) ? this.#rest : null;
    const restFrom = this.#siteOf.length;
    this.#setScales(this.#scales, open, 1, this.#noise);
    const effective = this.#form(this.#scales, open, 1);
    return {
      effective,
      keepFrom: rest
        ? { layer: 0, site: "entry" }
        : lowest
          ? { layer: lowest.layer, site: lowest.site }
          : null,
      keepInput: (layer, site) => {
        const found = this.#bySite.get(siteKey(layer, site));
        return found !== undefined && costs(this.sites[found.index] as SiteChange);
      },
      visit: (layer, site, x, dy) => {
        const { index, first } = this.#bySite.get(siteKey(layer, site)) as { index: number; first: number };
        const change = this.sites[index] as SiteChange;
        change.collect(trainables, first, this.#frozen(change), x, dy, mayBeOpen(change));
        rest?.bias(trainables, restFrom, layer, site, dy);
      },
      ...(rest && {
        visitRest: {
          norm: (name, x, dy) => rest.norm(trainables, restFrom, name, x, dy),
          scale: (name, x, dy) => rest.scale(trainables, restFrom, name, x, dy),
          projection: (x, dy) => rest.projection(trainables, restFrom, x, dy),
        },
        visitEntry: (input, dx) => {
          if (!("pixels" in input)) throw new Error("what lies below layer 0 learns from pixels");
          rest.entry(trainables, restFrom, effective.network ?? this.#weights, input.pixels, dx);
        },
      }),
      scaleOf: (parameter) => {
        const site = this.#siteOf[parameter];
        return site === undefined ? null : this.#scales.of(site);
      },
      scoreGradient: () => (moving ? this.#gateGradient(trainables) : null),
    };
  }

  stepScores(gradient: tf.Tensor1D, lambda: number, learningRate: number): void {
    if (this.#traits.gates === "hard-concrete") this.#stepLogits(gradient, lambda, learningRate);
    else if (this.#select === "learned") stepScores(this.#scores, gradient, lambda, learningRate);
    else {
      if (this.#select === "sensitivity") {
        tf.tidy(() => this.#scores.values.assign(tf.add(this.#scores.values, tf.abs(gradient))));
      }
      stepScores(this.#scores, gradient, 0, 0);
    }
  }

  penalty(scores: Float32Array): number {
    const size = this.#traits.gates === "hard-concrete" ? chanceOpen : Math.abs;
    return scores.reduce((sum, score) => sum + size(score), 0) / Math.max(1, scores.length);
  }

  /** A step of the logits. */
  #stepLogits(gradient: tf.Tensor1D, lambda: number, learningRate: number): void {
    const { values, velocity, sensitivity } = this.#scores;
    beginSensitivity(this.#scores);
    const slope = logitGradient(values, this.#noise, gradient, lambda);
    tf.tidy(() => {
      const moved = tf.add(tf.mul(velocity, scoreMomentum), slope) as tf.Tensor1D;
      velocity.assign(moved);
      values.assign(tf.sub(values, tf.mul(moved, learningRate * logitRate)));
      sensitivity.assign(tf.add(sensitivity, tf.abs(gradient)));
    });
    slope.dispose();
    this.#scores.steps += 1;
  }

  #frozen({ layer, site }: { layer: number; site: Site }): tf.Tensor2D {
    return (this.#weights.layers[layer] as LayerWeights)[site].weight;
  }

  /** dL/dg of every gate. */
  #gateGradient(trainables: Trainables): tf.Tensor1D {
    const firstOf = (index: number) => this.#siteOf.indexOf(index);
    const own = this.sites.flatMap(({ gateGradient }) =>
      typeof gateGradient === "function" ? [gateGradient] : [],
    );
    if (own.length > 0) {
      return this.#sumByGate(
        this.sites.map((change, i) => own[i]!(trainables, firstOf(i), this.#frozen(change))),
      );
    }
    const of = this.sites.map(({ gates, gateGradient }, i) => ({
      index: firstOf(i) + (gateGradient as number),
      gates,
    }));
    return trainables.gateGradient(of, this.gates.length, this.#factor);
  }

  #isResting(): boolean {
    return this.#traits.gates === "hard-concrete" && this.#resting;
  }

  /** The indicator, where it can be had without waiting for a device. */
  #knownOpen(): Uint8Array | null {
    if (this.#frozenOpen) return this.#frozenOpen;
    if (this.#isResting()) return new Uint8Array(this.gates.length).fill(1);
    // A hard-concrete gate is neither open nor closed but lets something through.
    if (tf.getBackend() === "webgpu" || this.#traits.gates === "hard-concrete") return null;
    return indicatorOf(this.#scores.values.dataSync() as Float32Array, this.#opening);
  }

  async #readOpen(): Promise<Uint8Array> {
    return indicatorOf((await this.#scores.values.data()) as Float32Array, this.#opening);
  }

  /** @param noise of a step; without it a hard-concrete gate is as in a test */
  #setScales(
    scales: PieceScales,
    open: Uint8Array | null,
    strength: number,
    noise: tf.Tensor1D | null = null,
  ): void {
    const factor = strength * this.#factor;
    if (open) scales.fromOpen(open, factor);
    else if (this.#traits.gates === "hard-concrete") {
      const values = tf.tidy(() => {
        const gates = hardConcrete(this.#scores.values, noise);
        return "tau" in this.#opening
          ? gates
          : (tf.mul(gates, highest(this.#scores.values, this.#opening.count)) as tf.Tensor1D);
      });
      scales.fromValues(values, factor);
      values.dispose();
    } else scales.fromScores(this.#scores.values, this.#opening, factor);
  }

  /** W' of every site that is not known to be shut. */
  #form(scales: PieceScales, open: Uint8Array | null, strength: number): EffectiveWeights {
    const formed = new Map<string, tf.Tensor2D>();
    for (const [i, change] of this.sites.entries()) {
      if (open && !change.gates.some((gate) => open[gate] === 1)) continue;
      formed.set(siteKey(change.layer, change.site), change.form(this.#frozen(change), scales.of(i)));
    }
    const rest = open?.includes(1) ? this.#rest?.network(open, strength) : undefined;
    return {
      weight: (layer, site) => formed.get(siteKey(layer, site)) ?? this.#frozen({ layer, site }),
      ...(rest && { network: rest.network }),
      dispose: () => {
        tf.dispose([...formed.values()]);
        rest?.dispose();
      },
    };
  }

  #squaredByGate(): tf.Tensor1D {
    return this.#sumByGate(this.sites.map((change) => change.squared(this.#frozen(change))));
  }

  /** Sums per-piece vectors, one a site, into their gates; disposes them. */
  #sumByGate(perSite: tf.Tensor1D[]): tf.Tensor1D {
    if (perSite.length === 0) return tf.zeros([this.gates.length]);
    return tf.tidy(() => {
      const all = tf.concat1d(perSite);
      tf.dispose(perSite);
      return tf.reshape(tf.matMul(this.#membership, tf.reshape(all, [all.size, 1])), [this.gates.length]);
    }) as tf.Tensor1D;
  }

  /** Scores as they are shown. */
  #shown(scores: Float32Array): Float32Array {
    if (this.#traits.gates === "hard-concrete") return scores.map(stretchedGate);
    if (this.#select === "learned") return scores;
    const most = scores.reduce((max, score) => Math.max(max, score), 0);
    return most > 0 ? scores.map((score) => score / most) : scores;
  }

  #saved(): Record<string, tf.Variable> {
    return {
      ...Object.fromEntries(this.names.map((name, i) => [name, this.parameters[i] as tf.Variable])),
      scores: this.#scores.values,
      score_momentum: this.#scores.velocity,
      sensitivity: this.#scores.sensitivity,
    };
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

/** Reads variables back, in the order of their names and not of their arrival: equal variables are equal files. */
export async function readTensors(variables: Record<string, tf.Variable>): Promise<SavedTensors> {
  const read = async ([name, variable]: [string, tf.Variable]): Promise<[string, SavedTensors[string]]> => {
    const data = new Float32Array(await variable.data());
    return [name, { shape: [...variable.shape], data }];
  };
  return Object.fromEntries(await Promise.all(Object.entries(variables).map(read)));
}

/** Puts saved values back into variables they fit. */
export function restoreTensors(into: Record<string, tf.Variable>, saved: SavedTensors): void {
  requireFit(into, saved);
  for (const [name, variable] of Object.entries(into)) {
    overwrite(variable, (saved[name] as SavedTensors[string]).data);
  }
}

function siteKey(layer: number, site: Site): string {
  return `${layer}.${site}`;
}
