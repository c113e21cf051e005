// What tfjs's WebGPU backend has to learn before we compute on it: to bind and read a part of a buffer (block.ts)
// and f16 pairs as the numbers that they stand for (halves.ts), to upload without a staging buffer and a copy that ends the
// compute pass, and not to keep what was read, because our programs change tensors where they lie and the copy would be
// served for the new value.
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import type * as tf from "@tensorflow/tfjs-core";
import { OutOfMemory } from "../faults.ts";
import { asNumbers, copyEncoder, forgetUniforms, identify, type Stored, storedOf } from "./program.ts";

interface Binder {
  tensorToBinding(tensor: tf.TensorInfo | undefined): object | null;
}

/** Changes a backend that has just been made. */
export function adopt(backend: WebGPUBackend): WebGPUBackend {
  const storedAt = (dataId: object) => backend.tensorMap.get(dataId) as unknown as Stored | undefined;

  const binder = backend as unknown as Binder;
  const bind = binder.tensorToBinding.bind(backend);
  binder.tensorToBinding = (tensor) => {
    const stored = tensor && storedAt(tensor.dataId);
    if (stored?.halves) return bind(asNumbers(backend, tensor as tf.TensorInfo));
    return stored?.view ? { buffer: stored.resource, ...stored.view } : bind(tensor);
  };

  const { bufferManager, device } = backend;
  const acquire = bufferManager.acquireBuffer.bind(bufferManager);
  bufferManager.acquireBuffer = (size, ...rest) => {
    if (size > device.limits.maxBufferSize) {
      throw new OutOfMemory(`${size} bytes in one buffer, of which it takes ${device.limits.maxBufferSize}`);
    }
    // Always the oldest of those that are free: then every step of a run gets the same buffers for the same tensors,
    // and the bind groups made for them serve again.
    const free = (bufferManager as unknown as Pool).freeBuffers.get(`${size}_${rest[0]}`);
    if (free && free.length > 1) {
      let oldest = 0;
      for (let i = 1; i < free.length; i++) {
        if (identify(free[i] as GPUBuffer) < identify(free[oldest] as GPUBuffer)) oldest = i;
      }
      const last = free.length - 1;
      [free[oldest], free[last]] = [free[last] as GPUBuffer, free[oldest] as GPUBuffer];
    }
    return acquire(size, ...rest);
  };

  const upload = backend.uploadToGPU.bind(backend);
  backend.uploadToGPU = (dataId) => {
    const stored = storedAt(dataId);
    if (!stored || stored.resource || !stored.values) return upload(dataId);
    const values = stored.values as ArrayLike<number>;
    const data = stored.dtype === "float32" ? Float32Array.from(values) : Int32Array.from(values);
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    // A free buffer is in no command that has yet to be sent, so the queue may write it ahead of them.
    stored.resource = backend.bufferManager.acquireBuffer(data.byteLength, usage);
    backend.queue.writeBuffer(stored.resource, 0, data);
    stored.values = null;
  };

  const read = backend.read.bind(backend);
  backend.read = async (dataId) => {
    const { view, halves, shape } = storedAt(dataId) ?? {};
    if (halves) {
      const { resource } = storedOf(
        backend,
        asNumbers(backend, { dataId, shape: shape ?? [], dtype: "float32" }),
      );
      return readPart(backend, resource, { offset: 0, size: resource.size });
    }
    if (view) return readPart(backend, (storedAt(dataId) as Stored).resource, view);
    const values = await read(dataId);
    const stored = storedAt(dataId);
    if (stored?.resource) stored.values = null;
    return values;
  };
  return backend;
}

interface Pool {
  freeBuffers: Map<string, GPUBuffer[]>;
  numFreeBuffers: number;
  numBytesAllocated: number;
}

/** Gives back every buffer that no tensor uses. After memory ran out some of them are none at all. */
export function releaseFreeBuffers(backend: WebGPUBackend): void {
  forgetUniforms(backend);
  const pool = backend.bufferManager as unknown as Pool;
  for (const buffers of pool.freeBuffers.values()) {
    for (const buffer of buffers.splice(0)) {
      pool.numFreeBuffers -= 1;
      pool.numBytesAllocated -= buffer.size;
      buffer.destroy();
    }
  }
}

async function readPart(
  backend: WebGPUBackend,
  resource: GPUBuffer,
  { offset, size }: { offset: number; size: number },
): Promise<Float32Array> {
  const usage = GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ;
  const staging = backend.bufferManager.acquireBuffer(size, usage);
  copyEncoder(backend).copyBufferToBuffer(resource, offset, staging, 0, size);
  backend.submitQueue();
  await staging.mapAsync(GPUMapMode.READ);
  const values = new Float32Array(staging.getMappedRange().slice(0));
  staging.unmap();
  backend.bufferManager.releaseBuffer(staging);
  return values;
}
