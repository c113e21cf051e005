// Weather: fog, snow, light. Frost is left out: the published one is made of photographs that are not ours to ship.
import type { Random } from "../../random.ts";
import { motionBlur } from "./blur.ts";
import { emptyField, type Field, luma, mapField, normals, warp } from "./field.ts";

/** @param amount of fog, @param decay how fast its finer structure fades */
export function fog(field: Field, amount: number, decay: number, stream: Random): Field {
  const { width, height } = field;
  let size = 1;
  while (size < Math.max(width, height)) size *= 2;
  const plasma = plasmaFractal(size, decay, stream);
  const top = field.data.reduce((most, value) => Math.max(most, value), 0);
  return mapField(field, (value, at) => {
    const pixel = Math.floor(at / 3);
    const mist = plasma[Math.floor(pixel / width) * size + (pixel % width)] as number;
    return ((value + amount * mist) * top) / (top + amount);
  });
}

/**
 * Diamond-square on a torus: corners are averaged and shaken, each round at half the distance and less by `decay`
 * (Fournier et al. 1982). From 0 to 1.
 */
export function plasmaFractal(size: number, decay: number, stream: Random): Float64Array {
  const map = new Float64Array(size * size);
  const at = (x: number, y: number) => ((y + size) % size) * size + ((x + size) % size);
  let shake = 100;
  for (let step = size; step >= 2; step /= 2) {
    const half = step / 2;
    const range = shake * shake;
    const shaken = (sum: number) => sum / 4 + range * (2 * stream.next() - 1);
    const value = (x: number, y: number) => map[at(x, y)] as number;
    for (let y = half; y < size; y += step)
      for (let x = half; x < size; x += step)
        map[at(x, y)] = shaken(
          value(x - half, y - half) +
            value(x + half, y - half) +
            value(x - half, y + half) +
            value(x + half, y + half),
        );
    for (let y = 0; y < size; y += half)
      for (let x = (y / half) % 2 === 0 ? half : 0; x < size; x += step)
        map[at(x, y)] = shaken(
          value(x - half, y) + value(x + half, y) + value(x, y - half) + value(x, y + half),
        );
    shake /= decay;
  }
  const low = map.reduce((least, value) => Math.min(least, value), Infinity);
  const high = map.reduce((most, value) => Math.max(most, value), -Infinity);
  return map.map((value) => (high > low ? (value - low) / (high - low) : 0));
}

export interface Snowfall {
  mean: number;
  deviation: number;
  /** Size of a flake in pixels, before `scale`. */
  flake: number;
  threshold: number;
  length: number;
  sigma: number;
  /** Share of the picture's own colours that is left. */
  kept: number;
}

export function snow(field: Field, fall: Snowfall, scale: number, stream: Random): Field {
  const { width, height } = field;
  const grain = fall.flake * scale;
  const normal = normals(stream);
  const noise = mapField(emptyField(width, height, 1), () => fall.mean + fall.deviation * normal());
  const grown = warp(noise, (x, y) => [x / grain, y / grain]);
  const layer = mapField(grown, (value) => (value < fall.threshold ? 0 : Math.min(1, value)));
  const angle = -Math.PI * (0.25 + 0.5 * stream.next());
  const flakes = motionBlur(layer, 2 * fall.length, fall.sigma, angle, scale).data;
  const grey = luma(field).data;
  const last = flakes.length - 1;
  return mapField(field, (value, at) => {
    const pixel = Math.floor(at / 3);
    const pale = Math.max(value, 1.5 * (grey[pixel] as number) + 0.5);
    const white = (flakes[pixel] as number) + (flakes[last - pixel] as number);
    return fall.kept * value + (1 - fall.kept) * pale + white;
  });
}

/** Raises the value of HSV: the largest of red, green and blue, the others with it. */
export function brightness(field: Field, by: number): Field {
  const out = emptyField(field.width, field.height, 3);
  for (let i = 0; i < field.data.length; i += 3) {
    const value = Math.max(...field.data.subarray(i, i + 3));
    const raised = Math.min(1, value + by);
    for (let c = 0; c < 3; c++)
      out.data[i + c] = value === 0 ? raised : ((field.data[i + c] as number) / value) * raised;
  }
  return out;
}
