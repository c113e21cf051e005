// Whole runs of every strategy, selection and budget against PyTorch, through the trainer: order, noise, chance, the
// images that outputs are measured on and those without classes are the same on both sides. And what a run that is
// stopped half way ends with.
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { expect, it } from "vitest";
import { startFrom } from "../adaptation/testing/start.ts";
import type { Method, Selection } from "../adaptation/types.ts";
import { type Fixture, readFixture } from "../checkpoint/testing/fixture.ts";
import "../tensor/allclose.ts";
import { onEveryBackend } from "../tensor/testing/backends.ts";
import { loadFixtureNetwork, networkFixture, relativeError } from "../vit/testing/fixture.ts";
import type { PixelSource, VitWeights } from "../vit/types.ts";
import { chooseKept } from "./keep.ts";
import { createTrainer } from "./trainer.ts";
import type { TrainerInput, TrainingFrame, TrainingRecipe, TrainingReport } from "./types.ts";

const names = [
  ...(["taps", "taps-auto", "dora", "l0", "l0-auto", "full", "linear"] as const),
  ...(["sensitivity", "magnitude", "output", "random", "first", "last", "keep"] as const),
];
/** A software GPU spends seconds on a step: there, one of each kind of change, of gate and of ranks that are measured. */
const onGpu = ["taps", "dora", "l0", "full", "output", "keep"];

async function files() {
  const [strategies, images] = await Promise.all(
    ["strategies", "trajectory"].map((name) =>
      readFixture(new URL(`./fixtures/${name}.safetensors`, import.meta.url)),
    ),
  );
  return { strategies: strategies as Fixture, images: images as Fixture };
}

function sourceOf(values: ArrayLike<number>, labels: ArrayLike<number>): PixelSource {
  const size = 16 * 16 * 3;
  const pixels = Uint8Array.from(values);
  return {
    count: pixels.length / size,
    labels: Int32Array.from(labels),
    pixels: async (indices) =>
      Uint8Array.from(indices.flatMap((i) => [...pixels.subarray(i * size, (i + 1) * size)])),
  };
}

/** A trainer at its start in PyTorch, or with another recipe at its own. */
async function trainerOf(
  weights: VitWeights,
  { strategies, images }: { strategies: Fixture; images: Fixture },
  name: string,
  extra: Partial<TrainerInput> = {},
) {
  const recipe = strategies.json<Record<string, TrainingRecipe>>("recipes")[name] as TrainingRecipe;
  const kept = strategies.values("kept");
  const trainer = createTrainer({
    weights,
    recipe,
    source: sourceOf(images.values("pixels"), images.values("labels")),
    keepSource: sourceOf(kept, new Array(kept.length / 768).fill(0)),
    head: {
      weight: Float32Array.from(strategies.values(`${name}.head.weight`)),
      bias: new Float32Array(3),
      classes: 3,
    },
    reportEvery: 1,
    ...extra,
  });
  const lowRank = trainer.adaptation.names.some((one) => one.endsWith("lora_A"));
  if (lowRank && !extra.recipe) {
    await startFrom(trainer.adaptation, (key) =>
      key.endsWith("lora_A") ? strategies.values(`${name}.${key}`) : null,
    );
  }
  return { trainer, recipe };
}

const countOf = (open: Uint8Array) => open.reduce((sum, one) => sum + one, 0);

