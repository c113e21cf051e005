// Frozen matrices as pairs of f16, which `unpack2x16float` reads without a feature. What is stored is 1024 times the
// value: WGSL lets a device flush f16's subnormal numbers to 0, and so scaled, those of a file are none.
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import type { Stored } from "./program.ts";

/** Exponent fields of f32 that can be stored: of 2^-24, which becomes f16's smallest normal number, and of 2^5. */
export const leastHalf = 127 - 24;
export const mostHalf = 127 + 5;

/** A float32 tensor whose numbers, which have to fit (`fitsHalves`), lie as f16 pairs; their count is a multiple of 4. */
export function createHalves(
  backend: WebGPUBackend,
  values: Float32Array,
  shape: [number, number],
): tf.Tensor2D {
  const info = backend.makeTensorInfo(shape, "float32");
  const stored = backend.tensorMap.get(info.dataId) as unknown as Stored;
  const pairs = packHalves(values);
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  // A free buffer is in no command that has yet to be sent, so the queue may write it ahead of them.
  stored.resource = backend.bufferManager.acquireBuffer(pairs.byteLength, usage);
  backend.queue.writeBuffer(stored.resource, 0, pairs);
  stored.halves = true;
  return tf.engine().makeTensorFromTensorInfo(info) as tf.Tensor2D;
}

function packHalves(values: Float32Array): Uint16Array<ArrayBuffer> {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < bits.length; i++) {
    const value = bits[i]!;
    const magnitude = value & 0x7fffffff;
    const half = magnitude === 0 ? 0 : (magnitude - ((leastHalf - 1) << 23)) >>> 13;
    halves[i] = ((value >>> 16) & 0x8000) | half;
  }
  return halves;
}

/** WGSL: `fn NAMEFour(i : i32) -> vec4<f32>`, the i-th four numbers of a binding that is declared as `halves`. */
export function halvesCode(name: string): string {
  return `
    fn ${name}Four(i : i32) -> vec4<f32> {
      let pairs = ${name}[i];
      return vec4<f32>(unpack2x16float(pairs.x), unpack2x16float(pairs.y)) * ${1 / 1024};
    }
  `;
}
