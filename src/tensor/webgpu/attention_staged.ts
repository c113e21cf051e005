// Attention's form for GPUs whose invocations have many registers. An invocation keeps what belongs to its own token of
// one head, and the sum that grows for it; a workgroup stages a few of the other tokens at a time, which all of its
// invocations then read at the same place at once. Nothing but the staging needs a barrier, and no number passes from
// one invocation to another, so that most of what runs is multiplications. Streaming softmax as in attention_tiled.ts.
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import type * as tf from "@tensorflow/tfjs-core";
import type { AttentionSizes } from "./attention_tiled.ts";
import { type Binding, dispatch, runShader, unroll } from "./program.ts";

const workgroup = 64;
/** Fours of a head at most: three vectors of a token stay in registers. */
const mostParts = 16;

/** Whether heads of this size can be dealt with. */
export function fitsStaged(headSize: number): boolean {
  return headSize % 4 === 0 && headSize / 4 <= mostParts;
}

const rowOf = (token: string, part: 0 | 1 | 2) =>
  `${token} * uniforms.width * 3 + uniforms.width * ${part} + column`;
const outRowOf = (token: string) => `${token} * uniforms.width + column`;

/** What every program here has; `roles` workgroups deal with the same tokens, each with another result of theirs. */
function setting(qkv: tf.TensorInfo, { batch, tokens, heads }: AttentionSizes, roles = 1) {
  const width = qkv.shape[1]! / 3;
  const headSize = width / heads;
  const parts = headSize / 4;
  const staged = parts <= 8 ? 32 : 16;
  const blocks = Math.ceil(tokens / workgroup);
  const each = (code: (i: number) => string) => unroll(parts, code);
  return {
    parts,
    each,
    program: {
      invocations: batch * heads * blocks * roles * workgroup,
      workgroup,
      integers: { images: batch, tokens, heads, blocks, width: width / 4 },
      floats: { scale: 1 / Math.sqrt(headSize) },
    },
    rows: (name: string) => `var<workgroup> ${name} : array<array<vec4<f32>, ${parts}>, ${staged}>;`,
    statsOf: (name: string) => `var<workgroup> ${name} : array<vec2<f32>, ${staged}>;`,
    start: `
      let local = i32(localIndex);
      let role = i32(groupIndex) % ${roles};
      let group = i32(groupIndex) / ${roles};
      let head = (group / uniforms.blocks) % uniforms.heads;
      let image = group / (uniforms.blocks * uniforms.heads);
      // no early return: barriers follow
      let own = (group % uniforms.blocks) * ${workgroup} + local;
      let real = image < uniforms.images && own < uniforms.tokens;
      let start = min(image, uniforms.images - 1) * uniforms.tokens;
      let token = start + min(own, uniforms.tokens - 1);
      let column = head * ${parts};
    `,
    load: (name: string, array: string, at: string, factor = "") =>
      `let ${name}At = ${at};\n${each((i) => `let ${name}${i} = ${array}[${name}At + ${i}]${factor};`)}`,
    zero: (name: string) => each((i) => `var ${name}${i} = vec4<f32>();`),
    /** Goes over the staged tokens; past the last one their rows are 0. */
    overTokens: (
      stages: readonly { name: string; array: string; at: (token: string) => string }[],
      stats: string,
      together: number,
      body: string,
    ) => `
      for (var firstStaged = 0; firstStaged < uniforms.tokens; firstStaged += ${staged}) {
        workgroupBarrier();
        for (var i = local; i < ${staged * parts}; i += ${workgroup}) {
          let other = firstStaged + i / ${parts};
          let at = start + min(other, uniforms.tokens - 1);
          ${stages
            .map(
              ({ name, array, at }) =>
                `${name}[i / ${parts}][i % ${parts}] = select(vec4<f32>(), ${array}[${at("at")} + i % ${parts}], other < uniforms.tokens);`,
            )
            .join("\n")}
        }
        ${
          stats &&
          `if (local < ${staged}) { ${stats}[local] = stats[(start + min(firstStaged + local, uniforms.tokens - 1)) * uniforms.heads + head]; }`
        }
        workgroupBarrier();
        if (real) {
          for (var j = 0; j < ${staged}; j += ${together}) { ${body} }
        }
      }
    `,
    /** `into` = Σ mine·theirs, four sums side by side. */
    dot: (into: string, mine: string, theirs: string) => `
      var ${into}Four = ${mine}0 * (*${theirs})[0];
      ${each((i) => (i === 0 ? "" : `${into}Four += ${mine}${i} * (*${theirs})[${i}];`))}
      let ${into} = (${into}Four.x + ${into}Four.y) + (${into}Four.z + ${into}Four.w);
    `,
    store: (at: string, value: (i: number) => string) =>
      `if (real) { let to = ${at}; ${each((i) => `result[to + ${i}] = ${value(i)};`)} }`,
  };
}

