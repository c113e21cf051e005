// What learns: parameters, the gradient each collects while backward passes, and the moments of their update rule.
// On WebGPU all of it lies in blocks, so that one program ends a batch and one updates every parameter; elsewhere each
// parameter is a tensor of its own. Gradients are sums over tokens, Σ aᵀb, collected as such: a scale (gate · alpha/r)
// is applied by the update, so that the gates' own gradient can be had from the bare ones.
import * as tf from "@tensorflow/tfjs-core";
import { adapterU, outerSum } from "./low_rank.ts";
import { adamw, sgdMomentum } from "./optimiser.ts";
import { createPackedTrainables, overwritePart } from "./webgpu/trainables.ts";

export type UpdateRule =
  | { kind: "adamw"; weightDecay: number; beta1: number; beta2: number; epsilon: number }
  | { kind: "sgd"; momentum: number };

/** Parameters that move at one rate. */
export interface Change {
  /** Into `parameters`. */
  indices: readonly number[];
  learningRate: number;
}

/** The pieces of a parameter [m, n], equal shares of its rows, and the gate each belongs to. */
export interface GatedParameter {
  index: number;
  gates: readonly number[];
}

export interface Trainables {
  readonly parameters: readonly tf.Variable[];
  /** Live moments by name: `m.0` .. and `v.0` .. for AdamW, `velocity.0` .. for SGD. */
  readonly moments: Record<string, tf.Variable>;
  /** Updates done, which AdamW's bias correction counts. */
  steps: number;
  /**
   * Collects aᵀb of one batch as a parameter's gradient, piece by piece (`adapterU`): a [T, m], b [T, pieces·n] for
   * a parameter [m, n]. At most once a batch for each parameter.
   */
  collect(index: number, a: tf.Tensor2D, b: tf.Tensor2D, pieces?: number): void;
  /** Ends a batch; several may go into one update. */
  endBatch(): void;
  /**
   * factor·Σ <gradient, parameter> over the pieces of each gate, [count]; the caller disposes it. Only after
   * `endBatch`.
   */
  gateGradient(of: readonly GatedParameter[], count: number, factor: number): tf.Tensor1D;
  /** What parameter `index` has collected, without its scale; the caller disposes it. Only after `endBatch`. */
  gradient(index: number): tf.Tensor;
  /**
   * Updates the parameters named and forgets what all have collected.
   * @param scaleOf what multiplies the gradient of each piece of a parameter, [pieces]; null: nothing does
   */
  update(changes: readonly Change[], scaleOf: (index: number) => tf.Tensor1D | null): void;
  /** Forgets what has been collected, for a step that is not finished. */
  discard(): void;
  /** Frees gradients and moments. The parameters stay the caller's, with memory of their own again. */
  dispose(): void;
}

/** Takes parameters into training. On WebGPU their memory moves; the variables stay the same. */
export function createTrainables(parameters: readonly tf.Variable[], rule: UpdateRule): Trainables {
  return tf.getBackend() === "webgpu"
    ? createPackedTrainables(parameters, rule)
    : new SeparateTrainables(parameters, rule);
}

/** The composed body: one tensor for everything. */
export class SeparateTrainables implements Trainables {
  readonly parameters: readonly tf.Variable[];
  readonly moments: Record<string, tf.Variable>;
  steps = 0;
  readonly #rule: UpdateRule;
  readonly #gradients: (tf.Tensor | null)[];

  constructor(parameters: readonly tf.Variable[], rule: UpdateRule) {
    this.parameters = parameters;
    this.#rule = rule;
    this.#gradients = parameters.map(() => null);
    this.moments = Object.fromEntries(
      momentNames(rule).flatMap((name) =>
        parameters.map((p, i) => [
          `${name}.${i}`,
          tf.tidy(() => tf.variable(tf.zeros(p.shape), false)) as tf.Variable,
        ]),
      ),
    );
  }

