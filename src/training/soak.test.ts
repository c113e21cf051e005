// A long run: after the first steps nothing is allocated any more, on the device, in WASM's heap or in tfjs's books.
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { openBackend } from "../tensor/backend.ts";
import { allocatedBytes } from "../tensor/memory.ts";
import { provideSoftwareGpu } from "../tensor/testing/software_gpu.ts";
import { randomNetwork } from "../vit/testing/random_network.ts";
import { createTrainer } from "./trainer.ts";
import type { TrainingReport } from "./types.ts";

/** Ten thousand in `npm run test:soak`, and on a software GPU a tenth of that for all methods but the first. */
const most = Number(process.env.SELORA_STEPS ?? 200);
/** Steps after which whatever is made once has been made. */
const SETTLED = 25;

const others = ["l0", "dora", "taps"] as const;
const runs = [
  ...(["webgpu", "wasm"] as const).map((name) => ["selective", name, most] as const),
  ...others.map((method) => [method, "wasm", most] as const),
  ...(most >= 2000 ? others.map((method) => [method, "webgpu", most / 10] as const) : []),
];

/** Steps between two readings. */
const EVERY = 5;

it.each(runs)(
  `%s on %s allocates nothing more after its ${SETTLED}th of %i steps, nor once its gates stand still`,
  {
    timeout: 3_600_000,
  },
  async (method, name, steps) => {
    provideSoftwareGpu();
    const backend = await openBackend(name);
    const weights = await randomNetwork({ layers: 1, hiddenSize: 16, mlpSize: 32, imageSize: 8 });
    const memory: { tensors: number; bytes: number; allocated: number }[] = [];
    const reports: TrainingReport[] = [];
    let frames = 0;
    const trainer = createTrainer({
      weights,
      recipe: {
        method,
        granularity: "matrix",
        targetModules: "both",
        rank: 2,
        alpha: 4,
        tau: 0.1,
        lambda: 0.1,
        warmup: 0,
        settle: 0.5,
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
      reportEvery: EVERY,
      hooks: {
        onReport: (report) => reports.push(report),
        onFrame: () => {
          frames += 1;
        },
        between: async (step) => {
          // A reading on its way back holds a few, for as long as the device takes.
          while (frames < 1 + Math.floor(step / EVERY)) await new Promise((resolve) => setTimeout(resolve));
          const { numTensors, numBytes } = tf.memory();
          memory.push({ tensors: numTensors, bytes: numBytes, allocated: allocatedBytes() });
          return "go";
        },
      },
    });
    expect(trainer.steps).toBe(steps);
    await trainer.run();
    expect(reports.at(-1)?.step).toBe(steps);
    // Buffers wait for a step more or less until they are free again; what adds up raises the least of them, too.
    for (const from of [0, steps / 2]) {
      const least = (what: keyof (typeof memory)[0], begin: number, end: number) =>
        Math.min(...memory.slice(from + begin, from + end).map((now) => now[what]));
      for (const what of ["tensors", "bytes"] as const)
        expect(least(what, steps / 4, steps / 2), `${what} after step ${from}`).toBeLessThanOrEqual(
          least(what, SETTLED, steps / 4),
        );
      // A device that was kept waiting had two readings on their way at once, once, and keeps the buffer of the second
      // for the next time. What adds up rises in every part of the run.
      const part = (steps / 2 - SETTLED) / 3;
      const parts = [0, 1, 2].map((i) =>
        least("allocated", SETTLED + Math.round(i * part), SETTLED + Math.round((i + 1) * part)),
      ) as [number, number, number];
      expect(parts[1] > parts[0] && parts[2] > parts[1], `${parts} bytes after step ${from}`).toBe(false);
    }
    trainer.dispose();
    weights.dispose();
    await backend.close();
  },
);
