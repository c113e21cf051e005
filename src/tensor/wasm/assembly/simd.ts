// What every kernel here leans on: multiply-add, sums of lanes, exp and the tails of rows. AssemblyScript.

/** a·b + c; in one rounding where the engine has relaxed SIMD and the machine fuses it. */
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

@inline
export function splat(x: f32): v128 {
  return f32x4.splat(x);
}

/** The sum of the four lanes. */
@inline
export function total(x: v128): f32 {
  const pairs = f32x4.add(x, v128.shuffle<f32>(x, x, 2, 3, 0, 1));
  return f32x4.extract_lane(pairs, 0) + f32x4.extract_lane(pairs, 1);
}

/** The largest of the four lanes. */
@inline
export function largest(x: v128): f32 {
  const pairs = f32x4.pmax(x, v128.shuffle<f32>(x, x, 2, 3, 0, 1));
  return max(f32x4.extract_lane(pairs, 0), f32x4.extract_lane(pairs, 1));
}

/**
 * exp, relative error about 1e-7; below -87 it stays at exp(-87), above 88 at exp(88). NaN stays NaN.
 * x = n·ln 2 + r, exp(r) by a minimax polynomial on |r| <= ln(2)/2. Adding 1.5·2^23 rounds to the integer n and leaves
 * it in the lowest bits, from where it is shifted into the exponent.
 */
@inline
export function exp(x: v128): v128 {
  const clamped = f32x4.pmax(f32x4.pmin(x, splat(88)), splat(-87));
  const rounder = splat(12582912);
  const shifted = f32x4.add(f32x4.mul(clamped, splat(1.44269504)), rounder);
  const n = f32x4.sub(shifted, rounder);
  // ln 2 in two parts, the first short enough that n times it is exact
  let r = f32x4.sub(clamped, f32x4.mul(n, splat(0.693359375)));
  r = f32x4.sub(r, f32x4.mul(n, splat(-2.12194440e-4)));
  let p = madd(r, splat(0.0013814447916), splat(0.0083688008799));
  p = madd(p, r, splat(0.0416683958988));
  p = madd(p, r, splat(0.1666651993911));
  p = madd(p, r, splat(0.4999999340190));
  p = madd(p, r, splat(1));
  p = madd(p, r, splat(1));
  return i32x4.add(p, i32x4.shl(shifted, 23));
}

/** One number of an element-wise kernel's last, incomplete four: in every lane. */
@inline
export function loadOne(from: usize): v128 {
  return v128.load32_splat(from);
}

@inline
export function storeOne(to: usize, x: v128): void {
  store<f32>(to, f32x4.extract_lane(x, 0));
}

/** Argument `index` of a kernel: an address, a count, or the bits of a number. */
@inline
export function arg(args: usize, index: usize): usize {
  return load<u32>(args + (index << 2));
}

@inline
export function argNumber(args: usize, index: usize): f32 {
  return load<f32>(args + (index << 2));
}
