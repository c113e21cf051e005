// Opens the device that everything is computed on. We own it: tfjs asks for too few limits and features, ignores a
// lost device, and would pick WebGPU on a software adapter where WASM is several times faster.

import { type BackendWasm, setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import { Failure } from "../failure.ts";
import { adapterName, inTime, isSoftware, requestAdapter } from "./adapter.ts";
import { forgetDevice, watchDevice } from "./faults.ts";
import { watchHeap } from "./memory.ts";
import { registerBodies } from "./wasm/bodies.ts";
import { Machine } from "./wasm/machine.ts";
import { compiling } from "./wasm/memory.ts";
import { adopt } from "./webgpu/adopt.ts";
import "./webgpu/kernels.ts";
import { chooseTunedForms } from "./webgpu/tuning.ts";
import { chooseVariant } from "./webgpu/variants.ts";

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
 * @param oneThread WASM does without threads, where they do not start; heeded the first time that WASM is opened
 * @throws Failure "gpu" when "webgpu" was asked for and there is no adapter, or no device can be had
 */
export async function openBackend(choice: BackendChoice = "auto", oneThread = false): Promise<Backend> {
  const openWasm = (reason: string | null) => openOnWasm(reason, oneThread);
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
      inTerminal: "Choose the WASM backend (--backend wasm), or a driver with Vulkan, Metal or Direct3D 12.",
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
  const device = await inTime(
    adapter.requestDevice({
      requiredFeatures: wanted.filter((feature) => adapter.features.has(feature)),
      requiredLimits,
    }),
    (late) => late.destroy(),
  );
  if (isSoftware(adapter)) chooseVariant(device, "software");
  const lost = watchDevice(device);
  if (tf.findBackendFactory("webgpu")) tf.removeBackend("webgpu");
  tf.registerBackend("webgpu", () => adopt(new WebGPUBackend(device, adapter.info)), 3);
  ours = device;
  await tf.setBackend("webgpu");
  const reason = isSoftware(adapter)
    ? null
    : await chooseTunedForms(tf.backend() as WebGPUBackend, adapter.info);
  return {
    name: "webgpu",
    adapter: adapterName(adapter),
    reason,
    device,
    lost,
    async close() {
      forgetDevice(device);
      if (ours === device && tf.findBackendFactory("webgpu")) tf.removeBackend("webgpu");
      device.destroy();
    },
  };
}

/** What computes beside tfjs on its memory, once it has started; null where it cannot. */
let machine: Promise<Machine | null> | null = null;
let heapWatched = false;

async function openOnWasm(reason: string | null, oneThread: boolean): Promise<Backend> {
  machine ??= startWasm(oneThread);
  const ours = await machine;
  if (!(await tf.setBackend("wasm"))) {
    throw new Failure({
      code: "gpu",
      what: "The WebAssembly backend did not start.",
      remedy: "Reload the page; if it happens again, try a browser from the last two years.",
      inTerminal: "Run it again; if it stays so, try another version of Node.",
    });
  }
  if (!heapWatched) watchHeap(tf.backend() as BackendWasm);
  heapWatched = true;
  const threads = ours?.threads ?? 1;
  const words = [
    "WASM",
    ours ? "SIMD" : "no SIMD",
    ours?.fused ? "FMA" : "",
    `${threads} thread${threads === 1 ? "" : "s"}`,
  ];
  return {
    name: "wasm",
    adapter: words.filter(Boolean).join(", "),
    reason: [reason, slower(ours, oneThread)].filter(Boolean).join(" ") || null,
    device: null,
    lost: null,
    // tfjs registers the factory once per import, so the module stays and only its tensors are the caller's to free.
    async close() {},
  };
}

/** Why fewer threads or plainer instructions compute than a browser of today has; null where none are missing. */
function slower(ours: Machine | null, oneThread: boolean): string | null {
  if (!ours) return "This browser has no WebAssembly SIMD, so that training is several times slower.";
  if (ours.threads > 1 || inNode || navigator.hardwareConcurrency < 2) return null;
  if (oneThread) return "One thread computes, as you asked. Load the page again to have more.";
  return globalThis.crossOriginIsolated
    ? "This browser does not let threads share memory, so one thread computes."
    : "The page came without the headers that threads need, so one thread computes. Load it again: the studio adds them itself from the second time on.";
}

/** Lets tfjs compile its module and puts our kernels beside it. Tfjs's own threads would only be in the way of ours. */
async function startWasm(oneThread: boolean): Promise<Machine | null> {
  setWasmPaths(await locateWasmFiles());
  tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false);
  const start = () => tf.setBackend("wasm");
  const sharing = !oneThread && (inNode || globalThis.crossOriginIsolated);
  const opened = await compiling(sharing, start);
  const started = opened ? await Machine.start(tf.backend() as BackendWasm) : null;
  if (started) registerBodies(started);
  return started;
}

async function locateWasmFiles(): Promise<string | { [name: string]: string }> {
  if (!inNode) return (await import("./wasm_files.ts")).wasmFiles;
  const [modules, path] = ["node:module", "node:path"];
  const { createRequire } = (await import(/* @vite-ignore */ modules)) as typeof import("node:module");
  const { dirname, sep } = (await import(/* @vite-ignore */ path)) as typeof import("node:path");
  return dirname(createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm")) + sep;
}
