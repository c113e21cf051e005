// Looks into one step: what it dispatches, how long each phase and each kernel takes, what it holds. It listens at the
// GPU's own doors, so that it sees whatever is computed there and not only what goes through tfjs.
import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import { watchDispatches } from "../../tensor/webgpu/program.ts";
import type { StepPhase } from "../../training/step.ts";
import type { Inspection } from "./protocol.ts";

export interface Meter {
  /** Runs one step and tells what it did; the step calls back as its phases begin. */
  inspect(step: (onPhase: (phase: StepPhase) => void) => Promise<void>): Promise<Inspection>;
}

/** What is dispatched outside of any kernel. */
const others = "others";
/** Two timestamps for each of this many passes of one step. */
const passLimit = 2048;

/** Call it before anything is computed on the device, so that it knows every buffer. */
export function meterDevice(device: GPUDevice): Meter {
  let bytes = 0;
  let buffers = 0;
  let dispatches = 0;
  const createBuffer = device.createBuffer.bind(device);
  device.createBuffer = (descriptor) => {
    const buffer = createBuffer(descriptor);
    bytes += descriptor.size;
    buffers += 1;
    let held = true;
    const destroy = buffer.destroy.bind(buffer);
    buffer.destroy = () => {
      if (held) bytes -= descriptor.size;
      held = false;
      return destroy();
    };
    return buffer;
  };

  let queries: GPUQuerySet | null = null;
  let owners: { phase: StepPhase | null; kernel: string }[] = [];
  let phase: StepPhase | null = null;
  let kernel = others;
  let counts = new Map<string, number>();
  const createCommandEncoder = device.createCommandEncoder.bind(device);
  device.createCommandEncoder = (about) => {
    const encoder = createCommandEncoder(about);
    const beginComputePass = encoder.beginComputePass.bind(encoder);
    encoder.beginComputePass = (descriptor) => {
      const slot = owners.length;
      const timed = queries !== null && slot < passLimit && !descriptor?.timestampWrites;
      if (timed) owners.push({ phase, kernel });
      const pass = beginComputePass(
        timed && queries
          ? {
              ...descriptor,
              timestampWrites: {
                querySet: queries,
                beginningOfPassWriteIndex: 2 * slot,
                endOfPassWriteIndex: 2 * slot + 1,
              },
            }
          : descriptor,
      );
      const dispatch = pass.dispatchWorkgroups.bind(pass);
      pass.dispatchWorkgroups = (...size) => {
        dispatches += 1;
        counts.set(kernel, (counts.get(kernel) ?? 0) + 1);
        return dispatch(...size);
      };
      return pass;
    };
    return encoder;
  };

  const backend = tf.backend() as WebGPUBackend;
  const timestamps = device.features.has("timestamp-query");
  return {
    async inspect(step) {
      const before = { buffers, dispatches };
      await step(() => {});
      const counted = { newBuffers: buffers - before.buffers, dispatches: dispatches - before.dispatches };
      const inspection = { ...counted, bytes };
      if (timestamps) queries = device.createQuerySet({ type: "timestamp", count: 2 * passLimit });
      owners = [];
      counts = new Map();
      // Each in a pass of its own, so that it has timestamps of its own.
      const begin = (name: string) => {
        backend.endComputePassEncoder();
        kernel = name;
      };
      const release = watchKernels("webgpu", {
        enter(name) {
          begin(name);
          return 0;
        },
        leave: () => begin(others),
      });
      watchDispatches((key) => begin(key.trim()));
      try {
        await step((next) => {
          begin(others);
          phase = next;
        });
      } finally {
        release();
        watchDispatches(null);
        phase = null;
        kernel = others;
      }
      const used = queries;
      queries = null;
      if (!used) return { ...inspection, phases: null, kernels: table(counts, null) };
      const times = await readTimes(device, used, owners.length);
      const phases: Inspection["phases"] = {};
      const byKernel = new Map<string, number>();
      owners.forEach((owner, i) => {
        const time = times[i] as number;
        if (owner.phase) phases[owner.phase] = (phases[owner.phase] ?? 0) + time;
        byKernel.set(owner.kernel, (byKernel.get(owner.kernel) ?? 0) + time);
      });
      return { ...inspection, phases, kernels: table(counts, byKernel) };
    },
  };
}

