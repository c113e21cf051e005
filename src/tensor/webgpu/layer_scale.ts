// WebGPU bodies of LayerScale and its gradient (../layer_scale.ts), one invocation an element or four.
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import type * as tf from "@tensorflow/tfjs-core";
import { fours, registerBody, runShader } from "./program.ts";
import { variantOf } from "./variants.ts";

function run(
  backend: WebGPUBackend,
  x: tf.TensorInfo,
  gamma: tf.TensorInfo,
  residual: tf.TensorInfo | undefined,
): tf.TensorInfo {
  const [rows, width] = x.shape as [number, number];
  const components: 1 | 4 = fours(width) ? 4 : 1;
  const count = (rows * width) / components;
  const inputs = [
    { name: "x", tensor: x, components },
    { name: "gamma", tensor: gamma, components },
    ...(residual ? [{ name: "residual", tensor: residual, components }] : []),
  ];
  return runShader(backend, {
    key: `layerScale ${residual !== undefined}`,
    inputs,
    outputComponents: components,
    shape: x.shape,
    invocations: count,
    workgroup: variantOf(backend).workgroup,
    integers: { count, width: width / components },
    code: () => `
      fn main(index : i32) {
        if (index < uniforms.count) {
          result[index] = ${residual ? "residual[index] + " : ""}x[index] * gamma[index % uniforms.width];
        }
      }
    `,
  });
}

registerBody("LayerScale", ({ x, gamma, residual }, _, backend) => run(backend, x!, gamma!, residual));

registerBody("LayerScaleInputGradient", ({ dy, gamma }, _, backend) => run(backend, dy!, gamma!, undefined));
