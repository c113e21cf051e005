// LayerNorm over rows, and its gradient. One pass over memory: a row stays in the nearest cache between its sums.
import { arg, argNumber, madd, splat, total } from "./simd.ts";

const ROWS_PER_CHUNK: i32 = 32;

function meanOf(x: usize, width: i32): f32 {
  let sums = splat(0);
  const whole = x + (<usize>(width & ~3) << 2);
  const end = x + (<usize>width << 2);
  for (; x < whole; x += 16) sums = f32x4.add(sums, v128.load(x));
  let sum = total(sums);
  for (; x < end; x += 4) sum += load<f32>(x);
  return sum / <f32>width;
}

/** 1 / sqrt(variance + eps); the variance is of the centred row, which large means do not spoil. */
function rstdOf(x: usize, width: i32, mean: f32, eps: f32): f32 {
  const means = splat(mean);
  let sums = splat(0);
  const whole = x + (<usize>(width & ~3) << 2);
  const end = x + (<usize>width << 2);
  for (; x < whole; x += 16) {
    const centred = f32x4.sub(v128.load(x), means);
    sums = madd(centred, centred, sums);
  }
  let sum = total(sums);
  for (; x < end; x += 4) {
    const centred = load<f32>(x) - mean;
    sum += centred * centred;
  }
  return 1 / sqrt<f32>(sum / <f32>width + eps);
}

/** Arguments: 0 x, 1 gamma, 2 beta, 3 out, 4 rows, 5 width, 6 eps (number). */
export function layerNorm(chunk: i32, args: usize): void {
  const width = <i32>arg(args, 5);
  const eps = argNumber(args, 6);
  const gamma = arg(args, 1);
  const beta = arg(args, 2);
  const rowBytes = <usize>width << 2;
  const whole = <usize>(width & ~3) << 2;
  const last = min((chunk + 1) * ROWS_PER_CHUNK, <i32>arg(args, 4));
  for (let row = chunk * ROWS_PER_CHUNK; row < last; row++) {
    const x = arg(args, 0) + <usize>row * rowBytes;
    const out = arg(args, 3) + <usize>row * rowBytes;
    const mean = meanOf(x, width);
    const rstd = rstdOf(x, width, mean, eps);
    const means = splat(mean);
    const rstds = splat(rstd);
    let i: usize = 0;
    for (; i < whole; i += 16) {
      const n = f32x4.mul(f32x4.sub(v128.load(x + i), means), rstds);
      v128.store(out + i, madd(n, v128.load(gamma + i), v128.load(beta + i)));
    }
    for (; i < rowBytes; i += 4) {
      store<f32>(out + i, (load<f32>(x + i) - mean) * rstd * load<f32>(gamma + i) + load<f32>(beta + i));
    }
  }
}

/** Arguments: 0 x, 1 gamma, 2 dy, 3 out, 4 rows, 5 width, 6 eps (number), 7 add or 0. */
export function layerNormInputGradient(chunk: i32, args: usize): void {
  const width = <i32>arg(args, 5);
  const eps = argNumber(args, 6);
  const gamma = arg(args, 1);
  const rowBytes = <usize>width << 2;
  const whole = <usize>(width & ~3) << 2;
  const last = min((chunk + 1) * ROWS_PER_CHUNK, <i32>arg(args, 4));
  for (let row = chunk * ROWS_PER_CHUNK; row < last; row++) {
    const offset = <usize>row * rowBytes;
    const x = arg(args, 0) + offset;
    const dy = arg(args, 2) + offset;
    const out = arg(args, 3) + offset;
    const add = arg(args, 7) ? arg(args, 7) + offset : 0;
    const mean = meanOf(x, width);
    const rstd = rstdOf(x, width, mean, eps);
    const means = splat(mean);
    const rstds = splat(rstd);
    let sums = splat(0);
    let products = splat(0);
    let i: usize = 0;
    for (; i < whole; i += 16) {
      const d = f32x4.mul(v128.load(dy + i), v128.load(gamma + i));
      sums = f32x4.add(sums, d);
      products = madd(d, f32x4.mul(f32x4.sub(v128.load(x + i), means), rstds), products);
    }
    let sum = total(sums);
    let product = total(products);
    for (; i < rowBytes; i += 4) {
      const d = load<f32>(dy + i) * load<f32>(gamma + i);
      sum += d;
      product += d * ((load<f32>(x + i) - mean) * rstd);
    }
    const dMean = sum / <f32>width;
    const dnMean = product / <f32>width;
    const dMeans = splat(dMean);
    const dnMeans = splat(dnMean);
    for (i = 0; i < whole; i += 16) {
      const n = f32x4.mul(f32x4.sub(v128.load(x + i), means), rstds);
      const d = f32x4.mul(v128.load(dy + i), v128.load(gamma + i));
      let dx = f32x4.mul(rstds, f32x4.sub(f32x4.sub(d, dMeans), f32x4.mul(n, dnMeans)));
      if (add) dx = f32x4.add(dx, v128.load(add + i));
      v128.store(out + i, dx);
    }
    for (; i < rowBytes; i += 4) {
      const n = (load<f32>(x + i) - mean) * rstd;
      const d = load<f32>(dy + i) * load<f32>(gamma + i);
      let dx = rstd * (d - dMean - n * dnMean);
      if (add) dx += load<f32>(add + i);
      store<f32>(out + i, dx);
    }
  }
}
