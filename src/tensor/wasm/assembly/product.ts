// Matrix products, register-blocked: a tile of 6 rows by 8 columns is held in 12 vectors while it runs along the depth.
// B is packed into panels of 8 columns; A is read where it lies, either along its rows ("inner": the depth is
// contiguous) or across them ("outer": neighbouring rows are). Every element is summed in one order, whatever tile or
// thread it falls to. Reads may pass an operand's end by up to 28 bytes, which malloc's footer covers; what is read
// there never reaches a result.

import { arg, madd, splat } from "./simd.ts";

/** Rows and columns of a tile. */
const ROWS: i32 = 6;
const COLUMNS: i32 = 8;
/** Depth of a packed block: a panel of it fits the first-level cache. */
const DEPTH: i32 = 512;
/** At so few rows packing would cost more than it saves. */
const SKINNY: i32 = 12;
/** Start of a thread's scratch: zeros for a tile to start from, then a tile that is cut or turned before it is stored. */
const ZEROS: usize = 0;
const TILE: usize = 32;
export const HEAD: usize = 256;

/** Must be called once before other functions here use `scratch`. */
export function prepare(scratch: usize): void {
  v128.store(scratch + ZEROS, splat(0));
  v128.store(scratch + ZEROS, splat(0), 16);
}

/** Bytes of a block packed into panels. */
@inline
export function packedSize(columns: i32, depth: i32): usize {
  return <usize>(((columns + COLUMNS - 1) / COLUMNS) * COLUMNS * depth * 4);
}

/** Packs columns whose depth is contiguous: column c starts at b + c·stride. Columns past the end repeat the last. */
export function packInner(to: usize, b: usize, stride: usize, columns: i32, depth: i32, scale: f32): void {
  const factor = splat(scale);
  for (let first = 0; first < columns; first += COLUMNS) {
    const last = columns - 1;
    let p0 = b + <usize>first * stride;
    let p1 = b + <usize>min(first + 1, last) * stride;
    let p2 = b + <usize>min(first + 2, last) * stride;
    let p3 = b + <usize>min(first + 3, last) * stride;
    let p4 = b + <usize>min(first + 4, last) * stride;
    let p5 = b + <usize>min(first + 5, last) * stride;
    let p6 = b + <usize>min(first + 6, last) * stride;
    let p7 = b + <usize>min(first + 7, last) * stride;
    let k = 0;
    for (; k + 4 <= depth; k += 4) {
      packFour(to, v128.load(p0), v128.load(p1), v128.load(p2), v128.load(p3), factor);
      packFour(to + 16, v128.load(p4), v128.load(p5), v128.load(p6), v128.load(p7), factor);
      p0 += 16;
      p1 += 16;
      p2 += 16;
      p3 += 16;
      p4 += 16;
      p5 += 16;
      p6 += 16;
      p7 += 16;
      to += 128;
    }
    for (; k < depth; k++) {
      store<f32>(to, load<f32>(p0) * scale);
      store<f32>(to, load<f32>(p1) * scale, 4);
      store<f32>(to, load<f32>(p2) * scale, 8);
      store<f32>(to, load<f32>(p3) * scale, 12);
      store<f32>(to, load<f32>(p4) * scale, 16);
      store<f32>(to, load<f32>(p5) * scale, 20);
      store<f32>(to, load<f32>(p6) * scale, 24);
      store<f32>(to, load<f32>(p7) * scale, 28);
      p0 += 4;
      p1 += 4;
      p2 += 4;
      p3 += 4;
      p4 += 4;
      p5 += 4;
      p6 += 4;
      p7 += 4;
      to += 32;
    }
  }
}

