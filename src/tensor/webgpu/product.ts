// One matrix product for everything: C = A·B for any of the layouts a training step needs, in p pieces side by side,
// with bias, residual and scale added as the result is stored.
//
// Every invocation keeps a tile of C in registers and shares nothing, so there is no barrier: on a software adapter
// barriers cost more than they save, and each load is a slow gather, which is why tiles are as large as they are.
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import type * as tf from "@tensorflow/tfjs-core";
import { fours, runShader, unroll } from "./program.ts";
import { variantOf } from "./variants.ts";

/** A matrix operand of one piece: where it starts and how far apart its rows are, in numbers. */
export interface Operand {
  tensor: tf.TensorInfo;
  /** "k inner": the summed axis is contiguous (A as [M, K], B as [N, K]); "k outer": it strides ([K, M], [K, N]). */
  layout: "k inner" | "k outer";
  stride: number;
  /** Distance between pieces. */
  piece: number;
}

export interface Product {
  rows: number;
  columns: number;
  depth: number;
  pieces: number;
  a: Operand;
  b: Operand;
  shape: number[];
  /** Row stride of C (and of `add`) and distance between its pieces. */
  stride: number;
  piece: number;
  /** [columns], added to every row; only with one piece. */
  bias?: tf.TensorInfo | undefined;
  /** Laid out as C. */
  add?: tf.TensorInfo | undefined;
  /** [pieces]: C = scale·A·B + add. */
  scale?: tf.TensorInfo | undefined;
}

/** Computes the product on the GPU. */
export function product(backend: WebGPUBackend, p: Product): tf.TensorInfo {
  const { a, b } = p;
  const aFours = fours(a.layout === "k inner" ? p.depth : p.rows, a.stride, a.piece);
  const bFours = fours(b.layout === "k inner" ? p.depth : p.columns, b.stride, b.piece);
  const cFours = fours(p.columns, p.stride, p.piece);
  const { tile, workgroup } = variantOf(backend).product({
    rows: p.rows,
    columns: p.columns,
    pieces: p.pieces,
    byFour: aFours && bFours && cFours,
  });
  const rowTiles = Math.ceil(p.rows / tile.rows);
  const columnTiles = Math.ceil(p.columns / tile.columns);
  const inputs = [
    { name: "a", tensor: a.tensor, components: aFours ? 4 : 1 },
    { name: "b", tensor: b.tensor, components: bFours ? 4 : 1 },
    ...(p.bias ? [{ name: "bias", tensor: p.bias, components: cFours ? 4 : 1 }] : []),
    ...(p.add ? [{ name: "add", tensor: p.add, components: cFours ? 4 : 1 }] : []),
    ...(p.scale ? [{ name: "scale", tensor: p.scale, components: 1 }] : []),
  ] as { name: string; tensor: tf.TensorInfo; components: 1 | 4 }[];
  const per = (is4: boolean) => (is4 ? 4 : 1);
  return runShader(backend, {
    key: `product ${a.layout} ${b.layout} ${fours(p.rows)} ${fours(p.columns)} ${tile.rows}x${tile.columns} ${inputs.map((i) => i.name)}`,
    inputs,
    outputComponents: cFours ? 4 : 1,
    shape: p.shape,
    invocations: p.pieces * rowTiles * columnTiles,
    workgroup,
    integers: {
      rows: p.rows,
      columns: p.columns,
      depth: p.depth,
      rowTiles,
      columnTiles,
      pieces: p.pieces,
      aStride: a.stride / per(aFours),
      aPiece: a.piece / per(aFours),
      bStride: b.stride / per(bFours),
      bPiece: b.piece / per(bFours),
      cStride: p.stride / per(cFours),
      cPiece: p.piece / per(cFours),
    },
    code: () =>
      productCode({
        aInner: a.layout === "k inner",
        bInner: b.layout === "k inner",
        aFours,
        bFours,
        cFours,
        rowsByFour: fours(p.rows),
        columnsByFour: fours(p.columns),
        tileRows: tile.rows,
        tileColumns: tile.columns,
        bias: p.bias !== undefined,
        add: p.add !== undefined,
        scale: p.scale !== undefined,
      }),
  });
}

interface CodeChoices {
  aInner: boolean;
  bInner: boolean;
  aFours: boolean;
  bFours: boolean;
  cFours: boolean;
  rowsByFour: boolean;
  columnsByFour: boolean;
  tileRows: number;
  tileColumns: number;
  bias: boolean;
  add: boolean;
  scale: boolean;
}

/**
 * The shader. There is no branch in it: indices past the end are clamped into the matrix, so that rows and columns
 * beyond the last one repeat it and are stored over it with the same values. Only along the summed axis may nothing
 * repeat; there A is multiplied by 0 (`kept`).
 */
