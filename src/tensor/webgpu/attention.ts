// WebGPU bodies of attention and its gradient (../attention.ts), streaming over keys: scores live in registers, nothing
// of size tokens² is ever stored (Milakov & Gimelshein 2018, arXiv 1805.02867; Dao et al. 2022, arXiv 2205.14135).
// One invocation deals with a few neighbouring tokens of one head, so that each key it loads serves all of them.
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import type * as tf from "@tensorflow/tfjs-core";
import type { Attributes } from "../body.ts";
import { fitsStaged, stagedAttention, stagedAttentionGradient } from "./attention_staged.ts";
import { type AttentionSizes, blocksFor, tiledAttention, tiledAttentionGradient } from "./attention_tiled.ts";
import { fours, registerBody, runShader, unroll } from "./program.ts";
import { variantOf } from "./variants.ts";

const sizesOf = ({ batch, tokens, heads }: Attributes): AttentionSizes =>
  ({ batch, tokens, heads }) as unknown as AttentionSizes;

/** The form that the table chooses, as far as the device and the size of a head allow it; null for the one here. */
function formOf(backend: WebGPUBackend, qkv: tf.TensorInfo, attributes: Attributes) {
  const headSize = qkv.shape[1]! / 3 / sizesOf(attributes).heads;
  const { attention } = variantOf(backend);
  if (attention === "staged" && fitsStaged(headSize)) return "staged";
  return typeof attention === "string" ? blocksFor(backend, headSize) : null;
}

/** Sizes every shader here needs, and the code they share. */
function layout(
  backend: WebGPUBackend,
  qkv: tf.TensorInfo,
  attributes: Record<string, unknown>,
  load: number,
) {
  const [batch, tokens, heads] = [attributes.batch, attributes.tokens, attributes.heads] as number[];
  const width = qkv.shape[1]! / 3;
  const headSize = width / heads!;
  const components: 1 | 4 = fours(headSize) ? 4 : 1;
  /** Array elements that make one head's vector. */
  const parts = headSize / components;
  const { attention } = variantOf(backend);
  const most = typeof attention === "string" ? 1 : attention.rows;
  // `load` vec4 in all for what an invocation keeps per token; more would spill, and take long to compile
  const rows = Math.max(1, Math.min(most, Math.floor(load / parts)));
  const blocks = Math.ceil(tokens! / rows);
  return {
    components,
    parts,
    rows,
    blocks,
    shared: {
      invocations: batch! * heads! * blocks,
      workgroup: variantOf(backend).workgroup,
      integers: {
        images: batch!,
        tokens: tokens!,
        heads: heads!,
        blocks,
        parts,
        // in array elements
        width: width / components,
      },
      floats: { scale: 1 / Math.sqrt(headSize) },
    },
    /** Names image, head, block; `first` is its first token; `token0`.. its tokens, the last repeated past the end. */
    prologue: `
      let block = index % uniforms.blocks;
      let head = (index / uniforms.blocks) % uniforms.heads;
      let image = index / (uniforms.blocks * uniforms.heads);
      if (image >= uniforms.images) { return; }
      let start = image * uniforms.tokens;
      let column = head * uniforms.parts;
      ${unroll(rows, (r) => `let token${r} = start + min(block * ${rows} + ${r}, uniforms.tokens - 1);`)}
    `,
    helpers: `
      ${components === 4 ? "alias number = vec4<f32>;" : "alias number = f32;"}
      fn inner(a : number, b : number) -> f32 { return ${components === 4 ? "dot(a, b)" : "a * b"}; }
    `,
  };
}

/** `let NAME0 = ARRAY[at]; let NAME1 = ARRAY[at + 1]; ..` */
function loadVector(name: string, array: string, at: string, parts: number): string {
  return `let ${name}At = ${at};\n${unroll(parts, (i) => `let ${name}${i} = ${array}[${name}At + ${i}];`)}`;
}

/** Σ a_i · b_i over the parts of two vectors. */
function dotOf(a: string, b: string, parts: number): string {
  return Array.from({ length: parts }, (_, i) => `inner(${a}${i}, ${b}${i})`).join(" + ");
}

const rowOf = (token: string, part: 0 | 1 | 2) =>
  `${token} * uniforms.width * 3 + uniforms.width * ${part} + column`;
const outRowOf = (token: string) => `${token} * uniforms.width + column`;

