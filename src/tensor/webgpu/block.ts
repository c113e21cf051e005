// Tensors that lie side by side in one GPU buffer, so that one program can deal with all of them: parameters with
// their gradients and moments, the scales of all sites. Each part is an ordinary tensor to every op, ours and tfjs's.
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import { copyEncoder, flush, keepUntilSubmit, type Stored, storedOf } from "./program.ts";

export interface Block {
  /** The whole buffer as [size]. */
  readonly whole: tf.Tensor1D;
  readonly parts: readonly tf.Tensor[];
  /** Where each part starts, in numbers. */
  readonly starts: readonly number[];
  dispose(): void;
}

/** Numbers between possible starts: what every WebGPU device can bind at, 256 bytes. */
export const granule = 64;

export const padded = (size: number) => granule * Math.ceil(size / granule);
const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** One buffer of zeros and a part of it for every shape. */
export function createBlock(backend: WebGPUBackend, shapes: readonly (readonly number[])[]): Block {
  const starts: number[] = [];
  let size = 0;
  for (const shape of shapes) {
    starts.push(size);
    size += padded(sizeOf(shape));
  }
  const whole = zeros(backend, Math.max(size, granule));
  const parts = shapes.map((shape, i) => viewOf(backend, whole, starts[i] as number, shape));
  return {
    whole,
    parts,
    starts,
    dispose: () => tf.dispose([...parts, whole]),
  };
}

/** A buffer of zeros, [size]; unlike `tf.zeros` it is on the device from the start and passes no CPU memory. */
export function zeros(backend: WebGPUBackend, size: number): tf.Tensor1D {
  const info = backend.makeTensorInfo([size], "float32");
  const { resource } = storedOf(backend, info);
  copyEncoder(backend).clearBuffer(resource);
  keepUntilSubmit(backend, info);
  return tf.engine().makeTensorFromTensorInfo(info) as tf.Tensor1D;
}

/** Copies a tensor's numbers over another's of the same size; either may be a part of a block. */
export function copyInto(backend: WebGPUBackend, to: tf.Tensor, from: tf.TensorInfo): void {
  const source = storedOf(backend, from);
  const target = storedOf(backend, to);
  copyEncoder(backend).copyBufferToBuffer(
    source.resource,
    source.view?.offset ?? 0,
    target.resource,
    target.view?.offset ?? 0,
    to.size * 4,
  );
  keepUntilSubmit(backend, from);
  keepUntilSubmit(backend, to);
}

/** Writes numbers over a block or a part of one. */
export function writeInto(
  backend: WebGPUBackend,
  tensor: tf.Tensor,
  values: Float32Array<ArrayBuffer>,
): void {
  const { resource, view } = storedOf(backend, tensor);
  flush(backend);
  backend.queue.writeBuffer(resource, view?.offset ?? 0, values);
}

/** Whether a tensor is a part of a block. */
export function isPart(backend: WebGPUBackend, tensor: tf.TensorInfo): boolean {
  return (backend.tensorMap.get(tensor.dataId) as unknown as Stored | undefined)?.view !== undefined;
}

/** The block a tensor is a part of and where it starts there, in numbers. */
export function placeOf(
  backend: WebGPUBackend,
  part: tf.TensorInfo,
): { block: tf.TensorInfo; start: number } {
  const { view, block } = backend.tensorMap.get(part.dataId) as unknown as Required<Stored>;
  return { block, start: view.offset / 4 };
}

function viewOf(
  backend: WebGPUBackend,
  whole: tf.Tensor1D,
  start: number,
  shape: readonly number[],
): tf.Tensor {
  const info = backend.makeTensorInfo([...shape], "float32");
  const stored = backend.tensorMap.get(info.dataId) as unknown as Stored;
  stored.resource = storedOf(backend, whole).resource;
  // tfjs releases no buffer that it holds for external
  stored.external = true;
  stored.view = { offset: 4 * start, size: 4 * sizeOf(shape) };
  stored.block = whole;
  return tf.engine().makeTensorFromTensorInfo(info);
}
