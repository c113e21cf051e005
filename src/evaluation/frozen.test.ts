// What is kept of a frozen network gives what the network gives, to the last bit, without another look at the images;
// it stays within its room, and is of one network and of these images only.
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import type { Fixture } from "../checkpoint/testing/fixture.ts";
import { onEveryBackend } from "../tensor/testing/backends.ts";
import { linearClassifier, ownClassifier, uploadHead } from "../vit/classifier.ts";
import { loadFixtureNetwork, networkFixture } from "../vit/testing/fixture.ts";
import type { PixelSource } from "../vit/types.ts";
import { frozenWeights } from "../vit/weights.ts";
import { FrozenFeatures, type SeenBatch } from "./frozen.ts";
import { extractFeatures, predictAll } from "./predict.ts";

const imageBytes = 16 * 16 * 3;

/** Three images, and how often any was looked at; the second is another's stand-in once it has been read. */
function countingSource(fixture: Fixture) {
  const pixels = Uint8Array.from(fixture.values("pixels"));
  let looks = 0;
  const source: PixelSource = {
    count: 3,
    labels: Int32Array.from([0, 1, 2]),
    pixels: async (indices) => {
      looks += indices.length;
      source.labels[1] = 2;
      return Uint8Array.from(
        indices.flatMap((i) => [...pixels.subarray(i * imageBytes, (i + 1) * imageBytes)]),
      );
    },
  };
  return { source, looks: () => looks };
}

onEveryBackend(() => {
  it("answers again as the network did, and leaves no tensor behind", async () => {
    const fixture = await networkFixture("deit");
    const weights = await loadFixtureNetwork(fixture);
    const head = uploadHead({
      weight: Float32Array.from({ length: 2 * 16 }, (_, i) => Math.sin(i)),
      bias: Float32Array.of(0.1, 0),
      classes: 2,
    });
    const classifiers = [ownClassifier(weights), linearClassifier(head, "mean")];
    const features = new FrozenFeatures(weights);
    const frozen = { features, images: { set: "a", indices: [4, 5, 9] } };
    const plain = await predictAll(weights, null, classifiers, countingSource(fixture).source, { batch: 2 });
    const first = countingSource(fixture);
    expect(await predictAll(weights, null, classifiers, first.source, { batch: 2, frozen })).toEqual(plain);
    const tensors = tf.memory().numTensors;
    const again = countingSource(fixture);
    expect(await predictAll(weights, null, classifiers, again.source, { batch: 2, frozen })).toEqual(plain);
    expect([first.looks(), again.looks()]).toEqual([6, 0]);
    expect([...again.source.labels]).toEqual([0, 2, 2]);
    // Another classifier and k-NN read the same.
    const pooled = await extractFeatures(weights, null, again.source, { batch: 2, frozen, pooling: "mean" });
    const looked = countingSource(fixture).source;
    expect(pooled).toEqual(await extractFeatures(weights, null, looked, { batch: 2, pooling: "mean" }));
    expect(again.looks()).toBe(0);
    // A changed network, other images and another batch are another thing.
    const changed = frozenWeights(weights);
    await predictAll(weights, changed, classifiers, again.source, { batch: 2, frozen });
    expect(again.looks()).toBe(6);
    await predictAll(weights, null, [classifiers[1]!], again.source, { batch: 3, frozen });
    expect(again.looks()).toBe(9);
    const others = { features, images: { set: "a", indices: [4, 5, 8] } };
    await predictAll(weights, null, [classifiers[1]!], again.source, { batch: 2, frozen: others });
    expect(again.looks()).toBe(12);
    expect(tf.memory().numTensors).toBe(tensors);
    tf.dispose([head.weight, head.bias as tf.Tensor]);
    weights.dispose();
  });
});

const batchOf = (numbers: number): SeenBatch => ({
  pooled: new Float32Array(numbers),
  dist: null,
  labels: new Int32Array(0),
});

it("stays within its room: what was used longest ago gives way, and a set that is gone leaves nothing", () => {
  const features = new FrozenFeatures({} as never, 1000);
  const reading = { pooling: "cls", dist: false } as const;
  const of = (set: string) => ({ set, indices: [1], batch: 1 });
  features.keep(of("a"), reading, 0, batchOf(100));
  features.keep(of("b"), reading, 0, batchOf(100));
  expect(features.batch(of("a"), reading, 0)).not.toBeNull();
  features.keep(of("c"), reading, 0, batchOf(100));
  expect(features.bytes).toBe(800);
  expect(["a", "b", "c"].map((set) => features.batch(of(set), reading, 0) !== null)).toEqual([
    true,
    false,
    true,
  ]);
  features.forget("a");
  expect(features.batch(of("a"), reading, 0)).toBeNull();
  features.keep(of("d"), reading, 0, batchOf(500));
  expect(features.bytes).toBe(0);
});
