// WebGPU bodies of SwiGLU and its gradient (../swiglu.ts). The argument of exp is clamped where the result no longer
// changes in f32: WGSL may turn an overflow into anything.
import { fours, registerBody, runShader } from "./program.ts";
import { variantOf } from "./variants.ts";

const helpers = (components: 1 | 4) => `
  ${components === 4 ? "alias number = vec4<f32>;" : "alias number = f32;"}
  fn sigmoid(x : number) -> number {
    return number(1.0) / (number(1.0) + exp(-clamp(x, number(-80.0), number(80.0))));
  }
`;

registerBody("Swiglu", ({ u }, _, backend) => {
  const [rows, columns] = u!.shape as [number, number];
  const half = columns / 2;
  const components: 1 | 4 = fours(half) ? 4 : 1;
  const width = half / components;
  return runShader(backend, {
    key: "swiglu",
    inputs: [{ name: "u", tensor: u!, components }],
    outputComponents: components,
    shape: [rows, half],
    invocations: rows * width,
    workgroup: variantOf(backend).workgroup,
    integers: { count: rows * width, width },
    code: () => `
      ${helpers(components)}
      fn main(index : i32) {
        if (index >= uniforms.count) { return; }
        let at = (index / uniforms.width) * uniforms.width * 2 + index % uniforms.width;
        let gate = u[at];
        result[index] = gate * sigmoid(gate) * u[at + uniforms.width];
      }
    `,
  });
});

registerBody("SwigluInputGradient", ({ dh, u }, _, backend) => {
  const [rows, half] = dh!.shape as [number, number];
  const components: 1 | 4 = fours(half) ? 4 : 1;
  const width = half / components;
  return runShader(backend, {
    key: "swigluInputGradient",
    inputs: [
      { name: "dh", tensor: dh!, components },
      { name: "u", tensor: u!, components },
    ],
    outputComponents: components,
    shape: u!.shape,
    invocations: rows * width,
    workgroup: variantOf(backend).workgroup,
    integers: { count: rows * width, width },
    code: () => `
      ${helpers(components)}
      fn main(index : i32) {
        if (index >= uniforms.count) { return; }
        let at = (index / uniforms.width) * uniforms.width * 2 + index % uniforms.width;
        let gate = u[at];
        let s = sigmoid(gate);
        result[at] = dh[index] * u[at + uniforms.width] * s * (number(1.0) + gate * (number(1.0) - s));
        result[at + uniforms.width] = dh[index] * gate * s;
      }
    `,
  });
});
