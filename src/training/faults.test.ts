// What a run does when the device fails it: too little memory, a shader that does not compile, numbers that are not
// finite, and a device with nothing but what every WebGPU device has.
import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, describe, expect, it } from "vitest";
import { createAdaptation } from "../adaptation/adaptation.ts";
import type { Failure } from "../failure.ts";
import "../tensor/allclose.ts";
import { type Backend, openBackend } from "../tensor/backend.ts";
import { OutOfMemory } from "../tensor/faults.ts";
import { linear } from "../tensor/linear.ts";
import { onEveryBackend } from "../tensor/testing/backends.ts";
import { normal } from "../tensor/testing/numbers.ts";
import { provideSoftwareGpu } from "../tensor/testing/software_gpu.ts";
import { releaseFreeBuffers } from "../tensor/webgpu/adopt.ts";
import { zeros } from "../tensor/webgpu/block.ts";
import { randomNetwork } from "../vit/testing/random_network.ts";
import { uploadPixels } from "./batches.ts";
import { createAdamW } from "./optimiser.ts";
import { createSchedule } from "./schedule.ts";
import { type StepBatch, trainStep } from "./step.ts";
import { createTrainer } from "./trainer.ts";
import type { TrainingRecipe } from "./types.ts";

const recipe: TrainingRecipe = {
  method: "selective",
  granularity: "block",
  targetModules: "both",
  rank: 2,
  alpha: 4,
  tau: 0.1,
  lambda: 0.5,
  warmup: 0,
  settle: 0,
  epochs: 1,
  batch: 8,
  learningRate: 0.01,
  headLearningRate: 0.01,
  scoreLearningRate: 0.05,
  weightDecay: 0.01,
  augmentation: "none",
  seed: 1,
};
const imageBytes = 16 * 16 * 3;
const image = (index: number) => Uint8Array.from(normal(imageBytes, index + 1, 40), (v) => 128 + v);
const source = {
  count: 16,
  labels: Int32Array.from({ length: 16 }, (_, i) => i % 3),
  pixels: async (indices: readonly number[]) =>
    Uint8Array.from(indices.flatMap((index) => [...image(index)])),
};
const head = () => ({
  weight: normal(3 * 32, 2, 0.1) as Float32Array<ArrayBuffer>,
  bias: new Float32Array(3),
  classes: 3,
});

/** A run of two steps. */
async function run(change: Partial<TrainingRecipe> = {}) {
  const weights = await randomNetwork();
  const notices: string[] = [];
  const trainer = createTrainer({
    weights,
    recipe: { ...recipe, ...change },
    source,
    head: head(),
    hooks: { onNotice: (text) => notices.push(text) },
    reportEvery: 1,
  });
  let failure: Failure | null = null;
  try {
    await trainer.run();
  } catch (error) {
    failure = error as Failure;
  }
  return {
    trainer,
    notices,
    failure,
    dispose: () => {
      trainer.dispose();
      weights.dispose();
    },
  };
}

/** Lets the device find no memory for what is larger than `limit` bytes. Returns what ends that. */
function shorten(backend: Backend, limit: number): () => void {
  if (!backend.device) {
    const heap = (tf.backend() as BackendWasm).wasm as unknown as { _malloc(bytes: number): number };
    const allocate = heap._malloc;
    heap._malloc = (bytes) => {
      if (bytes > limit) throw new OutOfMemory(`${bytes} bytes`);
      return allocate(bytes);
    };
    return () => {
      heap._malloc = allocate;
    };
  }
  const { device } = backend;
  const { createBuffer, pushErrorScope, popErrorScope } = device;
  const scopes: { filter: GPUErrorFilter; failed: boolean }[] = [];
  device.pushErrorScope = (filter) => {
    scopes.push({ filter, failed: false });
    return pushErrorScope.call(device, filter);
  };
  device.popErrorScope = async () => {
    const scope = scopes.pop();
    const error = await popErrorScope.call(device);
    return scope?.failed ? new GPUOutOfMemoryError("not enough memory left") : error;
  };
  device.createBuffer = (descriptor) => {
    const scope = scopes.find(({ filter }) => filter === "out-of-memory");
    if (scope && descriptor.size > limit) scope.failed = true;
    return createBuffer.call(device, descriptor);
  };
  return () => Object.assign(device, { createBuffer, pushErrorScope, popErrorScope });
}

