// Pictures as the corruptions compute on them: interleaved RGB from 0 to 1, and planes of one number a pixel. Outside
// its borders a picture is mirrored.
import type { Random } from "../../random.ts";
import type { RgbImage } from "../types.ts";

export interface Field {
  width: number;
  height: number;
  /** Numbers a pixel: 3 of a picture, 1 of a plane. */
  channels: 1 | 3;
  data: Float32Array;
}

export function emptyField(width: number, height: number, channels: 1 | 3): Field {
  return { width, height, channels, data: new Float32Array(width * height * channels) };
}

/** A field of the same shape whose numbers are made one by one. */
export function mapField(field: Field, make: (value: number, at: number) => number): Field {
  const { data } = field;
  const made = new Float32Array(data.length);
  for (let i = 0; i < data.length; i++) made[i] = make(data[i] as number, i);
  return { ...field, data: made };
}

export function toField({ width, height, data }: RgbImage): Field {
  const field = emptyField(width, height, 3);
  for (let i = 0; i < data.length; i++) field.data[i] = (data[i] as number) / 255;
  return field;
}

/** Rounded to 8 bits, what lies outside 0 to 1 cut off. */
export function fromField({ width, height, data }: Field): RgbImage {
  const bytes = new Uint8ClampedArray(data.length);
  for (let i = 0; i < data.length; i++) bytes[i] = (data[i] as number) * 255;
  return { width, height, data: new Uint8Array(bytes.buffer) };
}

/** Normal numbers, two at a time (Box and Muller 1958). */
export function normals(stream: Random): () => number {
  let spare: number | null = null;
  return () => {
    if (spare !== null) {
      const kept = spare;
      spare = null;
      return kept;
    }
    const length = Math.sqrt(-2 * Math.log(1 - stream.next()));
    const angle = 2 * Math.PI * stream.next();
    spare = length * Math.sin(angle);
    return length * Math.cos(angle);
  };
}

/** A place on a line of `size` that is mirrored at its ends, the end standing twice: d c b a | a b c d | d c b a. */
export function mirrored(at: number, size: number): number {
  const place = ((at % (2 * size)) + 2 * size) % (2 * size);
  return place < size ? place : 2 * size - 1 - place;
}

/** Moves every pixel: where it comes from is asked for each, and may lie between pixels (bilinear). */
export function warp(field: Field, from: (x: number, y: number) => readonly [x: number, y: number]): Field {
  const { width, height, channels, data } = field;
  const out = emptyField(width, height, channels);
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const [sx, sy] = from(x, y);
      const left = Math.floor(sx);
      const top = Math.floor(sy);
      const fx = sx - left;
      const fy = sy - top;
      const x0 = mirrored(left, width);
      const x1 = mirrored(left + 1, width);
      const y0 = mirrored(top, height) * width;
      const y1 = mirrored(top + 1, height) * width;
      for (let c = 0; c < channels; c++) {
        const upper =
          (data[(y0 + x0) * channels + c] as number) * (1 - fx) +
          (data[(y0 + x1) * channels + c] as number) * fx;
        const lower =
          (data[(y1 + x0) * channels + c] as number) * (1 - fx) +
          (data[(y1 + x1) * channels + c] as number) * fx;
        out.data[at++] = upper * (1 - fy) + lower * fy;
      }
    }
  return out;
}

/** A weight of a filter, at whole pixels from the one that is computed. */
export interface Tap {
  dx: number;
  dy: number;
  weight: number;
}

/** Each pixel becomes the weighted sum of those around it. */
export function filterBy(field: Field, taps: readonly Tap[]): Field {
  const { width, height, channels, data } = field;
  const reach = taps.reduce((far, { dx, dy }) => Math.max(far, Math.abs(dx), Math.abs(dy)), 0);
  // A copy with its mirrored surroundings, so that every tap is a plain row added to a row.
  const stride = (width + 2 * reach) * channels;
  const padded = new Float32Array(stride * (height + 2 * reach));
  const columns = Int32Array.from(
    { length: width + 2 * reach },
    (_, x) => mirrored(x - reach, width) * channels,
  );
  for (let y = 0, at = 0; y < height + 2 * reach; y++) {
    const row = mirrored(y - reach, height) * width * channels;
    for (const column of columns)
      for (let c = 0; c < channels; c++) padded[at++] = data[row + column + c] as number;
  }
  const out = emptyField(width, height, channels);
  const length = width * channels;
  for (const { dx, dy, weight } of taps)
    for (let y = 0; y < height; y++) {
      const from = (y + dy + reach) * stride + (dx + reach) * channels;
      const to = y * length;
      for (let i = 0; i < length; i++)
        out.data[to + i] = (out.data[to + i] as number) + weight * (padded[from + i] as number);
    }
  return out;
}

/** Luma of ITU-R BT.601. */
export function luma({ width, height, data }: Field): Field {
  const out = emptyField(width, height, 1);
  for (let i = 0; i < out.data.length; i++)
    out.data[i] =
      0.299 * (data[3 * i] as number) +
      0.587 * (data[3 * i + 1] as number) +
      0.114 * (data[3 * i + 2] as number);
  return out;
}
