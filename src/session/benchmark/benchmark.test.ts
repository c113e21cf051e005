// Holds the bench to what it claims: every library does the same work, and figures come in one shape.
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import "../../tensor/allclose.ts";
import { createOurs } from "./ours.ts";
import { createJax } from "./peers/jax.ts";
import { createStockTfjs } from "./peers/stock_tfjs.ts";
import type { Library, Mode, Task } from "./protocol.ts";
import { workModels } from "./work.ts";

const tiny = {
  ...workModels[0]!.architecture,
  imageSize: 16,
  hiddenSize: 12,
  heads: 3,
  mlpSize: 20,
  layers: 3,
};
const task = (mode: Mode): Task => ({ model: "tiny", batch: 3, compute: "wasm", mode });

async function losses(library: Library, work: Task, steps = 3): Promise<number[]> {
  const step = await library.open(work);
  const found: number[] = [];
  for (let i = 0; i < steps; i++) found.push(await step.step());
  await step.close();
  return found;
}

it("stock tfjs and jax-js do our work, from our start: the same losses as both learn", async () => {
  const mine = await losses(
    createOurs(() => tiny),
    task("lora"),
  );
  for (const peer of [createStockTfjs(() => tiny), createJax(() => tiny)]) {
    const theirs = await losses(peer, task("lora"));
    expect(theirs).toBeAllClose(mine, { atol: 1e-4 });
  }
  expect(mine[0]! - mine[2]!).toBeGreaterThan(1e-2);
});

it("every mode of ours learns or rests as it says", async () => {
  const ours = createOurs(() => tiny);
  const [plain] = await losses(ours, task("inference"), 1);
  for (const mode of ["selective", "scores", "head", "few", "lowest"] as const) {
    const [first, second] = (await losses(ours, task(mode), 2)) as [number, number];
    // With its gates closed a network starts as the frozen one.
    if (mode === "scores" || mode === "head") expect(first).toBeCloseTo(plain!, 5);
    else expect(Math.abs(first - plain!)).toBeGreaterThan(1e-4);
    expect(second).toBeLessThan(first);
  }
});

it("looks into a step and leaves no tensor behind", async () => {
  const ours = createOurs(() => tiny);
  const step = await ours.open(task("lora"));
  await step.step();
  const held = tf.memory().numTensors;
  const { phases, dispatches, kernels, bytes } = await step.inspect!();
  expect(Object.keys(phases!).sort()).toEqual([
    "adapters",
    "backward",
    "forward",
    "loss",
    "update",
    "weights",
  ]);
  expect(kernels.reduce((sum, { count }) => sum + count, 0)).toBe(dispatches);
  expect(bytes).toBeGreaterThan(2 ** 20);
  expect(tf.memory().numTensors).toBe(held);
  await step.close();
});
