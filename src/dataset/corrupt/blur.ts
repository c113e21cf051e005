// Blurs: a disk (defocus), a Gaussian, a line (motion), a zoom, and shuffled pixels (glass). Lengths are in pixels and
// may be fractions.
import type { Random } from "../../random.ts";
import { emptyField, type Field, filterBy, mapField, mirrored, type Tap, warp } from "./field.ts";

/** Gaussian, cut off at `truncate` standard deviations. */
export function gaussianBlur(field: Field, sigma: number, truncate = 4): Field {
  if (sigma <= 0) return field;
  const { width, height, channels } = field;
  const across = oneWay(field, lineKernel(sigma, truncate, width), width, height, channels, width * channels);
  return oneWay(across, lineKernel(sigma, truncate, height), height, width, width * channels, channels);
}

/** Weights by distance on a mirrored line of `size`; what reaches beyond one period is folded onto it. */
function lineKernel(sigma: number, truncate: number, size: number): { offset: number; weight: number }[] {
  const radius = Math.floor(truncate * sigma + 0.5);
  const folded = new Map<number, number>();
  let total = 0;
  for (let d = -radius; d <= radius; d++) {
    const weight = Math.exp(-(d * d) / (2 * sigma * sigma));
    const offset = radius < size ? d : ((d % (2 * size)) + 2 * size) % (2 * size);
    folded.set(offset, (folded.get(offset) ?? 0) + weight);
    total += weight;
  }
  return [...folded].map(([offset, weight]) => ({ offset, weight: weight / total }));
}

/** Filters along one axis: lines of `size` places `step` apart, `lines` of them `stride` apart. */
function oneWay(
  field: Field,
  kernel: readonly { offset: number; weight: number }[],
  size: number,
  lines: number,
  step: number,
  stride: number,
): Field {
  const { channels, data } = field;
  const out = emptyField(field.width, field.height, channels);
  for (let place = 0; place < size; place++)
    for (const { offset, weight } of kernel) {
      const source = mirrored(place + offset, size) * step;
      const target = place * step;
      for (let line = 0; line < lines; line++) {
        const base = line * stride;
        for (let c = 0; c < channels; c++)
          out.data[base + target + c] =
            (out.data[base + target + c] as number) + weight * (data[base + source + c] as number);
      }
    }
  return out;
}

/** A disk whose edge is soft by as much of each pixel as it covers. */
export function defocusBlur(field: Field, radius: number): Field {
  const reach = Math.ceil(radius + 0.5);
  const parts = 8;
  const taps: Tap[] = [];
  let total = 0;
  for (let dy = -reach; dy <= reach; dy++)
    for (let dx = -reach; dx <= reach; dx++) {
      let weight = 0;
      for (let i = 0; i < parts; i++)
        for (let j = 0; j < parts; j++) {
          const x = dx + (i + 0.5) / parts - 0.5;
          const y = dy + (j + 0.5) / parts - 0.5;
          if (x * x + y * y <= radius * radius) weight += 1;
        }
      if (weight > 0) taps.push({ dx, dy, weight });
      total += weight;
    }
  return filterBy(
    field,
    taps.map((tap) => ({ ...tap, weight: tap.weight / total })),
  );
}

/**
 * A smear to one side, weighted as half a Gaussian.
 * @param length of the smear, @param sigma of its weights, in pixels before `scale`
 * @param angle in radians
 */
export function motionBlur(field: Field, length: number, sigma: number, angle: number, scale: number): Field {
  const weights = Array.from({ length: length + 1 }, (_, i) => Math.exp(-(i * i) / (2 * sigma * sigma)));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const taps = new Map<string, Tap>();
  for (const [i, weight] of weights.entries()) {
    const x = Math.cos(angle) * i * scale;
    const y = Math.sin(angle) * i * scale;
    // A place between pixels is its four neighbours, each as near as it is.
    for (const dx of [Math.floor(x), Math.floor(x) + 1])
      for (const dy of [Math.floor(y), Math.floor(y) + 1]) {
        const share = (weight / total) * (1 - Math.abs(x - dx)) * (1 - Math.abs(y - dy));
        if (share === 0) continue;
        const known = taps.get(`${dx} ${dy}`);
        taps.set(`${dx} ${dy}`, { dx, dy, weight: share + (known?.weight ?? 0) });
      }
  }
  return filterBy(field, [...taps.values()]);
}

/** The picture, `zoom` times as large, its middle kept: whole pixels are cut out and stretched end to end. */
function zoomed(field: Field, zoom: number): Field {
  const axis = (size: number) => {
    const part = Math.ceil(size / zoom);
    const grown = Math.round(part * zoom);
    const step = grown > 1 ? (part - 1) / (grown - 1) : 0;
    const [cut, trim] = [Math.floor((size - part) / 2), Math.floor((grown - size) / 2)];
    return (place: number) => cut + (place + trim) * step;
  };
  const [along, down] = [axis(field.width), axis(field.height)];
  return warp(field, (x, y) => [along(x), down(y)]);
}

/** Mean of the picture and of itself at each zoom. */
export function zoomBlur(field: Field, zooms: readonly number[]): Field {
  const sum = field.data.slice();
  for (const zoom of zooms) {
    const { data } = zoomed(field, zoom);
    for (let i = 0; i < data.length; i++) sum[i] = (sum[i] as number) + (data[i] as number);
  }
  return mapField(field, (_, i) => (sum[i] as number) / (zooms.length + 1));
}

/**
 * Each pixel takes the place of one nearby, between two Gaussian blurs. As in the published code the one it goes to
 * keeps its own colour too: nothing is swapped.
 */
export function glassBlur(field: Field, sigma: number, reach: number, rounds: number, stream: Random): Field {
  const out = gaussianBlur(field, sigma);
  const { width, height, channels, data } = out;
  for (let round = 0; round < rounds; round++)
    for (let y = height - reach; y > reach; y--)
      for (let x = width - reach; x > reach; x--) {
        const dx = stream.below(2 * reach) - reach;
        const dy = stream.below(2 * reach) - reach;
        const here = (y * width + x) * channels;
        const there = ((y + dy) * width + x + dx) * channels;
        for (let c = 0; c < channels; c++) data[here + c] = data[there + c] as number;
      }
  return gaussianBlur(out, sigma);
}
