// Attention's form for GPUs. A workgroup owns a block of tokens of one head and stages blocks of the others in its own
// memory, one after the other; scores of a block against a block live there too, and nothing of size tokens² is ever
// stored (Dao et al. 2022, arXiv 2205.14135). Every number is summed by one workgroup in one order, so there is no atomic
// and every run is the same. Eight invocations share a row: each has every eighth of its scores, and every eighth four
// of its result.
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import type * as tf from "@tensorflow/tfjs-core";
import { type Binding, dispatch, runShader, unroll } from "./program.ts";

/** Invocations that share a row, of a workgroup, and the rows they deal with at once. */
const across = 8;
const invocations = 64;
const down = invocations / across;

interface Blocks {
  /** Tokens a workgroup owns, and tokens it stages at a time. */
  own: number;
  staged: 8 | 16 | 32;
}

const choices: readonly Blocks[] = [
  { own: 32, staged: 16 },
  { own: 16, staged: 16 },
  { own: 16, staged: 8 },
];

/** Bytes of workgroup memory that the gradient of keys and values takes, which are the most. */
const bytesOf = ({ own, staged }: Blocks, parts: number) =>
  2 * 16 * (own + staged) * (parts + 1) + 2 * 4 * own * (staged / across) * (across + 1);

/** The blocks that fit a device; null where none does, or where a head cannot be read by fours. */
export function blocksFor(backend: WebGPUBackend, headSize: number): Blocks | null {
  if (headSize % 4 !== 0) return null;
  const { maxComputeWorkgroupStorageSize: bytes } = backend.device.limits;
  return choices.find((blocks) => bytesOf(blocks, headSize / 4) <= bytes) ?? null;
}

export interface AttentionSizes {
  batch: number;
  tokens: number;
  heads: number;
}

const lanes = ["x", "y", "z", "w"] as const;
const rowOf = (token: string, part: 0 | 1 | 2) =>
  `${token} * uniforms.width * 3 + uniforms.width * ${part} + column`;
const outRowOf = (token: string) => `${token} * uniforms.width + column`;

