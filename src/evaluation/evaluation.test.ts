// Holds answers to transformers' logits, and the arithmetic of accuracy to its definitions.
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import "../tensor/allclose.ts";
import type { Fixture } from "../checkpoint/testing/fixture.ts";
import { onEveryBackend } from "../tensor/testing/backends.ts";
import { normal } from "../tensor/testing/numbers.ts";
import { linearClassifier, ownClassifier, uploadHead } from "../vit/classifier.ts";
import { loadFixtureNetwork, networkFixture } from "../vit/testing/fixture.ts";
import type { EffectiveWeights, PixelSource } from "../vit/types.ts";
import { frozenWeights } from "../vit/weights.ts";
import { Entries, layersToKeep } from "./entries.ts";
import { extractFeatures, predict, predictAll } from "./predict.ts";
import { score, wilsonInterval } from "./score.ts";

const imageBytes = 16 * 16 * 3;

function sourceOf(fixture: Fixture): PixelSource {
  const pixels = Uint8Array.from(fixture.values("pixels"));
  return {
    count: 3,
    labels: Int32Array.from([0, 1, 2]),
    pixels: async (indices) =>
      Uint8Array.from(indices.flatMap((i) => [...pixels.subarray(i * imageBytes, (i + 1) * imageBytes)])),
  };
}

function argMaxRows(values: Float32Array, columns: number): number[] {
  const rows = Array.from({ length: values.length / columns }, (_, i) =>
    values.subarray(i * columns, (i + 1) * columns),
  );
  return rows.map((row) => row.indexOf(Math.max(...row)));
}

onEveryBackend((backend) => {
  it.each(["vit", "deit"])("answers as transformers does, whatever the batch: %s", async (name) => {
    const fixture = await networkFixture(name);
    const weights = await loadFixtureNetwork(fixture);
    const expected = argMaxRows(fixture.values("logits"), 5);
    for (const batch of backend === "wasm" ? [1, 2, 3, 8] : [2]) {
      const progress: number[] = [];
      const answers = await predict(weights, null, ownClassifier(weights), sourceOf(fixture), {
        batch,
        onProgress: (done) => progress.push(done),
      });
      expect([...answers.predictions]).toEqual(expected);
      expect(progress.at(-1)).toBe(3);
      // Whoever waits long is told more than once of the same.
      expect(new Set(progress).size).toBe(1 + Math.ceil(3 / batch));
      expect(progress).toEqual(progress.toSorted((a, b) => a - b));
    }
    weights.dispose();
  });

  it("extracts the features that a new classifier reads", async () => {
    const fixture = await networkFixture("vit");
    const weights = await loadFixtureNetwork(fixture);
    const features = await extractFeatures(weights, null, sourceOf(fixture), { batch: 2 });
    expect(features).toBeAllClose(fixture.values("cls"), { atol: 1e-4 });
    // A classifier that reads off one feature answers 1 where it is positive.
    const head = uploadHead({
      weight: Float32Array.from({ length: 48 }, (_, i) => (i === 24 ? 1 : 0)),
      bias: new Float32Array(2),
      classes: 2,
    });
    const answers = await predict(weights, null, linearClassifier(head, "cls"), sourceOf(fixture), {
      batch: 3,
    });
    expect([...answers.predictions]).toEqual(
      [0, 1, 2].map((i) => ((features[24 * i] as number) > 0 ? 1 : 0)),
    );
    tf.dispose([head.weight, head.bias as tf.Tensor]);
    weights.dispose();
  });

  it("lets classifiers that read the same share a pass, and asks others apart", async () => {
    const fixture = await networkFixture("deit");
    const weights = await loadFixtureNetwork(fixture);
    const source = sourceOf(fixture);
    const own = ownClassifier(weights);
    const width = weights.architecture.hiddenSize;
    const head = uploadHead({ weight: normal(3 * width, 4), bias: new Float32Array(3), classes: 3 });
    const classifiers = [own, linearClassifier(head, own.pooling), linearClassifier(head, "mean")];
    const seen: number[] = [];
    let asked = 0;
    const counted: PixelSource = {
      ...source,
      pixels: (indices) => {
        asked++;
        return source.pixels(indices);
      },
    };
    const together = await predictAll(weights, null, classifiers, counted, {
      batch: 3,
      onProgress: (done) => seen.push(done),
    });
    expect(asked).toBe(2);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen.at(-1)).toBe(3);
    for (const [i, classifier] of classifiers.entries())
      expect(together[i]).toEqual(await predict(weights, null, classifier, source, { batch: 3 }));
    const logits = fixture.values("logits");
    const energies = [0, 1, 2].map((i) =>
      Math.log(logits.slice(5 * i, 5 * i + 5).reduce((sum, v) => sum + Math.exp(v), 0)),
    );
    expect(together[0]?.energy).toBeAllClose(Float32Array.from(energies), { atol: 1e-4 });
    tf.dispose([head.weight, head.bias as tf.Tensor]);
    weights.dispose();
  });

  it("answers from where weights changed as it does from the pixels", async () => {
    const fixture = await networkFixture("vit");
    const weights = await loadFixtureNetwork(fixture);
    const source = sourceOf(fixture);
    const { layers, hiddenSize } = weights.architecture;
    const entries = new Entries(layersToKeep(layers, 1, layers));
    const frozen = frozenWeights(weights);
    /** The frozen network with the MLP of one layer four times as strong. */
    const with4 = (layer: number): EffectiveWeights => {
      const stronger = tf.mul(weights.layers[layer]?.fc2.weight as tf.Tensor2D, 4) as tf.Tensor2D;
      return {
        weight: (at, site) => (at === layer && site === "fc2" ? stronger : frozen.weight(at, site)),
        dispose: () => stronger.dispose(),
      };
    };
    const words = (changed: number | null) =>
      Array.from({ length: layers }, (_, layer) => (layer === changed ? "x4" : ""));
    const seen: number[] = [];
    const highest = entries.highest.bind(entries);
    entries.highest = (...args) => {
      const found = highest(...args);
      seen.push(found?.layer ?? 0);
      return found;
    };
    const top = layers - 1;
    for (const [changed, starts] of [
      [null, 0],
      [null, top],
      [top, top],
      [0, 0],
      [top, 0],
      [null, top],
    ] as const) {
      const effective = changed === null ? null : with4(changed);
      const ask = (kept?: { entries: Entries; standing: string[] }) =>
        extractFeatures(weights, effective, source, { batch: 2, kept });
      const fresh = await ask();
      seen.length = 0;
      expect([...(await ask({ entries, standing: words(changed) }))]).toEqual([...fresh]);
      expect(seen).toEqual([starts, starts]);
      effective?.dispose();
    }
    expect(highest(0, words(0), hiddenSize)).toBeNull();
    entries.clear();
    expect(highest(0, words(null), hiddenSize)).toBeNull();
    weights.dispose();
  });

  it("passes on what a source or a caller throws, and leaves nothing behind", async () => {
    const fixture = await networkFixture("vit");
    const weights = await loadFixtureNetwork(fixture);
    const source = sourceOf(fixture);
    const options = { batch: 1 };
    const failing: PixelSource = {
      ...source,
      pixels: (indices) => (indices[0] === 1 ? Promise.reject(new Error("corrupt")) : source.pixels(indices)),
    };
    await expect(extractFeatures(weights, null, failing, options)).rejects.toThrow("corrupt");
    const cancel = (done: number) => {
      if (done === 2) throw new Error("cancelled");
    };
    await expect(extractFeatures(weights, null, source, { ...options, onProgress: cancel })).rejects.toThrow(
      "cancelled",
    );
    const none: PixelSource = { ...source, count: 0, labels: new Int32Array(0) };
    expect((await extractFeatures(weights, null, none, options)).length).toBe(0);
    weights.dispose();
  });
});

