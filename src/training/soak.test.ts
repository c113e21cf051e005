// A long run: after the first steps nothing is allocated any more, on the device, in WASM's heap or in tfjs's books.
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { openBackend } from "../tensor/backend.ts";
import { allocatedBytes } from "../tensor/memory.ts";
import { provideSoftwareGpu } from "../tensor/testing/software_gpu.ts";
import { randomNetwork } from "../vit/testing/random_network.ts";
import { createTrainer } from "./trainer.ts";
import type { TrainingReport } from "./types.ts";

/** A thousand in `npm run test:soak`, which takes half a minute on two idle cores. */
const steps = Number(process.env.SOAK_STEPS ?? 200);

it.each(["webgpu", "wasm"] as const)(
  `allocates nothing more after its 25th of ${steps} steps, on %s`,
  {
    timeout: 600_000,
  },
  async (name) => {
    provideSoftwareGpu();
    const backend = await openBackend(name);
    const weights = await randomNetwork({ layers: 1, hiddenSize: 16, mlpSize: 32, imageSize: 8 });
    const memory: { tensors: number; bytes: number; allocated: number }[] = [];
    const reports: TrainingReport[] = [];
    const trainer = createTrainer({
      weights,
      recipe: {
        method: "selective",
        granularity: "matrix",
        targetModules: "both",
        rank: 2,
        alpha: 4,
        tau: 0.1,
        lambda: 0.1,
        warmup: 0,
        settle: 0,
        epochs: steps / 2,
        batch: 4,
        learningRate: 0.01,
        headLearningRate: 0.01,
        scoreLearningRate: 0.01,
        weightDecay: 0.01,
        augmentation: "none",
        seed: 1,
      },
      source: {
        count: 7,
        labels: Int32Array.of(0, 1, 0, 1, 0, 1, 0),
        pixels: async (indices) => new Uint8Array(indices.length * 8 * 8 * 3).fill(90),
      },
      head: { weight: new Float32Array(2 * 16), bias: new Float32Array(2), classes: 2 },
      hooks: {
        onReport: (report) => reports.push(report),
        between: async () => {
          const { numTensors, numBytes } = tf.memory();
          memory.push({ tensors: numTensors, bytes: numBytes, allocated: allocatedBytes() });
          return "go";
        },
      },
    });
    expect(trainer.steps).toBe(steps);
    await trainer.run();
    expect(reports.at(-1)?.step).toBe(steps);
    // A report on its way back holds a tensor or two for a step more or less; nothing may add up.
    for (const what of ["tensors", "bytes", "allocated"] as const) {
      const most = (from: number, to: number) => Math.max(...memory.slice(from, to).map((now) => now[what]));
      expect(most(steps / 2, steps), what).toBeLessThanOrEqual(most(25, steps / 2));
    }
    trainer.dispose();
    weights.dispose();
    await backend.close();
  },
);
