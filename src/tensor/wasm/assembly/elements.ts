// What works number by number: GELU and its gradient, the update rules, patches and tokens.
import { arg, argNumber, exp, loadOne, madd, splat, storeOne } from "./simd.ts";

/** Numbers in a chunk; a multiple of 4. */
const PER_CHUNK: i32 = 8192;

/** The kinds of GELU, numbered as in ../gelu.ts. */
const TANH: i32 = 1;
const QUICK: i32 = 2;

/** exp(-u²/2), which the normal distribution and its density share. */
@inline
function bell(u: v128): v128 {
  return exp(f32x4.mul(f32x4.mul(u, u), splat(-0.5)));
}

/**
 * Φ(u), relative error of the smaller tail about 5e-7: erfc(z) = t·P(t)·exp(-z²) with t = 1 / (1 + 0.425 z), the form
 * of Abramowitz & Stegun 7.1.26 with more terms, fitted to least relative error.
 */
@inline
function normalCdf(u: v128, bellOfU: v128): v128 {
  const z = f32x4.mul(f32x4.abs(u), splat(0.70710678));
  const t = f32x4.div(splat(1), madd(z, splat(0.425), splat(1)));
  let p = madd(t, splat(0.07147723520146), splat(-0.31315242478864));
  p = madd(p, t, splat(0.40760962565257));
  p = madd(p, t, splat(-0.10324336375885));
  p = madd(p, t, splat(0.25508243767806));
  p = madd(p, t, splat(0.20070729391544));
  p = madd(p, t, splat(0.2418404119844));
  p = madd(p, t, splat(0.239678641465));
  const tail = f32x4.mul(f32x4.mul(f32x4.mul(p, t), bellOfU), splat(0.5));
  return v128.bitselect(tail, f32x4.sub(splat(1), tail), f32x4.lt(u, splat(0)));
}

@inline
function sigmoid(x: v128): v128 {
  return f32x4.div(splat(1), f32x4.add(splat(1), exp(f32x4.neg(x))));
}

/** s of u·σ(s): the tanh form is one too, since (1 + tanh a)/2 = σ(2a). */
@inline
function gateArgument(u: v128, kind: i32): v128 {
  if (kind == QUICK) return f32x4.mul(u, splat(1.702));
  const cubic = madd(f32x4.mul(u, u), splat(0.0713548162726), splat(1.5957691216057));
  return f32x4.mul(u, cubic);
}

@inline
function geluOf(u: v128, kind: i32): v128 {
  if (kind == TANH || kind == QUICK) return f32x4.mul(u, sigmoid(gateArgument(u, kind)));
  return f32x4.mul(u, normalCdf(u, bell(u)));
}

@inline
function slopeOf(u: v128, kind: i32): v128 {
  if (kind == TANH || kind == QUICK) {
    const s = sigmoid(gateArgument(u, kind));
    const inside =
      kind == QUICK
        ? splat(1.702)
        : madd(f32x4.mul(u, u), splat(0.2140644488178), splat(1.5957691216057));
    return madd(f32x4.mul(f32x4.mul(u, s), f32x4.sub(splat(1), s)), inside, s);
  }
  const b = bell(u);
  return madd(f32x4.mul(u, b), splat(0.3989422804), normalCdf(u, b));
}

@inline
function geluOver(u: usize, out: usize, count: i32, kind: i32): void {
  const whole = u + (<usize>(count & ~3) << 2);
  const end = u + (<usize>count << 2);
  for (; u < whole; u += 16) {
    v128.store(out, geluOf(v128.load(u), kind));
    out += 16;
  }
  for (; u < end; u += 4) {
    storeOne(out, geluOf(loadOne(u), kind));
    out += 4;
  }
}

/** Arguments: 0 u, 1 out, 2 count, 3 kind. */
export function gelu(chunk: i32, args: usize): void {
  const first = chunk * PER_CHUNK;
  const count = min(PER_CHUNK, <i32>arg(args, 2) - first);
  const offset = <usize>first << 2;
  const u = arg(args, 0) + offset;
  const out = arg(args, 1) + offset;
  const kind = <i32>arg(args, 3);
  // a loop of its own for each kind
  if (kind == TANH) geluOver(u, out, count, TANH);
  else if (kind == QUICK) geluOver(u, out, count, QUICK);
  else geluOver(u, out, count, 0);
}

@inline
function geluGradientOver(u: usize, dh: usize, out: usize, count: i32, kind: i32): void {
  const whole = u + (<usize>(count & ~3) << 2);
  const end = u + (<usize>count << 2);
  for (; u < whole; u += 16) {
    v128.store(out, f32x4.mul(v128.load(dh), slopeOf(v128.load(u), kind)));
    dh += 16;
    out += 16;
  }
  for (; u < end; u += 4) {
    storeOne(out, f32x4.mul(loadOne(dh), slopeOf(loadOne(u), kind)));
    dh += 4;
    out += 4;
  }
}

/** Arguments: 0 u, 1 out, 2 count, 3 kind, 4 dh. */
export function geluInputGradient(chunk: i32, args: usize): void {
  const first = chunk * PER_CHUNK;
  const count = min(PER_CHUNK, <i32>arg(args, 2) - first);
  const offset = <usize>first << 2;
  const u = arg(args, 0) + offset;
  const out = arg(args, 1) + offset;
  const kind = <i32>arg(args, 3);
  const dh = arg(args, 4) + offset;
  if (kind == TANH) geluGradientOver(u, dh, out, count, TANH);
  else if (kind == QUICK) geluGradientOver(u, dh, out, count, QUICK);
  else geluGradientOver(u, dh, out, count, 0);
}

