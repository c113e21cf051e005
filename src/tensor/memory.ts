// Memory that runs out: how it is noticed on each device, and how work that did not fit is undone so that it may be
// tried again with less at once.
import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import { atOnce, type InParts, inTurns } from "../turn.ts";
import { asFailure, OutOfMemory, throwIfFaulty } from "./faults.ts";
import { releaseFreeBuffers } from "./webgpu/adopt.ts";
import { flush } from "./webgpu/program.ts";

/** What tfjs's types leave out of the compiled module. */
interface Heap {
  HEAPU8: Uint8Array;
  _malloc(bytes: number): number;
}

/** Bytes that the current backend holds: buffers in use and free ones, or the heap of WASM. */
export function allocatedBytes(): number {
  const backend = tf.backend();
  return tf.getBackend() === "webgpu"
    ? (backend as WebGPUBackend).bufferManager.numBytesAllocated
    : heapOf(backend as BackendWasm).HEAPU8.byteLength;
}

/**
 * Runs work and waits until the device has found memory for all of it. When it has not, or the work is given up, every
 * tensor that it made is freed; variables that it changed are the caller's to set back.
 * @param work returns one tensor, which stays, and makes no other that outlives it unless by `tf.keep`; nobody else may
 *   make tensors meanwhile
 * @param goOn asked between its parts, where the device computes in this thread; throws to give it up
 * @throws OutOfMemory
 */
export async function guardMemory<T extends tf.Tensor>(
  work: () => InParts<T>,
  goOn?: () => void,
): Promise<T> {
  if (tf.getBackend() !== "webgpu") return tidyInTurns(work(), goOn);
  const backend = tf.backend() as WebGPUBackend;
  const { device } = backend;
  device.pushErrorScope("validation");
  device.pushErrorScope("out-of-memory");
  let result: T | null = null;
  let thrown: unknown = null;
  try {
    result = tf.tidy(() => atOnce(work()));
  } catch (error) {
    thrown = error;
  }
  flush(backend);
  // What was invalid only because its memory was is no fault of its own.
  const [memory, validation] = await Promise.all([device.popErrorScope(), device.popErrorScope()]);
  if (memory && !thrown) thrown = new OutOfMemory(memory.message);
  if (thrown) {
    result?.dispose();
    if (thrown instanceof OutOfMemory) releaseFreeBuffers(backend);
    throw thrown;
  }
  if (validation) {
    result?.dispose();
    // a shader that does not compile has told its name
    throwIfFaulty();
    throw asFailure(validation);
  }
  return result as T;
}

/** `tf.tidy` around work that lets others have their turn. */
async function tidyInTurns<T extends tf.Tensor>(work: InParts<T>, goOn?: () => void): Promise<T> {
  const engine = tf.engine();
  engine.startScope("guarded");
  let result: T | undefined;
  try {
    result = await inTurns(work, goOn);
    return result;
  } finally {
    engine.endScope(result);
  }
}

/** Makes WASM's allocator say when it has no memory left; tfjs would go on and write over the heap's first bytes. */
export function watchHeap(backend: BackendWasm): void {
  const heap = heapOf(backend);
  const allocate = heap._malloc;
  heap._malloc = (bytes: number) => {
    const address = allocate(bytes);
    if (address === 0 && bytes > 0) throw new OutOfMemory(`${bytes} bytes of the WebAssembly heap`);
    return address;
  };
}

function heapOf({ wasm }: BackendWasm): Heap {
  return wasm as unknown as Heap;
}