/** Turns four rows into four columns, 32 bytes apart. */
@inline
function packFour(to: usize, a: v128, b: v128, c: v128, d: v128, factor: v128): void {
  const ab = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
  const ab2 = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
  const cd = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
  const cd2 = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
  v128.store(to, f32x4.mul(v128.shuffle<f32>(ab, cd, 0, 1, 4, 5), factor));
  v128.store(to, f32x4.mul(v128.shuffle<f32>(ab, cd, 2, 3, 6, 7), factor), 32);
  v128.store(to, f32x4.mul(v128.shuffle<f32>(ab2, cd2, 0, 1, 4, 5), factor), 64);
  v128.store(to, f32x4.mul(v128.shuffle<f32>(ab2, cd2, 2, 3, 6, 7), factor), 96);
}

/** Packs columns that are contiguous: step k of all of them starts at b + k·stride. */
export function packOuter(to: usize, b: usize, stride: usize, columns: i32, depth: i32, scale: f32): void {
  const factor = splat(scale);
  const panel = <usize>depth << 5;
  for (let k = 0; k < depth; k++) {
    let into = to + (<usize>k << 5);
    let from = b;
    for (let c = 0; c < columns; c += COLUMNS) {
      v128.store(into, f32x4.mul(v128.load(from), factor));
      v128.store(into, f32x4.mul(v128.load(from, 16), factor), 16);
      from += 32;
      into += panel;
    }
    b += stride;
  }
}

/**
 * out = A·B + bias + add over any number of rows and columns, or out += A·B (accumulate).
 * @param a A's first element; `aStride` bytes lie between its rows (inner) or between steps of the depth (outer)
 * @param b first panel; `panel` bytes lie between panels, `bStep` between steps of the depth
 * @param outStride bytes between rows of `out` and `add`, or between columns when the result is stored turned
 * @param columns written; where the buffer has room for whole panels, a multiple of 8 is fastest
 * @param bias 0 for none
 * @param add 0 for none
 */
export function multiply(
  rows: i32,
  columns: i32,
  depth: i32,
  a: usize,
  aStride: usize,
  outer: bool,
  b: usize,
  panel: usize,
  bStep: usize,
  out: usize,
  outStride: usize,
  bias: usize,
  add: usize,
  accumulate: bool,
  turned: bool,
  scratch: usize,
): void {
  const zeros = scratch + ZEROS;
  const towardsAdd = add - out;
  const addStride = add && !accumulate ? outStride : 0;
  for (let row = 0; row < rows; row += ROWS) {
    const inRows = min(ROWS, rows - row);
    const aTile = outer ? a + (<usize>row << 2) : a + <usize>row * aStride;
    let bPanel = b;
    for (let column = 0; column < columns; column += COLUMNS) {
      const inColumns = min(COLUMNS, columns - column);
      const to = turned
        ? out + <usize>column * outStride + (<usize>row << 2)
        : out + <usize>row * outStride + (<usize>column << 2);
      if (inColumns == COLUMNS && !turned && (!outer || inRows == ROWS)) {
        const from = accumulate ? to : bias ? bias + (<usize>column << 2) : zeros;
        const fromStride = accumulate ? outStride : 0;
        const plus = addStride ? to + towardsAdd : zeros;
        if (outer) {
          tileOuter(depth, aTile, aStride, bPanel, bStep, to, outStride, from, fromStride, plus, addStride);
        } else {
          tileInner(depth, aTile, aStride, inRows, bPanel, bStep, to, outStride, from, fromStride, plus, addStride);
        }
      } else {
        const tile = scratch + TILE;
        if (outer) tileOuter(depth, aTile, aStride, bPanel, bStep, tile, 32, zeros, 0, zeros, 0);
        else tileInner(depth, aTile, aStride, inRows, bPanel, bStep, tile, 32, zeros, 0, zeros, 0);
        for (let i = 0; i < inRows; i++) {
          for (let j = 0; j < inColumns; j++) {
            const at = turned
              ? to + <usize>j * outStride + (<usize>i << 2)
              : to + <usize>i * outStride + (<usize>j << 2);
            let sum = load<f32>(tile + (<usize>(i * COLUMNS + j) << 2));
            if (accumulate) sum += load<f32>(at);
            else {
              if (bias) sum += load<f32>(bias + (<usize>(column + j) << 2));
              if (add) sum += load<f32>(at + towardsAdd);
            }
            store<f32>(at, sum);
          }
        }
      }
      bPanel += panel;
    }
  }
}