/** What every program here has: its sizes, and the code they share. */
function setting(qkv: tf.TensorInfo, { batch, tokens, heads }: AttentionSizes, { own, staged }: Blocks) {
  const width = qkv.shape[1]! / 3;
  const headSize = width / heads;
  const parts = headSize / 4;
  const blocks = Math.ceil(tokens / own);
  // of an invocation: rows among those owned, columns among those staged, fours of a row of the result
  const rows = own / down;
  const columns = staged / across;
  const fours = Math.ceil(parts / across);
  const eachRow = (code: (r: number) => string) => unroll(rows, code);
  const eachScore = (code: (r: number, c: number) => string) =>
    unroll(rows, (r) => unroll(columns, (c) => code(r, c)));
  const eachFour = (code: (r: number, f: number) => string) =>
    unroll(rows, (r) => unroll(fours, (f) => code(r, f)));
  const weight = columns === 1 ? "f32" : `vec${columns}<f32>`;
  const laneOf = (c: number) => (columns === 1 ? "" : `.${lanes[c]}`);
  const rowIndex = (r: number) => `ty + ${r * down}`;
  /** Rows past the last token are reckoned with zeros, and must not be stored. */
  const isToken = (r: number) => `first + ${rowIndex(r)} < uniforms.tokens`;
  return {
    isToken,
    eachRow,
    eachScore,
    eachFour,
    columnsOf: (code: (c: number) => string) => unroll(columns, code),
    join: (code: (c: number) => string, how: (a: string, b: string) => string) =>
      Array.from({ length: columns }, (_, c) => code(c)).reduce(how),
    program: {
      invocations: batch * heads * blocks * invocations,
      workgroup: invocations,
      integers: { images: batch, tokens, heads, blocks, width: width / 4 },
      floats: { scale: 1 / Math.sqrt(headSize) },
    },
    name: `${parts} ${own} ${staged}`,
    /** Memory for rows of a head, for weights of staged tokens, for a number of each invocation of a row. */
    rowsOf: (name: string, of: "own" | "staged") =>
      `var<workgroup> ${name} : array<array<vec4<f32>, ${parts + 1}>, ${of === "own" ? own : staged}>;`,
    weights: (name: string) => `var<workgroup> ${name} : array<array<${weight}, ${across + 1}>, ${own}>;`,
    shares: `var<workgroup> shares : array<array<f32, ${across + 1}>, ${own}>;`,
    own,
    staged,
    start: `
      let group = i32(groupIndex);
      let local = i32(localIndex);
      let block = group % uniforms.blocks;
      let head = (group / uniforms.blocks) % uniforms.heads;
      // no early return: barriers follow
      let real = group / (uniforms.blocks * uniforms.heads) < uniforms.images;
      let start = min(group / (uniforms.blocks * uniforms.heads), uniforms.images - 1) * uniforms.tokens;
      let column = head * ${parts};
      let first = block * ${own};
      let tx = local % ${across};
      let ty = local / ${across};
      ${eachRow((r) => `let token${r} = start + min(first + ${rowIndex(r)}, uniforms.tokens - 1);`)}
    `,
    /** Stages rows from token `from` on; what lies past the last token becomes 0. */
    stage: (
      name: string,
      of: "own" | "staged",
      array: string,
      from: string,
      at: (token: string) => string,
    ) => `
      for (var i = local; i < ${(of === "own" ? own : staged) * parts}; i += ${invocations}) {
        let token = ${from} + i / ${parts};
        ${name}[i / ${parts}][i % ${parts}] = select(
          vec4<f32>(),
          ${array}[${at("(start + min(token, uniforms.tokens - 1))")} + i % ${parts}],
          token < uniforms.tokens
        );
      }
    `,
    /** `into`R_C = Σ mine[row R]·theirs[column C] over the numbers of a head. */
    scores: (into: string, mine: string, theirs: string) => `
      ${eachScore((r, c) => `var ${into}${r}_${c} = 0.0;`)}
      for (var p = 0; p < ${parts}; p += 1) {
        ${eachRow((r) => `let m${r} = ${mine}[${rowIndex(r)}][p];`)}
        ${unroll(columns, (c) => `let t${c} = ${theirs}[tx + ${c * across}][p];`)}
        ${eachScore((r, c) => lanes.map((l) => `${into}${r}_${c} += m${r}.${l} * t${c}.${l};`).join(" "))}
      }
    `,
    /** Puts NAME R_C where other invocations find it. */
    put: (to: string, name: string) =>
      eachRow(
        (r) =>
          `${to}[${rowIndex(r)}][tx] = ${weight}(${Array.from({ length: columns }, (_, c) => `${name}${r}_${c}`).join(", ")});`,
      ),
    /** `into`R_F += Σ weights[row R][token]·theirs[token] over staged tokens. */
    accumulate: (into: string, weights: string, theirs: string) => `
      for (var s = 0; s < ${across}; s += 1) {
        ${eachRow((r) => `let w${r} = ${weights}[${rowIndex(r)}][s];`)}
        ${unroll(fours, (f) => {
          const four = `tx + ${f * across}`;
          const body = unroll(
            columns,
            (c) => `{
            let v = ${theirs}[s + ${c * across}][${four}];
            ${eachRow((r) => `${into}${r}_${f} += w${r}${laneOf(c)} * v;`)}
          }`,
          );
          return (f + 1) * across > parts ? `if (${four} < ${parts}) { ${body} }` : body;
        })}
      }
    `,
    /** `NAME`R becomes the same number for all invocations of a row. */
    combine: (name: string, how: (a: string, b: string) => string) => `
      ${eachRow((r) => `shares[${rowIndex(r)}][tx] = ${name}${r};`)}
      workgroupBarrier();
      ${eachRow(
        (r) =>
          `${name}${r} = ${Array.from({ length: across }, (_, x) => `shares[${rowIndex(r)}][${x}]`).reduce(how)};`,
      )}
    `,
    store: (value: (r: number, f: number) => string, at: (token: string) => string) =>
      eachRow(
        (r) => `
        if (real && ${isToken(r)}) {
          let to = ${at(`token${r}`)} + tx;
          ${unroll(fours, (f) => `if (tx + ${f * across} < ${parts}) { result[to + ${f * across}] = ${value(r, f)}; }`)}
        }`,
      ),
    /** Σ a·b over the numbers of a head, of a row's tokens, each invocation its fours. */
    dots: (into: string, a: string, b: string) =>
      eachRow(
        (r) => `
        var ${into}${r} = 0.0;
        for (var p = tx; p < ${parts}; p += ${across}) {
          let at = ${outRowOf(`token${r}`)} + p;
          ${into}${r} += dot(${a}[at], ${b}[at]);
        }`,
      ),
  };
}

