// How a WGSL program of ours is handed to tfjs's WebGPU backend. Layout: binding 0 is `result`, then the inputs in
// order, then `uniforms`; the code defines `fn main(index : i32)` and is dispatched flat. Shapes and scalars travel as
// uniforms, so that one pipeline serves every size; only what changes the code itself belongs into the key.
import type { WebGPUBackend, WebGPUProgram } from "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import type { Attributes } from "../body.ts";

export interface Shader {
  /** Unique for the code: name and every choice that was baked in. */
  key: string;
  /** Inputs by the name the code uses, with how many components of each make one array element. */
  inputs: { name: string; tensor: tf.TensorInfo; components?: 1 | 2 | 4 }[];
  /** Components of one element of `result`. */
  outputComponents?: 1 | 2 | 4;
  shape: number[];
  dtype?: "float32" | "int32";
  /** Invocations wanted; `index` runs from 0 up to this, rounded up to whole workgroups. */
  invocations: number;
  workgroup: number;
  /** Scalar uniforms by name; integers are i32, the rest f32. */
  integers?: Record<string, number>;
  floats?: Record<string, number>;
  code: () => string;
  /** Writes into this tensor instead of a new one; the code may read `result`. */
  inPlace?: tf.TensorInfo;
}

/** Runs a shader; returns its output. */
export function runShader(backend: WebGPUBackend, shader: Shader): tf.TensorInfo {
  const integers = Object.entries(shader.integers ?? {});
  const floats = Object.entries(shader.floats ?? {});
  const program: WebGPUProgram = {
    variableNames: shader.inputs.map((input) => input.name),
    variableComponents: shader.inputs.map((input) => input.components ?? 1),
    outputShape: shader.shape,
    outputComponent: shader.outputComponents ?? 1,
    shaderKey: `selora ${shader.key} ${shader.inputs.map((i) => i.components ?? 1)} ${shader.outputComponents ?? 1}`,
    dispatchLayout: { x: shader.shape.map((_, axis) => axis) },
    dispatch: [Math.max(1, Math.ceil(shader.invocations / shader.workgroup)), 1, 1],
    workgroupSize: [shader.workgroup, 1, 1],
    uniforms: [
      ...integers.map(([name]) => `${name} : i32,`),
      ...floats.map(([name]) => `${name} : f32,`),
    ].join(" "),
    getUserCode: shader.code,
  };
  const uniforms = [
    ...integers.map(([, value]) => ({ type: "int32", data: [value] })),
    ...floats.map(([, value]) => ({ type: "float32", data: [value] })),
  ];
  const output = backend.runWebGPUProgram(
    program,
    shader.inputs.map((input) => input.tensor),
    shader.dtype ?? "float32",
    uniforms,
    shader.inPlace,
  );
  // tfjs keeps a copy of what was read back; after an update in place that copy is stale.
  if (shader.inPlace) (backend.tensorMap.get(shader.inPlace.dataId) as { values: unknown }).values = null;
  return output;
}

/** Registers the WebGPU body of an op (see body.ts). */
export function registerBody(
  name: string,
  body: (
    inputs: Record<string, tf.TensorInfo>,
    attributes: Attributes,
    backend: WebGPUBackend,
  ) => tf.TensorInfo,
): void {
  tf.registerKernel({
    kernelName: `Selora${name}`,
    backendName: "webgpu",
    kernelFunc: ({ inputs, attrs, backend }) =>
      body(inputs as Record<string, tf.TensorInfo>, attrs as Attributes, backend as WebGPUBackend),
  });
}

/** Whether every number is a multiple of 4, so that data may be read as vec4. */
export function fours(...numbers: number[]): boolean {
  return numbers.every((n) => n % 4 === 0);
}

/** Runs `code(i)` for i in 0..count and joins the lines: loops unrolled while the shader is written. */
export function unroll(count: number, code: (i: number) => string): string {
  return Array.from({ length: count }, (_, i) => code(i)).join("\n");
}
