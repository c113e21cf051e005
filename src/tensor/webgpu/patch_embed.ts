// WebGPU bodies of patches and tokens (../patch_embed.ts): each only moves numbers, one invocation an element.
import { registerBody, runShader } from "./program.ts";
import { variantOf } from "./variants.ts";

registerBody("Patchify", ({ pixels }, attributes, backend) => {
  const [batch, height, width] = pixels!.shape as [number, number, number];
  const patch = attributes.patchSize as number;
  const shape = [(batch * height * width) / (patch * patch), 3 * patch * patch];
  const { meanR, meanG, meanB, stdR, stdG, stdB } = attributes as Record<string, number>;
  return runShader(backend, {
    key: `patchify ${pixels!.dtype}`,
    inputs: [{ name: "pixels", tensor: pixels! }],
    shape,
    invocations: shape[0]! * shape[1]!,
    workgroup: variantOf(backend).workgroup,
    integers: { count: shape[0]! * shape[1]!, height, width, side: patch, columns: width / patch },
    floats: {
      scaleR: 1 / (255 * stdR!),
      scaleG: 1 / (255 * stdG!),
      scaleB: 1 / (255 * stdB!),
      shiftR: -meanR! / stdR!,
      shiftG: -meanG! / stdG!,
      shiftB: -meanB! / stdB!,
    },
    code: () => `
      fn main(index : i32) {
        if (index >= uniforms.count) { return; }
        let area = uniforms.side * uniforms.side;
        let row = index / (3 * area);
        let inRow = index % (3 * area);
        let channel = inRow / area;
        let y = (inRow % area) / uniforms.side;
        let x = inRow % uniforms.side;
        let perImage = (uniforms.height / uniforms.side) * uniforms.columns;
        let image = row / perImage;
        let inImage = row % perImage;
        let py = (inImage / uniforms.columns) * uniforms.side + y;
        let px = (inImage % uniforms.columns) * uniforms.side + x;
        let value = f32(pixels[((image * uniforms.height + py) * uniforms.width + px) * 3 + channel]);
        let scale = select(select(uniforms.scaleB, uniforms.scaleG, channel == 1), uniforms.scaleR, channel == 0);
        let shift = select(select(uniforms.shiftB, uniforms.shiftG, channel == 1), uniforms.shiftR, channel == 0);
        result[index] = value * scale + shift;
      }
    `,
  });
});

registerBody("TakeToken", ({ x }, attributes, backend) => {
  const [rows, width] = x!.shape as [number, number];
  const batch = attributes.batch as number;
  return runShader(backend, {
    key: "takeToken",
    inputs: [{ name: "x", tensor: x! }],
    shape: [batch, width],
    invocations: batch * width,
    workgroup: variantOf(backend).workgroup,
    integers: { count: batch * width, width, tokens: rows / batch, token: attributes.index as number },
    code: () => `
      fn main(index : i32) {
        if (index >= uniforms.count) { return; }
        let image = index / uniforms.width;
        let i = index % uniforms.width;
        result[index] = x[(image * uniforms.tokens + uniforms.token) * uniforms.width + i];
      }
    `,
  });
});

registerBody("TakeTokenGradient", ({ dy }, attributes, backend) => {
  const [batch, width] = dy!.shape as [number, number];
  const tokens = attributes.tokens as number;
  return runShader(backend, {
    key: "takeTokenGradient",
    inputs: [{ name: "dy", tensor: dy! }],
    shape: [batch * tokens, width],
    invocations: batch * tokens * width,
    workgroup: variantOf(backend).workgroup,
    integers: { count: batch * tokens * width, width, tokens, token: attributes.index as number },
    code: () => `
      fn main(index : i32) {
        if (index >= uniforms.count) { return; }
        let row = index / uniforms.width;
        let image = row / uniforms.tokens;
        let value = dy[image * uniforms.width + index % uniforms.width];
        result[index] = select(0.0, value, row % uniforms.tokens == uniforms.token);
      }
    `,
  });
});
