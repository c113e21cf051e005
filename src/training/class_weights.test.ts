// Class weights against PyTorch's CrossEntropyLoss(weight=...): the loss with its gradient, the probe, and whole runs; and
// that a step in parts is the same step.
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { expect, it } from "vitest";
import { createAdaptation } from "../adaptation/adaptation.ts";
import { startFrom } from "../adaptation/testing/start.ts";
import { type Fixture, readFixture } from "../checkpoint/testing/fixture.ts";
import "../tensor/allclose.ts";
import { softmaxCrossEntropy } from "../tensor/cross_entropy.ts";
import { onEveryBackend } from "../tensor/testing/backends.ts";
import { normal, take } from "../tensor/testing/numbers.ts";
import { loadFixtureNetwork, networkFixture, relativeError } from "../vit/testing/fixture.ts";
import type { PixelSource } from "../vit/types.ts";
import { labelsOf, uploadPixels } from "./batches.ts";
import { classWeights } from "./class_weights.ts";
import { createSgd } from "./optimiser.ts";
import { linearProbe } from "./probe.ts";
import { createSchedule } from "./schedule.ts";
import { trainStep } from "./step.ts";
import { createTrainer } from "./trainer.ts";
import type { TrainingRecipe, TrainingReport } from "./types.ts";

const read = (name: string) => readFixture(new URL(`./fixtures/${name}.safetensors`, import.meta.url));
const size = 16 * 16 * 3;

/** The few images of some classes and the many of one, out of those of the other runs. */
function sourceOf(fixture: Fixture, images: Fixture): PixelSource {
  const all = Uint8Array.from(images.values("pixels"));
  const places = [...fixture.values("images")];
  return {
    count: places.length,
    labels: Int32Array.from(places, (place) => images.values("labels")[place] as number),
    pixels: async (indices) =>
      Uint8Array.from(indices.flatMap((i) => [...all.subarray(places[i]! * size, (places[i]! + 1) * size)])),
  };
}

