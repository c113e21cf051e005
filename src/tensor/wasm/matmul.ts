// Tfjs's WASM product is fast (XNNPACK) only for one plain A·B; anything transposed, and every batch of more than one,
// falls to a naive loop, 7 to 15 times slower (788x192 by 192x768: 8 ms against 119). A ViT's products are nearly all
// of those kinds, so the kernel is replaced by one that turns them into plain ones: operands are transposed first,
// which copies M·K numbers where the product takes M·K·N steps, and a batch is walked by views of its parts.

import type { BackendWasm } from "@tensorflow/tfjs-backend-wasm";
import {
  type BatchMatMulAttrs,
  getKernel,
  type KernelConfig,
  type KernelFunc,
  registerKernel,
  type TensorInfo,
  unregisterKernel,
} from "@tensorflow/tfjs-core";

const original = getKernel("BatchMatMul", "wasm") as KernelConfig;
const transpose = (getKernel("Transpose", "wasm") as KernelConfig).kernelFunc;

/** The compiled function: ids of a, b and out; shapes as bytes of int32. */
type Compiled = (
  a: number,
  aShape: Uint8Array,
  aRank: number,
  b: number,
  bShape: Uint8Array,
  bRank: number,
  transposeA: boolean,
  transposeB: boolean,
  out: number,
) => void;
type Wrap = (name: string, returns: null, types: string[]) => Compiled;
let compiled: Compiled;

const matMul: KernelFunc = (args) => {
  const backend = args.backend as BackendWasm;
  const { a, b } = args.inputs as { a: TensorInfo; b: TensorInfo };
  const { transposeA, transposeB } = args.attrs as unknown as BatchMatMulAttrs;
  const batch = size(a.shape.slice(0, -2));
  // Rare here: types other than f32, broadcast batches, empty results.
  const rare = a.dtype !== "float32" || b.dtype !== "float32" || batch === 0;
  if (rare || batch !== size(b.shape.slice(0, -2)) || (batch === 1 && !transposeA && !transposeB)) {
    return original.kernelFunc(args);
  }
  const left = upright(backend, a, batch, transposeA);
  const right = upright(backend, b, batch, transposeB);
  const [, rows, inner] = left.info.shape as [number, number, number];
  const columns = right.info.shape[2] as number;
  const out = backend.makeOutput([...a.shape.slice(0, -2), rows, columns], "float32");
  const leftShape = new Uint8Array(Int32Array.of(1, rows, inner).buffer);
  const rightShape = new Uint8Array(Int32Array.of(1, inner, columns).buffer);
  for (let i = 0; i < batch; i++) {
    const x = view(backend, left.info, i * rows * inner, rows * inner);
    const y = view(backend, right.info, i * inner * columns, inner * columns);
    const z = view(backend, out, i * rows * columns, rows * columns);
    compiled(x.id, leftShape, 3, y.id, rightShape, 3, false, false, z.id);
    for (const used of [x, y, z]) used.forget();
  }
  left.release();
  right.release();
  return out;
};

/** The operand as [batch, rows, columns], not transposed any more. */
function upright(backend: BackendWasm, x: TensorInfo, batch: number, transposed: boolean) {
  const info: TensorInfo = { dataId: x.dataId, dtype: x.dtype, shape: [batch, ...x.shape.slice(-2)] };
  if (!transposed) return { info, release: () => {} };
  const turned = transpose({ inputs: { x: info }, backend, attrs: { perm: [0, 2, 1] } }) as TensorInfo;
  return { info: turned, release: () => backend.disposeData(turned.dataId) };
}

/** A part of a tensor's memory under an id of its own. Forgetting it frees no memory, which stays the tensor's. */
function view(backend: BackendWasm, x: TensorInfo, start: number, length: number) {
  const { dataId } = backend.makeOutput([length], "float32", backend.getMemoryOffset(x.dataId) + 4 * start);
  const { id } = backend.dataIdMap.get(dataId);
  return {
    id,
    forget: () => {
      backend.wasm.tfjs.disposeData(id);
      backend.dataIdMap.delete(dataId);
    },
  };
}

function size(shape: number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}

unregisterKernel("BatchMatMul", "wasm");
registerKernel({
  ...original,
  kernelFunc: matMul,
  setupFunc: (backend) => {
    original.setupFunc?.(backend);
    const { cwrap } = (backend as BackendWasm).wasm as unknown as { cwrap: Wrap };
    const types = ["number", "array", "number", "number", "array", "number", "number", "number", "number"];
    compiled = cwrap("BatchMatMul", null, types);
  },
});
