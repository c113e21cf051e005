// Opens the device that everything is computed on. We own it: tfjs asks for too few limits and features, ignores a
// lost device, and would pick WebGPU on a software adapter where WASM is several times faster.

import { getThreadsCount, setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import { Failure } from "../failure.ts";
import { forgetDevice, watchDevice } from "./faults.ts";
import "./wasm/matmul.ts";
import "./webgpu/kernels.ts";
import { markSoftware } from "./webgpu/variants.ts";

/** What the caller may ask for; "auto" takes a real GPU if there is one, else WASM. */
export type BackendChoice = "auto" | "webgpu" | "wasm";

/** The open device. One at a time per thread: opening another makes that one tfjs's current backend. */
export interface Backend {
  readonly name: "webgpu" | "wasm";
  /** Fit to show: "NVIDIA H100", "SwiftShader (software)", "WASM, SIMD, 4 threads". */
  readonly adapter: string;
  /** Why this one, when it is not what was asked for or what one would expect; else null. */
  readonly reason: string | null;
  readonly device: GPUDevice | null;
  /** Resolves with the reason when the GPU device is lost; null without a GPU. */
  readonly lost: Promise<string> | null;
  /** Frees the device and every tensor that lives on it. */
  close(): Promise<void>;
}

const inNode = typeof process !== "undefined" && process.versions?.node !== undefined;

/**
 * Opens a backend and makes it current for every door of this room.
 * @throws Failure "gpu" when "webgpu" was asked for and there is no adapter, or no device can be had
 */
export async function openBackend(choice: BackendChoice = "auto"): Promise<Backend> {
  if (choice === "wasm") return openWasm(null);
  const adapter = await requestAdapter();
  if (!adapter) {
    const nothing = inNode
      ? "This machine offers no WebGPU adapter"
      : "This browser offers no WebGPU adapter";
    if (choice === "auto") return openWasm(`${nothing}, so the CPU computes (WASM).`);
    throw new Failure({
      code: "gpu",
      what: `${nothing}.`,
      remedy: "Choose the WASM backend, or a browser and driver with WebGPU.",
    });
  }
  if (choice === "auto" && isSoftware(adapter)) {
    return openWasm(
      `The only WebGPU adapter here (${adapterName(adapter)}) runs on the CPU, where WASM is faster. You can still choose WebGPU.`,
    );
  }
  try {
    return await openWebGPU(adapter);
  } catch (error) {
    if (choice === "auto") {
      const message = error instanceof Error ? error.message : String(error);
      return openWasm(`The WebGPU device could not be opened (${message}), so the CPU computes (WASM).`);
    }
    throw error;
  }
}

/** `navigator.gpu`, or Dawn's in Node; null where there is neither or no adapter. */
async function requestAdapter(): Promise<GPUAdapter | null> {
  if (inNode && !globalThis.navigator?.gpu) await installDawn();
  const gpu = globalThis.navigator?.gpu;
  if (!gpu) return null;
  try {
    return await gpu.requestAdapter({ powerPreference: "high-performance" });
  } catch {
    return null;
  }
}

/** Puts Dawn where a browser has WebGPU. Where its native library does not load, there is simply no GPU. */
async function installDawn(): Promise<void> {
  // The name is not a literal so that a bundler for browsers leaves the native package alone.
  const dawn = "webgpu";
  try {
    const { create, globals } = (await import(/* @vite-ignore */ dawn)) as typeof import("webgpu");
    Object.assign(globalThis, globals);
    if (!globalThis.navigator) {
      Object.defineProperty(globalThis, "navigator", { value: {}, configurable: true, writable: true });
    }
    Object.defineProperty(globalThis.navigator, "gpu", { value: create([]), configurable: true });
  } catch {
    // no adapter: the caller decides what that means
  }
}

/** Chrome moved the flag from the adapter to its info; Dawn in Node has it there as well. */
function isSoftware(adapter: GPUAdapter): boolean {
  const info = adapter.info as GPUAdapterInfo & { isFallbackAdapter?: boolean };
  return (
    info.isFallbackAdapter ??
    (adapter as GPUAdapter & { isFallbackAdapter?: boolean }).isFallbackAdapter ??
    false
  );
}

function adapterName(adapter: GPUAdapter): string {
  const { description, vendor, architecture, device } = adapter.info;
  const name =
    [description, [vendor, architecture].filter(Boolean).join(" "), device].find((part) => part) ??
    "WebGPU adapter";
  return isSoftware(adapter) ? `${name} (software)` : name;
}

/** The device tfjs's "webgpu" stands for, so that closing an older one leaves its successor alone. */
let ours: GPUDevice | null = null;

async function openWebGPU(adapter: GPUAdapter): Promise<Backend> {
  const wanted = ["shader-f16", "subgroups", "timestamp-query"] as GPUFeatureName[];
  const requiredLimits: Record<string, number> = {};
  // Everything the adapter has: tfjs alone would leave buffers at 256 MiB and a shader at 8 storage bindings.
  for (const limit of [
    "maxBufferSize",
    "maxStorageBufferBindingSize",
    "maxStorageBuffersPerShaderStage",
    "maxComputeWorkgroupStorageSize",
    "maxComputeInvocationsPerWorkgroup",
    "maxComputeWorkgroupSizeX",
    "maxComputeWorkgroupSizeY",
    "maxComputeWorkgroupSizeZ",
    "maxComputeWorkgroupsPerDimension",
  ] as const) {
    requiredLimits[limit] = adapter.limits[limit];
  }
  const device = await adapter.requestDevice({
    requiredFeatures: wanted.filter((feature) => adapter.features.has(feature)),
    requiredLimits,
  });
  if (isSoftware(adapter)) markSoftware(device);
  const lost = watchDevice(device);
  if (tf.findBackendFactory("webgpu")) tf.removeBackend("webgpu");
  tf.registerBackend("webgpu", () => new WebGPUBackend(device, adapter.info), 3);
  ours = device;
  await tf.setBackend("webgpu");
  return {
    name: "webgpu",
    adapter: adapterName(adapter),
    reason: null,
    device,
    lost,
    async close() {
      forgetDevice(device);
      if (ours === device && tf.findBackendFactory("webgpu")) tf.removeBackend("webgpu");
      device.destroy();
    },
  };
}

let wasmPathsSet = false;

async function openWasm(reason: string | null): Promise<Backend> {
  if (!wasmPathsSet) {
    setWasmPaths(await locateWasmFiles());
    wasmPathsSet = true;
  }
  if (!(await tf.setBackend("wasm"))) {
    throw new Failure({
      code: "gpu",
      what: "The WebAssembly backend did not start.",
      remedy: "Reload the page; if it happens again, try a browser from the last two years.",
    });
  }
  const simd = await tf.env().getAsync("WASM_HAS_SIMD_SUPPORT");
  const threads = getThreadsCount();
  return {
    name: "wasm",
    adapter: ["WASM", simd ? "SIMD" : "no SIMD", threads === 1 ? "1 thread" : `${threads} threads`].join(
      ", ",
    ),
    reason,
    device: null,
    lost: null,
    // tfjs registers the factory once per import, so the module stays and only its tensors are the caller's to free.
    async close() {},
  };
}

async function locateWasmFiles(): Promise<string | { [name: string]: string }> {
  if (!inNode) return (await import("./wasm_files.ts")).wasmFiles;
  const [modules, path] = ["node:module", "node:path"];
  const { createRequire } = (await import(/* @vite-ignore */ modules)) as typeof import("node:module");
  const { dirname, sep } = (await import(/* @vite-ignore */ path)) as typeof import("node:path");
  return dirname(createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm")) + sep;
}