function productCode(c: CodeChoices): string {
  const { tileRows, tileColumns } = c;
  const groups = tileColumns / 4;
  const lanes = ["x", "y", "z", "w"] as const;
  const stepsOfFour = c.aInner || c.bInner;
  const masked = stepsOfFour && !(c.aInner && c.aFours);

  // Clamped by fours where a vec4 may hold four of them, so that loads and stores repeat the same ones.
  const clamped = (first: string, i: number, limit: string, byFour: boolean) =>
    byFour
      ? `min(${first} + ${i - (i % 4)}, uniforms.${limit} - 4) + ${i % 4}`
      : `min(${first} + ${i}, uniforms.${limit} - 1)`;
  const positions = [
    unroll(tileRows, (i) => `let row${i} = ${clamped("row", i, "rows", c.rowsByFour)};`),
    unroll(tileColumns, (j) => `let column${j} = ${clamped("column", j, "columns", c.columnsByFour)};`),
  ].join("\n");

  // Where each row (k inner) or each column or four columns (k outer) of a tile begin.
  const starts = (name: "a" | "b", isInner: boolean, is4: boolean, count: number, position: string) =>
    isInner
      ? unroll(count, (i) => `let ${name}At${i} = ${name}Base + ${position}${i} * uniforms.${name}Stride;`)
      : is4
        ? unroll(count / 4, (j) => `let ${name}At${j} = ${name}Base + ${position}${4 * j} / 4;`)
        : unroll(count, (j) => `let ${name}At${j} = ${name}Base + ${position}${j};`);

  // Four numbers along k of row i, or four columns of group j at one k.
  const alongK = (name: "a" | "b", is4: boolean, i: number) =>
    is4
      ? `${name}[${name}At${i} + k / 4]`
      : `vec4<f32>(${lanes.map((_, n) => `${name}[${name}At${i} + k${n}]`).join(", ")})`;
  const acrossK = (name: "a" | "b", is4: boolean, j: number, k: string) => {
    const at = (index: number) => `${name}[${name}At${index} + ${k} * uniforms.${name}Stride]`;
    return is4 ? at(j) : `vec4<f32>(${lanes.map((_, n) => at(4 * j + n)).join(", ")})`;
  };

  let body: string;
  if (c.aInner) {
    const rowOfA = (i: number) => `let a${i} = ${alongK("a", c.aFours, i)}${masked ? " * kept" : ""};`;
    body = c.bInner
      ? `
      ${unroll(tileColumns, (j) => `let b${j} = ${alongK("b", c.bFours, j)};`)}
      ${unroll(
        tileRows,
        (i) => `${rowOfA(i)}
        ${unroll(groups, (j) => `c${i}_${j} += vec4<f32>(${lanes.map((_, n) => `dot(a${i}, b${4 * j + n})`).join(", ")});`)}`,
      )}`
      : `
      ${unroll(4, (n) => unroll(groups, (j) => `let b${n}_${j} = ${acrossK("b", c.bFours, j, `k${n}`)};`))}
      ${unroll(
        tileRows,
        (i) => `${rowOfA(i)}
        ${unroll(groups, (j) => lanes.map((lane, n) => `c${i}_${j} += a${i}.${lane} * b${n}_${j};`).join(" "))}`,
      )}`;
  } else {
    body = `
      ${unroll(groups, (j) => `let b${j} = ${acrossK("b", c.bFours, j, "k")};`)}
      ${unroll(
        tileRows / 4,
        (i) => `let a${i} = ${acrossK("a", c.aFours, i, "k")};
        ${lanes.map((lane, n) => unroll(groups, (j) => `c${4 * i + n}_${j} += a${i}.${lane} * b${j};`)).join("\n")}`,
      )}`;
  }

  const store = (column: number, value: string) => {
    const to = c.cFours ? `column${column} / 4` : `column${column}`;
    const terms = [
      c.scale ? `${value} * factor` : value,
      ...(c.bias ? [`bias[${to}]`] : []),
      ...(c.add ? [`add[cAt + ${to}]`] : []),
    ];
    return `result[cAt + ${to}] = ${terms.join(" + ")};`;
  };

  return `
    fn main(index : i32) {
      let perPiece = uniforms.rowTiles * uniforms.columnTiles;
      let piece = index / perPiece;
      if (piece >= uniforms.pieces) { return; }
      let tile = index - piece * perPiece;
      let row = (tile / uniforms.columnTiles) * ${tileRows};
      let column = (tile % uniforms.columnTiles) * ${tileColumns};
      let aBase = piece * uniforms.aPiece;
      let bBase = piece * uniforms.bPiece;
      let cBase = piece * uniforms.cPiece;
      ${c.scale ? "let factor = scale[piece];" : ""}
      ${positions}
      ${starts("a", c.aInner, c.aFours, tileRows, "row")}
      ${starts("b", c.bInner, c.bFours, tileColumns, "column")}
      ${unroll(tileRows, (i) => unroll(groups, (j) => `var c${i}_${j} = vec4<f32>();`))}
      for (var k = 0; k < uniforms.depth; k += ${stepsOfFour ? 4 : 1}) {
        ${stepsOfFour ? unroll(4, (n) => `let k${n} = min(k + ${n}, uniforms.depth - 1);`) : ""}
        ${masked ? `let kept = select(vec4<f32>(), vec4<f32>(1.0), vec4<i32>(k, k + 1, k + 2, k + 3) < vec4<i32>(uniforms.depth));` : ""}
        ${body}
      }
      ${unroll(
        tileRows,
        (i) => `{
          let cAt = cBase + row${i} * uniforms.cStride;
          ${unroll(groups, (j) =>
            c.cFours
              ? store(4 * j, `c${i}_${j}`)
              : lanes.map((lane, n) => store(4 * j + n, `c${i}_${j}.${lane}`)).join("\n"),
          )}
        }`,
      )}
    }
  `;
}
