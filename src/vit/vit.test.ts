// Holds the network, forwards and backwards, to transformers and PyTorch autograd.
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { random } from "../random.ts";
import "../tensor/allclose.ts";
import type { Fixture } from "../checkpoint/testing/fixture.ts";
import { onEveryBackend } from "../tensor/testing/backends.ts";
import { take } from "../tensor/testing/numbers.ts";
import { backward } from "./backward.ts";
import { ownClassifier } from "./classifier.ts";
import { entryOf, forward } from "./forward.ts";
import { loadFixtureNetwork, networkFixture, relativeError } from "./testing/fixture.ts";
import type { Position, Site, VitWeights } from "./types.ts";

const sites = ["qkv", "o", "fc1", "fc2"] as const;

async function withNetwork(
  name: string,
  use: (fixture: Fixture, weights: VitWeights, pixels: tf.Tensor4D) => Promise<void>,
) {
  const fixture = await networkFixture(name);
  const weights = await loadFixtureNetwork(fixture);
  const pixels = tf.tensor4d(
    fixture.values("pixels"),
    fixture.shape("pixels") as [number, number, number, number],
  );
  try {
    await use(fixture, weights, pixels);
  } finally {
    pixels.dispose();
    weights.dispose();
  }
}

onEveryBackend(() => {
  it.each(["vit", "deit", "variant"])("gives transformers' logits: %s", (name) =>
    withNetwork(name, async (fixture, weights, pixels) => {
      const { features } = forward(weights, { pixels }, null, { dist: true });
      const logits = ownClassifier(weights).logits(features);
      features.dispose();
      expect(await take(logits)).toBeAllClose(fixture.values("logits"), { atol: 1e-4 });
    }),
  );

  it.each(["vit", "deit", "variant"])("gives autograd's gradient of the input tokens: %s", (name) =>
    withNetwork(name, async (fixture, weights, pixels) => {
      const { features, kept } = forward(weights, { pixels }, null, {
        keepFrom: { layer: 0, site: "entry" },
      });
      expect(await features.pooled.data()).toBeAllClose(fixture.values("cls"), { atol: 1e-4 });
      const dpooled = tf.tensor2d(fixture.values("dcls"), features.pooled.shape);
      const dx = backward(weights, kept!, dpooled, null, () => {});
      tf.dispose(dpooled);
      features.dispose();
      expect(relativeError(await take(dx!), fixture.values("entry_gradient"))).toBeLessThan(1e-4);
    }),
  );

  it("goes on from a cached activation to the same bits", () =>
    withNetwork("vit", async (fixture, weights, pixels) => {
      const entry = entryOf(weights, pixels, null, 0);
      expect(await entry.data()).toBeAllClose(fixture.values("entry"), { atol: 1e-5 });
      entry.dispose();
      for (const layer of [1, 2]) {
        const x = entryOf(weights, pixels, null, layer);
        const whole = forward(weights, { pixels }, null);
        const rest = forward(weights, { entry: x, layer, batch: 3 }, null);
        expect(await rest.features.pooled.data()).toEqual(await whole.features.pooled.data());
        whole.features.dispose();
        rest.features.dispose();
        x.dispose();
      }
    }));

  it("ends backward at any place, shows the sites above it the same gradients, and keeps nothing", () =>
    withNetwork("vit", async (fixture, weights, pixels) => {
      const walk = async (keepFrom: Position, keepInput?: (layer: number, site: Site) => boolean) => {
        const before = tf.memory().numTensors;
        const seen: string[] = [];
        const gradients: Promise<Float32Array>[] = [];
        const { features, kept } = forward(weights, { pixels }, null, {
          keepFrom,
          ...(keepInput ? { keepInput } : {}),
        });
        const dpooled = tf.tensor2d(fixture.values("dcls"), features.pooled.shape);
        features.dispose();
        const dx = backward(weights, kept!, dpooled, null, (layer, site, x, dy) => {
          seen.push(`${layer}.${site}`);
          expect(x.shape[0]).toBe(dy.shape[0]);
          gradients.push(take(dy.clone()) as Promise<Float32Array>);
        });
        expect(dx === null).toBe(keepFrom.site !== "entry");
        tf.dispose([dpooled, ...(dx ? [dx] : [])]);
        const values = await Promise.all(gradients);
        expect(tf.memory().numTensors).toBe(before);
        return { seen, values };
      };
      const all = await walk({ layer: 0, site: "entry" });
      const order = [2, 1, 0].flatMap((layer) => [...sites].reverse().map((site) => `${layer}.${site}`));
      expect(all.seen).toEqual(order);
      for (const count of [1, 2, 3, 4, 7, 12]) {
        const [layer, site] = order[count - 1]!.split(".") as [string, Site];
        const part = await walk({ layer: Number(layer), site });
        expect(part.seen).toEqual(order.slice(0, count));
        expect(part.values).toEqual(all.values.slice(0, count));
      }
      const few = await walk({ layer: 1, site: "o" }, (layer, site) => layer === 2 && site === "fc1");
      expect(few.seen).toEqual(["2.fc1"]);
    }));

  it("leaves nothing behind when a tensor cannot be read", async () => {
    const fixture = await networkFixture("vit");
    const stream = random(1);
    const stopAt = 5 + stream.below(20);
    let count = 0;
    const failing = {
      ...fixture,
      values: (name: string) => {
        if (count++ === stopAt) throw new Error("gone");
        return fixture.values(name);
      },
    };
    await expect(loadFixtureNetwork(failing)).rejects.toThrow("gone");
  });
});