/**
 * A tile of up to 6 rows whose depth is contiguous. Rows that are missing repeat the last one. All that is added to the
 * product stands in the vectors before they run: a branch behind the loop makes V8 spill them inside it.
 */
function tileInner(
  depth: i32,
  a: usize,
  aStride: usize,
  rows: i32,
  b: usize,
  bStep: usize,
  out: usize,
  outStride: usize,
  from: usize,
  fromStride: usize,
  add: usize,
  addStride: usize,
): void {
  const row1 = <usize>min(1, rows - 1);
  const row2 = <usize>min(2, rows - 1);
  const row3 = <usize>min(3, rows - 1);
  const row4 = <usize>min(4, rows - 1);
  const row5 = <usize>min(5, rows - 1);
  let a1 = a + row1 * aStride;
  let a2 = a + row2 * aStride;
  let a3 = a + row3 * aStride;
  let a4 = a + row4 * aStride;
  let a5 = a + row5 * aStride;
  let c00 = f32x4.add(v128.load(from), v128.load(add));
  let c01 = f32x4.add(v128.load(from, 16), v128.load(add, 16));
  let c10 = f32x4.add(v128.load(from + row1 * fromStride), v128.load(add + row1 * addStride));
  let c11 = f32x4.add(v128.load(from + row1 * fromStride, 16), v128.load(add + row1 * addStride, 16));
  let c20 = f32x4.add(v128.load(from + row2 * fromStride), v128.load(add + row2 * addStride));
  let c21 = f32x4.add(v128.load(from + row2 * fromStride, 16), v128.load(add + row2 * addStride, 16));
  let c30 = f32x4.add(v128.load(from + row3 * fromStride), v128.load(add + row3 * addStride));
  let c31 = f32x4.add(v128.load(from + row3 * fromStride, 16), v128.load(add + row3 * addStride, 16));
  let c40 = f32x4.add(v128.load(from + row4 * fromStride), v128.load(add + row4 * addStride));
  let c41 = f32x4.add(v128.load(from + row4 * fromStride, 16), v128.load(add + row4 * addStride, 16));
  let c50 = f32x4.add(v128.load(from + row5 * fromStride), v128.load(add + row5 * addStride));
  let c51 = f32x4.add(v128.load(from + row5 * fromStride, 16), v128.load(add + row5 * addStride, 16));
  if (depth & 1) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let x = v128.load32_splat(a);
    c00 = madd(x, b0, c00);
    c01 = madd(x, b1, c01);
    x = v128.load32_splat(a1);
    c10 = madd(x, b0, c10);
    c11 = madd(x, b1, c11);
    x = v128.load32_splat(a2);
    c20 = madd(x, b0, c20);
    c21 = madd(x, b1, c21);
    x = v128.load32_splat(a3);
    c30 = madd(x, b0, c30);
    c31 = madd(x, b1, c31);
    x = v128.load32_splat(a4);
    c40 = madd(x, b0, c40);
    c41 = madd(x, b1, c41);
    x = v128.load32_splat(a5);
    c50 = madd(x, b0, c50);
    c51 = madd(x, b1, c51);
    b += bStep;
    a += 4;
    a1 += 4;
    a2 += 4;
    a3 += 4;
    a4 += 4;
    a5 += 4;
  }
  for (let left = depth & ~1; left > 0; left -= 2) {
    let b0 = v128.load(b);
    let b1 = v128.load(b, 16);
    b += bStep;
    let x = v128.load32_splat(a);
    c00 = madd(x, b0, c00);
    c01 = madd(x, b1, c01);
    x = v128.load32_splat(a1);
    c10 = madd(x, b0, c10);
    c11 = madd(x, b1, c11);
    x = v128.load32_splat(a2);
    c20 = madd(x, b0, c20);
    c21 = madd(x, b1, c21);
    x = v128.load32_splat(a3);
    c30 = madd(x, b0, c30);
    c31 = madd(x, b1, c31);
    x = v128.load32_splat(a4);
    c40 = madd(x, b0, c40);
    c41 = madd(x, b1, c41);
    x = v128.load32_splat(a5);
    c50 = madd(x, b0, c50);
    c51 = madd(x, b1, c51);
    b0 = v128.load(b);
    b1 = v128.load(b, 16);
    b += bStep;
    x = v128.load32_splat(a, 4);
    c00 = madd(x, b0, c00);
    c01 = madd(x, b1, c01);
    x = v128.load32_splat(a1, 4);
    c10 = madd(x, b0, c10);
    c11 = madd(x, b1, c11);
    x = v128.load32_splat(a2, 4);
    c20 = madd(x, b0, c20);
    c21 = madd(x, b1, c21);
    x = v128.load32_splat(a3, 4);
    c30 = madd(x, b0, c30);
    c31 = madd(x, b1, c31);
    x = v128.load32_splat(a4, 4);
    c40 = madd(x, b0, c40);
    c41 = madd(x, b1, c41);
    x = v128.load32_splat(a5, 4);
    c50 = madd(x, b0, c50);
    c51 = madd(x, b1, c51);
    a += 8;
    a1 += 8;
    a2 += 8;
    a3 += 8;
    a4 += 8;
    a5 += 8;
  }
  v128.store(out, c00);
  v128.store(out, c01, 16);
  v128.store(out + row1 * outStride, c10);
  v128.store(out + row1 * outStride, c11, 16);
  v128.store(out + row2 * outStride, c20);
  v128.store(out + row2 * outStride, c21, 16);
  v128.store(out + row3 * outStride, c30);
  v128.store(out + row3 * outStride, c31, 16);
  v128.store(out + row4 * outStride, c40);
  v128.store(out + row4 * outStride, c41, 16);
  v128.store(out + row5 * outStride, c50);
  v128.store(out + row5 * outStride, c51, 16);
}

