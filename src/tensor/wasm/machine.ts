// Our own WebAssembly module beside tfjs's, on the same memory, and the threads that serve it. A job is written into a
// control block in that memory; the calling thread takes its chunks one by one, and so do the helpers that come in time.

import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import type { TensorInfo } from "@tensorflow/tfjs-core";
import { withMemory } from "./memory.ts";

/** The kernels, in the order of assembly/entry.ts. */
const kernels = [
  "product",
  "attention",
  "attentionInputGradient",
  "layerNorm",
  "layerNormInputGradient",
  "gelu",
  "geluInputGradient",
  "patchify",
  "addTokens",
  "adamw",
] as const;

export interface Job {
  kernel: (typeof kernels)[number];
  /** Parts that can be computed apart, in any order. */
  chunks: number;
  /** Addresses, counts, and numbers as `bits`, at the places the kernel expects. */
  args: number[];
  /** Bytes each thread needs for itself. */
  scratch?: number;
}

/** Bytes of the control block in front of the arguments, and of all of it. */
const ARGUMENTS = 256;
const CONTROL = 512;
/** In words. */
const JOB = 48;
/** More threads than this gain little on the products of a small network. */
const MOST_THREADS = 8;

const inNode = typeof process !== "undefined" && process.versions?.node !== undefined;

interface Exports {
  run(control: number, helpers: number): void;
}

/** What Emscripten made of tfjs's module and tfjs's types leave out. */
interface Heap {
  _malloc(bytes: number): number;
  _free(address: number): void;
  asm: { memory: WebAssembly.Memory };
}

/** Runs kernels on tensors of one tfjs backend. */
export class Machine {
  /** Whether a·b + c is one instruction. */
  readonly fused: boolean;
  /** How many threads compute, the calling one included. */
  readonly threads: number;
  readonly #backend: BackendWasm;
  readonly #heap: Heap;
  readonly #exports: Exports;
  readonly #control: number;
  #words: Int32Array;
  #scratch = { block: 0, address: 0, bytes: 0 };

  private constructor(
    backend: BackendWasm,
    {
      exports,
      fused,
      control,
      threads,
    }: { exports: Exports; fused: boolean; control: number; threads: number },
  ) {
    this.#backend = backend;
    this.#heap = heapOf(backend);
    this.#exports = exports;
    this.#control = control;
    this.#words = wordsAt(this.#heap.asm.memory, control);
    this.fused = fused;
    this.threads = threads;
  }

  /**
   * Compiles the kernels onto tfjs's memory and starts the helpers.
   * @param wanted.threads one where memory is not shared; else as many as there are processors, if not given
   * @param wanted.fused false: do without multiply-add
   * @returns null where the engine cannot run them
   */
  static async start(
    backend: BackendWasm,
    wanted: { threads?: number; fused?: boolean } = {},
  ): Promise<Machine | null> {
    const heap = heapOf(backend);
    const { memory } = heap.asm;
    const shared = !(memory.buffer instanceof ArrayBuffer);
    const compiled =
      (wanted.fused !== false && (await compile(true, shared))) || (await compile(false, shared));
    if (!compiled) return null;
    const { module, fused } = compiled;
    const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
    const control = aligned(heap._malloc(CONTROL + 64) >>> 0);
    wordsAt(memory, control).fill(0);
    const most = Math.min(wanted.threads ?? (await processors()), MOST_THREADS);
    const helpers = shared ? Math.max(1, most) - 1 : 0;
    const threads = await startThreads(helpers, { module, memory, control });
    return new Machine(backend, { exports: exports as unknown as Exports, fused, control, threads });
  }

  /** Where a tensor's numbers are. Good until tfjs allocates or frees. */
  address(tensor: TensorInfo): number {
    return this.#backend.getMemoryOffset(tensor.dataId);
  }

  /** A new tensor, not filled. */
  output(shape: number[]): TensorInfo {
    return this.#backend.makeOutput(shape, "float32");
  }

