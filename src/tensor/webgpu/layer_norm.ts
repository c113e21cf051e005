// WebGPU bodies of `layerNorm` and its gradient (../layer_norm.ts). The variance is summed from centred values.
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import type * as tf from "@tensorflow/tfjs-core";
import { fours, registerBody, runShader } from "./program.ts";
import { byRow } from "./rows.ts";

function run(
  backend: WebGPUBackend,
  name: string,
  shape: number[],
  eps: number,
  tensors: [string, tf.TensorInfo | undefined][],
  body: string,
): tf.TensorInfo {
  const [rows, width] = shape as [number, number];
  const components = fours(width) ? 4 : 1;
  const { lanes, name: form, program, reductions } = byRow(backend);
  const inputs = tensors.flatMap(([name, tensor]) =>
    tensor ? [{ name, tensor, components: components as 1 | 4 }] : [],
  );
  return runShader(backend, {
    ...program,
    key: `${name} ${form} ${inputs.map((i) => i.name)}`,
    inputs,
    outputComponents: components,
    shape,
    invocations: rows * lanes,
    integers: { rows, groups: width / components },
    floats: { eps, share: 1 / width },
    code: () => `
      ${components === 4 ? "alias number = vec4<f32>;" : "alias number = f32;"}
      fn fold(v : number) -> f32 { return ${components === 4 ? "dot(v, vec4<f32>(1.0))" : "v"}; }
      ${reductions}
      fn main(index : i32) {
        let wanted = index / ${lanes};
        let lane = index % ${lanes};
        // no early return: barriers follow
        let start = min(wanted, uniforms.rows - 1) * uniforms.groups;
        let groups = select(0, uniforms.groups, wanted < uniforms.rows);
        var sum = 0.0;
        for (var i = lane; i < groups; i += ${lanes}) { sum += fold(x[start + i]); }
        let roughly = total(sum) * uniforms.share;
        // what the sum above lost to rounding comes back here, where numbers are small
        var squares = 0.0;
        var missing = 0.0;
        for (var i = lane; i < groups; i += ${lanes}) {
          let centred = x[start + i] - roughly;
          squares += fold(centred * centred);
          missing += fold(centred);
        }
        let correction = total(missing) * uniforms.share;
        let mean = roughly + correction;
        let variance = max(total(squares) * uniforms.share - correction * correction, 0.0);
        let rstd = inverseSqrt(variance + uniforms.eps);
        ${body.replaceAll("LANES", String(lanes))}
      }
    `,
  });
}

registerBody("LayerNorm", ({ x, gamma, beta }, attributes, backend) =>
  run(
    backend,
    "layerNorm",
    x!.shape,
    attributes.eps as number,
    [
      ["x", x],
      ["gamma", gamma],
      ["beta", beta],
    ],
    `
      for (var i = lane; i < groups; i += LANES) {
        result[start + i] = (x[start + i] - mean) * rstd * gamma[i] + beta[i];
      }
    `,
  ),
);

registerBody("LayerNormInputGradient", ({ dy, x, gamma, add }, attributes, backend) =>
  run(
    backend,
    "layerNormInputGradient",
    x!.shape,
    attributes.eps as number,
    [
      ["dy", dy],
      ["x", x],
      ["gamma", gamma],
      ["add", add],
    ],
    `
      var plain = 0.0;
      var along = 0.0;
      for (var i = lane; i < groups; i += LANES) {
        let d = dy[start + i] * gamma[i];
        plain += fold(d);
        along += fold(d * (x[start + i] - mean));
      }
      let meanOfD = total(plain) * uniforms.share;
      let meanAlong = total(along) * uniforms.share * rstd * rstd;
      for (var i = lane; i < groups; i += LANES) {
        let d = dy[start + i] * gamma[i];
        result[start + i] = rstd * (d - meanOfD - (x[start + i] - mean) * meanAlong)${add ? " + add[start + i]" : ""};
      }
    `,
  ),
);
