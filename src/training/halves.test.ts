// A network whose layers lie as f16 pairs is the same network: its logits, the gradients of a step and what is merged are
// those of f32, to the bit, whatever is learned at a site.
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import type { Method } from "../adaptation/methods.ts";
import { onEveryBackend } from "../tensor/testing/backends.ts";
import { normal, take, toHalf } from "../tensor/testing/numbers.ts";
import { isHalves } from "../tensor/webgpu/program.ts";
import { forward } from "../vit/forward.ts";
import { randomNetwork } from "../vit/testing/random_network.ts";
import type { PixelSource, VitWeights } from "../vit/types.ts";
import { createTrainer } from "./trainer.ts";
import type { TrainingRecipe } from "./types.ts";

const recipe: TrainingRecipe = {
  method: "selective",
  granularity: "block",
  targetModules: "both",
  rank: 2,
  alpha: 4,
  tau: 0.1,
  lambda: 1,
  warmup: 0.2,
  settle: 0.4,
  epochs: 2,
  batch: 4,
  learningRate: 0.01,
  headLearningRate: 0.01,
  scoreLearningRate: 0.05,
  weightDecay: 0,
  augmentation: "none",
  seed: 5,
};
const pixels = (index: number) => normal(16 * 16 * 3, index + 1, 20).map((v) => v + (index % 2 ? 170 : 80));
const source: PixelSource = {
  count: 4,
  labels: Int32Array.from([0, 1, 0, 1]),
  pixels: async (indices) => Uint8Array.from(indices.flatMap((index) => [...pixels(index)])),
};

async function logits(weights: VitWeights): Promise<Float32Array> {
  const input = tf.tensor4d(Float32Array.from([...pixels(0), ...pixels(1)]), [2, 16, 16, 3]);
  const { features } = forward(weights, { pixels: input }, null);
  input.dispose();
  return take(features.pooled);
}

/** Two steps: the moments after them have the gradients of both, the second from changed weights. */
async function steps(weights: VitWeights, method: Method) {
  const head = { weight: Float32Array.from(normal(2 * 32, 3, 0.1)), bias: new Float32Array(2), classes: 2 };
  const trainer = createTrainer({ weights, recipe: { ...recipe, method }, source, head });
  try {
    await trainer.run();
    const { deltaNorm } = await trainer.adaptation.read();
    return {
      snapshot: await trainer.snapshot(),
      deltaNorm,
      merged: await trainer.adaptation.merge({
        open: new Uint8Array(deltaNorm.length).fill(1),
        strength: 0.5,
      }),
    };
  } finally {
    trainer.dispose();
  }
}

onEveryBackend((backend) => {
  it.each<Method>(["selective", "dora", "full"])(
    "%s: features, gradients and merged weights",
    async (method) => {
      const halves = await randomNetwork({}, { rounded: toHalf, halvesFrom: 0 });
      const whole = await randomNetwork({}, { rounded: toHalf, halvesFrom: Number.POSITIVE_INFINITY });
      try {
        if (backend === "webgpu") {
          const lies = ({ layers }: VitWeights) =>
            layers.flatMap(({ qkv, o, fc1, fc2 }) =>
              [qkv, o, fc1, fc2].map(({ weight }) => isHalves(tf.backend() as WebGPUBackend, weight)),
            );
          expect(lies(halves)).toEqual(lies(whole).map(() => true));
          expect(lies(whole)).not.toContain(true);
        }
        expect(await logits(halves)).toEqual(await logits(whole));
        const [one, other] = [await steps(halves, method), await steps(whole, method)];
        expect(one).toEqual(other);
        expect(Math.max(...one.deltaNorm)).toBeGreaterThan(0);
        expect(one.merged.size).toBeGreaterThan(0);
      } finally {
        halves.dispose();
        whole.dispose();
      }
    },
    60_000,
  );
});
