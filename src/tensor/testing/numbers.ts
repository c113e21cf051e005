// Numbers for tests: seeded normal tensors and finite differences.
import type * as tf from "@tensorflow/tfjs-core";
import { random } from "../../random.ts";

/** `count` normally distributed numbers (Box-Muller), rounded to f32 so that references start from the same values. */
export function normal(count: number, seed: number, scale = 1): Float32Array {
  const stream = random(seed);
  return Float32Array.from(
    { length: count },
    () => scale * Math.sqrt(-2 * Math.log(1 - stream.next())) * Math.cos(2 * Math.PI * stream.next()),
  );
}

/** The nearest f16, of a number that is in their range. */
export function toHalf(value: number): number {
  const step = 2 ** (Math.max(-14, Math.floor(Math.log2(Math.abs(value)))) - 10);
  return value === 0 ? 0 : step * Math.round(value / step);
}

/** Σ a·b in float64. */
export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** Reads a tensor and frees it. */
export async function take(tensor: tf.Tensor): Promise<Float32Array> {
  const values = (await tensor.data()) as Float32Array;
  tensor.dispose();
  return values;
}

/**
 * Central differences of f64 function values <f(x), d> at some coordinates of x.
 * @returns the derivative for each coordinate in `at`
 */
export function finiteDifferences(
  f: (x: Float64Array) => ArrayLike<number>,
  x: ArrayLike<number>,
  d: ArrayLike<number>,
  at: readonly number[],
  step = 1e-4,
): number[] {
  return at.map((i) => {
    const moved = Float64Array.from(x);
    moved[i] = x[i]! + step;
    const above = dot(f(moved), d);
    moved[i] = x[i]! - step;
    return (above - dot(f(moved), d)) / (2 * step);
  });
}
