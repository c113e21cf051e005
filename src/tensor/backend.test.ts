// Which device is opened for which wish, and that it is one that computes.
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, expect, it } from "vitest";
import { type Backend, openBackend } from "./backend.ts";
import { provideSoftwareGpu } from "./testing/software_gpu.ts";

let backend: Backend;
beforeAll(provideSoftwareGpu);
afterEach(() => backend.close());

async function computes(): Promise<void> {
  const x = tf.tensor2d([1, 2, 3, 4], [2, 2]);
  const y = tf.matMul(x, x);
  expect(Array.from(await y.data())).toEqual([7, 10, 15, 22]);
  tf.dispose([x, y]);
}

it("opens WebGPU when asked, with the adapter's own limits", async () => {
  backend = await openBackend("webgpu");
  expect(backend).toMatchObject({ name: "webgpu", reason: null });
  expect(tf.getBackend()).toBe("webgpu");
  const adapter = await navigator.gpu.requestAdapter();
  expect(backend.device!.limits.maxBufferSize).toBe(adapter!.limits.maxBufferSize);
  expect(backend.device!.limits.maxStorageBuffersPerShaderStage).toBe(
    adapter!.limits.maxStorageBuffersPerShaderStage,
  );
  await computes();
});

it("opens WASM when asked", async () => {
  backend = await openBackend("wasm");
  expect(backend).toMatchObject({ name: "wasm", reason: null, device: null, lost: null });
  expect(backend.adapter).toMatch(/^WASM, SIMD, (FMA, )?\d+ threads?$/);
  await computes();
});

it("picks WASM over a software adapter and says why", async () => {
  const adapter = await navigator.gpu.requestAdapter();
  backend = await openBackend("auto");
  if ((adapter!.info as GPUAdapterInfo & { isFallbackAdapter: boolean }).isFallbackAdapter) {
    expect(backend.name).toBe("wasm");
    expect(backend.reason).toMatch(/runs on the CPU/);
  } else {
    expect(backend.name).toBe("webgpu");
  }
  await computes();
});

it("picks WASM where there is no adapter at all, and refuses WebGPU there", async () => {
  const gpu = navigator.gpu;
  Object.defineProperty(navigator, "gpu", {
    value: { requestAdapter: async () => null },
    configurable: true,
  });
  try {
    backend = await openBackend("auto");
    expect(backend.name).toBe("wasm");
    expect(backend.reason).toMatch(/no WebGPU adapter/);
    await expect(openBackend("webgpu")).rejects.toMatchObject({ parts: { code: "gpu" } });
  } finally {
    Object.defineProperty(navigator, "gpu", { value: gpu, configurable: true });
  }
});

it("can be closed and opened again, and goes back and forth", async () => {
  backend = await openBackend("webgpu");
  await backend.close();
  backend = await openBackend("wasm");
  await computes();
  await backend.close();
  backend = await openBackend("webgpu");
  await computes();
});
