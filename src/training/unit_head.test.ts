// A head by cosine, and one that stays: the adapters still walk down the slope, and only what should learns.
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { createAdaptation } from "../adaptation/adaptation.ts";
import { onEveryBackend } from "../tensor/testing/backends.ts";
import { dot, normal, take } from "../tensor/testing/numbers.ts";
import { loadFixtureNetwork, networkFixture } from "../vit/testing/fixture.ts";
import type { VitWeights } from "../vit/types.ts";
import { uploadPixels } from "./batches.ts";
import { createSgd } from "./optimiser.ts";
import { createSchedule, rateFactor } from "./schedule.ts";
import { type HeadVariables, trainStep } from "./step.ts";
import { createTrainer } from "./trainer.ts";
import type { TrainingRecipe } from "./types.ts";

const recipe: TrainingRecipe = {
  method: "lora",
  granularity: "block",
  targetModules: "mlp",
  rank: 2,
  alpha: 4,
  tau: 0.1,
  lambda: 1,
  warmup: 0,
  settle: 0,
  epochs: 2,
  batch: 4,
  learningRate: 1e-3,
  headLearningRate: 0.05,
  scoreLearningRate: 0.01,
  weightDecay: 0.1,
  augmentation: "none",
  seed: 1,
};
const pixels = Uint8Array.from(normal(4 * 768, 1, 60).map((v) => Math.max(0, Math.min(255, v + 128))));
const labels = Int32Array.from([0, 1, 1, 0]);
const weight = () => Float32Array.from(normal(2 * 16, 3, 2));
const bias = () => new Float32Array(2).fill(-3);

async function withDeit(use: (weights: VitWeights) => Promise<void>) {
  const weights = await loadFixtureNetwork(await networkFixture("deit"));
  await use(weights);
  weights.dispose();
}

onEveryBackend((backend) => {
  // A software GPU needs seconds for a step: there, only that a head whose bias stays can be updated at all.
  const cases: [headTrains: "yes" | "no", unit: boolean, movesWeight: boolean, movesBias: boolean][] = [
    ["yes", true, true, false],
    ["yes", false, true, true],
    ["no", false, false, false],
    ["no", true, false, false],
  ];
  it.each(backend === "wasm" ? cases : cases.slice(0, 1))(
    "trains: %s, by cosine: %s",
    (headTrains, unit, movesWeight, movesBias) =>
      withDeit(async (weights) => {
        const source = {
          count: 4,
          labels,
          pixels: async (indices: readonly number[]) =>
            Uint8Array.from(indices.flatMap((i) => [...pixels.subarray(i * 768, i * 768 + 768)])),
        };
        const trainer = createTrainer({
          weights,
          recipe: { ...recipe, headTrains, epochs: 1 },
          source,
          head: { weight: weight(), bias: bias(), classes: 2, unit },
        });
        await trainer.run();
        const head = await trainer.head();
        expect(head.unit).toBe(unit);
        expect(head.weight.every((value, i) => value === weight()[i])).toBe(!movesWeight);
        expect(head.bias.every((value) => value === -3)).toBe(!movesBias);
        trainer.dispose();
      }),
    240_000,
  );

  if (backend === "webgpu") return;

  it("moves the adapters by the gradient through the length of the features", () =>
    withDeit(async (weights) => {
      const schedule = createSchedule(8, recipe);
      const rate = recipe.learningRate * rateFactor(0, schedule.steps);
      /** The loss with B of one site moved, and where a step takes B from there. */
      const stepFrom = async (moved: Float32Array | null) => {
        const adaptation = createAdaptation(weights, recipe);
        const B = adaptation.parameters[3] as tf.Variable;
        const start = Float32Array.from(normal(B.size, 7, 0.3));
        if (moved) for (let i = 0; i < start.length; i++) start[i]! += moved[i]!;
        tf.tidy(() => B.assign(tf.tensor(start, B.shape)));
        const head: HeadVariables = {
          weight: tf.tidy(() => tf.variable(tf.tensor2d(weight(), [2, 16]), false)),
          bias: tf.tidy(() => tf.variable(tf.tensor1d(bias()), false)),
          unit: true,
          learns: "nothing",
        };
        const optimiser = createSgd([...adaptation.parameters, head.weight, head.bias]);
        const images = uploadPixels(pixels, 4, 16);
        const loss = trainStep(
          { weights, adaptation, head, optimiser, recipe, schedule },
          { input: { pixels: images }, labels, mask: new Float32Array(4).fill(1) },
          0,
        );
        const after = await B.data();
        const gradient = start.map((value, i) => (value - (after[i] as number)) / rate);
        expect(await head.weight.data()).toEqual(weight());
        optimiser.dispose();
        adaptation.dispose();
        tf.dispose([images, head.weight, head.bias]);
        return { loss: (await take(loss))[0] as number, gradient };
      };
      const { gradient } = await stepFrom(null);
      const length = Math.sqrt(dot(gradient, gradient));
      expect(length).toBeGreaterThan(1e-3);
      const along = gradient.map((g) => (0.1 * g) / length);
      const rise = (await stepFrom(along)).loss - (await stepFrom(along.map((value) => -value))).loss;
      expect(rise / 0.2 / length).toBeCloseTo(1, 1);
    }));
});
