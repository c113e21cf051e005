// Another style, the same things: grey, negative, few tones, a line drawing. These have no severity.
import { gaussianBlur } from "./blur.ts";
import { type Field, luma, mapField, mirrored } from "./field.ts";

export function greyscale(field: Field): Field {
  const grey = luma(field).data;
  return mapField(field, (_, at) => grey[Math.floor(at / 3)] as number);
}

export const inverted = (field: Field): Field => mapField(field, (value) => 1 - value);

/** Few tones of each colour. */
export const posterised = (field: Field, tones: number): Field =>
  mapField(field, (value) => Math.min(tones - 1, Math.floor(value * tones)) / (tones - 1));

/** Dark lines on white where brightness changes: Sobel's gradient of the smoothed luma, against its own strongest. */
export function drawing(field: Field, sigma: number): Field {
  const { width, height, data } = gaussianBlur(luma(field), sigma);
  const at = (x: number, y: number) => data[mirrored(y, height) * width + mirrored(x, width)] as number;
  const edges = new Float32Array(width * height);
  for (let y = 0, i = 0; y < height; y++)
    for (let x = 0; x < width; x++, i++) {
      const across = (row: number) => at(x + 1, y + row) - at(x - 1, y + row);
      const down = (column: number) => at(x + column, y + 1) - at(x + column, y - 1);
      edges[i] = Math.hypot(across(-1) + 2 * across(0) + across(1), down(-1) + 2 * down(0) + down(1));
    }
  // The strongest hundredth is black; one bright speck alone does not fade all other lines.
  const strongest = Float32Array.from(edges).sort()[Math.floor(0.99 * (edges.length - 1))] || 1;
  return mapField(field, (_, i) => 1 - Math.min(1, (edges[Math.floor(i / 3)] as number) / strongest));
}