/** Milliseconds of each timed pass. */
async function readTimes(device: GPUDevice, queries: GPUQuerySet, passes: number): Promise<number[]> {
  const size = 16 * passLimit;
  const resolved = device.createBuffer({
    size,
    usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
  });
  const readable = device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = device.createCommandEncoder();
  if (passes > 0) encoder.resolveQuerySet(queries, 0, 2 * passes, resolved, 0);
  encoder.copyBufferToBuffer(resolved, 0, readable, 0, size);
  device.queue.submit([encoder.finish()]);
  await readable.mapAsync(GPUMapMode.READ);
  const nanoseconds = new BigInt64Array(readable.getMappedRange().slice(0));
  for (const used of [queries, resolved, readable]) used.destroy();
  return Array.from({ length: passes }, (_, i) =>
    Math.max(0, Number((nanoseconds[2 * i + 1] as bigint) - (nanoseconds[2 * i] as bigint)) / 1e6),
  );
}

/** The same for WASM, where every kernel has ended when it returns. */
export function meterWasm(): Meter {
  const heap = () => {
    const { wasm } = tf.backend() as BackendWasm;
    return (wasm as unknown as { HEAPU8: Uint8Array }).HEAPU8.byteLength;
  };
  return {
    async inspect(step) {
      const counts = new Map<string, number>();
      const times = new Map<string, number>();
      const release = watchKernels("wasm", {
        enter: () => performance.now(),
        leave(name, from) {
          counts.set(name, (counts.get(name) ?? 0) + 1);
          times.set(name, (times.get(name) ?? 0) + performance.now() - from);
        },
      });
      try {
        await step(() => {});
      } finally {
        release();
      }
      const phases: Partial<Record<StepPhase, number>> = {};
      let phase: StepPhase | null = null;
      let since = performance.now();
      const end = () => {
        const now = performance.now();
        if (phase) phases[phase] = (phases[phase] ?? 0) + now - since;
        since = now;
      };
      await step((next) => {
        end();
        phase = next;
      });
      end();
      const dispatches = [...counts.values()].reduce((a, b) => a + b, 0);
      return { phases, dispatches, kernels: table(counts, times), bytes: heap(), newBuffers: null };
    },
  };
}

/** Calls back around every kernel that tfjs runs on a backend, outermost ones only; returns how to end that. */
function watchKernels(
  backendName: string,
  { enter, leave }: { enter(name: string): number; leave(name: string, entered: number): void },
): () => void {
  let depth = 0;
  const undo: (() => void)[] = [];
  for (const config of tf.getKernelsForBackend(backendName)) {
    const { kernelFunc, kernelName } = config;
    config.kernelFunc = (args) => {
      if (depth > 0) return kernelFunc(args);
      depth += 1;
      const entered = enter(kernelName);
      try {
        return kernelFunc(args);
      } finally {
        leave(kernelName, entered);
        depth -= 1;
      }
    };
    undo.push(() => {
      config.kernelFunc = kernelFunc;
    });
  }
  return () => {
    for (const one of undo) one();
  };
}

function table(counts: Map<string, number>, times: Map<string, number> | null): Inspection["kernels"] {
  const rows = [...new Set([...counts.keys(), ...(times?.keys() ?? [])])].map((name) => ({
    name: name.replace(/^Selora/, ""),
    count: counts.get(name) ?? 0,
    milliseconds: times?.get(name) ?? null,
  }));
  return rows
    .filter(({ count, milliseconds }) => count > 0 || (milliseconds ?? 0) > 0)
    .sort((a, b) => (b.milliseconds ?? 0) - (a.milliseconds ?? 0) || b.count - a.count);
}