  collect(index: number, a: tf.Tensor2D, b: tf.Tensor2D, pieces = 1): void {
    const before = this.#gradients[index];
    const sum = pieces === 1 ? outerSum(a, b) : adapterU(a, b, pieces);
    const { shape } = this.parameters[index] as tf.Variable;
    const gradient = tf.tidy(() => tf.reshape(before ? tf.add(before, tf.reshape(sum, shape)) : sum, shape));
    tf.dispose(before ? [sum, before] : [sum]);
    // It outlives whatever scope backward is in.
    this.#gradients[index] = tf.keep(gradient);
  }

  endBatch(): void {}

  gateGradient(of: readonly GatedParameter[], count: number, factor: number): tf.Tensor1D {
    return tf.tidy(() => {
      const products = of.map(({ index, gates }) => {
        const gradient = this.#gradients[index];
        if (!gradient) return tf.zeros([gates.length]) as tf.Tensor1D;
        const product = tf.mul(gradient, this.parameters[index] as tf.Variable);
        return tf.sum(tf.reshape(product, [gates.length, -1]), 1) as tf.Tensor1D;
      });
      const owners = of.flatMap(({ gates }) => gates);
      const member = tf.tensor2d(
        Array.from({ length: count }, (_, gate) =>
          owners.map((owner) => (owner === gate ? factor : 0)),
        ).flat(),
        [count, owners.length],
      );
      return tf.reshape(tf.matMul(member, tf.reshape(tf.concat1d(products), [owners.length, 1])), [count]);
    }) as tf.Tensor1D;
  }

  gradient(index: number): tf.Tensor {
    return (
      this.#gradients[index]?.clone() ??
      tf.tidy(() => tf.zeros((this.parameters[index] as tf.Variable).shape))
    );
  }

  update(changes: readonly Change[], scaleOf: (index: number) => tf.Tensor1D | null): void {
    const indices = changes.flatMap((change) => change.indices);
    const rates = changes.flatMap(({ indices, learningRate }) => indices.map(() => learningRate));
    // A closed gate that may re-open has gradient 0, which its moments must still see: they fade.
    const gradients = indices.map((index) => tf.tidy(() => this.#scaled(index, scaleOf(index))));
    const all = (name: string) => indices.map((index) => this.moments[`${name}.${index}`] as tf.Variable);
    const parameters = indices.map((index) => this.parameters[index] as tf.Variable);
    if (this.#rule.kind === "adamw") {
      adamw(
        parameters,
        gradients,
        { m: all("m"), v: all("v"), step: this.steps },
        { ...this.#rule, learningRate: rates },
      );
    } else {
      for (const [i, parameter] of parameters.entries()) {
        const state = { velocity: [all("velocity")[i] as tf.Variable], step: this.steps };
        sgdMomentum([parameter], [gradients[i] as tf.Tensor], state, {
          learningRate: rates[i] as number,
          momentum: this.#rule.momentum,
        });
      }
    }
    this.steps += 1;
    tf.dispose(gradients);
    this.discard();
  }

  dispose(): void {
    this.discard();
    tf.dispose(Object.values(this.moments));
  }

  discard(): void {
    tf.dispose(this.#gradients.filter((gradient) => gradient !== null));
    this.#gradients.fill(null);
  }

  #scaled(index: number, scale: tf.Tensor1D | null): tf.Tensor {
    const gradient = this.#gradients[index];
    const { shape } = this.parameters[index] as tf.Variable;
    if (!gradient) return tf.zeros(shape);
    if (!scale) return gradient.clone();
    const byPiece = tf.mul(tf.reshape(gradient, [scale.size, -1]), tf.reshape(scale, [scale.size, 1]));
    return tf.reshape(byPiece, shape);
  }
}

/** Sets a parameter's or a moment's numbers, wherever they lie. */
export function overwrite(variable: tf.Variable, values: Float32Array): void {
  if (tf.getBackend() === "webgpu" && overwritePart(variable, values)) return;
  tf.tidy(() => variable.assign(tf.tensor(values.slice(), variable.shape, "float32")));
}

export function momentNames(rule: UpdateRule): string[] {
  return rule.kind === "adamw" ? ["m", "v"] : ["velocity"];
}
