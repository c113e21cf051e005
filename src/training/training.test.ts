// Holds 20 steps to PyTorch's losses and scores, and the loop to its promises: same seed same run, snapshots that go on
// to the bit, nothing left behind, stop and pause between steps.
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it, vi } from "vitest";
import { createAdaptation } from "../adaptation/adaptation.ts";
import { startFrom } from "../adaptation/testing/start.ts";
import "../tensor/allclose.ts";
import { readFixture } from "../checkpoint/testing/fixture.ts";
import { onEveryBackend } from "../tensor/testing/backends.ts";
import { normal } from "../tensor/testing/numbers.ts";
import { loadFixtureNetwork, networkFixture, relativeError } from "../vit/testing/fixture.ts";
import type { PixelSource, VitWeights } from "../vit/types.ts";
import { uploadPixels } from "./batches.ts";
import { createAdamW, createSgd } from "./optimiser.ts";
import { createSchedule, gatesLeftOpen, phaseOf, rateFactor } from "./schedule.ts";
import { trainStep } from "./step.ts";
import { createTrainer } from "./trainer.ts";
import type {
  HeadArrays,
  TrainerInput,
  TrainerSnapshot,
  TrainingFrame,
  TrainingRecipe,
  TrainingReport,
} from "./types.ts";

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
  epochs: 3,
  batch: 4,
  learningRate: 0.01,
  headLearningRate: 0.01,
  scoreLearningRate: 0.05,
  weightDecay: 0,
  augmentation: "none",
  seed: 5,
};

/** Ten images of two classes, told apart by brightness. */
const source: PixelSource = {
  count: 10,
  labels: Int32Array.from({ length: 10 }, (_, i) => i % 2),
  pixels: async (indices) =>
    Uint8Array.from(
      indices.flatMap((index) => [
        ...normal(16 * 16 * 3, index + 1, 20).map((v) => v + (index % 2 ? 170 : 80)),
      ]),
    ),
};

const startHead = (): HeadArrays => ({
  weight: Float32Array.from(normal(2 * 16, 3, 0.1)),
  bias: new Float32Array(2),
  classes: 2,
});

async function withDeit(use: (weights: VitWeights) => Promise<void>) {
  const weights = await loadFixtureNetwork(await networkFixture("deit"));
  try {
    await use(weights);
  } finally {
    weights.dispose();
  }
}

/** Runs from the start, or from a snapshot, up to `until` steps. */
async function runOnce(
  weights: VitWeights,
  change: Partial<TrainingRecipe>,
  { until = Number.POSITIVE_INFINITY, from }: { until?: number; from?: TrainerSnapshot } = {},
  extra: Partial<TrainerInput> = {},
) {
  const frames: TrainingFrame[] = [];
  const reports: TrainingReport[] = [];
  const tensors: number[] = [];
  const trainer = createTrainer({
    weights,
    recipe: { ...recipe, ...change },
    source,
    head: startHead(),
    reportEvery: 2,
    ...extra,
    hooks: {
      onFrame: (frame) => frames.push(frame),
      onReport: (report) => reports.push(report),
      between: async (step) => {
        // A reading on its way back holds a few, for as long as the device takes.
        const due = 1 + Math.floor(step / 2);
        while (!from && !extra.hooks && frames.length < due)
          await new Promise((resolve) => setTimeout(resolve));
        tensors.push(tf.memory().numTensors);
        return step >= until ? "stop" : "go";
      },
      ...extra.hooks,
    },
  });
  if (from) trainer.restore(structuredClone(from));
  const complete = await trainer.run();
  const snapshot = await trainer.snapshot();
  const head = await trainer.head();
  const half = await trainer.head(0.5);
  trainer.dispose();
  return { complete, snapshot, head, half, frames, reports, tensors, steps: trainer.steps };
}

// A software GPU spends a second on a step when the machine is busy.
const patience = 240_000;

