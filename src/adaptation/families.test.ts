// Every DINO and timm family against its own library: what its classifier reads, its logits, and the gradients of a LoRA
// on every matrix and of its gates. Made by interop/make_fixtures_families.py.
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { families, familyFixture } from "../checkpoint/fixtures/load.ts";
import { openCheckpoint } from "../checkpoint/open_checkpoint.ts";
import { readFixture } from "../checkpoint/testing/fixture.ts";
import "../tensor/allclose.ts";
import { onEveryBackend } from "../tensor/testing/backends.ts";
import { take } from "../tensor/testing/numbers.ts";
import { backward } from "../vit/backward.ts";
import { ownClassifier } from "../vit/classifier.ts";
import { forward } from "../vit/forward.ts";
import { relativeError } from "../vit/testing/fixture.ts";
import { loadVit } from "../vit/weights.ts";
import { createAdaptation } from "./adaptation.ts";
import { beginStep } from "./testing/gradients.ts";
import { stackPieces, startFrom } from "./testing/start.ts";

const statistics = {
  mean: [0.485, 0.456, 0.406] as [number, number, number],
  std: [0.229, 0.224, 0.225] as [number, number, number],
};

onEveryBackend(() => {
  it.each(families)("$name", async ({ name, answers, expected }) => {
    const { architecture, read } = await openCheckpoint(familyFixture(name), answers);
    const weights = await loadVit(architecture, statistics, read);
    const fixture = await readFixture(expected);
    const shape = fixture.shape("pixels") as [number, number, number, number];
    expect(architecture.imageSize).toBe(shape[1]);
    const pixels = tf.tensor4d(fixture.values("pixels"), shape);

    const { features } = forward(weights, { pixels }, null, { dist: architecture.distillationHead === true });
    expect(await features.pooled.data()).toBeAllClose(fixture.values("pooled"), { atol: 1e-4 });
    if (architecture.labels) {
      const logits = ownClassifier(weights).logits(features);
      expect(await take(logits)).toBeAllClose(fixture.values("logits"), { atol: 1e-4 });
    }
    features.dispose();

    const adaptation = createAdaptation(weights, {
      method: "selective",
      granularity: "matrix",
      targetModules: "both",
      rank: fixture.json("rank"),
      alpha: fixture.json("alpha"),
      tau: 0.1,
      seed: 0,
    });
    await startFrom(
      adaptation,
      fixture.values,
      adaptation.gates.map(() => 0.4),
    );
    const { step, end } = beginStep(adaptation);
    const { features: adapted, kept } = forward(weights, { pixels }, step.effective, {
      keepFrom: step.keepFrom,
      keepInput: step.keepInput,
    });
    const dpooled = tf.tensor2d(fixture.values("dpooled"), adapted.pooled.shape);
    backward(weights, kept!, dpooled, step.effective, step.visit);
    const { gradients, scores } = end();
    expect(relativeError(await take(scores!), fixture.values("scores.grad"))).toBeLessThan(1e-3);
    for (const [i, { layer, site }] of adaptation.sites.entries()) {
      for (const [j, part] of (["lora_A", "lora_B"] as const).entries()) {
        const reference = stackPieces(layer, site, part, (key) => fixture.values(`${key}.grad`));
        const actual = await take(gradients[2 * i + j]!);
        expect(relativeError(actual, reference), `layer.${layer}.${site}.${part}`).toBeLessThan(1e-3);
      }
    }
    adapted.dispose();
    tf.dispose([pixels, dpooled]);
    adaptation.dispose();
    weights.dispose();
  });
});
