// Where the bench can compute in this browser, and which models are too big for it there.
import { adapterName, isSoftware, requestAdapter } from "../../tensor/adapter.ts";
import type { Compute } from "./protocol.ts";
import { largestTensor, operations, type WorkModel } from "./work.ts";

export interface Place {
  compute: Compute;
  /** Fit to show. */
  name: string;
  /** Whether the CPU does the work. */
  onCpu: boolean;
  /** Bytes that one tensor may have. */
  largest: number;
}

/** FLOP/s that a CPU of two cores brings to a step, on the careful side. */
const cpuRate = 10e9;
/** Seconds of one step beyond which nobody would wait for a bench, in which peers take several times as long. */
const patience = 20;

/** The places there are: WASM always, WebGPU where there is an adapter. */
export async function findPlaces(): Promise<Place[]> {
  const adapter = await requestAdapter();
  const cores = navigator.hardwareConcurrency;
  const wasm: Place = {
    compute: "wasm",
    name: `the CPU, ${cores} core${cores === 1 ? "" : "s"}`,
    onCpu: true,
    largest: 2 ** 31,
  };
  if (!adapter) return [wasm];
  const gpu: Place = {
    compute: "webgpu",
    name: adapterName(adapter),
    onCpu: isSoftware(adapter),
    largest: adapter.limits.maxStorageBufferBindingSize,
  };
  return [gpu, wasm];
}

/** Why a model cannot be measured somewhere, a sentence; null when it can. */
export function whyNot({ architecture }: WorkModel, batch: number, place: Place): string | null {
  const bytes = largestTensor(architecture, batch);
  if (bytes > place.largest) {
    return `At batch ${batch} a tensor takes ${bytes.toLocaleString("en")} bytes; ${place.name} binds at most ${place.largest.toLocaleString("en")}.`;
  }
  const seconds = operations(architecture, batch, "training") / cpuRate;
  if (place.onCpu && seconds > patience) {
    return `On a CPU a single step takes about ${Math.round(seconds)} s at batch ${batch}, and others' steps several times that.`;
  }
  return null;
}