onEveryBackend((backend) => {
  it.each(["adamw", "sgd", "budget"] as const)(
    "follows PyTorch's trajectory for 20 steps: %s",
    async (name) => {
      const network = await networkFixture("deit");
      const fixture = await readFixture(new URL("./fixtures/trajectory.safetensors", import.meta.url));
      const settings = fixture.json<Record<string, TrainingRecipe>>("recipes")[name] as TrainingRecipe;
      const weights = await loadFixtureNetwork(network);
      const adaptation = createAdaptation(weights, settings);
      await startFrom(adaptation, (key) =>
        key.endsWith("lora_A") ? fixture.values(`${name}.${key}`) : null,
      );
      const start = tf.tensor2d(fixture.values(`${name}.head.weight`), [3, 16]);
      const head = {
        weight: tf.variable(start, false),
        bias: tf.tidy(() => tf.variable(tf.zeros([3]) as tf.Tensor1D, false)),
      };
      const parameters = [...adaptation.parameters, head.weight, head.bias];
      const schedule = createSchedule(80, settings);
      expect(schedule).toMatchObject({ steps: 20, batch: 4, penaltyFrom: 4, settleFrom: 16 });
      const optimiser =
        name === "sgd" ? createSgd(parameters) : createAdamW(parameters, settings.weightDecay);
      const pixels = fixture.values("pixels");
      const labels = fixture.values("labels");
      const losses: number[] = [];
      const wasOpen: boolean[] = [];
      let reopened = 0;
      for (let at = 0; at < 20; at++) {
        if (name === "budget") adaptation.openHighest(gatesLeftOpen(at, schedule, 12, 3));
        if (at === schedule.settleFrom) await adaptation.freeze();
        const size = 4 * 16 * 16 * 3;
        const images = uploadPixels(Uint8Array.from(pixels.slice(at * size, (at + 1) * size)), 4, 16);
        const loss = trainStep(
          { weights, adaptation, head, optimiser, recipe: settings, schedule },
          {
            input: { pixels: images },
            labels: Int32Array.from(labels.slice(at * 4, at * 4 + 4)),
            mask: new Float32Array(4).fill(1),
          },
          at,
        );
        losses.push((await loss.data())[0] as number);
        tf.dispose([loss, images]);
        const reading = await adaptation.read();
        const expected = fixture.values(`${name}.scores`).slice(at * 12, at * 12 + 12);
        expect(reading.scores, `scores after step ${at + 1}`).toBeAllClose(expected, { atol: 1e-3 });
        reading.open.forEach((open, gate) => {
          if (open && wasOpen[gate] === false) reopened++;
          wasOpen[gate] = open === 1;
        });
      }
      expect(losses).toBeAllClose(fixture.values(`${name}.losses`), { atol: 1e-3 });
      expect(reopened).toBeGreaterThan(0);
      const tuned = await head.weight.data();
      expect(relativeError(tuned, fixture.values(`${name}.final_head.weight`))).toBeLessThan(1e-3);
      for (const [i, { layer, site }] of adaptation.sites.entries()) {
        if (site !== "fc2" || !wasOpen[6 * layer + 5]) continue;
        const B = await adaptation.parameters[2 * i + 1]!.data();
        const expected = fixture.values(`${name}.final.layer.${layer}.fc2.lora_B`);
        expect(relativeError(B, expected), `B of layer ${layer} fc2`).toBeLessThan(2e-3);
      }
      optimiser.dispose();
      adaptation.dispose();
      weights.dispose();
      tf.dispose([start, head.weight, head.bias]);
    },
    patience,
  );

  it.each([
    { budget: "0", settle: 0.4, open: 0 },
    { budget: "1", settle: 0, open: 1 },
    { budget: "50%", settle: 0.9, open: 2 },
    { budget: "4", settle: 0.4, open: 4 },
  ])(
    "ends with exactly the budget open: $budget, settle $settle",
    ({ open, ...change }) =>
      withDeit(async (weights) => {
        const { frames, reports, complete } = await runOnce(weights, { ...change, epochs: 2 });
        expect(complete).toBe(true);
        const counts = frames.map((frame) => frame.open.reduce((sum, one) => sum + one, 0));
        expect(counts[0]).toBe(4);
        expect(counts.at(-1)).toBe(open);
        for (const report of reports) expect(report.penalty).toBe(0);
      }),
    patience,
  );

  it(
    "gives the same run by the same seed, another by another, and leaves no tensor behind",
    () =>
      withDeit(async (weights) => {
        const change = backend === "wasm" ? {} : { epochs: 2 };
        const first = await runOnce(weights, { ...change, augmentation: "flip" });
        const again = await runOnce(weights, { ...change, augmentation: "flip" });
        expect(first.complete).toBe(true);
        expect(again.snapshot).toEqual(first.snapshot);
        expect(again.frames).toEqual(first.frames);
        expect(again.reports.map((r) => r.loss)).toEqual(first.reports.map((r) => r.loss));
        // From the third step on (moments and constants exist by then) until gates freeze, and after it.
        const settleFrom = createSchedule(10, { ...recipe, ...change }).settleFrom;
        expect(new Set(first.tensors.slice(2, settleFrom)).size).toBe(1);
        expect(new Set(first.tensors.slice(settleFrom + 1)).size).toBe(1);
        if (backend === "webgpu") return;
        const other = await runOnce(weights, { seed: 6, augmentation: "flip" });
        expect(other.snapshot.head).not.toEqual(first.snapshot.head);
      }),
    patience,
  );

  it("goes on from a snapshot to the same bits", () =>
    withDeit(async (weights) => {
      const change = backend === "wasm" ? {} : { epochs: 2 };
      const whole = await runOnce(weights, change);
      for (const until of backend === "wasm" ? [1, 4, 7] : [3]) {
        const part = await runOnce(weights, change, { until });
        expect(part.complete).toBe(false);
        expect(part.snapshot.step).toBe(until);
        const rest = await runOnce(weights, change, { from: part.snapshot });
        expect(rest.complete).toBe(true);
        expect(rest.snapshot.head).toEqual(whole.snapshot.head);
        expect(rest.snapshot.optimiser).toEqual(whole.snapshot.optimiser);
        expect(rest.snapshot.adaptation.tensors.scores).toEqual(whole.snapshot.adaptation.tensors.scores);
        expect(rest.snapshot.adaptation.frozen).toEqual(whole.snapshot.adaptation.frozen);
        for (const name of Object.keys(whole.snapshot.adaptation.tensors)) {
          if (name === "sensitivity") continue;
          expect(rest.snapshot.adaptation.tensors[name], name).toEqual(
            whole.snapshot.adaptation.tensors[name],
          );
        }
      }
    }));

  if (backend === "webgpu") return;

  it("learns, reports and settles", () =>
    withDeit(async (weights) => {
      const epochs: number[] = [];
      const { reports, frames, snapshot, head, half, steps } = await runOnce(
        weights,
        { epochs: 10, lambda: 3, headLearningRate: 0.1 },
        {},
        { hooks: { onEpoch: async (epoch) => void epochs.push(epoch) } },
      );
      expect(steps).toBe(30);
      expect(epochs).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      expect(reports.map((r) => r.step)).toEqual(Array.from({ length: 15 }, (_, i) => 2 * i + 2));
      expect(frames.map((f) => f.step)).toEqual([0, ...reports.map((r) => r.step)]);
      expect(reports.at(-1)!.loss).toBeLessThan(0.5 * reports[0]!.loss);
      expect(new Set(reports.map((r) => r.phase))).toEqual(new Set(["warm-up", "selecting", "settling"]));
      expect(reports[0]!.penalty).toBe(0);
      expect(reports.find((r) => r.phase === "selecting")!.penalty).toBeGreaterThan(0);
      const frozen = snapshot.adaptation.frozen!;
      expect(frozen.includes(0)).toBe(true);
      const settled = frames.filter((f) => f.step > 18);
      expect(settled.length).toBe(6);
      for (const frame of settled) {
        expect(frame.open).toEqual(frozen);
        expect(frame.scores).toEqual(settled[0]!.scores);
      }
      expect(frames[0]!.deltaNorm).toEqual(new Float32Array(4));
      expect(Math.min(...frames.at(-1)!.deltaNorm)).toBeGreaterThan(0);
      const from = startHead().weight;
      expect(half.weight).toBeAllClose(
        from.map((value, i) => (value + head.weight[i]!) / 2),
        { atol: 1e-6 },
      );
    }));

  it("gives the same run with and without the cache of frozen layers", () =>
    withDeit(async (weights) => {
      // The source ignores augmentation, so "flip" sees the same pixels but may not cache.
      const scores = { lambda: 3, scoreLearningRate: 0.06, epochs: 6, seed: 1 };
      const cached = await runOnce(weights, scores);
      const computed = await runOnce(weights, { ...scores, augmentation: "flip" });
      const frozen = cached.snapshot.adaptation.frozen!;
      expect([...frozen.slice(0, 2)]).toEqual([0, 0]);
      expect(cached.tensors.at(-1)!).toBeGreaterThan(computed.tensors.at(-1)!);
      expect(cached.snapshot).toEqual(computed.snapshot);
    }));

  it("keeps every gate open and fixed as plain LoRA", () =>
    withDeit(async (weights) => {
      const { frames, reports } = await runOnce(weights, { method: "lora", lambda: 5 });
      for (const frame of frames) {
        expect([...frame.open]).toEqual([1, 1, 1, 1]);
        expect(frame.scores).toEqual(frames[0]!.scores);
      }
      expect(reports.every((r) => r.phase === "settling" && r.penalty === 0 && r.open === 4)).toBe(true);
    }));

  it("waits between steps while it is held, and does not count that as training time", () =>
    withDeit(async (weights) => {
      const seen: string[] = [];
      let now = 0;
      const clock = vi.spyOn(performance, "now").mockImplementation(() => ++now);
      const between = async (step: number) => {
        seen.push(`before ${step}`);
        now += 1e6;
        if (step === 1) await new Promise((resolve) => setTimeout(resolve, 20));
        seen.push(`go ${step}`);
        return "go" as const;
      };
      const { reports } = await runOnce(weights, { epochs: 1 }, {}, { hooks: { between } });
      clock.mockRestore();
      expect(seen).toEqual(["before 0", "go 0", "before 1", "go 1", "before 2", "go 2"]);
      expect(reports.length).toBe(2);
      for (const report of reports) expect(report.imagesPerSecond).toBeGreaterThan(4 / 1000);
    }));

  it("stops with a sentence when the loss is no longer finite, and when an image fails", () =>
    withDeit(async (weights) => {
      const before = tf.memory().numTensors;
      const broken = { ...startHead(), bias: Float32Array.from([Number.NaN, 0]) };
      const trainer = createTrainer({ weights, recipe, source, head: broken, reportEvery: 1 });
      await expect(trainer.run()).rejects.toMatchObject({ parts: { code: "numeric" } });
      trainer.dispose();
      const failing: PixelSource = { ...source, pixels: async () => Promise.reject(new Error("unreadable")) };
      const other = createTrainer({ weights, recipe, source: failing, head: startHead() });
      await expect(other.run()).rejects.toThrow("unreadable");
      other.dispose();
      expect(tf.memory().numTensors).toBe(before);
      expect(() =>
        createTrainer({ weights, recipe, source: { ...source, count: 0 }, head: startHead() }),
      ).toThrow(/no images/);
    }));
});