  /** Runs a job; it is done when this returns. */
  run({ kernel, chunks, args, scratch = 0 }: Job): void {
    if (chunks === 0) return;
    if (scratch > this.#scratch.bytes) this.#reserve(scratch);
    const { memory } = this.#heap.asm;
    // memory that grew has a new buffer
    if (this.#words.buffer !== memory.buffer) this.#words = wordsAt(memory, this.#control);
    const { address, bytes } = this.#scratch;
    this.#words.set([kernels.indexOf(kernel), chunks, address, bytes], JOB);
    this.#words.set(args, ARGUMENTS / 4);
    this.#exports.run(this.#control, this.threads - 1);
  }

  #reserve(bytes: number): void {
    // a page more than a power of two, so that threads do not compete for the same places in a shared cache
    const size = 2 ** Math.ceil(Math.log2(bytes)) + 4096;
    if (this.#scratch.block) this.#heap._free(this.#scratch.block);
    const block = this.#heap._malloc(size * this.threads + 64) >>> 0;
    this.#scratch = { block, address: aligned(block), bytes: size };
  }
}

function heapOf(backend: BackendWasm): Heap {
  return backend.wasm as unknown as Heap;
}

function wordsAt(memory: WebAssembly.Memory, address: number): Int32Array {
  return new Int32Array(memory.buffer, address, CONTROL / 4);
}

const number = new Float32Array(1);
const word = new Int32Array(number.buffer);

/** A 32-bit number as the integer with the same bits. */
export function bits(value: number): number {
  number[0] = value;
  return word[0] as number;
}

function aligned(address: number): number {
  return Math.ceil(address / 64) * 64;
}

/** The kernels, with fused multiply-add or without; null where the engine lacks what they need. */
async function compile(
  fused: boolean,
  shared: boolean,
): Promise<{ module: WebAssembly.Module; fused: boolean } | null> {
  const bytes = withMemory(await read(fused), shared);
  if (!bytes) return null;
  if (fused && inNode && !WebAssembly.validate(bytes)) {
    // Node 20 has relaxed SIMD complete, but behind a flag that its next engine no longer needs. It is read whenever a
    // module is compiled.
    const name = "node:v8";
    const v8 = (await import(/* @vite-ignore */ name)) as typeof import("node:v8");
    v8.setFlagsFromString("--experimental-wasm-relaxed-simd");
  }
  return WebAssembly.validate(bytes) ? { module: await WebAssembly.compile(bytes), fused } : null;
}

async function read(fused: boolean): Promise<Uint8Array> {
  const url = fused
    ? new URL("./kernels_fma.wasm", import.meta.url)
    : new URL("./kernels.wasm", import.meta.url);
  if (!inNode) return new Uint8Array(await (await fetch(url)).arrayBuffer());
  const name = "node:fs/promises";
  const { readFile } = (await import(/* @vite-ignore */ name)) as typeof import("node:fs/promises");
  return readFile(url);
}

interface ThreadStart {
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
  control: number;
  thread: number;
}

/** Most milliseconds that the first helper may take to be up. */
const PATIENCE = 10_000;

/**
 * Starts helpers. Whether they can share memory is found out by the first one: a browser may say that it can, and then
 * refuse to hand the memory over (WebKitGTK).
 * @returns how many threads compute, the calling one included
 */
async function startThreads(helpers: number, start: Omit<ThreadStart, "thread">): Promise<number> {
  for (let thread = 1; thread <= helpers; thread++) {
    const up = startThread({ ...start, thread });
    if (thread === 1 && !(await up)) return 1;
  }
  return helpers + 1;
}

/** Starts a helper, which joins in when it is up; false where it cannot be. */
async function startThread(start: ThreadStart): Promise<boolean> {
  if (!inNode) return startWorker(start);
  const name = "node:worker_threads";
  const { Worker: Thread } = (await import(/* @vite-ignore */ name)) as typeof import("node:worker_threads");
  const thread = new Thread(new URL("./thread.mjs", import.meta.url), { workerData: start, execArgv: [] });
  // it must not keep the process alive
  thread.unref();
  return true;
}

function startWorker(start: ThreadStart): Promise<boolean> {
  const worker = new Worker(new URL("./thread.mjs", import.meta.url), {
    type: "module",
    name: "selora-wasm",
  });
  return new Promise<boolean>((resolve) => {
    const fail = () => {
      worker.terminate();
      resolve(false);
    };
    const late = setTimeout(fail, PATIENCE);
    worker.onmessage = () => {
      clearTimeout(late);
      resolve(true);
    };
    worker.onerror = fail;
    try {
      worker.postMessage(start);
    } catch {
      fail();
    }
  });
}

/** How many threads this machine runs at once. */
async function processors(): Promise<number> {
  if (!inNode) return navigator.hardwareConcurrency;
  const name = "node:os";
  const { availableParallelism } = (await import(/* @vite-ignore */ name)) as typeof import("node:os");
  return availableParallelism();
}
