// Holds every LoRA and gate gradient through every pooling to PyTorch autograd, on transformers' CLIP and SigLIP.
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import type { Pooling } from "../checkpoint/pooling.ts";
import "../tensor/allclose.ts";
import { onEveryBackend } from "../tensor/testing/backends.ts";
import { take } from "../tensor/testing/numbers.ts";
import { backward } from "../vit/backward.ts";
import { forward } from "../vit/forward.ts";
import { loadFixtureNetwork, networkFixture, relativeError } from "../vit/testing/fixture.ts";
import { createAdaptation } from "./adaptation.ts";
import { beginStep } from "./testing/gradients.ts";
import { stackPieces, startFrom } from "./testing/start.ts";

const cases = [
  ["clip", "cls"],
  ["clip", "projection"],
  ["clip", "cls-mean"],
  ["clip", "mean"],
  ["clip", "mean-norm"],
  ["clip", "raw-mean"],
  ["siglip", "mean"],
  ["siglip", "attention"],
] as const satisfies [string, Pooling][];

onEveryBackend(() => {
  it.each(cases)("agrees with autograd: %s, %s", async (name, pooling) => {
    const fixture = await networkFixture(name);
    expect(fixture.json<Pooling[]>("poolings")).toContain(pooling);
    const weights = await loadFixtureNetwork(fixture);
    const adaptation = createAdaptation(weights, {
      method: "selective",
      granularity: "block",
      targetModules: "both",
      rank: fixture.json<number>("rank"),
      alpha: fixture.json<number>("alpha"),
      tau: 0.1,
      seed: 0,
    });
    const open = fixture.json<number[]>("open");
    await startFrom(
      adaptation,
      fixture.values,
      open.map((gate) => (gate ? 0.4 : 0.05)),
    );
    const expected = (key: string) => fixture.values(`${pooling}.${key}`);

    const pixels = tf.tensor4d(fixture.values("pixels"), [2, 16, 16, 3]);
    const { step, end } = beginStep(adaptation);
    const { features, kept } = forward(weights, { pixels }, step.effective, {
      pooling,
      keepFrom: { layer: 0, site: "entry" },
      keepInput: step.keepInput,
    });
    expect(await features.pooled.data()).toBeAllClose(expected("features"), { atol: 1e-4 });
    const dpooled = tf.tensor2d(expected("dfeatures"), features.pooled.shape);
    const entry = backward(weights, kept!, dpooled, step.effective, step.visit);
    const { gradients, scores } = end();
    features.dispose();
    tf.dispose([pixels, dpooled]);

    expect(relativeError(await take(entry!), expected("entry_gradient"))).toBeLessThan(1e-3);
    expect(relativeError(await take(scores!), expected("scores"))).toBeLessThan(1e-3);
    for (const [i, { layer, site }] of adaptation.sites.entries()) {
      for (const [j, part] of (["lora_A", "lora_B"] as const).entries()) {
        const actual = await take(gradients[2 * i + j]!);
        const reference = stackPieces(layer, site, part, expected);
        expect(relativeError(actual, reference), `layer.${layer}.${site}.${part}`).toBeLessThan(1e-3);
      }
    }
    adaptation.dispose();
    weights.dispose();
  });
});