/** A tile of 6 rows that lie side by side, `aStep` bytes between steps of the depth. */
function tileOuter(
  depth: i32,
  a: usize,
  aStep: usize,
  b: usize,
  bStep: usize,
  out: usize,
  outStride: usize,
  from: usize,
  fromStride: usize,
  add: usize,
  addStride: usize,
): void {
  let c00 = f32x4.add(v128.load(from), v128.load(add));
  let c01 = f32x4.add(v128.load(from, 16), v128.load(add, 16));
  let c10 = f32x4.add(v128.load(from + fromStride), v128.load(add + addStride));
  let c11 = f32x4.add(v128.load(from + fromStride, 16), v128.load(add + addStride, 16));
  let c20 = f32x4.add(v128.load(from + 2 * fromStride), v128.load(add + 2 * addStride));
  let c21 = f32x4.add(v128.load(from + 2 * fromStride, 16), v128.load(add + 2 * addStride, 16));
  let c30 = f32x4.add(v128.load(from + 3 * fromStride), v128.load(add + 3 * addStride));
  let c31 = f32x4.add(v128.load(from + 3 * fromStride, 16), v128.load(add + 3 * addStride, 16));
  let c40 = f32x4.add(v128.load(from + 4 * fromStride), v128.load(add + 4 * addStride));
  let c41 = f32x4.add(v128.load(from + 4 * fromStride, 16), v128.load(add + 4 * addStride, 16));
  let c50 = f32x4.add(v128.load(from + 5 * fromStride), v128.load(add + 5 * addStride));
  let c51 = f32x4.add(v128.load(from + 5 * fromStride, 16), v128.load(add + 5 * addStride, 16));
  for (let left = depth; left > 0; left--) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let x = v128.load32_splat(a);
    c00 = madd(x, b0, c00);
    c01 = madd(x, b1, c01);
    x = v128.load32_splat(a, 4);
    c10 = madd(x, b0, c10);
    c11 = madd(x, b1, c11);
    x = v128.load32_splat(a, 8);
    c20 = madd(x, b0, c20);
    c21 = madd(x, b1, c21);
    x = v128.load32_splat(a, 12);
    c30 = madd(x, b0, c30);
    c31 = madd(x, b1, c31);
    x = v128.load32_splat(a, 16);
    c40 = madd(x, b0, c40);
    c41 = madd(x, b1, c41);
    x = v128.load32_splat(a, 20);
    c50 = madd(x, b0, c50);
    c51 = madd(x, b1, c51);
    a += aStep;
    b += bStep;
  }
  v128.store(out, c00);
  v128.store(out, c01, 16);
  v128.store(out + outStride, c10);
  v128.store(out + outStride, c11, 16);
  v128.store(out + 2 * outStride, c20);
  v128.store(out + 2 * outStride, c21, 16);
  v128.store(out + 3 * outStride, c30);
  v128.store(out + 3 * outStride, c31, 16);
  v128.store(out + 4 * outStride, c40);
  v128.store(out + 4 * outStride, c41, 16);
  v128.store(out + 5 * outStride, c50);
  v128.store(out + 5 * outStride, c51, 16);
}

