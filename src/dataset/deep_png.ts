// PNG of 16 bits a channel, read here and not by a platform: what a camera or a microscope writes often uses only 8 or 12
// of them, and every decoder for 8 bits keeps the upper byte, which is then black. And PNG of 8 bits with alpha, where
// browsers differ in how they round.
import { overWhite } from "./bmp.ts";
import type { ImageHeader } from "./header.ts";
import type { RgbImage } from "./types.ts";

/** Bits that values may be said to use; a picture uses the fewest that hold its greatest one. */
const RANGES = [8, 12, 16] as const;
/** Channels by colour type, alpha among them (PNG specification, 11.2.1). */
const CHANNELS: Record<number, number> = { 0: 1, 2: 3, 4: 2, 6: 4 };
/** Passes of an interlaced picture: first column and row, steps between columns and rows (8.2). */
const ADAM7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

/** Whether a PNG is of 8 bits a channel, one of them alpha. */
export const hasAlpha = (bytes: Uint8Array) => bytes[24] === 8 && (bytes[25] === 4 || bytes[25] === 6);

/**
 * Decodes a PNG of 16 bits a channel to 8: the upper 8 of the bits that its colours use; or one of 8 bits with alpha.
 * Transparency lies over white.
 * @param bytes a file that `readHeader` has accepted
 * @returns `bits` where they are fewer than 16
 * @throws Error when the file is damaged
 */
export async function decodePng(
  bytes: Uint8Array<ArrayBuffer>,
  { width, height }: ImageHeader,
): Promise<RgbImage> {
  const { pixels, type, interlaced, clear } = chunksOf(bytes);
  const channels = CHANNELS[type];
  if (channels === undefined) throw new Error(`colour type ${type} has no 16 bits`);
  const colours = channels < 3 ? 1 : 3;
  const alpha = channels !== colours;
  const deep = bytes[24] === 16;
  const shape = { width, height, channels, deep, passes: interlaced ? ADAM7 : ([[0, 0, 1, 1]] as const) };

  let most = 0;
  const look: (row: Row) => boolean = ({ values }) => {
    for (let i = 0; i < values.length; i += channels)
      for (let c = 0; c < colours; c++) most = Math.max(most, values[i + c] as number);
    // Such a value needs all bits; the rest need not be looked at.
    return most < 2 ** 12;
  };
  if (deep) await eachRow(pixels, shape, look);
  const bits = RANGES.find((range) => most < 2 ** range) ?? 16;
  const shift = bits - 8;

  const data = new Uint8Array(width * height * 3);
  await eachRow(pixels, shape, ({ y, x, step, values }) => {
    let out = (y * width + x) * 3;
    for (let i = 0; i < values.length; i += channels, out += step * 3) {
      // Alpha says 65,535 where it is not of the colours' range.
      const given = alpha ? (values[i + colours] as number) : 0xffff;
      const isClear = clear?.every((value, c) => values[i + c] === value) ?? false;
      const cover = isClear ? 0 : given >> (given < 2 ** bits ? shift : 8);
      for (let c = 0; c < 3; c++)
        data[out + c] = overWhite((values[i + (colours === 3 ? c : 0)] as number) >> shift, cover);
    }
    return true;
  });
  return { width, height, data, ...(deep && bits < 16 && { bits }) };
}

/** The packed pixels of a PNG, and what is needed to unpack them. */
function chunksOf(bytes: Uint8Array<ArrayBuffer>) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const pixels: Uint8Array<ArrayBuffer>[] = [];
  /** The colour that is transparent. */
  let clear: number[] | null = null;
  for (let offset = 8; ; ) {
    const length = view.getUint32(offset);
    const name = String.fromCharCode(...bytes.subarray(offset + 4, offset + 8));
    const from = offset + 8;
    if (name === "IDAT") pixels.push(bytes.subarray(from, from + length));
    if (name === "tRNS") clear = Array.from({ length: length >> 1 }, (_, i) => view.getUint16(from + 2 * i));
    if (name === "IEND") break;
    offset = from + length + 4;
  }
  const [type, packing, filter, interlace] = [25, 26, 27, 28].map((at) => view.getUint8(at));
  if (packing !== 0 || filter !== 0 || (interlace as number) > 1) throw new Error("no PNG of version 1.2");
  return { pixels, type: type as number, interlaced: interlace === 1, clear };
}

interface Shape {
  width: number;
  height: number;
  channels: number;
  /** 16 bits a channel, else 8. */
  deep: boolean;
  passes: readonly (readonly [x: number, y: number, dx: number, dy: number])[];
}

interface Row {
  /** Where it lies: its row, its first column, and columns from one pixel to the next. */
  y: number;
  x: number;
  step: number;
  /** Channels of its pixels, side by side; good until the next row. */
  values: Uint16Array;
}

/** Inflates and unfilters row by row, so that a picture never lies in memory with 16 bits; ends early on false. */
async function eachRow(
  pixels: Uint8Array<ArrayBuffer>[],
  shape: Shape,
  use: (row: Row) => boolean,
): Promise<void> {
  const { width, height, channels, deep, passes } = shape;
  const each = channels * (deep ? 2 : 1);
  const rows = passes.flatMap(([x, y, dx, dy]) => {
    const [across, down] = [Math.ceil((width - x) / dx), Math.ceil((height - y) / dy)];
    return across > 0 && down > 0 ? [{ x, y, dx, dy, across, down }] : [];
  });
  const reader = new Blob(pixels).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
  let chunk = new Uint8Array(0);
  let at = 0;
  /** Fills `into`, which starts with the row's filter. */
  const fill = async (into: Uint8Array) => {
    for (let filled = 0; filled < into.length; ) {
      if (at === chunk.length) {
        const { done, value } = await reader.read();
        if (done) throw new Error("fewer pixels than it says");
        [chunk, at] = [value, 0];
      }
      const part = chunk.subarray(at, at + into.length - filled);
      into.set(part, filled);
      filled += part.length;
      at += part.length;
    }
  };
  try {
    for (const { x, y, dx, dy, across, down } of rows) {
      const before = new Uint8Array(across * each);
      const row = new Uint8Array(1 + across * each);
      const values = new Uint16Array(across * channels);
      for (let i = 0; i < down; i++) {
        await fill(row);
        const now = row.subarray(1);
        unfilter(row[0] as number, now, before, each);
        if (!deep) values.set(now);
        for (let v = 0; deep && v < values.length; v++)
          values[v] = ((now[2 * v] as number) << 8) | (now[2 * v + 1] as number);
        if (!use({ y: y + i * dy, x, step: dx, values })) return;
        before.set(now);
      }
    }
    // Only at its end does the stream say whether its checksum holds.
    const { done } = await reader.read();
    if (!done || at < chunk.length) throw new Error("more pixels than it says");
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/** Undoes a row's filter in place (PNG specification, 9.2). */
function unfilter(filter: number, row: Uint8Array, above: Uint8Array, each: number): void {
  if (filter === 0) return;
  if (filter > 4) throw new Error(`there is no filter ${filter}`);
  for (let i = 0; i < row.length; i++) {
    const a = i < each ? 0 : (row[i - each] as number);
    const b = above[i] as number;
    const c = i < each ? 0 : (above[i - each] as number);
    row[i] = (row[i] as number) + predictors[filter - 1]!(a, b, c);
  }
}

const predictors: readonly ((left: number, above: number, corner: number) => number)[] = [
  (a) => a,
  (_, b) => b,
  (a, b) => (a + b) >> 1,
  (a, b, c) => {
    const [pa, pb, pc] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)];
    return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
  },
];
