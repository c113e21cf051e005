// The two optimisers over adapters and classifier, with the field's usual constants.
import type * as tf from "@tensorflow/tfjs-core";
import { createTrainables, type Trainables } from "../tensor/trainables.ts";

export function createAdamW(parameters: readonly tf.Variable[], weightDecay: number): Trainables {
  return createTrainables(parameters, {
    kind: "adamw",
    weightDecay,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
  });
}

/** SGD with momentum 0.9 and no decay. */
export function createSgd(parameters: readonly tf.Variable[]): Trainables {
  return createTrainables(parameters, { kind: "sgd", momentum: 0.9 });
}