const keysAndValues = [
  { name: "k", array: "qkv", at: (token: string) => rowOf(token, 1) },
  { name: "v", array: "qkv", at: (token: string) => rowOf(token, 2) },
];

/** Four keys' scores `s0`.., those past the last one out of the running, and the largest of all till now. */
const fourScores = (s: ReturnType<typeof setting>) => `
  ${unroll(4, (n) => `let k${n} = &k[j + ${n}]; ${s.dot(`d${n}`, "q", `k${n}`)}`)}
  ${unroll(4, (n) => `let s${n} = select(-3.0e38, d${n}, firstStaged + j + ${n} < uniforms.tokens);`)}
  let higher = max(top, max(max(s0, s1), max(s2, s3)));
  let shrink = exp(max(top - higher, -80.0));
  ${unroll(4, (n) => `let p${n} = exp(max(s${n} - higher, -80.0));`)}
  sum = sum * shrink + ((p0 + p1) + (p2 + p3));
`;

/** [batch·tokens, D]. */
export function stagedAttention(
  backend: WebGPUBackend,
  qkv: tf.TensorInfo,
  sizes: AttentionSizes,
): tf.TensorInfo {
  const s = setting(qkv, sizes);
  return runShader(backend, {
    ...s.program,
    key: `attention staged ${s.parts}`,
    inputs: [{ name: "qkv", tensor: qkv, components: 4 }],
    outputComponents: 4,
    shape: [qkv.shape[0]!, qkv.shape[1]! / 3],
    code: () => `
      ${s.rows("k")} ${s.rows("v")}
      fn main(index : i32) {
        ${s.start}
        ${s.load("q", "qkv", rowOf("token", 0), " * uniforms.scale")}
        ${s.zero("o")}
        var top = -3.0e38;
        var sum = 0.0;
        ${s.overTokens(
          keysAndValues,
          "",
          4,
          `
          ${fourScores(s)}
          if (higher > top) { ${s.each((i) => `o${i} *= shrink;`)} }
          top = higher;
          ${unroll(4, (n) => `let v${n} = &v[j + ${n}];`)}
          ${s.each((i) => unroll(4, (n) => `o${i} += p${n} * (*v${n})[${i}];`))}
        `,
        )}
        ${s.store(outRowOf("token"), (i) => `o${i} / sum`)}
      }
    `,
  });
}

/** [batch·tokens, 2·heads]: for each head log Σ exp of the scores, and <dout, out>. */
function statistics(
  backend: WebGPUBackend,
  { qkv, out, dout }: Record<"qkv" | "out" | "dout", tf.TensorInfo>,
  sizes: AttentionSizes,
): tf.TensorInfo {
  const s = setting(qkv, sizes);
  return runShader(backend, {
    ...s.program,
    key: `attentionStatistics staged ${s.parts}`,
    inputs: [
      { name: "qkv", tensor: qkv, components: 4 },
      { name: "output", tensor: out, components: 4 },
      { name: "dout", tensor: dout, components: 4 },
    ],
    outputComponents: 2,
    shape: [qkv.shape[0]!, 2 * sizes.heads],
    code: () => `
      ${s.rows("k")}
      fn main(index : i32) {
        ${s.start}
        ${s.load("q", "qkv", rowOf("token", 0), " * uniforms.scale")}
        var top = -3.0e38;
        var sum = 0.0;
        ${s.overTokens(keysAndValues.slice(0, 1), "", 4, `${fourScores(s)} top = higher;`)}
        if (real) {
          var delta = 0.0;
          let at = ${outRowOf("token")};
          ${s.each((i) => `delta += dot(output[at + ${i}], dout[at + ${i}]);`)}
          result[token * uniforms.heads + head] = vec2<f32>(top + log(sum), delta);
        }
      }
    `,
  });
}