/** A block of rows and columns of one piece of a product; its arguments are listed in ../product.ts. */
export function product(chunk: i32, args: usize, scratch: usize): void {
  const rows = <i32>arg(args, 0);
  const columns = <i32>arg(args, 1);
  const depth = <i32>arg(args, 2);
  const aStride = arg(args, 4);
  const aOuter = arg(args, 5) != 0;
  const bStride = arg(args, 8);
  const bOuter = arg(args, 9) != 0;
  const outStride = arg(args, 12);
  const scales = arg(args, 16);
  const rowsPerChunk = <i32>arg(args, 17);
  const columnsPerChunk = <i32>arg(args, 18);
  const turned = arg(args, 19) != 0;
  const rowChunks = (rows + rowsPerChunk - 1) / rowsPerChunk;
  const columnChunks = (columns + columnsPerChunk - 1) / columnsPerChunk;

  const perPiece = rowChunks * columnChunks;
  const piece = chunk / perPiece;
  const inPiece = chunk % perPiece;
  const row = (inPiece / columnChunks) * rowsPerChunk;
  const column = (inPiece % columnChunks) * columnsPerChunk;
  const inRows = min(rowsPerChunk, rows - row);
  const inColumns = min(columnsPerChunk, columns - column);

  const a = arg(args, 3) + <usize>piece * arg(args, 6) + <usize>row * (aOuter ? 4 : aStride);
  const b = arg(args, 7) + <usize>piece * arg(args, 10) + <usize>column * (bOuter ? 4 : bStride);
  const at = turned ? <usize>column * outStride + (<usize>row << 2) : <usize>row * outStride + (<usize>column << 2);
  const offset = <usize>piece * arg(args, 13) + at;
  const out = arg(args, 11) + offset;
  const bias = arg(args, 14) ? arg(args, 14) + (<usize>column << 2) : 0;
  const add = arg(args, 15) ? arg(args, 15) + offset : 0;
  const scale = scales ? load<f32>(scales + (<usize>piece << 2)) : 1;

  prepare(scratch);
  const packed = scratch + HEAD;
  const asItLies = bOuter && !scales && inRows <= SKINNY;
  for (let k = 0; k < depth; k += DEPTH) {
    const inDepth = min(DEPTH, depth - k);
    const aBlock = a + <usize>k * (aOuter ? aStride : 4);
    const bBlock = b + <usize>k * (bOuter ? bStride : 4);
    if (asItLies) {
      multiply(inRows, inColumns, inDepth, aBlock, aStride, aOuter, bBlock, 32, bStride, out, outStride, bias, add, k > 0, turned, scratch);
    } else {
      if (bOuter) packOuter(packed, bBlock, bStride, inColumns, inDepth, scale);
      else packInner(packed, bBlock, bStride, inColumns, inDepth, scale);
      const panel = <usize>inDepth << 5;
      multiply(inRows, inColumns, inDepth, aBlock, aStride, aOuter, packed, panel, 32, out, outStride, bias, add, k > 0, turned, scratch);
    }
  }
}