/** Arguments: 0 pixels, 1 out, 2 images, 3 height, 4 width, 5 patch, 6 whether int32, 7.. scale, 10.. shift of each channel. */
export function patchify(chunk: i32, args: usize): void {
  const height = <i32>arg(args, 3);
  const width = <i32>arg(args, 4);
  const side = <i32>arg(args, 5);
  const whole = arg(args, 6) != 0;
  const down = height / side;
  const across = width / side;
  const image = chunk / down;
  const y = chunk % down;
  let out = arg(args, 1) + <usize>chunk * <usize>(across * side * side * 12);
  for (let x = 0; x < across; x++) {
    for (let channel: usize = 0; channel < 3; channel++) {
      const scale = argNumber(args, 7 + channel);
      const shift = argNumber(args, 10 + channel);
      for (let i = 0; i < side; i++) {
        const line = (image * height + y * side + i) * width + x * side;
        let pixel = arg(args, 0) + <usize>line * 12 + (channel << 2);
        for (let j = 0; j < side; j++) {
          const value = whole ? <f32>load<i32>(pixel) : load<f32>(pixel);
          store<f32>(out, value * scale + shift);
          pixel += 12;
          out += 4;
        }
      }
    }
  }
}

/** a + b over a row. */
function addRow(a: usize, b: usize, out: usize, count: i32): void {
  const whole = a + (<usize>(count & ~3) << 2);
  const end = a + (<usize>count << 2);
  for (; a < whole; a += 16) {
    v128.store(out, f32x4.add(v128.load(a), v128.load(b)));
    b += 16;
    out += 16;
  }
  for (; a < end; a += 4) {
    store<f32>(out, load<f32>(a) + load<f32>(b));
    b += 4;
    out += 4;
  }
}

/** One image. Arguments: 0 patches, 1 prefix, 2 pos, 3 out, 4 prefix tokens, 5 patches of an image, 6 width. */
export function addTokens(chunk: i32, args: usize): void {
  const ahead = <i32>arg(args, 4);
  const count = <i32>arg(args, 5);
  const width = <i32>arg(args, 6);
  const row = <usize>width << 2;
  let pos = arg(args, 2);
  let out = arg(args, 3) + <usize>chunk * <usize>(ahead + count) * row;
  for (let i = 0; i < ahead + count; i++) {
    const token =
      i < ahead
        ? arg(args, 1) + <usize>i * row
        : arg(args, 0) + (<usize>chunk * <usize>count + <usize>(i - ahead)) * row;
    addRow(token, pos, out, width);
    pos += row;
    out += row;
  }
}

/** Arguments: 0 parameter, 1 m, 2 v, 3 gradient, 4 count, numbers 5 rate, 6 keep, 7 β1, 8 1-β1, 9 β2, 10 1-β2, 11 unbias2, 12 ε. */
export function adamw(chunk: i32, args: usize): void {
  const first = chunk * PER_CHUNK;
  const count = min(PER_CHUNK, <i32>arg(args, 4) - first);
  const end = <usize>count << 2;
  const whole = <usize>(count & ~3) << 2;
  const offset = <usize>first << 2;
  const p = arg(args, 0) + offset;
  const m = arg(args, 1) + offset;
  const v = arg(args, 2) + offset;
  const g = arg(args, 3) + offset;
  let i: usize = 0;
  for (; i < whole; i += 16) {
    const gradient = v128.load(g + i);
    const mean = meanOf(v128.load(m + i), gradient, args);
    const square = squareOf(v128.load(v + i), gradient, args);
    v128.store(m + i, mean);
    v128.store(v + i, square);
    v128.store(p + i, moved(v128.load(p + i), mean, square, args));
  }
  for (; i < end; i += 4) {
    const gradient = loadOne(g + i);
    const mean = meanOf(loadOne(m + i), gradient, args);
    const square = squareOf(loadOne(v + i), gradient, args);
    storeOne(m + i, mean);
    storeOne(v + i, square);
    storeOne(p + i, moved(loadOne(p + i), mean, square, args));
  }
}

@inline
function meanOf(m: v128, gradient: v128, args: usize): v128 {
  return f32x4.add(f32x4.mul(m, splat(argNumber(args, 7))), f32x4.mul(gradient, splat(argNumber(args, 8))));
}

@inline
function squareOf(v: v128, gradient: v128, args: usize): v128 {
  const squared = f32x4.mul(gradient, gradient);
  return f32x4.add(f32x4.mul(v, splat(argNumber(args, 9))), f32x4.mul(squared, splat(argNumber(args, 10))));
}

@inline
function moved(p: v128, mean: v128, square: v128, args: usize): v128 {
  const root = f32x4.mul(f32x4.sqrt(square), splat(argNumber(args, 11)));
  const step = f32x4.div(f32x4.mul(mean, splat(argNumber(args, 5))), f32x4.add(root, splat(argNumber(args, 12))));
  return f32x4.sub(f32x4.mul(p, splat(argNumber(args, 6))), step);
}
