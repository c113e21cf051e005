// WebGPU bodies of ../linear.ts: a linear map and its gradient, alone or with a GELU as their last step.
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import type * as tf from "@tensorflow/tfjs-core";
import type { GeluKind } from "../gelu.ts";
import { type GpuProduct, product } from "./product.ts";
import { registerBody } from "./program.ts";

/** x Wᵀ, x [T, in] and W [out, in]. */
function forward(
  backend: WebGPUBackend,
  x: tf.TensorInfo,
  weight: tf.TensorInfo,
  last: Pick<GpuProduct, "bias" | "add" | "gelu">,
): tf.TensorInfo {
  const [rows, depth] = x.shape as [number, number];
  const columns = weight.shape[0]!;
  return product(backend, {
    rows,
    columns,
    depth,
    pieces: 1,
    a: { tensor: x, layout: "k inner", stride: depth, piece: 0 },
    b: { tensor: weight, layout: "k inner", stride: depth, piece: 0 },
    shape: [rows, columns],
    stride: columns,
    piece: 0,
    ...last,
  });
}

/** dy W, dy [T, out] and W [out, in]. */
function inputGradient(
  backend: WebGPUBackend,
  dy: tf.TensorInfo,
  weight: tf.TensorInfo,
  last: Pick<GpuProduct, "add" | "gelu">,
): tf.TensorInfo {
  const [rows, depth] = dy.shape as [number, number];
  const columns = weight.shape[1]!;
  return product(backend, {
    rows,
    columns,
    depth,
    pieces: 1,
    a: { tensor: dy, layout: "k inner", stride: depth, piece: 0 },
    b: { tensor: weight, layout: "k outer", stride: columns, piece: 0 },
    shape: [rows, columns],
    stride: columns,
    piece: 0,
    ...last,
  });
}

registerBody("Linear", ({ x, weight, bias, residual }, _, backend) =>
  forward(backend, x!, weight!, { bias, add: residual }),
);

registerBody("LinearGelu", ({ x, weight, bias }, { kind }, backend) =>
  forward(backend, x!, weight!, { bias, gelu: { kind: kind as GeluKind } }),
);

registerBody("LinearInputGradient", ({ dy, weight, add }, _, backend) =>
  inputGradient(backend, dy!, weight!, { add }),
);

registerBody("LinearGeluInputGradient", ({ dy, weight, u }, { kind }, backend) =>
  inputGradient(backend, dy!, weight!, { gelu: { kind: kind as GeluKind, u } }),
);
