// WebGPU body of the rotary turn and of the turn back (../rope.ts): one invocation for each pair of q or k, and for
// each pair of v, which it copies.
import { fours, registerBody, runShader } from "./program.ts";
import { variantOf } from "./variants.ts";

registerBody("Rotate", ({ qkv, turns }, attributes, backend) => {
  const [rows, width3] = qkv!.shape as [number, number];
  const [patches, size] = turns!.shape as [number, number];
  const components: 1 | 4 = fours(size / 2) ? 4 : 1;
  const half = size / 2 / components;
  const pairs = width3 / 2 / components;
  const tokens = attributes.tokens as number;
  return runShader(backend, {
    key: `rotate ${attributes.direction}`,
    inputs: [
      { name: "qkv", tensor: qkv!, components },
      { name: "turns", tensor: turns!, components },
    ],
    outputComponents: components,
    shape: qkv!.shape,
    invocations: rows * pairs,
    workgroup: variantOf(backend).workgroup,
    integers: { count: rows * pairs, pairs, half, tokens, ahead: tokens - patches },
    code: () => `
      fn main(index : i32) {
        if (index >= uniforms.count) { return; }
        let row = index / uniforms.pairs;
        let pair = index % uniforms.pairs;
        let at = row * uniforms.pairs * 2 + (pair / uniforms.half) * uniforms.half * 2 + pair % uniforms.half;
        let a = qkv[at];
        let b = qkv[at + uniforms.half];
        let patchIndex = row % uniforms.tokens - uniforms.ahead;
        if (patchIndex < 0 || pair * 3 >= uniforms.pairs * 2) {
          result[at] = a;
          result[at + uniforms.half] = b;
          return;
        }
        let turn = patchIndex * uniforms.half * 2 + pair % uniforms.half;
        let c = turns[turn];
        let s = turns[turn + uniforms.half]${attributes.direction === -1 ? " * -1.0" : ""};
        result[at] = a * c - b * s;
        result[at + uniforms.half] = b * c + a * s;
      }
    `,
  });
});