const plus = (a: string, b: string) => `${a} + ${b}`;
const larger = (a: string, b: string) => `max(${a}, ${b})`;

/** [batch·tokens, D]. */
export function tiledAttention(
  backend: WebGPUBackend,
  qkv: tf.TensorInfo,
  sizes: AttentionSizes,
  blocks: Blocks,
): tf.TensorInfo {
  const s = setting(qkv, sizes, blocks);
  return runShader(backend, {
    ...s.program,
    key: `attention tiled ${s.name}`,
    inputs: [{ name: "qkv", tensor: qkv, components: 4 }],
    outputComponents: 4,
    shape: [qkv.shape[0]!, qkv.shape[1]! / 3],
    code: () => `
      ${s.rowsOf("q", "own")} ${s.rowsOf("k", "staged")} ${s.rowsOf("v", "staged")} ${s.weights("weights")} ${s.shares}
      fn main(index : i32) {
        ${s.start}
        ${s.stage("q", "own", "qkv", "first", (t) => rowOf(t, 0))}
        ${s.eachFour((r, f) => `var o${r}_${f} = vec4<f32>();`)}
        ${s.eachRow((r) => `var top${r} = -3.0e38; var sum${r} = 0.0;`)}
        for (var key = 0; key < uniforms.tokens; key += ${s.staged}) {
          workgroupBarrier();
          ${s.stage("k", "staged", "qkv", "key", (t) => rowOf(t, 1))}
          ${s.stage("v", "staged", "qkv", "key", (t) => rowOf(t, 2))}
          workgroupBarrier();
          ${s.scores("s", "q", "k")}
          ${s.columnsOf((c) => `let exists${c} = key + tx + ${c * across} < uniforms.tokens;`)}
          ${s.eachScore((r, c) => `s${r}_${c} = select(-3.0e38, s${r}_${c} * uniforms.scale, exists${c});`)}
          ${s.eachRow((r) => `var peak${r} = ${s.join((c) => `s${r}_${c}`, larger)};`)}
          ${s.combine("peak", larger)}
          ${s.eachRow(
            (r) => `
            let higher${r} = max(top${r}, peak${r});
            let shrink${r} = exp(max(top${r} - higher${r}, -80.0));
            top${r} = higher${r};`,
          )}
          ${s.eachScore((r, c) => `s${r}_${c} = select(0.0, exp(max(s${r}_${c} - higher${r}, -80.0)), exists${c});`)}
          ${s.eachRow((r) => `sum${r} = sum${r} * shrink${r} + ${s.join((c) => `s${r}_${c}`, plus)};`)}
          ${s.eachFour((r, f) => `o${r}_${f} *= shrink${r};`)}
          ${s.put("weights", "s")}
          workgroupBarrier();
          ${s.accumulate("o", "weights", "v")}
        }
        workgroupBarrier();
        ${s.combine("sum", plus)}
        ${s.store((r, f) => `o${r}_${f} / sum${r}`, outRowOf)}
      }
    `,
  });
}

