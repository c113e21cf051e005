// WebGPU bodies of the three GELUs and their gradients (../gelu.ts). WGSL may turn an overflow into anything, so
// arguments of exp and tanh are clamped where the result no longer changes in f32.
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import type * as tf from "@tensorflow/tfjs-core";
import type { GeluKind } from "../gelu.ts";
import { fours, registerBody, runShader } from "./program.ts";
import { variantOf } from "./variants.ts";

/**
 * Φ(u) = erfc(-u/√2) / 2, by the Chebyshev fit of erfc with relative error 1.2e-7 in Press et al., Numerical Recipes
 * in C (2nd ed., 1992), §6.2.
 */
const normalCdf = `
  fn normalCdf(u : number) -> number {
    let z = min(abs(u) * 0.7071067811865476, number(9.0));
    let t = number(1.0) / (number(1.0) + 0.5 * z);
    var s = number(0.17087277);
    s = s * t - 0.82215223;
    s = s * t + 1.48851587;
    s = s * t - 1.13520398;
    s = s * t + 0.27886807;
    s = s * t - 0.18628806;
    s = s * t + 0.09678418;
    s = s * t + 0.37409196;
    s = s * t + 1.00002368;
    s = s * t - 1.26551223;
    let tail = 0.5 * t * exp(s - z * z);
    return select(tail, number(1.0) - tail, u > number(0.0));
  }
`;

/** tanh and its slope by e = exp(-2|a|), which neither overflows nor, as 1 - tanh² does, leaves a rest far out. */
const tanhArgument = `
  fn argument(u : number) -> number {
    return clamp(u * (number(1.0) + 0.044715 * u * u) * 0.7978845608028654, number(-40.0), number(40.0));
  }
  fn tanhOf(a : number) -> number {
    let e = exp(-2.0 * abs(a));
    return sign(a) * (number(1.0) - e) / (number(1.0) + e);
  }
  fn tanhSlope(a : number) -> number {
    let e = exp(-2.0 * abs(a));
    return 4.0 * e / ((number(1.0) + e) * (number(1.0) + e));
  }
`;

const sigmoid = `
  fn sigmoid(u : number) -> number {
    return number(1.0) / (number(1.0) + exp(-clamp(u * 1.702, number(-80.0), number(80.0))));
  }
`;

const forward: Record<GeluKind, [string, string]> = {
  gelu: [normalCdf, "u * normalCdf(u)"],
  gelu_tanh: [tanhArgument, "0.5 * u * (number(1.0) + tanhOf(argument(u)))"],
  quick_gelu: [sigmoid, "u * sigmoid(u)"],
};

const slope: Record<GeluKind, [string, string]> = {
  gelu: [normalCdf, "normalCdf(u) + u * 0.3989422804014327 * exp(-min(0.5 * u * u, number(80.0)))"],
  gelu_tanh: [
    tanhArgument,
    `0.5 * (number(1.0) + tanhOf(argument(u))) + 0.5 * u * tanhSlope(argument(u)) *
      (number(1.0) + 0.134145 * u * u) * 0.7978845608028654`,
  ],
  quick_gelu: [sigmoid, "sigmoid(u) * (number(1.0) + u * 1.702 * (number(1.0) - sigmoid(u)))"],
};

/**
 * WGSL for the end of another kernel: `fn activation(u : number) -> number`, gelu or its slope. The kernel defines
 * the alias `number`.
 */
export function geluCode(kind: GeluKind, what: "value" | "slope"): string {
  const [helper, value] = (what === "value" ? forward : slope)[kind];
  return `${helper}
  fn activation(u : number) -> number { return ${value}; }`;
}

function run(
  backend: WebGPUBackend,
  key: string,
  u: tf.TensorInfo,
  dh: tf.TensorInfo | undefined,
  [helper, value]: [string, string],
): tf.TensorInfo {
  const size = u.shape.reduce((a, b) => a * b, 1);
  const components = fours(size) ? 4 : 1;
  const inputs = [
    { name: "uIn", tensor: u, components: components as 1 | 4 },
    ...(dh ? [{ name: "dh", tensor: dh, components: components as 1 | 4 }] : []),
  ];
  return runShader(backend, {
    key,
    inputs,
    outputComponents: components,
    shape: u.shape,
    invocations: size / components,
    workgroup: variantOf(backend).workgroup,
    integers: { count: size / components },
    code: () => `
      ${components === 4 ? "alias number = vec4<f32>;" : "alias number = f32;"}
      ${helper}
      fn main(index : i32) {
        if (index < uniforms.count) {
          let u = uIn[index];
          result[index] = ${dh ? `dh[index] * (${value})` : value};
        }
      }
    `,
  });
}

registerBody("Gelu", ({ u }, { kind }, backend) =>
  run(backend, `gelu ${kind}`, u!, undefined, forward[kind as GeluKind]),
);

registerBody("GeluInputGradient", ({ dh, u }, { kind }, backend) =>
  run(backend, `geluInputGradient ${kind}`, u!, dh, slope[kind as GeluKind]),
);