registerBody("Attention", ({ qkv }, attributes, backend) => {
  const form = formOf(backend, qkv!, attributes);
  if (form === "staged") return stagedAttention(backend, qkv!, sizesOf(attributes));
  if (form) return tiledAttention(backend, qkv!, sizesOf(attributes), form);
  const l = layout(backend, qkv!, attributes, 64);
  const { parts, rows } = l;
  const keys = Math.max(1, Math.min(4, Math.floor(128 / (rows * parts))));
  const [total, width3] = qkv!.shape as [number, number];
  return runShader(backend, {
    ...l.shared,
    key: `attention ${parts} ${rows} ${keys}`,
    inputs: [{ name: "qkv", tensor: qkv!, components: l.components }],
    outputComponents: l.components,
    shape: [total, width3 / 3],
    code: () => `
      ${l.helpers}
      fn main(index : i32) {
        ${l.prologue}
        ${unroll(rows, (r) => loadVector(`q${r}_`, "qkv", rowOf(`token${r}`, 0), parts))}
        ${unroll(rows, (r) => `var top${r} = -3.0e38; var sum${r} = 0.0;`)}
        ${unroll(rows, (r) => unroll(parts, (i) => `var o${r}_${i} = number();`))}
        for (var key = 0; key < uniforms.tokens; key += ${keys}) {
          ${unroll(
            keys,
            (j) => `
            let key${j} = start + min(key + ${j}, uniforms.tokens - 1);
            ${loadVector(`k${j}_`, "qkv", rowOf(`key${j}`, 1), parts)}
            ${loadVector(`v${j}_`, "qkv", rowOf(`key${j}`, 2), parts)}
            let exists${j} = key + ${j} < uniforms.tokens;
          `,
          )}
          ${unroll(
            rows,
            (r) => `
            ${unroll(keys, (j) => `let s${r}_${j} = select(-3.0e38, (${dotOf(`q${r}_`, `k${j}_`, parts)}) * uniforms.scale, exists${j});`)}
            let higher${r} = max(top${r}, ${Array.from({ length: keys }, (_, j) => `s${r}_${j}`).reduce((a, b) => `max(${a}, ${b})`)});
            let shrink${r} = exp(max(top${r} - higher${r}, -80.0));
            top${r} = higher${r};
            ${unroll(keys, (j) => `let p${r}_${j} = select(0.0, exp(max(s${r}_${j} - higher${r}, -80.0)), exists${j});`)}
            sum${r} = sum${r} * shrink${r} + ${Array.from({ length: keys }, (_, j) => `p${r}_${j}`).join(" + ")};
            ${unroll(parts, (i) => `o${r}_${i} = o${r}_${i} * shrink${r} + ${Array.from({ length: keys }, (_, j) => `p${r}_${j} * v${j}_${i}`).join(" + ")};`)}
          `,
          )}
        }
        ${unroll(
          rows,
          (r) => `
          let to${r} = ${outRowOf(`token${r}`)};
          ${unroll(parts, (i) => `result[to${r} + ${i}] = o${r}_${i} / sum${r};`)}
        `,
        )}
      }
    `,
  });
});

/** [batch·tokens, 2·heads]: for each head log Σ exp of the scores, and <dout, out>. */
function statistics(
  backend: WebGPUBackend,
  attributes: Record<string, unknown>,
  qkv: tf.TensorInfo,
  out: tf.TensorInfo,
  dout: tf.TensorInfo,
): tf.TensorInfo {
  const l = layout(backend, qkv, attributes, 32);
  const { parts, rows } = l;
  return runShader(backend, {
    ...l.shared,
    key: `attentionStatistics ${parts} ${rows}`,
    inputs: [
      { name: "qkv", tensor: qkv, components: l.components },
      { name: "output", tensor: out, components: l.components },
      { name: "dout", tensor: dout, components: l.components },
    ],
    shape: [qkv.shape[0]!, 2 * (attributes.heads as number)],
    code: () => `
      ${l.helpers}
      fn main(index : i32) {
        ${l.prologue}
        ${unroll(rows, (r) => loadVector(`q${r}_`, "qkv", rowOf(`token${r}`, 0), parts))}
        ${unroll(rows, (r) => `var top${r} = -3.0e38; var sum${r} = 0.0;`)}
        for (var key = start; key < start + uniforms.tokens; key += 1) {
          ${loadVector("k", "qkv", rowOf("key", 1), parts)}
          ${unroll(
            rows,
            (r) => `
            let s${r} = (${dotOf(`q${r}_`, "k", parts)}) * uniforms.scale;
            let higher${r} = max(top${r}, s${r});
            sum${r} = sum${r} * exp(max(top${r} - higher${r}, -80.0)) + exp(max(s${r} - higher${r}, -80.0));
            top${r} = higher${r};
          `,
          )}
        }
        ${unroll(
          rows,
          (r) => `
          ${loadVector(`o${r}_`, "output", outRowOf(`token${r}`), parts)}
          ${loadVector(`d${r}_`, "dout", outRowOf(`token${r}`), parts)}
          let to${r} = (token${r} * uniforms.heads + head) * 2;
          result[to${r}] = top${r} + log(sum${r});
          result[to${r} + 1] = ${dotOf(`o${r}_`, `d${r}_`, parts)};
        `,
        )}
      }
    `,
  });
}