onEveryBackend((name) => {
  it("learns the same from a batch in parts as from the whole", async () => {
    const learned: Float32Array[][] = [];
    const losses: number[] = [];
    for (const atOnce of [7, 3, 1]) {
      const weights = await randomNetwork();
      const adaptation = createAdaptation(weights, recipe);
      const start = head();
      const classifier = {
        weight: tf.tidy(() => tf.variable(tf.tensor2d(start.weight, [3, 32]), false)),
        bias: tf.tidy(() => tf.variable(tf.tensor1d(start.bias), false)),
      };
      const parameters = [...adaptation.parameters, classifier.weight, classifier.bias];
      const optimiser = createAdamW(parameters, recipe.weightDecay);
      const schedule = createSchedule(70, recipe);
      for (let at = 0; at < 3; at++) {
        const parts: StepBatch[] = [];
        for (let first = 0; first < 7; first += atOnce) {
          const own = [0, 1, 2, 3, 4, 5, 6].slice(first, first + atOnce);
          const bytes = Uint8Array.from(own.flatMap((index) => [...image(7 * at + index)]));
          const labels = new Int32Array(atOnce);
          const mask = new Float32Array(atOnce);
          own.forEach((index, i) => {
            labels[i] = index % 3;
            mask[i] = 1;
          });
          parts.push({ input: { pixels: uploadPixels(bytes, atOnce, 16) }, labels, mask });
        }
        const loss = trainStep(
          { weights, adaptation, head: classifier, optimiser, recipe, schedule },
          parts,
          at,
        );
        losses.push((await loss.data())[0] as number);
        loss.dispose();
        for (const { input } of parts) if ("pixels" in input) input.pixels.dispose();
      }
      const reading = await adaptation.read();
      learned.push([
        ...(await Promise.all(parameters.map(async (p) => Float32Array.from(await p.data())))),
        reading.scores,
      ]);
      optimiser.dispose();
      adaptation.dispose();
      weights.dispose();
      tf.dispose([classifier.weight, classifier.bias]);
    }
    const [whole, ...others] = learned as [Float32Array[], ...Float32Array[][]];
    for (const parts of others) {
      parts.forEach((values, i) => {
        expect(values).toBeAllClose(whole[i]!, { atol: 1e-5 });
      });
    }
    expect(losses.slice(3, 6)).toBeAllClose(losses.slice(0, 3), { atol: 1e-5 });
    expect(losses.slice(6, 9)).toBeAllClose(losses.slice(0, 3), { atol: 1e-5 });
  });

  it("halves what goes through at once until it fits, says so, and learns the same", async () => {
    const backend = { device: name === "webgpu" ? (tf.backend() as WebGPUBackend).device : null } as Backend;
    const usual = await run();
    expect(usual.failure).toBeNull();
    const expected = await usual.trainer.snapshot();
    usual.dispose();
    if (name === "webgpu") releaseFreeBuffers(tf.backend() as WebGPUBackend);
    // qkv of 8 images takes 8·17·96 numbers, 52 KB; of 2 it takes 13 KB.
    const restore = shorten(backend, 20_000);
    try {
      const short = await run();
      restore();
      expect(short.failure).toBeNull();
      expect(short.notices).toHaveLength(2);
      expect(short.notices[1]).toMatch(/[\d,]+ bytes in use.*2 images go.*still learns from 8/);
      const { adaptation, head } = await short.trainer.snapshot();
      for (const [tensors, wanted] of [
        [adaptation.tensors, expected.adaptation.tensors],
        [head, expected.head],
      ] as const) {
        for (const [key, { data }] of Object.entries(wanted))
          expect(tensors[key]!.data, key).toBeAllClose(data, { atol: 1e-5 });
      }
      short.dispose();
    } finally {
      restore();
    }
  });

  it("ends with the bytes where not even one image fits", async () => {
    const backend = { device: name === "webgpu" ? (tf.backend() as WebGPUBackend).device : null } as Backend;
    const weights = await randomNetwork();
    const trainer = createTrainer({ weights, recipe, source, head: head() });
    const restore = shorten(backend, 2_000);
    try {
      await expect(trainer.run()).rejects.toThrow(
        /step 1: A training step on one image does not fit.*[\d,]{6,} bytes/,
      );
    } finally {
      restore();
    }
    trainer.dispose();
    weights.dispose();
  });

  it("stops at a loss that is not finite, says where, and is back at its last good step", async () => {
    const { trainer, failure, dispose } = await run({ learningRate: 1e38, optimiser: "sgd" });
    expect(failure?.parts.code).toBe("numeric");
    expect(failure?.parts.where).toMatch(/^step \d+, first in ./);
    // Nothing was learned at its start.
    expect(failure?.parts.remedy).not.toMatch(/is kept/);
    expect(trainer.step).toBe(0);
    const now = await trainer.snapshot();
    expect(now.head).toEqual(trainer.lastGood?.head);
    expect(Object.values(now.adaptation.tensors).every(({ data }) => data.every(Number.isFinite))).toBe(true);
    dispose();
  });
});

