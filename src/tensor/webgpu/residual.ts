// WebGPU body of a gated whole-matrix change (../residual.ts), one invocation an element or four.
import { fours, registerBody, runShader } from "./program.ts";
import { variantOf } from "./variants.ts";

registerBody("FormResidual", ({ weight, residual, scale }, _, backend) => {
  const [out, width] = weight!.shape as [number, number];
  const pieces = scale!.shape[0] as number;
  const components: 1 | 4 = fours((out / pieces) * width) ? 4 : 1;
  const count = (out * width) / components;
  return runShader(backend, {
    key: "formResidual",
    inputs: [
      { name: "weight", tensor: weight!, components },
      { name: "residual", tensor: residual!, components },
      { name: "scale", tensor: scale! },
    ],
    outputComponents: components,
    shape: [out, width],
    invocations: count,
    workgroup: variantOf(backend).workgroup,
    integers: { count, share: count / pieces },
    code: () => `
      fn main(index : i32) {
        if (index < uniforms.count) {
          result[index] = weight[index] + scale[index / uniforms.share] * residual[index];
        }
      }
    `,
  });
});
