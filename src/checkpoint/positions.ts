// Position embeddings for another image size than the file's: the grid of patches is interpolated on the CPU, once, as
// the family's own library does it, with the arithmetic of torch's bicubic `interpolate(align_corners=False)`.

/** How a family's library interpolates. */
export interface GridResize {
  /** Widen the filter when the grid shrinks (torch's antialias=True, where the cubic has a = -0.5 instead of -0.75). */
  antialias: boolean;
  /** What is added to the new side before the scale is formed; the original DINO and DINOv2 add 0.1. */
  offset: number;
}

/** Which positions a file holds: of the first `covered` tokens in front of the patches, then of side x side patches. */
export interface PositionGrid {
  covered: number;
  side: number;
}

/**
 * @param values [covered + grid.side², width], row-major
 * @param side patches along an edge of the images that will be used
 * @returns [covered + side², width]; `values` itself where nothing changes
 */
export function resizePositions(
  values: Float32Array,
  { covered, side: from }: PositionGrid,
  side: number,
  width: number,
  { antialias, offset }: GridResize,
): Float32Array {
  if (side === from) return values;
  const scale = from / (side + offset);
  const taps = antialias ? wideTaps(from, side, scale) : narrowTaps(from, side, scale);
  const head = covered * width;
  const result = new Float32Array(head + side * side * width);
  result.set(values.subarray(0, head));
  // Rows first, then columns: [from, from, width] -> [side, from, width] -> [side, side, width].
  const between = new Float32Array(side * from * width);
  for (let y = 0; y < side; y++) {
    for (const [at, weight] of taps[y]!) {
      const source = head + at * from * width;
      const target = y * from * width;
      for (let i = 0; i < from * width; i++) between[target + i]! += weight * values[source + i]!;
    }
  }
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const target = head + (y * side + x) * width;
      for (const [at, weight] of taps[x]!) {
        const source = (y * from + at) * width;
        for (let i = 0; i < width; i++) result[target + i]! += weight * between[source + i]!;
      }
    }
  }
  return result;
}

/** Source index and weight of everything that makes up one target. */
type Taps = [at: number, weight: number][];

/** Keys's cubic kernel (1981) with parameter `a`, at distance `x`. */
function cubic(x: number, a: number): number {
  const d = Math.abs(x);
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

/** Four neighbours of each target's centre; those past the edge are the edge's. */
function narrowTaps(from: number, to: number, scale: number): Taps[] {
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale - 0.5;
    const first = Math.floor(centre);
    return [-1, 0, 1, 2].map((step) => [
      Math.min(Math.max(first + step, 0), from - 1),
      cubic(centre - first - step, -0.75),
    ]);
  });
}

/** Every source within the filter's reach, which grows with the scale; weights sum to 1. */
function wideTaps(from: number, to: number, scale: number): Taps[] {
  const stretch = Math.max(scale, 1);
  const reach = 2 * stretch;
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - reach + 0.5), 0);
    const last = Math.min(Math.trunc(centre + reach + 0.5), from);
    const taps: Taps = [];
    for (let at = first; at < last; at++) taps.push([at, cubic((at - centre + 0.5) / stretch, -0.5)]);
    const sum = taps.reduce((total, [, weight]) => total + weight, 0);
    return taps.map(([at, weight]) => [at, weight / sum]);
  });
}

/**
 * One row for every token: 0 where a token has no position.
 * @param values [covered + side², width] @returns [prefixTokens + side², width]
 */
export function placePositions(
  values: Float32Array,
  covered: number,
  prefixTokens: number,
  width: number,
): Float32Array {
  if (covered === prefixTokens) return values;
  const result = new Float32Array(values.length + (prefixTokens - covered) * width);
  result.set(values.subarray(0, covered * width));
  result.set(values.subarray(covered * width), prefixTokens * width);
  return result;
}
