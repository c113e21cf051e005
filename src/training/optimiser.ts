// One optimiser over adapters and classifier: AdamW, or SGD with momentum. Each group has its own learning rate, and
// once gates are frozen only some of the adapters still learn.
import type * as tf from "@tensorflow/tfjs-core";
import type { SavedTensors } from "../adaptation/types.ts";
import {
  type AdamWState,
  adamw,
  createAdamWState,
  createSgdState,
  disposeAdamWState,
  disposeSgdState,
  type SgdState,
  sgdMomentum,
} from "../tensor/optimiser.ts";

export interface Optimiser {
  /**
   * One step of the parameters at `indices`; the gradients stay the caller's.
   * @param rates learning rate of each
   */
  step(indices: readonly number[], gradients: readonly tf.Tensor[], rates: readonly number[]): void;
  /** Moments by name, for a snapshot; live variables, to be read or assigned. */
  readonly moments: Record<string, tf.Variable>;
  /** Steps taken, which AdamW's bias correction counts. */
  steps: number;
  dispose(): void;
}

const betas = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

export function createAdamW(parameters: readonly tf.Variable[], weightDecay: number): Optimiser {
  const state = createAdamWState(parameters);
  return {
    step(indices, gradients, learningRate) {
      const part: AdamWState = {
        m: indices.map((i) => state.m[i] as tf.Variable),
        v: indices.map((i) => state.v[i] as tf.Variable),
        step: state.step,
      };
      const chosen = indices.map((i) => parameters[i] as tf.Variable);
      adamw(chosen, gradients, part, { learningRate, weightDecay, ...betas });
      state.step = part.step;
    },
    moments: { ...named("m", state.m), ...named("v", state.v) },
    get steps() {
      return state.step;
    },
    set steps(value) {
      state.step = value;
    },
    dispose: () => disposeAdamWState(state),
  };
}

/** SGD with momentum 0.9 and no decay. */
export function createSgd(parameters: readonly tf.Variable[]): Optimiser {
  const state = createSgdState(parameters);
  return {
    step(indices, gradients, rates) {
      indices.forEach((index, i) => {
        const part: SgdState = { velocity: [state.velocity[index] as tf.Variable], step: state.step };
        sgdMomentum([parameters[index] as tf.Variable], [gradients[i] as tf.Tensor], part, {
          learningRate: rates[i] as number,
          momentum: 0.9,
        });
      });
      state.step += 1;
    },
    moments: named("velocity", state.velocity),
    get steps() {
      return state.step;
    },
    set steps(value) {
      state.step = value;
    },
    dispose: () => disposeSgdState(state),
  };
}

function named(kind: string, variables: readonly tf.Variable[]): Record<string, tf.Variable> {
  return Object.fromEntries(variables.map((variable, i) => [`${kind}.${i}`, variable]));
}

/** Reads variables back by name. */
export async function readTensors(variables: Record<string, tf.Variable>): Promise<SavedTensors> {
  const saved: SavedTensors = {};
  await Promise.all(
    Object.entries(variables).map(async ([name, variable]) => {
      saved[name] = { shape: [...variable.shape], data: new Float32Array(await variable.data()) };
    }),
  );
  return saved;
}
