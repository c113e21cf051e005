// What a step asks of a GPU: dispatches for each transformer layer, counted as what a third layer adds to two.
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createAdaptation } from "../adaptation/adaptation.ts";
import { startFrom } from "../adaptation/testing/start.ts";
import { type Backend, openBackend } from "../tensor/backend.ts";
import { throwIfFaulty } from "../tensor/faults.ts";
import { provideSoftwareGpu } from "../tensor/testing/software_gpu.ts";
import { randomNetwork } from "../vit/testing/random_network.ts";
import { createAdamW } from "./optimiser.ts";
import { createSchedule } from "./schedule.ts";
import { trainStep } from "./step.ts";
import type { TrainingRecipe } from "./types.ts";

const recipe: TrainingRecipe = {
  method: "selective",
  granularity: "matrix",
  targetModules: "both",
  rank: 4,
  alpha: 8,
  tau: 0.1,
  lambda: 1,
  warmup: 0,
  settle: 0,
  epochs: 10,
  batch: 2,
  learningRate: 0.01,
  headLearningRate: 0.01,
  scoreLearningRate: 0.05,
  weightDecay: 0,
  augmentation: "none",
  seed: 1,
};

let backend: Backend;
beforeAll(async () => {
  provideSoftwareGpu();
  backend = await openBackend("webgpu");
});
afterAll(() => backend.close());

/** Dispatches of the third step. @param open scores' signs by gate; null: every gate moves and is open */
async function dispatchesOf(layers: number, open: ((gate: number) => boolean) | null): Promise<number> {
  const weights = await randomNetwork({ layers });
  const adaptation = createAdaptation(weights, recipe);
  if (open) {
    await startFrom(
      adaptation,
      () => null,
      adaptation.gates.map(({ id }) => (open(id) ? 1 : -1)),
    );
    await adaptation.freeze();
  }
  const head = {
    weight: tf.tidy(() => tf.variable(tf.zeros([3, 32]) as tf.Tensor2D, false)),
    bias: tf.tidy(() => tf.variable(tf.zeros([3]) as tf.Tensor1D, false)),
  };
  const optimiser = createAdamW([...adaptation.parameters, head.weight, head.bias], 0);
  const schedule = createSchedule(20, recipe);
  const pixels = tf.ones([2, 16, 16, 3], "int32") as tf.Tensor4D;
  let count = 0;
  const { prototype } = GPUComputePassEncoder;
  const original = prototype.dispatchWorkgroups;
  prototype.dispatchWorkgroups = function (...size) {
    count += 1;
    return original.apply(this, size);
  };
  try {
    for (let at = 0; at < 3; at++) {
      count = 0;
      trainStep(
        { weights, adaptation, head, optimiser, recipe, schedule },
        { input: { pixels }, labels: Int32Array.of(0, 2), mask: Float32Array.of(1, 1) },
        at,
      ).dispose();
    }
  } finally {
    prototype.dispatchWorkgroups = original;
  }
  await backend.device?.queue.onSubmittedWorkDone();
  throwIfFaulty();
  optimiser.dispose();
  adaptation.dispose();
  weights.dispose();
  tf.dispose([pixels, head.weight, head.bias]);
  return count;
}

it("takes at most 40 dispatches for a layer with every matrix adapted, whether gates move or rest", async () => {
  for (const open of [null, () => true]) {
    const layer = (await dispatchesOf(3, open)) - (await dispatchesOf(2, open));
    expect(layer).toBeGreaterThan(16);
    expect(layer).toBeLessThanOrEqual(40);
  }
});

it("takes at most 16 for a layer whose gates are all shut for good, above one that learns, and 7 below", async () => {
  // Six gates a layer: only the first layer's query is open, or only the last layer's fc2.
  const above = (await dispatchesOf(3, (gate) => gate === 0)) - (await dispatchesOf(2, (gate) => gate === 0));
  expect(above).toBeGreaterThan(7);
  expect(above).toBeLessThanOrEqual(16);
  const below =
    (await dispatchesOf(3, (gate) => gate === 17)) - (await dispatchesOf(2, (gate) => gate === 11));
  expect(below).toBe(7);
});