onEveryBackend((backend) => {
  it("gives PyTorch's loss and gradient, padding left out", async () => {
    const fixture = await read("class_weights");
    const labels = Int32Array.from(fixture.values("labels"));
    const weights = classWeights("balanced", Int32Array.from(fixture.values("training")), 4) as Float32Array;
    expect(weights).toBeAllClose(fixture.values("weights"), { atol: 1e-6 });
    const logits = tf.tensor2d(fixture.values("logits"), [8, 4]);
    const labelTensor = tf.tensor1d(labels, "int32");
    const rows = tf.tensor1d(Array.from(labels, (label, i) => (i < 6 ? weights[label]! : 0)));
    const { loss, gradient } = softmaxCrossEntropy(logits, labelTensor, rows, 0);
    expect(await take(loss)).toBeAllClose(fixture.values("loss"), { atol: 1e-6 });
    expect(await take(gradient)).toBeAllClose(fixture.values("gradient"), { atol: 1e-6 });
    tf.dispose([logits, labelTensor, rows]);
  });

  it("finds PyTorch's probe and its L2", async () => {
    const fixture = await read("class_weights");
    const split = (prefix: string) => ({
      features: fixture.values(`probe.${prefix}features`),
      labels: Int32Array.from(fixture.values(`probe.${prefix}labels`)),
    });
    const { head, l2 } = await linearProbe(split(""), 3, split("val_"), undefined, "balanced");
    expect(l2).toBe(fixture.json("l2"));
    const held = split("val_");
    const logits = Array.from(held.labels, (_, i) =>
      Array.from({ length: 3 }, (_, c) =>
        Array.from({ length: 12 }, (_, d) => head.weight[c * 12 + d]! * held.features[i * 12 + d]!).reduce(
          (sum, value) => sum + value,
          head.bias[c]!,
        ),
      ),
    );
    expect(logits.flat()).toBeAllClose(fixture.values("probe.logits"), { atol: 2e-3, rtol: 1e-3 });
    const plain = await linearProbe(split(""), 3, split("val_"));
    expect(plain.l2).not.toBe(l2);
  });

  it.each(backend === "wasm" ? ["lora", "selective", "full", "linear"] : ["lora"])(
    "follows PyTorch's run: %s",
    async (name) => {
      const fixture = await read("class_weights");
      const source = sourceOf(fixture, await read("trajectory"));
      const recipe = fixture.json<Record<string, TrainingRecipe>>("recipes")[name] as TrainingRecipe;
      const weights = await loadFixtureNetwork(await networkFixture("deit"));
      const reports: TrainingReport[] = [];
      const head = {
        weight: Float32Array.from(fixture.values(`${name}.head.weight`)),
        bias: new Float32Array(3),
        classes: 3,
      };
      const hooks = { onReport: (report: TrainingReport) => reports.push(report) };
      const trainer = createTrainer({ weights, recipe, source, head, reportEvery: 1, hooks });
      if (trainer.adaptation.names.some((one) => one.endsWith("lora_A"))) {
        await startFrom(trainer.adaptation, (key) =>
          key.endsWith("lora_A") ? fixture.values(`${name}.${key}`) : null,
        );
      }
      expect(await trainer.run()).toBe(true);
      expect(reports.map(({ loss }) => loss)).toBeAllClose(fixture.values(`${name}.losses`), { atol: 1e-3 });
      const tuned = await trainer.head();
      expect(relativeError(tuned.weight, fixture.values(`${name}.final_head.weight`))).toBeLessThan(1e-3);
      expect(tuned.bias).toBeAllClose(fixture.values(`${name}.final_head.bias`), { atol: 1e-4 });
      trainer.dispose();
      weights.dispose();
    },
    240_000,
  );

  if (backend === "webgpu") return;

  it("makes one step of a batch in parts as of the whole, and lets keeping near before weigh every image", async () => {
    const fixture = await read("class_weights");
    const source = sourceOf(fixture, await read("trajectory"));
    const given = fixture.json<Record<string, TrainingRecipe>>("recipes").lora as TrainingRecipe;
    const recipe = { ...given, batch: 8, keep: 2 };
    const weights = await loadFixtureNetwork(await networkFixture("deit"));
    const ofClass = classWeights("balanced", source.labels, 3);
    const chosen = Array.from({ length: 8 }, (_, i) => i * 4);
    const kinds = new Set(chosen.map((i) => source.labels[i]));
    expect(kinds.size).toBe(3);
    const teacher = Float32Array.from(normal(8 * 16, 4));
    const step = async (each: number) => {
      const adaptation = createAdaptation(weights, recipe);
      const head = {
        weight: tf.tidy(() => tf.variable(tf.tensor2d(normal(3 * 16, 3, 0.1), [3, 16]), false)),
        bias: tf.tidy(() => tf.variable(tf.zeros([3]) as tf.Tensor1D, false)),
      };
      const total = tf.tidy(() => tf.variable(tf.scalar(0), false));
      const optimiser = createSgd([...adaptation.parameters, head.weight, head.bias]);
      const parts = [];
      for (let at = 0; at < chosen.length; at += each) {
        const share = chosen.slice(at, at + each);
        const rows = Array.from({ length: each }, (_, i) => [
          ...teacher.subarray(
            (at + (i < share.length ? i : 0)) * 16,
            (at + (i < share.length ? i : 0)) * 16 + 16,
          ),
        ]);
        parts.push({
          input: { pixels: uploadPixels(await source.pixels(share), each, 16) },
          ...labelsOf(source, share, each, ofClass),
          teacher: tf.tensor2d(rows, [each, 16]),
        });
      }
      const schedule = createSchedule(source.count, recipe);
      const keep = { weight: recipe.keep, total };
      const loss = trainStep({ weights, adaptation, head, optimiser, recipe, schedule, keep }, parts, 0);
      const found = [...(await loss.data()), ...(await total.data()), ...(await head.weight.data())];
      for (const { input, teacher } of parts) tf.dispose([input.pixels, teacher]);
      optimiser.dispose();
      adaptation.dispose();
      tf.dispose([loss, total, head.weight, head.bias]);
      return found;
    };
    const whole = await step(8);
    // Three at a time leave a part of two, with a row of padding.
    for (const each of [4, 3, 1]) expect(await step(each)).toBeAllClose(whole, { atol: 1e-5 });
    weights.dispose();
  });
});

it("weighs every class that has images alike in all, and leaves alone what is to count as it is", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(9), { minLength: 1, maxLength: 200 }), (drawn) => {
      const labels = Int32Array.from(drawn);
      expect(classWeights("none", labels, 12)).toBeNull();
      const weights = classWeights("balanced", labels, 12) as Float32Array;
      const sums = new Float64Array(12);
      for (const label of labels) sums[label] = sums[label]! + weights[label]!;
      const present = new Set(drawn);
      sums.forEach((sum, c) => {
        expect(sum).toBeCloseTo(present.has(c) ? labels.length / present.size : 0, 3);
      });
    }),
  );
});
