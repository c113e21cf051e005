// Attention of one image and head and its gradient, over packed rows q|k|v. Scores exist for a strip of queries at a
// time, so that nothing of size tokens² is kept.
import { HEAD, multiply, packedSize, packInner, packOuter, prepare } from "./product.ts";
import { arg, argNumber, exp, largest, madd, splat, total } from "./simd.ts";

/** Tokens rounded up to whole panels: the width of a strip in numbers. */
@inline
function stripWidth(tokens: i32): i32 {
  return (tokens + 7) & ~7;
}

/** Softmax over the first `count` numbers of a row, in place. */
function softmax(row: usize, count: i32): void {
  const whole = row + (<usize>(count & ~3) << 2);
  const end = row + (<usize>count << 2);
  let tops = splat(-Infinity);
  let at = row;
  for (; at < whole; at += 16) tops = f32x4.pmax(tops, v128.load(at));
  let top = largest(tops);
  for (; at < end; at += 4) top = max(top, load<f32>(at));
  const shift = splat(top);
  let sums = splat(0);
  for (at = row; at < whole; at += 16) {
    const e = exp(f32x4.sub(v128.load(at), shift));
    v128.store(at, e);
    sums = f32x4.add(sums, e);
  }
  let sum = total(sums);
  for (; at < end; at += 4) {
    const e = f32x4.extract_lane(exp(splat(load<f32>(at) - top)), 0);
    store<f32>(at, e);
    sum += e;
  }
  const share: f32 = 1 / sum;
  const shares = splat(share);
  for (at = row; at < whole; at += 16) v128.store(at, f32x4.mul(v128.load(at), shares));
  for (; at < end; at += 4) store<f32>(at, load<f32>(at) * share);
}

/** Arguments: 0 qkv, 1 out, 2 tokens, 3 heads, 4 head size, 5 scale (number), 6 queries in a strip. */
export function attention(chunk: i32, args: usize, scratch: usize): void {
  const tokens = <i32>arg(args, 2);
  const heads = <i32>arg(args, 3);
  const size = <i32>arg(args, 4);
  const rowsInStrip = <i32>arg(args, 6);
  const image = <usize>(chunk / heads);
  const outRow = <usize>(heads * size * 4);
  const row = outRow * 3;
  const column = <usize>((chunk % heads) * size * 4);
  const q = arg(args, 0) + image * <usize>tokens * row + column;
  const out = arg(args, 1) + image * <usize>tokens * outRow + column;
  const width = stripWidth(tokens);
  const stripRow = <usize>width << 2;

  prepare(scratch);
  const keys = scratch + HEAD;
  const values = keys + packedSize(tokens, size);
  const strip = values + packedSize(size, tokens);
  packInner(keys, q + outRow, row, tokens, size, argNumber(args, 5));
  packOuter(values, q + 2 * outRow, row, size, tokens, 1);
  for (let first = 0; first < tokens; first += rowsInStrip) {
    const rows = min(rowsInStrip, tokens - first);
    const qStrip = q + <usize>first * row;
    multiply(rows, width, size, qStrip, row, false, keys, <usize>size << 5, 32, strip, stripRow, 0, 0, false, false, scratch);
    for (let i = 0; i < rows; i++) softmax(strip + <usize>i * stripRow, tokens);
    const to = out + <usize>first * outRow;
    multiply(rows, size, tokens, strip, stripRow, false, values, <usize>tokens << 5, 32, to, outRow, 0, 0, false, false, scratch);
  }
}

/** dS = P·(dP - <dout, out>)·scale over one row, into dP. */
function scoreGradient(p: usize, dp: usize, tokens: i32, delta: f32, scale: f32): void {
  const deltas = splat(delta);
  const scales = splat(scale);
  const whole = p + (<usize>(tokens & ~3) << 2);
  const end = p + (<usize>tokens << 2);
  for (; p < whole; p += 16) {
    const g = f32x4.mul(v128.load(p), f32x4.sub(v128.load(dp), deltas));
    v128.store(dp, f32x4.mul(g, scales));
    dp += 16;
  }
  for (; p < end; p += 4) {
    store<f32>(dp, load<f32>(p) * (load<f32>(dp) - delta) * scale);
    dp += 4;
  }
}

function inner(a: usize, b: usize, count: i32): f32 {
  let sums = splat(0);
  const whole = a + (<usize>(count & ~3) << 2);
  const end = a + (<usize>count << 2);
  for (; a < whole; a += 16) {
    sums = madd(v128.load(a), v128.load(b), sums);
    b += 16;
  }
  let sum = total(sums);
  for (; a < end; a += 4) {
    sum += load<f32>(a) * load<f32>(b);
    b += 4;
  }
  return sum;
}

/** Arguments: as `attention`, 1 being its output; then 7 dout, 8 dqkv. */
export function attentionInputGradient(chunk: i32, args: usize, scratch: usize): void {
  const tokens = <i32>arg(args, 2);
  const heads = <i32>arg(args, 3);
  const size = <i32>arg(args, 4);
  const scale = argNumber(args, 5);
  const rowsInStrip = <i32>arg(args, 6);
  const image = <usize>(chunk / heads);
  const outRow = <usize>(heads * size * 4);
  const row = outRow * 3;
  const column = <usize>((chunk % heads) * size * 4);
  const q = arg(args, 0) + image * <usize>tokens * row + column;
  const out = arg(args, 1) + image * <usize>tokens * outRow + column;
  const dout = arg(args, 7) + image * <usize>tokens * outRow + column;
  const dq = arg(args, 8) + image * <usize>tokens * row + column;
  const width = stripWidth(tokens);
  const stripRow = <usize>width << 2;

  prepare(scratch);
  const scaledKeys = scratch + HEAD;
  const values = scaledKeys + packedSize(tokens, size);
  const keys = values + packedSize(tokens, size);
  const p = keys + packedSize(size, tokens);
  const ds = p + <usize>rowsInStrip * stripRow;
  packInner(scaledKeys, q + outRow, row, tokens, size, scale);
  packInner(values, q + 2 * outRow, row, tokens, size, 1);
  packOuter(keys, q + outRow, row, size, tokens, 1);
  const panel = <usize>size << 5;
  for (let first = 0; first < tokens; first += rowsInStrip) {
    const rows = min(rowsInStrip, tokens - first);
    const qStrip = q + <usize>first * row;
    const doutStrip = dout + <usize>first * outRow;
    const outStrip = out + <usize>first * outRow;
    multiply(rows, width, size, qStrip, row, false, scaledKeys, panel, 32, p, stripRow, 0, 0, false, false, scratch);
    multiply(rows, width, size, doutStrip, outRow, false, values, panel, 32, ds, stripRow, 0, 0, false, false, scratch);
    for (let i = 0; i < rows; i++) {
      const inStrip = <usize>i * stripRow;
      const inOut = <usize>i * outRow;
      softmax(p + inStrip, tokens);
      scoreGradient(p + inStrip, ds + inStrip, tokens, inner(doutStrip + inOut, outStrip + inOut, size), scale);
    }
    const more = first > 0;
    const dqStrip = dq + <usize>first * row;
    multiply(rows, size, tokens, ds, stripRow, false, keys, <usize>tokens << 5, 32, dqStrip, row, 0, 0, false, false, scratch);
    multiply(tokens, size, rows, ds, stripRow, true, qStrip, 32, row, dq + outRow, row, 0, 0, more, false, scratch);
    multiply(tokens, size, rows, p, stripRow, true, doutStrip, 32, outRow, dq + 2 * outRow, row, 0, 0, more, false, scratch);
  }
}