/** [batch·tokens, 3D]. */
export function stagedAttentionGradient(
  backend: WebGPUBackend,
  inputs: Record<"qkv" | "out" | "dout", tf.TensorInfo>,
  sizes: AttentionSizes,
): tf.TensorInfo {
  const { qkv, dout } = inputs;
  const stats = statistics(backend, inputs, sizes);
  const dqkv = backend.makeTensorInfo(qkv.shape, "float32");
  const bindings: Binding[] = [
    { name: "result", tensor: dqkv, components: 4, writes: true },
    { name: "qkv", tensor: qkv, components: 4 },
    { name: "dout", tensor: dout, components: 4 },
    { name: "stats", tensor: stats, components: 2 },
  ];
  const weightOf = (score: string, stat: string) => `exp(clamp(${score} - ${stat}.x, -80.0, 1.0))`;
  // dq of a token, over all keys
  const s = setting(qkv, sizes);
  dispatch(backend, {
    ...s.program,
    key: `attentionInputGradient q staged ${s.parts}`,
    bindings,
    code: () => `
      ${s.rows("k")} ${s.rows("v")}
      fn main(index : i32) {
        ${s.start}
        ${s.load("q", "qkv", rowOf("token", 0), " * uniforms.scale")}
        ${s.load("d", "dout", outRowOf("token"))}
        let stat = stats[token * uniforms.heads + head];
        ${s.zero("g")}
        ${s.overTokens(
          keysAndValues,
          "",
          2,
          `
          ${unroll(2, (n) => `let k${n} = &k[j + ${n}]; let v${n} = &v[j + ${n}];`)}
          ${unroll(2, (n) => `${s.dot(`s${n}`, "q", `k${n}`)} ${s.dot(`e${n}`, "d", `v${n}`)}`)}
          ${unroll(2, (n) => `let w${n} = ${weightOf(`s${n}`, "stat")} * (e${n} - stat.y);`)}
          ${s.each((i) => unroll(2, (n) => `g${i} += w${n} * (*k${n})[${i}];`))}
        `,
        )}
        ${s.store(rowOf("token", 0), (i) => `g${i} * uniforms.scale`)}
      }
    `,
  });
  // dk and dv of a token, over all queries, each by a workgroup of its own
  const both = setting(qkv, sizes, 2);
  dispatch(backend, {
    ...both.program,
    key: `attentionInputGradient kv staged ${s.parts}`,
    bindings,
    code: () => `
      ${s.rows("q")} ${s.rows("d")} ${s.statsOf("statOf")}
      fn main(index : i32) {
        ${both.start}
        ${s.load("k", "qkv", rowOf("token", 1), " * uniforms.scale")}
        ${s.load("v", "qkv", rowOf("token", 2))}
        ${s.zero("g")}
        ${s.overTokens(
          [
            { name: "q", array: "qkv", at: (token) => rowOf(token, 0) },
            { name: "d", array: "dout", at: outRowOf },
          ],
          "statOf",
          2,
          `
          ${unroll(2, (n) => `let q${n} = &q[j + ${n}]; let d${n} = &d[j + ${n}]; let stat${n} = statOf[j + ${n}];`)}
          ${unroll(2, (n) => `${s.dot(`s${n}`, "k", `q${n}`)} let p${n} = ${weightOf(`s${n}`, `stat${n}`)};`)}
          if (role == 0) {
            ${unroll(2, (n) => `${s.dot(`e${n}`, "v", `d${n}`)} let w${n} = p${n} * (e${n} - stat${n}.y) * uniforms.scale;`)}
            ${s.each((i) => unroll(2, (n) => `g${i} += w${n} * (*q${n})[${i}];`))}
          } else {
            ${s.each((i) => unroll(2, (n) => `g${i} += p${n} * (*d${n})[${i}];`))}
          }
        `,
        )}
        ${s.store(`token * uniforms.width * 3 + uniforms.width * (1 + role) + column`, (i) => `g${i}`)}
      }
    `,
  });
  backend.disposeData(stats.dataId);
  return dqkv;
}