describe("a WebGPU device", () => {
  let backend: Backend;
  afterEach(() => backend.close());

  it("names the op whose shader does not compile, and keeps the run as it was", async () => {
    provideSoftwareGpu();
    backend = await openBackend("webgpu");
    const device = backend.device as GPUDevice;
    const create = device.createShaderModule;
    device.createShaderModule = (descriptor) =>
      create.call(device, {
        ...descriptor,
        code: descriptor.label?.startsWith("attentionInputGradient")
          ? descriptor.code.replace("fn main(", "fn main(broken ")
          : descriptor.code,
      });
    const { trainer, failure } = await run();
    expect(failure?.parts).toMatchObject({ code: "gpu", what: expect.stringMatching(/does not compile/) });
    expect(failure?.parts.where).toMatch(/^attentionInputGradient/);
    expect(trainer.step).toBe(0);
    expect(trainer.lastGood).toMatchObject({ step: 0 });
  });

  it("with the least limits and no features trains as WASM does, and refuses what it cannot bind", async () => {
    backend = await openBackend("wasm");
    const reference = await run();
    const expected = (await reference.trainer.snapshot()).head.weight!.data;
    reference.dispose();

    const real = (await navigator.gpu.requestAdapter()) as GPUAdapter;
    const requestAdapter = navigator.gpu.requestAdapter;
    const least = await (await navigator.gpu.requestAdapter())!.requestDevice();
    const { limits } = least;
    const bare = {
      info: real.info,
      features: new Set(),
      limits,
      requestDevice: (descriptor: GPUDeviceDescriptor) => real.requestDevice(descriptor),
    };
    Object.defineProperty(navigator.gpu, "requestAdapter", { value: async () => bare, configurable: true });
    try {
      backend = await openBackend("webgpu");
    } finally {
      Object.defineProperty(navigator.gpu, "requestAdapter", { value: requestAdapter, configurable: true });
      least.destroy();
    }
    const device = backend.device as GPUDevice;
    expect(device.limits.maxStorageBufferBindingSize).toBe(128 * 2 ** 20);
    expect(device.limits.maxStorageBuffersPerShaderStage).toBe(8);
    expect(["shader-f16", "subgroups", "timestamp-query"].some((name) => device.features.has(name))).toBe(
      false,
    );
    const { trainer, failure, dispose } = await run();
    expect(failure).toBeNull();
    expect((await trainer.snapshot()).head.weight!.data).toBeAllClose(expected, { atol: 1e-3 });
    dispose();

    const own = tf.backend() as WebGPUBackend;
    const wide = tf.reshape(zeros(own, 34 * 2 ** 20), [34 * 2 ** 18, 4]) as tf.Tensor2D;
    const x = tf.ones([1, 4]) as tf.Tensor2D;
    expect(() => linear(x, wide, null)).toThrow(/142606336 bytes for product.*binds 134217728 at once/);
    expect(() => zeros(own, 80 * 2 ** 20)).toThrow(
      /335544320 bytes in one buffer, of which it takes 268435456/,
    );
  });
});
