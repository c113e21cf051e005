// WGSL of the product: what is baked into it, how its result is stored, and the form for software adapters, where
// barriers cost more than they save and each load is a slow gather, which is why tiles are as large as they are.
import type { GeluKind } from "../gelu.ts";
import { geluCode } from "./gelu.ts";
import { halvesCode } from "./halves.ts";
import { unroll } from "./program.ts";
import type { InRegisters } from "./variants.ts";

/** What is baked into a product's shader, beside its tile. */
export interface CodeChoices {
  aInner: boolean;
  bInner: boolean;
  aFours: boolean;
  bFours: boolean;
  /** B lies as f16 pairs; then it is read by fours. */
  bHalves: boolean;
  cFours: boolean;
  rowsByFour: boolean;
  columnsByFour: boolean;
  bias: boolean;
  add: boolean;
  /** So does what is added. */
  addHalves: boolean;
  scale: boolean;
  gelu: { kind: GeluKind; slope: boolean } | null;
  inParts: boolean;
}

/** Four numbers of an operand that is read by fours. */
export function fourOf(c: CodeChoices, name: "a" | "b", index: string): string {
  return name === "b" && c.bHalves ? `bFour(${index})` : `${name}[${index}]`;
}

/** How a product's result is stored, by every form alike: with bias, residual, scale and GELU. */
export function epilogue(c: CodeChoices): {
  /** What this and the reading of operands call. */
  declarations: string;
  /** Stores at column (or four columns) `to` of the row that begins at `cAt`. */
  store(to: string, value: string): string;
} {
  return {
    declarations: [
      c.gelu
        ? `alias number = ${c.cFours ? "vec4<f32>" : "f32"};\n${geluCode(c.gelu.kind, c.gelu.slope ? "slope" : "value")}`
        : "",
      c.bHalves ? halvesCode("b") : "",
      c.addHalves ? halvesCode("add") : "",
    ].join("\n"),
    store(to, value) {
      const terms = [
        c.scale ? `${value} * factor` : value,
        ...(c.bias ? [`bias[${to}]`] : []),
        ...(c.add ? [c.addHalves ? `addFour(cAt + ${to})` : `add[cAt + ${to}]`] : []),
      ];
      const sum = terms.join(" + ");
      const last = !c.gelu
        ? sum
        : c.gelu.slope
          ? `(${sum}) * activation(geluInput[cAt + ${to}])`
          : `activation(${sum})`;
      return `result[cAt + ${to}] = ${last};`;
    },
  };
}

/**
 * The form that shares nothing: every invocation keeps a tile of C in registers, so there is no barrier. There is no branch in it: indices past the end are clamped into the matrix, so that rows and columns
 * beyond the last one repeat it and are stored over it with the same values. Only along the summed axis may nothing
 * repeat; there A is multiplied by 0 (`kept`).
 */
export function registersCode(c: CodeChoices, { tile }: InRegisters): string {
  const { rows: tileRows, columns: tileColumns } = tile;
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
      ? fourOf(c, name, `${name}At${i} + k / 4`)
      : `vec4<f32>(${lanes.map((_, n) => `${name}[${name}At${i} + k${n}]`).join(", ")})`;
  const acrossK = (name: "a" | "b", is4: boolean, j: number, k: string) => {
    const at = (index: number) => `${name}At${index} + ${k} * uniforms.${name}Stride`;
    return is4
      ? fourOf(c, name, at(j))
      : `vec4<f32>(${lanes.map((_, n) => `${name}[${at(4 * j + n)}]`).join(", ")})`;
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

  const { declarations, store } = epilogue(c);
  return `
    ${declarations}
    fn main(index : i32) {
      let perPiece = uniforms.rowTiles * uniforms.columnTiles${c.inParts ? " * uniforms.parts" : ""};
      let piece = index / perPiece;
      if (piece >= uniforms.pieces) { return; }
      ${
        c.inParts
          ? `
      let part = (index - piece * perPiece) / (uniforms.rowTiles * uniforms.columnTiles);
      let tile = index - piece * perPiece - part * uniforms.rowTiles * uniforms.columnTiles;
      let kFrom = part * uniforms.share;
      let kTo = min(kFrom + uniforms.share, uniforms.depth);`
          : `
      let tile = index - piece * perPiece;
      let kFrom = 0;
      let kTo = uniforms.depth;`
      }
      let row = (tile / uniforms.columnTiles) * ${tileRows};
      let column = (tile % uniforms.columnTiles) * ${tileColumns};
      let aBase = piece * uniforms.aPiece;
      let bBase = piece * uniforms.bPiece;
      let cBase = piece * uniforms.cPiece${c.inParts ? " + uniforms.cStart + part * uniforms.cDistance" : ""};
      ${c.scale ? "let factor = scale[piece];" : ""}
      ${positions}
      ${starts("a", c.aInner, c.aFours, tileRows, "row")}
      ${starts("b", c.bInner, c.bFours, tileColumns, "column")}
      ${unroll(tileRows, (i) => unroll(groups, (j) => `var c${i}_${j} = vec4<f32>();`))}
      for (var k = kFrom; k < kTo; k += ${stepsOfFour ? 4 : 1}) {
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
              ? store(`column${4 * j} / 4`, `c${i}_${j}`)
              : lanes.map((lane, n) => store(`column${4 * j + n}`, `c${i}_${j}.${lane}`)).join("\n"),
          )}
        }`,
      )}
    }
  `;
}
