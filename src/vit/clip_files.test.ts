// Holds CLIP's and SigLIP's checkpoints, in every naming, to what transformers, open_clip and timm make of them.
import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { fixture } from "../checkpoint/fixtures/load.ts";
import { openCheckpoint } from "../checkpoint/open_checkpoint.ts";
import { poolings } from "../checkpoint/pooling.ts";
import { readSafetensors } from "../checkpoint/safetensors.ts";
import type { ModelAnswers } from "../checkpoint/types.ts";
import "../tensor/allclose.ts";
import { onEveryBackend } from "../tensor/testing/backends.ts";
import { take } from "../tensor/testing/numbers.ts";
import { ownClassifier } from "./classifier.ts";
import { forward } from "./forward.ts";
import { loadVit } from "./weights.ts";

/** What each folder's files leave open. */
const folders: Record<string, ModelAnswers> = {
  clip: {},
  "clip-f16": {},
  "clip-vision": {},
  "clip-vision-projection": {},
  "clip-classifier": {},
  siglip: {},
  "siglip-vision": {},
  "siglip-classifier": {},
  "open-clip": {},
  "openai-clip": { heads: 2 },
  "open-clip-siglip": { heads: 2, activation: "gelu" },
  "timm-siglip": { heads: 2, activation: "gelu" },
};

async function expectations() {
  const url = new URL("../checkpoint/fixtures/clip_features.safetensors", import.meta.url);
  const { tensors } = await readSafetensors(new Blob([readFileSync(url)]), "clip_features");
  const found = new Map<string, { values: Float32Array | Uint8Array; shape: number[] }>();
  for (const { name, dtype, shape, bytes } of tensors) {
    const buffer = await bytes.arrayBuffer();
    found.set(name, { shape, values: dtype === "U8" ? new Uint8Array(buffer) : new Float32Array(buffer) });
  }
  return found;
}

onEveryBackend(() => {
  it.each(Object.entries(folders))("%s", async (name, answers) => {
    const expected = await expectations();
    const { values, shape } = expected.get("pixels")!;
    const pixels = tf.tensor4d(Int32Array.from(values), shape as [number, number, number, number], "int32");
    const { architecture, preprocessing, read } = await openCheckpoint(fixture(name), answers);
    const weights = await loadVit(architecture, preprocessing, read);
    let compared = 0;
    for (const pooling of poolings) {
      const features = expected.get(`${name}/${pooling}`);
      if (!features) continue;
      const result = forward(weights, { pixels }, null, { pooling }).features;
      expect(result.pooled.shape).toEqual(features.shape);
      expect(await result.pooled.data(), pooling).toBeAllClose(features.values, { atol: 1e-4 });
      result.dispose();
      compared++;
    }
    const logits = expected.get(`${name}/logits`);
    if (logits) {
      const classifier = ownClassifier(weights);
      const { features } = forward(weights, { pixels }, null, { pooling: classifier.pooling });
      expect(await take(classifier.logits(features))).toBeAllClose(logits.values, { atol: 1e-4 });
      features.dispose();
      compared++;
    }
    expect(compared).toBeGreaterThan(0);
    weights.dispose();
    pixels.dispose();
  });
});
