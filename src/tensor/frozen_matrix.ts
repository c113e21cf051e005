// A matrix that never changes, as it lies on the device: as f32, or on a GPU as pairs of f16 where that loses nothing,
// which takes half of the memory and of what a product reads. Everything is still computed in f32, to the same bits.
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import { createHalves, leastHalf, mostHalf } from "./webgpu/halves.ts";

/**
 * Whether every number is 0, or has no more than 11 significant bits and 2^-24 <= |value| < 64: each value of an F16
 * file below 64 is such a number, its subnormal ones too.
 */
export function fitsHalves(values: Float32Array): boolean {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < bits.length; i++) {
    const magnitude = bits[i]! & 0x7fffffff;
    if (magnitude === 0) continue;
    const exponent = magnitude >>> 23;
    if ((magnitude & 0x1fff) !== 0 || exponent < leastHalf || exponent > mostHalf) return false;
  }
  return true;
}

/**
 * Puts a frozen matrix on the device: on WebGPU as f16 pairs where its values fit them and its rows are whole fours, else
 * as f32. Either is an ordinary tensor to every op; products and `formWeight` read pairs as they lie, for others they are
 * unpacked.
 * @param shape [out, in]
 */
export function frozenMatrix(values: Float32Array, shape: [number, number]): tf.Tensor2D {
  const [out, width] = shape;
  const whole = values.length === out * width && width % 4 === 0;
  if (tf.getBackend() !== "webgpu" || !whole || !fitsHalves(values)) {
    return tf.tensor2d(values, shape, "float32");
  }
  return createHalves(tf.backend() as WebGPUBackend, values, shape);
}