/** [batch·tokens, 2·heads]: for each head log Σ exp of the scores, and <dout, out>. */
function statistics(
  backend: WebGPUBackend,
  qkv: tf.TensorInfo,
  out: tf.TensorInfo,
  dout: tf.TensorInfo,
  sizes: AttentionSizes,
  blocks: Blocks,
): tf.TensorInfo {
  const s = setting(qkv, sizes, blocks);
  return runShader(backend, {
    ...s.program,
    key: `attentionStatistics tiled ${s.name}`,
    inputs: [
      { name: "qkv", tensor: qkv, components: 4 },
      { name: "output", tensor: out, components: 4 },
      { name: "dout", tensor: dout, components: 4 },
    ],
    outputComponents: 2,
    shape: [qkv.shape[0]!, 2 * sizes.heads],
    code: () => `
      ${s.rowsOf("q", "own")} ${s.rowsOf("k", "staged")} ${s.shares}
      fn main(index : i32) {
        ${s.start}
        ${s.stage("q", "own", "qkv", "first", (t) => rowOf(t, 0))}
        ${s.eachRow((r) => `var top${r} = -3.0e38; var sum${r} = 0.0;`)}
        for (var key = 0; key < uniforms.tokens; key += ${s.staged}) {
          workgroupBarrier();
          ${s.stage("k", "staged", "qkv", "key", (t) => rowOf(t, 1))}
          workgroupBarrier();
          ${s.scores("s", "q", "k")}
          ${s.columnsOf((c) => `let exists${c} = key + tx + ${c * across} < uniforms.tokens;`)}
          ${s.eachScore((r, c) => `s${r}_${c} = select(-3.0e38, s${r}_${c} * uniforms.scale, exists${c});`)}
          ${s.eachRow(
            (r) => `
            let higher${r} = max(top${r}, ${s.join((c) => `s${r}_${c}`, larger)});
            sum${r} = sum${r} * exp(max(top${r} - higher${r}, -80.0)) + ${s.join((c) => `select(0.0, exp(max(s${r}_${c} - higher${r}, -80.0)), exists${c})`, plus)};
            top${r} = higher${r};`,
          )}
        }
        ${s.eachRow((r) => `var all${r} = top${r};`)}
        workgroupBarrier();
        ${s.combine("all", larger)}
        ${s.eachRow((r) => `sum${r} *= exp(max(top${r} - all${r}, -80.0));`)}
        workgroupBarrier();
        ${s.combine("sum", plus)}
        ${s.dots("delta", "output", "dout")}
        workgroupBarrier();
        ${s.combine("delta", plus)}
        if (real && tx == 0) {
          ${s.eachRow((r) => `if (${s.isToken(r)}) { result[token${r} * uniforms.heads + head] = vec2<f32>(all${r} + log(sum${r}), delta${r}); }`)}
        }
      }
    `,
  });
}