describe("layers whose entries are kept", () => {
  it("are spread evenly, the last one among them, within the memory", () => {
    expect(layersToKeep(12, 100, 450)).toEqual([3, 6, 8, 11]);
    expect(layersToKeep(4, 100, 1e9)).toEqual([1, 2, 3]);
    expect(layersToKeep(12, 100, 99)).toEqual([]);
    expect(layersToKeep(1, 100, 1e9)).toEqual([]);
  });
});

describe("scores", () => {
  it("gives Wilson's interval as published tables have it", () => {
    // Newcombe 1998, table I, method 3 (score): 81/263, 15/148, 0/20, 1/29.
    const published = [
      [81, 263, 0.2553, 0.3662],
      [15, 148, 0.0624, 0.1605],
      [0, 20, 0, 0.1611],
      [1, 29, 0.0061, 0.1718],
    ] as const;
    for (const [correct, count, low, high] of published) {
      const interval = wilsonInterval(correct, count);
      expect(interval[0]).toBeCloseTo(low, 4);
      expect(interval[1]).toBeCloseTo(high, 4);
    }
    expect(wilsonInterval(0, 0)).toEqual([0, 1]);
    expect(wilsonInterval(20, 20)[1]).toBe(1);
  });

  it("counts each answer once", () => {
    fc.assert(
      fc.property(
        fc
          .integer({ min: 1, max: 6 })
          .chain((classes) =>
            fc.tuple(
              fc.constant(classes),
              fc.array(fc.tuple(fc.nat(classes - 1), fc.nat(classes - 1)), { maxLength: 40 }),
            ),
          ),
        ([classes, rows]) => {
          const names = Array.from({ length: classes }, (_, i) => `class ${i}`);
          const labels = Int32Array.from(rows, ([label]) => label);
          const answers = {
            predictions: Int32Array.from(rows, ([, answer]) => answer),
            confidence: new Float32Array(rows.length).fill(1),
            energy: null,
          };
          const scored = score(answers, labels, names);
          const right = rows.filter(([label, answer]) => label === answer).length;
          expect(scored.correct).toBe(right);
          expect(scored.accuracy).toBe(rows.length === 0 ? 0 : right / rows.length);
          expect(scored.interval[0]).toBeLessThanOrEqual(scored.accuracy);
          expect(scored.interval[1]).toBeGreaterThanOrEqual(scored.accuracy);
          expect(scored.perClass.reduce((sum, c) => sum + c.count, 0)).toBe(rows.length);
          expect(scored.perClass.reduce((sum, c) => sum + c.correct, 0)).toBe(right);
          expect(scored.perClass.map((c) => c.name)).toEqual(names.filter((_, i) => labels.includes(i)));
        },
      ),
    );
  });
});