registerBody("AttentionInputGradient", ({ dout, qkv, out }, attributes, backend) => {
  const form = formOf(backend, qkv!, attributes);
  if (form) {
    const inputs = { qkv: qkv!, out: out!, dout: dout! };
    return form === "staged"
      ? stagedAttentionGradient(backend, inputs, sizesOf(attributes))
      : tiledAttentionGradient(backend, inputs, sizesOf(attributes), form);
  }
  const stats = statistics(backend, attributes, qkv!, out!, dout!);
  const l = layout(backend, qkv!, attributes, 32);
  const { parts, rows } = l;
  const each = (code: (i: number) => string) => unroll(parts, code);
  const dqkv = runShader(backend, {
    ...l.shared,
    key: `attentionInputGradient ${parts} ${rows}`,
    inputs: [
      { name: "qkv", tensor: qkv!, components: l.components },
      { name: "dout", tensor: dout!, components: l.components },
      { name: "stats", tensor: stats, components: 2 },
    ],
    outputComponents: l.components,
    shape: qkv!.shape,
    code: () => `
      ${l.helpers}
      fn main(index : i32) {
        ${l.prologue}
        // dq of these tokens, over all keys
        {
          ${unroll(
            rows,
            (r) => `
            ${loadVector(`q${r}_`, "qkv", rowOf(`token${r}`, 0), parts)}
            ${loadVector(`d${r}_`, "dout", outRowOf(`token${r}`), parts)}
            let stat${r} = stats[token${r} * uniforms.heads + head];
            ${each((i) => `var g${r}_${i} = number();`)}
          `,
          )}
          for (var key = start; key < start + uniforms.tokens; key += 1) {
            ${loadVector("k", "qkv", rowOf("key", 1), parts)}
            ${loadVector("v", "qkv", rowOf("key", 2), parts)}
            ${unroll(
              rows,
              (r) => `
              let p${r} = exp(clamp((${dotOf(`q${r}_`, "k", parts)}) * uniforms.scale - stat${r}.x, -80.0, 1.0));
              let e${r} = p${r} * ((${dotOf(`d${r}_`, "v", parts)}) - stat${r}.y) * uniforms.scale;
              ${each((i) => `g${r}_${i} += e${r} * k${i};`)}
            `,
            )}
          }
          ${unroll(
            rows,
            (r) => `
            let to${r} = ${rowOf(`token${r}`, 0)};
            ${each((i) => `result[to${r} + ${i}] = g${r}_${i};`)}
          `,
          )}
        }
        // dk and dv of these tokens, over all queries
        {
          ${unroll(
            rows,
            (r) => `
            ${loadVector(`k${r}_`, "qkv", rowOf(`token${r}`, 1), parts)}
            ${loadVector(`v${r}_`, "qkv", rowOf(`token${r}`, 2), parts)}
            ${each((i) => `var gk${r}_${i} = number(); var gv${r}_${i} = number();`)}
          `,
          )}
          for (var query = start; query < start + uniforms.tokens; query += 1) {
            ${loadVector("q", "qkv", rowOf("query", 0), parts)}
            ${loadVector("d", "dout", outRowOf("query"), parts)}
            let stat = stats[query * uniforms.heads + head];
            ${unroll(
              rows,
              (r) => `
              let p${r} = exp(clamp((${dotOf("q", `k${r}_`, parts)}) * uniforms.scale - stat.x, -80.0, 1.0));
              let e${r} = p${r} * ((${dotOf("d", `v${r}_`, parts)}) - stat.y) * uniforms.scale;
              ${each((i) => `gv${r}_${i} += p${r} * d${i}; gk${r}_${i} += e${r} * q${i};`)}
            `,
            )}
          }
          ${unroll(
            rows,
            (r) => `
            let toK${r} = ${rowOf(`token${r}`, 1)};
            let toV${r} = ${rowOf(`token${r}`, 2)};
            ${each((i) => `result[toK${r} + ${i}] = gk${r}_${i}; result[toV${r} + ${i}] = gv${r}_${i};`)}
          `,
          )}
        }
      }
    `,
  });
  backend.disposeData(stats.dataId);
  return dqkv;
});