/** [batch·tokens, 3D]. */
export function tiledAttentionGradient(
  backend: WebGPUBackend,
  { qkv, out, dout }: Record<"qkv" | "out" | "dout", tf.TensorInfo>,
  sizes: AttentionSizes,
  blocks: Blocks,
): tf.TensorInfo {
  const stats = statistics(backend, qkv, out, dout, sizes, blocks);
  const s = setting(qkv, sizes, blocks);
  const dqkv = backend.makeTensorInfo(qkv.shape, "float32");
  const bindings: Binding[] = [
    { name: "result", tensor: dqkv, components: 4, writes: true },
    { name: "qkv", tensor: qkv, components: 4 },
    { name: "dout", tensor: dout, components: 4 },
    { name: "stats", tensor: stats, components: 2 },
  ];
  // dq of the tokens owned, over all keys
  dispatch(backend, {
    ...s.program,
    key: `attentionInputGradient q tiled ${s.name}`,
    bindings,
    code: () => `
      ${s.rowsOf("q", "own")} ${s.rowsOf("d", "own")} ${s.rowsOf("k", "staged")} ${s.rowsOf("v", "staged")}
      ${s.weights("weights")}
      fn main(index : i32) {
        ${s.start}
        ${s.stage("q", "own", "qkv", "first", (t) => rowOf(t, 0))}
        ${s.stage("d", "own", "dout", "first", outRowOf)}
        ${s.eachRow((r) => `let stat${r} = stats[token${r} * uniforms.heads + head];`)}
        ${s.eachFour((r, f) => `var g${r}_${f} = vec4<f32>();`)}
        for (var key = 0; key < uniforms.tokens; key += ${s.staged}) {
          workgroupBarrier();
          ${s.stage("k", "staged", "qkv", "key", (t) => rowOf(t, 1))}
          ${s.stage("v", "staged", "qkv", "key", (t) => rowOf(t, 2))}
          workgroupBarrier();
          ${s.scores("s", "q", "k")}
          ${s.scores("e", "d", "v")}
          ${s.columnsOf((c) => `let exists${c} = key + tx + ${c * across} < uniforms.tokens;`)}
          ${s.eachScore(
            (r, c) => `
            let p${r}_${c} = select(0.0, exp(clamp(s${r}_${c} * uniforms.scale - stat${r}.x, -80.0, 1.0)), exists${c});
            e${r}_${c} = p${r}_${c} * (e${r}_${c} - stat${r}.y) * uniforms.scale;`,
          )}
          ${s.put("weights", "e")}
          workgroupBarrier();
          ${s.accumulate("g", "weights", "k")}
        }
        ${s.store(
          (r, f) => `g${r}_${f}`,
          (t) => rowOf(t, 0),
        )}
      }
    `,
  });
  // dk and dv of the tokens owned, over all queries
  dispatch(backend, {
    ...s.program,
    key: `attentionInputGradient kv tiled ${s.name}`,
    bindings,
    code: () => `
      ${s.rowsOf("k", "own")} ${s.rowsOf("v", "own")} ${s.rowsOf("q", "staged")} ${s.rowsOf("d", "staged")}
      ${s.weights("weights")} ${s.weights("slopes")}
      fn main(index : i32) {
        ${s.start}
        ${s.stage("k", "own", "qkv", "first", (t) => rowOf(t, 1))}
        ${s.stage("v", "own", "qkv", "first", (t) => rowOf(t, 2))}
        ${s.eachFour((r, f) => `var gk${r}_${f} = vec4<f32>(); var gv${r}_${f} = vec4<f32>();`)}
        for (var query = 0; query < uniforms.tokens; query += ${s.staged}) {
          workgroupBarrier();
          ${s.stage("q", "staged", "qkv", "query", (t) => rowOf(t, 0))}
          ${s.stage("d", "staged", "dout", "query", outRowOf)}
          workgroupBarrier();
          ${s.scores("s", "k", "q")}
          ${s.scores("e", "v", "d")}
          ${s.columnsOf(
            (c) => `
            let exists${c} = query + tx + ${c * across} < uniforms.tokens;
            let stat${c} = stats[(start + min(query + tx + ${c * across}, uniforms.tokens - 1)) * uniforms.heads + head];`,
          )}
          ${s.eachScore(
            (r, c) => `
            s${r}_${c} = select(0.0, exp(clamp(s${r}_${c} * uniforms.scale - stat${c}.x, -80.0, 1.0)), exists${c});
            e${r}_${c} = s${r}_${c} * (e${r}_${c} - stat${c}.y) * uniforms.scale;`,
          )}
          ${s.put("weights", "s")}
          ${s.put("slopes", "e")}
          workgroupBarrier();
          ${s.accumulate("gv", "weights", "d")}
          ${s.accumulate("gk", "slopes", "q")}
        }
        ${s.store(
          (r, f) => `gk${r}_${f}`,
          (t) => rowOf(t, 1),
        )}
        ${s.store(
          (r, f) => `gv${r}_${f}`,
          (t) => rowOf(t, 2),
        )}
      }
    `,
  });
  backend.disposeData(stats.dataId);
  return dqkv;
}