onEveryBackend((backend) => {
  it.each(backend === "wasm" ? names : names.filter((name) => onGpu.includes(name)))(
    "follows PyTorch's run of 20 steps: %s",
    async (name) => {
      const weights = await loadFixtureNetwork(await networkFixture("deit"));
      const both = await files();
      const { strategies } = both;
      const frames: TrainingFrame[] = [];
      const reports: TrainingReport[] = [];
      const { trainer, recipe } = await trainerOf(weights, both, name, {
        hooks: { onFrame: (frame) => frames.push(frame), onReport: (report) => reports.push(report) },
      });
      expect(await trainer.run()).toBe(true);
      const [open, scores] = [strategies.values(`${name}.open`), strategies.values(`${name}.scores`)];
      for (const [at, frame] of frames.slice(1).entries()) {
        expect([...frame.open], `open after step ${at + 1}`).toEqual([...open.slice(12 * at, 12 * at + 12)]);
        if (recipe.select !== "learned" || recipe.method === "full" || recipe.method === "linear") continue;
        const expected = scores.slice(12 * at, 12 * at + 12);
        const shown = recipe.method === "l0" ? expected.map((s) => 1.2 / (1 + Math.exp(-s)) - 0.1) : expected;
        expect(frame.scores, `scores after step ${at + 1}`).toBeAllClose(shown, { atol: 1e-3 });
      }
      const losses = reports.map(({ loss }) => loss);
      expect(losses).toBeAllClose(strategies.values(`${name}.losses`), { atol: 1e-3 });
      expect(reports.every(({ keep }) => (keep === undefined) === (name !== "keep"))).toBe(true);
      const head = await trainer.head();
      expect(relativeError(head.weight, strategies.values(`${name}.final_head.weight`))).toBeLessThan(1e-3);
      trainer.dispose();
      weights.dispose();
    },
    240_000,
  );

  if (backend === "webgpu") return;

  const gated: [Method, Selection, string, number][] = [
    ...(["selective", "taps", "l0", "dora"] as const).map((method): [Method, Selection, string, number] => [
      method,
      "learned",
      "5",
      5,
    ]),
    ["selective", "sensitivity", "5", 5],
    ["selective", "magnitude", "25%", 3],
    ["dora", "output", "1", 1],
    ["taps", "random", "auto", 1],
    ["taps", "learned", "0", 0],
    ["l0", "learned", "100%", 12],
  ];
  it.each(gated)(
    "ends at its budget, stopped at any step: %s, %s, %s",
    async (method, select, budget, count) => {
      const weights = await loadFixtureNetwork(await networkFixture("deit"));
      const both = await files();
      const recipe = both.strategies.json<Record<string, TrainingRecipe>>("recipes").taps as TrainingRecipe;
      for (const until of [0, 6, 18, Number.POSITIVE_INFINITY]) {
        const { trainer } = await trainerOf(weights, both, "taps", {
          recipe: { ...recipe, method, select, budget },
          hooks: { between: async (step) => (step >= until ? "stop" : "go") },
        });
        expect(await trainer.run()).toBe(until > 20);
        await trainer.harden();
        const reading = await trainer.adaptation.read();
        expect(countOf(reading.open)).toBe(count);
        const merged = await trainer.adaptation.merge();
        expect(merged.size).toBe(count);
        trainer.dispose();
      }
      weights.dispose();
    },
  );

  it.each(["taps", "l0", "dora", "full", "output", "keep"])(
    "goes on from a snapshot to the same bits, and leaves no tensor behind: %s",
    async (name) => {
      const weights = await loadFixtureNetwork(await networkFixture("deit"));
      const both = await files();
      const before = tf.memory().numTensors;
      const whole = await trainerOf(weights, both, name);
      await whole.trainer.run();
      const aim = await whole.trainer.snapshot();
      whole.trainer.dispose();
      for (const until of [3, 9]) {
        const part = await trainerOf(weights, both, name, {
          hooks: { between: async (step) => (step >= until ? "stop" : "go") },
        });
        await part.trainer.run();
        const snapshot = await part.trainer.snapshot();
        part.trainer.dispose();
        const rest = await trainerOf(weights, both, name);
        rest.trainer.restore(structuredClone(snapshot));
        await rest.trainer.run();
        const found = await rest.trainer.snapshot();
        rest.trainer.dispose();
        const { sensitivity: _, ...tensors } = found.adaptation.tensors;
        const { sensitivity: __, ...expected } = aim.adaptation.tensors;
        expect(found.head).toEqual(aim.head);
        expect(tensors).toEqual(expected);
        expect(found.adaptation.frozen).toEqual(aim.adaptation.frozen);
      }
      expect(tf.memory().numTensors).toBe(before);
      weights.dispose();
    },
  );

  it("keeps nearer to what it was with the weight of keep", async () => {
    const weights = await loadFixtureNetwork(await networkFixture("deit"));
    const both = await files();
    const recipe = both.strategies.json<Record<string, TrainingRecipe>>("recipes").keep as TrainingRecipe;
    const distances: number[] = [];
    for (const keep of [1e-6, 3, 30]) {
      const reports: TrainingReport[] = [];
      const { trainer } = await trainerOf(weights, both, "keep", {
        recipe: { ...recipe, keep },
        hooks: { onReport: (report) => reports.push(report) },
      });
      await trainer.run();
      trainer.dispose();
      distances.push(reports.at(-1)?.keep as number);
    }
    expect(distances[1]).toBeLessThan(distances[0] as number);
    expect(distances[2]).toBeLessThan(distances[1] as number);
    weights.dispose();
  });
});

it("shows every image without a class once before any comes again, whatever the batch", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 30 }),
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 0, max: 9 }),
      (count, batch, round) => {
        const rounds = Math.ceil(count / Math.min(batch, count));
        const seen = Array.from({ length: rounds }, (_, i) =>
          chooseKept(round * rounds + i, count, batch, 3),
        ).flat();
        expect(seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i));
      },
    ),
  );
});
