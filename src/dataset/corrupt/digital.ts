// What cameras and files do: little contrast, an elastic warp, coarse pixels. JPEG has a file of its own.
import type { Random } from "../../random.ts";
import { resize } from "../resize.ts";
import type { RgbImage } from "../types.ts";
import { gaussianBlur } from "./blur.ts";
import { emptyField, type Field, mapField, warp } from "./field.ts";

/** Each colour towards its mean. */
export function contrast(field: Field, kept: number): Field {
  const means = [0, 1, 2].map((c) => {
    let sum = 0;
    for (let i = c; i < field.data.length; i += 3) sum += field.data[i] as number;
    return (3 * sum) / field.data.length;
  });
  return mapField(
    field,
    (value, at) => (value - (means[at % 3] as number)) * kept + (means[at % 3] as number),
  );
}

/**
 * Every pixel moves a little, its neighbours alike: a random displacement, smoothed (Simard et al. 2003), as Michaelis
 * et al. 2019 (arXiv 1907.07484) have it, without ImageNet-C's affine map.
 * @param reach of a pixel before smoothing, @param sigma of the smoothing, in pixels; @param alpha times what is left
 */
export function elastic(field: Field, reach: number, sigma: number, alpha: number, stream: Random): Field {
  const { width, height } = field;
  const displacement = () => {
    const noise = mapField(emptyField(width, height, 1), () => alpha * reach * (2 * stream.next() - 1));
    return gaussianBlur(noise, sigma, 3).data;
  };
  const dx = displacement();
  const dy = displacement();
  return warp(field, (x, y) => [x + (dx[y * width + x] as number), y + (dy[y * width + x] as number)]);
}

/** Down to `share` of the size and up again, by box filter as Pillow has it. */
export function pixelate(image: RgbImage, share: number): RgbImage {
  const width = Math.max(1, Math.trunc(image.width * share));
  const height = Math.max(1, Math.trunc(image.height * share));
  return resize(resize(image, width, height, "box"), image.width, image.height, "box");
}
