// What a WebGPU device must offer at least is enough: on a device with 16 KiB of memory and 256 invocations a workgroup,
// 8 storage buffers and no optional feature, a GPU's forms run and are right, or make way for one that fits.
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import "../allclose.ts";
import { requestAdapter } from "../adapter.ts";
import {
  attention,
  attentionInputGradient,
  attentionInputGradientReference,
  attentionReference,
} from "../attention.ts";
import { type Backend, openBackend } from "../backend.ts";
import { throwIfFaulty } from "../faults.ts";
import { layerNorm, layerNormReference } from "../layer_norm.ts";
import { linear, linearReference } from "../linear.ts";
import { normal, take } from "../testing/numbers.ts";
import { provideSoftwareGpu } from "../testing/software_gpu.ts";
import { fitted, forceVariant, type InWorkgroup, productCandidates, workgroupOf } from "./variants.ts";

/** https://www.w3.org/TR/webgpu/#limit-default */
const least = {
  maxBufferSize: 2 ** 28,
  maxStorageBufferBindingSize: 2 ** 27,
  maxStorageBuffersPerShaderStage: 8,
  maxComputeWorkgroupStorageSize: 16384,
  maxComputeInvocationsPerWorkgroup: 256,
  maxComputeWorkgroupSizeX: 256,
  maxComputeWorkgroupSizeY: 256,
  maxComputeWorkgroupSizeZ: 64,
  maxComputeWorkgroupsPerDimension: 65535,
};

let opened: Backend;
let device: GPUDevice;
beforeAll(async () => {
  provideSoftwareGpu();
  await requestAdapter();
  const { gpu } = navigator;
  const request = gpu.requestAdapter.bind(gpu);
  gpu.requestAdapter = async (options) => {
    const adapter = await request(options);
    return (
      adapter &&
      new Proxy(adapter, {
        get(target, name) {
          if (name === "limits") return least;
          if (name === "features") return new Set();
          const value = Reflect.get(target, name, target);
          return typeof value === "function" ? value.bind(target) : value;
        },
      })
    );
  };
  opened = await openBackend("webgpu");
  gpu.requestAdapter = request;
  device = opened.device as GPUDevice;
});
afterAll(() => opened?.close());

const make = (shape: [number, number], seed: number) => tf.tensor2d(normal(shape[0] * shape[1], seed), shape);

it("the device has no more than it must", () => {
  expect(device.limits.maxComputeWorkgroupStorageSize).toBe(16384);
  expect(device.limits.maxStorageBuffersPerShaderStage).toBe(8);
  expect(device.features.has("subgroups")).toBe(false);
});

it("every form of the product fits, and one that would not makes way", () => {
  for (const form of Object.values(productCandidates).flat()) expect(fitted(device, form)).toBe(form);
  const large = productCandidates.large.at(-1) as InWorkgroup;
  const larger = { ...large, tile: { ...large.tile, depth: 32 } };
  expect(workgroupOf(larger).bytes).toBeGreaterThan(16384);
  expect(fitted(device, larger).kind).toBe("registers");
});

it("the form that takes the most of a workgroup is right", async () => {
  const most = productCandidates.large.at(-1) as InWorkgroup;
  expect(workgroupOf(most)).toEqual({ invocations: 256, bytes: 16384 });
  forceVariant(device, { product: () => most });
  const [x, w, r, b] = [make([65, 36], 1), make([20, 36], 2), make([65, 20], 3), tf.tensor1d(normal(20, 4))];
  const expected = await take(tf.tidy(() => linearReference(x, w, b, r)));
  expect(await take(linear(x, w, b, r))).toBeAllClose(expected, { atol: 3e-5 });
  throwIfFaulty();
});

// the largest head whose token's rows invocations keep, and one for which blocks have to be smaller than elsewhere
describe.each([
  ["staged", 64],
  ["workgroup", 80],
] as const)("attention, %s, heads of %i", (form, size) => {
  beforeAll(() => forceVariant(device, { attention: form }));
  const shape = { batch: 1, tokens: 37, heads: 1 };

  it("forward", async () => {
    const qkv = make([37, 3 * size], 1);
    const expected = await take(tf.tidy(() => attentionReference(qkv, shape)));
    expect(await take(attention(qkv, shape))).toBeAllClose(expected, { atol: 1e-5 });
    throwIfFaulty();
  });

  it("gradient", async () => {
    const [qkv, dout] = [make([37, 3 * size], 1), make([37, size], 2)];
    const out = tf.tidy(() => attentionReference(qkv, shape));
    const slopes = await take(tf.tidy(() => attentionInputGradientReference(dout, qkv, out, shape)));
    expect(await take(attentionInputGradient(dout, qkv, out, shape))).toBeAllClose(slopes, { atol: 3e-5 });
    throwIfFaulty();
  });
});

it("rows are summed by a workgroup without subgroups", async () => {
  forceVariant(device, { lanesPerRow: 64 });
  const [x, gamma, beta] = [make([7, 33], 1), tf.tensor1d(normal(33, 2)), tf.tensor1d(normal(33, 3))];
  const expected = await take(tf.tidy(() => layerNormReference(x, gamma, beta, 1e-6)));
  expect(await take(layerNorm(x, gamma, beta, 1e-6))).toBeAllClose(expected, { atol: 1e-5 });
  throwIfFaulty();
});
