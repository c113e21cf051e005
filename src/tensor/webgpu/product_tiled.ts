// The product's form for GPUs: a workgroup stages tiles of A and B in its own memory, both turned so that the summed
// axis comes first, and every invocation multiplies fours of one with fours of the other. The next tiles are on their
// way from memory while these are multiplied. Indices that do not change come first in the tiles' arrays, so that a
// compiler can fold them, and what it has to clamp is the same for all.
import { type CodeChoices, epilogue, fourOf } from "./product_code.ts";
import { unroll } from "./program.ts";
import { type InWorkgroup, workgroupOf } from "./variants.ts";

const lanes = ["x", "y", "z", "w"] as const;

export function tiledCode(c: CodeChoices, variant: InWorkgroup): string {
  const { tile, each, slices } = variant;
  const { invocations } = workgroupOf(variant);
  const perSlice = invocations / slices;
  const [TX, TY] = [tile.columns / each.columns, tile.rows / each.rows];
  const quads = tile.depth / 4;
  const [rowFours, columnFours] = [each.rows / 4, each.columns / 4];

  const side = {
    a: {
      inner: c.aInner,
      is4: c.aFours,
      limit: "rows",
      first: "firstRow",
      threads: TY,
      fours: tile.rows / 4,
    },
    b: {
      inner: c.bInner,
      is4: c.bFours,
      limit: "columns",
      first: "firstColumn",
      threads: TX,
      fours: tile.columns / 4,
    },
  };
  type Name = keyof typeof side;

  // Blocks of 4 x 4 numbers are what an invocation carries from memory to a tile: slot after slot, A's then B's.
  const blocksOf = (name: Name) => side[name].fours * quads;
  const all = blocksOf("a") + blocksOf("b");
  const slots = Math.ceil(all / invocations);
  const forSlot = (slot: number, code: (name: Name) => string): string => {
    const [from, to] = [slot * invocations, (slot + 1) * invocations];
    const a = blocksOf("a");
    if (to <= a) return code("a");
    const b = to > all ? `if (block${slot} < ${all}) { ${code("b")} }` : code("b");
    return from >= a
      ? b
      : `if (block${slot} < ${a}) { ${code("a")} } else ${b.startsWith("if") ? b : `{ ${b} }`}`;
  };

  const place = (slot: number, name: Name): string => {
    const { inner, is4, limit, first, fours } = side[name];
    const own = name === "a" ? `block${slot}` : `(block${slot} - ${blocksOf("a")})`;
    // Neighbours read what lies side by side.
    const [quad, four] = inner
      ? [`${own} % ${quads}`, `${own} / ${quads}`]
      : [`${own} / ${fours}`, `${own} % ${fours}`];
    const stride = `uniforms.${name}Stride`;
    const clamped = (i: number) => `min(at + ${i}, uniforms.${limit} - 1)`;
    return `
      quad${slot} = ${quad};
      four${slot} = ${four};
      let at = ${first} + four${slot} * 4;
      ${
        inner
          ? unroll(
              4,
              (n) =>
                `at${slot}_${n} = ${name}Base + ${clamped(n)} * ${stride} + quad${slot}${is4 ? "" : " * 4"};`,
            )
          : is4
            ? `at${slot}_0 = ${name}Base + min(at, uniforms.${limit} - 4) / 4 + quad${slot} * 4 * ${stride};`
            : unroll(4, (n) => `at${slot}_${n} = ${name}Base + ${clamped(n)} + quad${slot} * 4 * ${stride};`)
      }
    `;
  };

  const load = (slot: number, name: Name): string => {
    const { inner, is4 } = side[name];
    const stride = `uniforms.${name}Stride`;
    return `
      let first = k + quad${slot} * 4;
      ${
        inner
          ? is4
            ? unroll(
                4,
                (n) =>
                  `p${slot}_${n} = select(vec4<f32>(), ${fourOf(c, name, `at${slot}_${n} + k / 4`)}, first < kTo);`,
              )
            : `
              let kept = vec4<i32>(first, first + 1, first + 2, first + 3) < vec4<i32>(kTo);
              ${unroll(4, (n) => `p${slot}_${n} = select(vec4<f32>(), vec4<f32>(${lanes.map((_, i) => `${name}[at${slot}_${n} + k + ${i}]`).join(", ")}), kept);`)}`
          : unroll(4, (n) => {
              const row = `(k + ${n}) * ${stride}`;
              const value = is4
                ? fourOf(c, name, `at${slot}_0 + ${row}`)
                : `vec4<f32>(${lanes.map((_, i) => `${name}[at${slot}_${i} + ${row}]`).join(", ")})`;
              return `p${slot}_${n} = select(vec4<f32>(), ${value}, first + ${n} < kTo);`;
            })
      }
    `;
  };

  // What neighbours carry of an operand that lies along k are different quads; so that these lie in different banks of
  // the workgroup's memory, fours are put in an order that differs from quad to quad.
  const turned = (name: Name, four: string, quad: string): string => {
    const { inner, threads } = side[name];
    if (!inner || threads === 1) return four;
    return `(${four}) ^ ((${quad} * ${Math.max(1, 8 / quads)}) & ${Math.min(threads, 8) - 1})`;
  };

  const stage = (slot: number, name: Name): string => {
    const { inner, threads } = side[name];
    return unroll(4, (n) => {
      const value = inner
        ? `vec4<f32>(${lanes.map((_, i) => `p${slot}_${i}.${lanes[n]}`).join(", ")})`
        : `p${slot}_${n}`;
      const at = turned(name, `four${slot} % ${threads}`, `quad${slot}`);
      return `${name}Tile[quad${slot}][${n}][four${slot} / ${threads}][${at}] = ${value};`;
    });
  };

  const eachC = (code: (row: number, four: number) => string) =>
    unroll(each.rows, (i) => unroll(columnFours, (j) => code(i, j)));
  // Eight by four of a subgroup's invocations read the fewest different fours.
  const position =
    TX > 8 && TX % 8 === 0 && TY % 4 === 0
      ? `
        let tx = own % 8 + ((own / 32) % ${TX / 8}) * 8;
        let ty = (own / 8) % 4 + (own / ${4 * TX}) * 4;`
      : `
        let tx = own % ${TX};
        let ty = own / ${TX};`;

  return `
    var<workgroup> aTile : array<array<array<array<vec4<f32>, ${TY}>, ${rowFours}>, 4>, ${quads}>;
    var<workgroup> bTile : array<array<array<array<vec4<f32>, ${TX}>, ${columnFours}>, 4>, ${quads}>;
    ${slices > 1 ? `var<workgroup> sums : array<array<vec4<f32>, ${perSlice}>, ${each.rows * columnFours}>;` : ""}
    ${epilogue(c).declarations}
    fn main(index : i32) {
      let group = i32(groupIndex);
      let local = i32(localIndex);
      let perPiece = uniforms.rowTiles * uniforms.columnTiles${c.inParts ? " * uniforms.parts" : ""};
      let piece = group / perPiece;
      ${
        c.inParts
          ? `
      let part = (group - piece * perPiece) / (uniforms.rowTiles * uniforms.columnTiles);
      let tile = group - piece * perPiece - part * uniforms.rowTiles * uniforms.columnTiles;
      let kFrom = part * uniforms.share;
      let kTo = min(kFrom + uniforms.share, uniforms.depth);`
          : `
      let tile = group - piece * perPiece;
      let kFrom = 0;
      let kTo = uniforms.depth;`
      }
      let firstRow = (tile / uniforms.columnTiles) * ${tile.rows};
      let firstColumn = (tile % uniforms.columnTiles) * ${tile.columns};
      let aBase = piece * uniforms.aPiece;
      let bBase = piece * uniforms.bPiece;
      let own = local % ${perSlice};
      let slice = local / ${perSlice};
      ${position}
      ${unroll(
        slots,
        (slot) => `
        let block${slot} = local + ${slot * invocations};
        var quad${slot} = 0;
        var four${slot} = 0;
        ${unroll(4, (n) => `var at${slot}_${n} = 0; var p${slot}_${n} = vec4<f32>();`)}
        ${forSlot(slot, (name) => `{ ${place(slot, name)} }`)}
      `,
      )}
      ${eachC((i, j) => `var c${i}_${j} = vec4<f32>();`)}
      var k = kFrom;
      ${unroll(slots, (slot) => forSlot(slot, (name) => `{ ${load(slot, name)} }`))}
      // as many steps for every workgroup: barriers follow
      for (var step = 0; step < uniforms.steps; step += 1) {
        ${unroll(slots, (slot) => forSlot(slot, (name) => `{ ${stage(slot, name)} }`))}
        workgroupBarrier();
        k += ${tile.depth};
        if (step + 1 < uniforms.steps) {
          ${unroll(slots, (slot) => forSlot(slot, (name) => `{ ${load(slot, name)} }`))}
        }
        for (var i = 0; i < ${quads / slices}; i += 1) {
          let quad = ${slices > 1 ? `i * ${slices} + slice` : "i"};
          let aAt = ${turned("a", "ty", "quad")};
          let bAt = ${turned("b", "tx", "quad")};
          ${unroll(
            4,
            (n) => `{
            ${unroll(rowFours, (i) => `let a${i} = aTile[quad][${n}][${i}][aAt];`)}
            ${unroll(columnFours, (j) => `let b${j} = bTile[quad][${n}][${j}][bAt];`)}
            ${eachC((i, j) => `c${i}_${j} += a${i >> 2}.${lanes[i % 4]} * b${j};`)}
          }`,
          )}
        }
        workgroupBarrier();
      }
      ${
        slices > 1
          ? `
      for (var s = 1; s < ${slices}; s += 1) {
        if (slice == s) { ${eachC((i, j) => `sums[${i * columnFours + j}][own] = c${i}_${j};`)} }
        workgroupBarrier();
        if (slice == 0) { ${eachC((i, j) => `c${i}_${j} += sums[${i * columnFours + j}][own];`)} }
        workgroupBarrier();
      }`
          : ""
      }
      if (piece >= uniforms.pieces || slice > 0) { return; }
      let cBase = piece * uniforms.cPiece${c.inParts ? " + uniforms.cStart + part * uniforms.cDistance" : ""};
      ${c.scale ? "let factor = scale[piece];" : ""}
      ${unroll(
        each.rows,
        (i) => `{
          let row = firstRow + (${i >> 2} * ${TY} + ty) * 4 + ${i % 4};
          if (row < uniforms.rows) {
            let cAt = cBase + row * uniforms.cStride;
            ${unroll(columnFours, (j) => {
              const column = `firstColumn + (${j} * ${TX} + tx) * 4`;
              return c.cFours
                ? `{ let to = (${column}) / 4; if (to * 4 < uniforms.columns) { ${epilogue(c).store("to", `c${i}_${j}`)} } }`
                : unroll(
                    4,
                    (n) =>
                      `{ let to = ${column} + ${n}; if (to < uniforms.columns) { ${epilogue(c).store("to", `c${i}_${j}.${lanes[n]}`)} } }`,
                  );
            })}
          }
        }`,
      )}
    }
  `;
}
