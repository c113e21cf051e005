// Holds what a classifier reads to transformers' CLIP and SigLIP. The gradients through it stand in ../adaptation.
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { featureSize, type Pooling, poolingsOf, textSpacePooling } from "../checkpoint/pooling.ts";
import type { Architecture } from "../checkpoint/types.ts";
import "../tensor/allclose.ts";
import type { Fixture } from "../checkpoint/testing/fixture.ts";
import { onEveryBackend } from "../tensor/testing/backends.ts";
import { take } from "../tensor/testing/numbers.ts";
import { ownClassifier } from "./classifier.ts";
import { entryOf, forward } from "./forward.ts";
import { loadFixtureNetwork, networkFixture } from "./testing/fixture.ts";
import type { VitWeights } from "./types.ts";

async function withNetwork(
  name: string,
  use: (fixture: Fixture, weights: VitWeights, pixels: tf.Tensor4D) => Promise<void>,
) {
  const fixture = await networkFixture(name);
  const weights = await loadFixtureNetwork(fixture);
  const pixels = tf.tensor4d(fixture.values("pixels"), [2, 16, 16, 3]);
  try {
    await use(fixture, weights, pixels);
  } finally {
    pixels.dispose();
    weights.dispose();
  }
}

onEveryBackend(() => {
  it.each(["clip", "siglip"])("gives the logits of transformers' image classifier: %s", (name) =>
    withNetwork(name, async (fixture, weights, pixels) => {
      const classifier = ownClassifier(weights);
      const { features } = forward(weights, { pixels }, null, { pooling: classifier.pooling });
      const logits = classifier.logits(features);
      features.dispose();
      expect(await take(logits)).toBeAllClose(fixture.values("logits"), { atol: 1e-4 });
    }),
  );

  it.each(["clip", "siglip"])("gives every pooling's features: %s", (name) =>
    withNetwork(name, async (fixture, weights, pixels) => {
      for (const pooling of fixture.json<Pooling[]>("poolings")) {
        const { features } = forward(weights, { pixels }, null, { pooling });
        expect(features.pooled.shape).toEqual([2, featureSize(weights.architecture, pooling)]);
        expect(await features.pooled.data(), pooling).toBeAllClose(fixture.values(`${pooling}.frozen`), {
          atol: 1e-4,
        });
        features.dispose();
      }
    }),
  );

  it.each(["clip", "siglip"])("goes on from a cached activation, with any pooling: %s", (name) =>
    withNetwork(name, async (fixture, weights, pixels) => {
      const entry = entryOf(weights, pixels, null, 1);
      for (const pooling of fixture.json<Pooling[]>("poolings")) {
        const { features } = forward(weights, { entry, layer: 1, batch: 2 }, null, { pooling });
        expect(await features.pooled.data(), pooling).toBeAllClose(fixture.values(`${pooling}.frozen`), {
          atol: 1e-4,
        });
        features.dispose();
      }
      entry.dispose();
    }),
  );
});

it("knows what each network can give", () => {
  const base = { hiddenSize: 24, prefixTokens: 1 } as Architecture;
  expect(poolingsOf(base)).toEqual(["cls", "cls-mean", "mean", "mean-norm", "raw-mean"]);
  expect(poolingsOf({ ...base, projectionSize: 20 })).toContain("projection");
  expect(poolingsOf({ ...base, prefixTokens: 0, attentionPool: { mlpSize: 40 } })).toEqual([
    "mean",
    "mean-norm",
    "raw-mean",
    "attention",
  ]);
  expect(featureSize({ ...base, projectionSize: 20 }, "projection")).toBe(20);
  expect(featureSize(base, "cls-mean")).toBe(48);
  expect(textSpacePooling(base)).toBeNull();
  expect(textSpacePooling({ ...base, projectionSize: 20 })).toBe("projection");
  expect(textSpacePooling({ ...base, prefixTokens: 0, attentionPool: { mlpSize: 40 } })).toBe("attention");
});
