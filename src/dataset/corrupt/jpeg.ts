// What JPEG loses: blocks of 8 by 8 through the cosine transform, quantised by the tables of ITU-T T.81 annex K at a
// quality (as libjpeg scales them), colours at half the resolution. The bits in between are lossless and left out, so
// every host gives the same pixels, which no browser's encoder promises.
import type { RgbImage } from "../types.ts";

const luminance = [
  16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22,
  29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103,
  121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
];
const chrominance = [
  17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99,
  99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
  99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
];

/** cos((2x + 1) u π / 16), scaled so that the transform is orthonormal; [u * 8 + x]. */
const cosines = Float64Array.from({ length: 64 }, (_, i) => {
  const u = i >> 3;
  return Math.cos(((2 * (i & 7) + 1) * u * Math.PI) / 16) * (u === 0 ? Math.SQRT1_2 : 1) * 0.5;
});

interface Plane {
  width: number;
  height: number;
  data: Uint8ClampedArray;
}

/** @param quality 1 to 100 */
export function jpeg(image: RgbImage, quality: number): RgbImage {
  const { width, height } = image;
  // Whole blocks of the halved colours, the last row and column repeated.
  const w = Math.ceil(width / 16) * 16;
  const h = Math.ceil(height / 16) * 16;
  const planes = [0, 1, 2].map((): Plane => ({ width: w, height: h, data: new Uint8ClampedArray(w * h) }));
  const [y, cb, cr] = planes as [Plane, Plane, Plane];
  for (let row = 0, at = 0; row < h; row++)
    for (let column = 0; column < w; column++, at++) {
      const from = 3 * (Math.min(row, height - 1) * width + Math.min(column, width - 1));
      const [r, g, b] = [image.data[from], image.data[from + 1], image.data[from + 2]] as [
        number,
        number,
        number,
      ];
      y.data[at] = 0.299 * r + 0.587 * g + 0.114 * b;
      cb.data[at] = -0.168735892 * r - 0.331264108 * g + 0.5 * b + 128;
      cr.data[at] = 0.5 * r - 0.418687589 * g - 0.081312411 * b + 128;
    }
  quantise(y, scaled(luminance, quality));
  const colours = [cb, cr].map((plane) => {
    const small = halved(plane);
    quantise(small, scaled(chrominance, quality));
    return doubled(small);
  }) as [Plane, Plane];
  const data = new Uint8ClampedArray(width * height * 3);
  for (let row = 0, at = 0; row < height; row++)
    for (let column = 0; column < width; column++, at += 3) {
      const place = row * w + column;
      const light = y.data[place] as number;
      const blue = (colours[0].data[place] as number) - 128;
      const red = (colours[1].data[place] as number) - 128;
      data[at] = light + 1.402 * red;
      data[at + 1] = light - 0.344136286 * blue - 0.714136286 * red;
      data[at + 2] = light + 1.772 * blue;
    }
  return { width, height, data: new Uint8Array(data.buffer) };
}

function scaled(table: readonly number[], quality: number): number[] {
  const percent = quality < 50 ? Math.trunc(5000 / quality) : 200 - 2 * quality;
  return table.map((value) => Math.min(255, Math.max(1, Math.trunc((value * percent + 50) / 100))));
}

/** Every block there and back through the transform, in place. */
function quantise({ width, height, data }: Plane, table: readonly number[]): void {
  const block = new Float64Array(64);
  const half = new Float64Array(64);
  for (let top = 0; top < height; top += 8)
    for (let left = 0; left < width; left += 8) {
      for (let i = 0; i < 64; i++)
        block[i] = (data[(top + (i >> 3)) * width + left + (i & 7)] as number) - 128;
      transform(block, half, false);
      for (let i = 0; i < 64; i++) {
        const step = table[i] as number;
        block[i] = Math.round((block[i] as number) / step) * step;
      }
      transform(block, half, true);
      for (let i = 0; i < 64; i++)
        data[(top + (i >> 3)) * width + left + (i & 7)] = Math.round((block[i] as number) + 128);
    }
}

/** The orthonormal cosine transform of rows, then of columns, or its inverse; in place. */
function transform(block: Float64Array, half: Float64Array, inverse: boolean): void {
  const basis = (frequency: number, place: number) =>
    cosines[inverse ? place * 8 + frequency : frequency * 8 + place] as number;
  for (let row = 0; row < 8; row++)
    for (let u = 0; u < 8; u++) {
      let sum = 0;
      for (let x = 0; x < 8; x++) sum += (block[row * 8 + x] as number) * basis(u, x);
      half[row * 8 + u] = sum;
    }
  for (let column = 0; column < 8; column++)
    for (let v = 0; v < 8; v++) {
      let sum = 0;
      for (let y = 0; y < 8; y++) sum += (half[y * 8 + column] as number) * basis(v, y);
      block[v * 8 + column] = sum;
    }
}

/** Means of two by two; the rounding leans one way and the other in turn. */
function halved({ width, height, data }: Plane): Plane {
  const small = { width: width / 2, height: height / 2, data: new Uint8ClampedArray((width * height) / 4) };
  for (let y = 0, at = 0; y < small.height; y++)
    for (let x = 0; x < small.width; x++, at++) {
      const from = 2 * (y * width + x);
      const sum =
        (data[from] as number) +
        (data[from + 1] as number) +
        (data[from + width] as number) +
        (data[from + width + 1] as number);
      small.data[at] = (sum + 1 + (x & 1)) >> 2;
    }
  return small;
}

/** Twice as large, each number three parts its nearest and one part the next, both ways. */
function doubled({ width, height, data }: Plane): Plane {
  const large = { width: 2 * width, height: 2 * height, data: new Uint8ClampedArray(4 * width * height) };
  for (let y = 0, at = 0; y < large.height; y++) {
    const near = (y >> 1) * width;
    const far = Math.min(height - 1, Math.max(0, (y >> 1) + (y & 1 ? 1 : -1))) * width;
    const column = (x: number) => 3 * (data[near + x] as number) + (data[far + x] as number);
    for (let x = 0; x < large.width; x++, at++) {
      const next = Math.min(width - 1, Math.max(0, (x >> 1) + (x & 1 ? 1 : -1)));
      large.data[at] = (3 * column(x >> 1) + column(next) + 8 - (x & 1)) >> 4;
    }
  }
  return large;
}