describe("the schedule", () => {
  it("rises over 5 % of the steps and falls as a cosine to 0", () => {
    const factors = Array.from({ length: 100 }, (_, step) => rateFactor(step, 100));
    expect(factors.slice(0, 6)).toBeAllClose([0.2, 0.4, 0.6, 0.8, 1, 1], { atol: 1e-12 });
    expect(factors[52]).toBeCloseTo(0.5 * (1 + Math.cos((Math.PI * 47) / 95)), 12);
    expect(factors[99]).toBeLessThan(0.001);
    expect(rateFactor(0, 1)).toBe(1);
  });

  it("never asks for more images than there are", () => {
    expect(createSchedule(3, { ...recipe, batch: 16 })).toMatchObject({ batch: 3, stepsPerEpoch: 1 });
    expect(createSchedule(17, { ...recipe, batch: 16, settle: 0 })).toMatchObject({
      stepsPerEpoch: 2,
      settleFrom: 6,
    });
    const schedule = createSchedule(40, { ...recipe, epochs: 1 });
    expect([0, 1, 2, 5, 6, 9].map((step) => phaseOf(step, schedule, "selective"))).toEqual([
      "warm-up",
      "warm-up",
      "selecting",
      "selecting",
      "settling",
      "settling",
    ]);
  });
});
