// Weather: fog, snow, frost, light. The published frost lays photographs over the picture; those are not ours to ship, so
// ice is drawn here, as bright and as rough as theirs.
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

/** How far apart the pale and the dark of ice lie: the standard deviation of the published photographs. */
const iceContrast = 0.14;
/** Red, green and blue of ice whose mean is 1, as theirs. */
const iceColour = [0.89, 1.02, 1.09] as const;

/** @param kept share of the picture's own light, @param amount of the ice's */
export function frost(field: Field, kept: number, amount: number, scale: number, stream: Random): Field {
  // Between the darkest and the palest of the photographs.
  const tone = 0.48 + 0.36 * stream.next();
  const ice = crystals(field.width, field.height, scale, stream);
  return mapField(field, (value, at) => {
    const light = tone + iceContrast * (ice[Math.floor(at / 3)] as number);
    return kept * value + amount * light * (iceColour[at % 3] as number);
  });
}

/**
 * Ice as it grows on glass: needles that branch at 60°, over a haze. Mean 0, standard deviation 1.
 * @param scale 1 for pictures of 224 pixels
 */
function crystals(width: number, height: number, scale: number, stream: Random): Float64Array {
  let size = 1;
  while (size < Math.max(width, height)) size *= 2;
  const haze = plasmaFractal(size, 2, stream);
  const ice = Float64Array.from(
    { length: width * height },
    (_, at) => 2 * (haze[Math.floor(at / width) * size + (at % width)] as number),
  );
  const shaken = (by: number) => by * (2 * stream.next() - 1);
  const grow = (x: number, y: number, angle: number, length: number, bright: number): void => {
    const gap = (5 + 7 * stream.next()) * scale;
    const bend = shaken(0.6) / length;
    let branch = gap;
    for (let gone = 0; gone < length; gone += 0.5) {
      const heading = angle + bend * gone;
      x += Math.cos(heading) / 2;
      y += Math.sin(heading) / 2;
      const inside = x >= 0 && x < width && y >= 0 && y < height;
      if (inside) ice[Math.floor(y) * width + Math.floor(x)]! += (bright / 2) * (1 - gone / length);
      if (gone < branch || length < 2 * gap) continue;
      branch += gap * (1 + shaken(0.4));
      for (const side of [-1, 1])
        grow(
          x,
          y,
          heading + (side * Math.PI) / 3 + shaken(0.3),
          (0.2 + 0.5 * stream.next()) * (length - gone),
          bright,
        );
    }
  };
  for (let needle = 0; needle < 40; needle++)
    grow(
      width * stream.next(),
      height * stream.next(),
      2 * Math.PI * stream.next(),
      (30 + 90 * stream.next()) * scale,
      1,
    );
  const mean = ice.reduce((sum, value) => sum + value, 0) / ice.length;
  const spread = Math.sqrt(ice.reduce((sum, value) => sum + (value - mean) ** 2, 0) / ice.length) || 1;
  return ice.map((value) => (value - mean) / spread);
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
