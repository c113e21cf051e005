// WebGPU bodies of the mean over tokens (../mean_tokens.ts): one invocation an element of the result.
import { registerBody, runShader } from "./program.ts";
import { variantOf } from "./variants.ts";

registerBody("MeanTokens", ({ x }, attributes, backend) => {
  const [rows, width] = x!.shape as [number, number];
  const batch = attributes.batch as number;
  return runShader(backend, {
    key: "meanTokens",
    inputs: [{ name: "x", tensor: x! }],
    shape: [batch, width],
    invocations: batch * width,
    workgroup: variantOf(backend).workgroup,
    integers: { count: batch * width, width, tokens: rows / batch, first: attributes.first as number },
    code: () => `
      fn main(index : i32) {
        if (index >= uniforms.count) { return; }
        let image = index / uniforms.width;
        let i = index % uniforms.width;
        var sum = 0.0;
        for (var t = uniforms.first; t < uniforms.tokens; t++) {
          sum += x[(image * uniforms.tokens + t) * uniforms.width + i];
        }
        result[index] = sum / f32(uniforms.tokens - uniforms.first);
      }
    `,
  });
});

registerBody("MeanTokensGradient", ({ dy }, attributes, backend) => {
  const [batch, width] = dy!.shape as [number, number];
  const tokens = attributes.tokens as number;
  return runShader(backend, {
    key: "meanTokensGradient",
    inputs: [{ name: "dy", tensor: dy! }],
    shape: [batch * tokens, width],
    invocations: batch * tokens * width,
    workgroup: variantOf(backend).workgroup,
    integers: { count: batch * tokens * width, width, tokens, first: attributes.first as number },
    code: () => `
      fn main(index : i32) {
        if (index >= uniforms.count) { return; }
        let row = index / uniforms.width;
        let image = row / uniforms.tokens;
        let value = dy[image * uniforms.width + index % uniforms.width] / f32(uniforms.tokens - uniforms.first);
        result[index] = select(0.0, value, row % uniforms.tokens >= uniforms.first);
      }
    `,
  });
});
