// Tfjs's own matrix product, for whoever calls `tf.matMul`. Tfjs-wasm is fast only for one plain A·B; anything
// transposed, and every batch of more than one, falls to a naive loop. Ours takes them all.
import {
  type BatchMatMulAttrs,
  getKernel,
  type KernelConfig,
  registerKernel,
  type TensorInfo,
  unregisterKernel,
  util,
} from "@tensorflow/tfjs-core";
import type { Machine } from "./machine.ts";
import { product } from "./product.ts";

/** Puts our product in the place of tfjs's. */
export function matMul(machine: Machine): void {
  const original = getKernel("BatchMatMul", "wasm") as KernelConfig;
  unregisterKernel("BatchMatMul", "wasm");
  registerKernel({
    ...original,
    kernelFunc: (args) => {
      const { a, b } = args.inputs as { a: TensorInfo; b: TensorInfo };
      const { transposeA, transposeB } = args.attrs as unknown as BatchMatMulAttrs;
      const pieces = util.sizeFromShape(a.shape.slice(0, -2));
      const [height, width] = a.shape.slice(-2) as [number, number];
      const [bHeight, bWidth] = b.shape.slice(-2) as [number, number];
      const [rows, depth] = transposeA ? [width, height] : [height, width];
      const columns = transposeB ? bHeight : bWidth;
      // Rare here: types other than f32, broadcast batches, empty operands.
      const rare = a.dtype !== "float32" || b.dtype !== "float32" || pieces * rows * depth * columns === 0;
      if (rare || pieces !== util.sizeFromShape(b.shape.slice(0, -2))) return original.kernelFunc(args);
      return product(machine, {
        ...{ rows, columns, depth, pieces },
        a: { tensor: a, layout: transposeA ? "k outer" : "k inner", stride: width, piece: height * width },
        b: { tensor: b, layout: transposeB ? "k inner" : "k outer", stride: bWidth, piece: bHeight * bWidth },
        ...{ shape: [...a.shape.slice(0, -2), rows, columns], stride: columns, piece: rows * columns },
      });
    },
  });
}
