// Bitmaps of every kind that is read, made here from their pixels; and what is refused instead of read as garbage.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Failure } from "../failure.ts";
import { decodeBmp } from "./bmp.ts";
import { readHeader } from "./header.ts";

interface Kind {
  bits: 1 | 4 | 8 | 24 | 32;
  headerSize: 40 | 52 | 56 | 108 | 124;
  /** Order of red, green and blue in a pixel of 32 bits; null without masks. */
  masks: [number, number, number] | null;
  topDown: boolean;
  /** Colours that the header names; 0 stands for all there can be. */
  colours: number;
  /** Bytes between palette and pixels. */
  gap: number;
}

const kinds: fc.Arbitrary<Kind> = fc
  .record({
    bits: fc.constantFrom(1, 4, 8, 24, 32),
    headerSize: fc.constantFrom(40, 52, 56, 108, 124),
    masks: fc.option(fc.shuffledSubarray([0, 1, 2, 3], { minLength: 3, maxLength: 3 })),
    topDown: fc.boolean(),
    colours: fc.nat({ max: 300 }),
    gap: fc.nat({ max: 40 }),
  })
  .map((kind) => ({ ...kind, masks: kind.bits === 32 ? kind.masks : null }) as Kind);

/** A bitmap, its pixels as they are to be read, and where its pixels may begin at the earliest. */
function make(kind: Kind, width: number, height: number, noise: Uint8Array) {
  const { bits, headerSize, masks, topDown, colours, gap } = kind;
  const palette = bits <= 8 ? Math.min(colours || 1 << bits, 1 << bits) : 0;
  const maskBytes = headerSize === 40 && masks ? 12 : 0;
  const earliest = 14 + headerSize + maskBytes + palette * 4;
  const offset = earliest + gap;
  const stride = Math.ceil((width * bits) / 32) * 4;
  const bytes = new Uint8Array(offset + stride * height);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0x424d);
  view.setUint32(10, offset, true);
  view.setUint32(14, headerSize, true);
  view.setInt32(18, width, true);
  view.setInt32(22, topDown ? -height : height, true);
  view.setUint16(28, bits, true);
  view.setUint32(30, masks ? 3 : 0, true);
  view.setUint32(46, bits <= 8 ? colours : 0, true);
  masks?.forEach((byte, c) => {
    view.setUint32(54 + 4 * c, (0xff << (8 * byte)) >>> 0, true);
  });
  const from = 14 + headerSize;
  for (let i = 0; i < palette * 4; i++) bytes[from + i] = noise[i % noise.length] as number;
  const expected = new Uint8Array(width * height * 3);
  const [red, green, blue] = masks ?? [2, 1, 0];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const at = offset + stride * (topDown ? y : height - 1 - y);
      const out = 3 * (y * width + x);
      if (bits <= 8) {
        const index = (noise[(x + 7 * y) % noise.length] as number) % palette;
        const byte = at + ((x * bits) >> 3);
        bytes[byte] = (bytes[byte] as number) | (index << (8 - bits - ((x * bits) & 7)));
        for (let c = 0; c < 3; c++) expected[out + c] = bytes[from + 4 * index + 2 - c] as number;
      } else {
        const pixel = at + (x * bits) / 8;
        for (let b = 0; b < bits / 8; b++) bytes[pixel + b] = noise[(out + b) % noise.length] as number;
        [red, green, blue].forEach((byte, c) => {
          expected[out + c] = bytes[pixel + byte] as number;
        });
      }
    }
  return { bytes, expected, earliest };
}

const noises = fc.uint8Array({ minLength: 1, maxLength: 64 });
const sides = fc.integer({ min: 1, max: 20 });

test("every kind is read to its pixels", () => {
  fc.assert(
    fc.property(kinds, sides, sides, noises, (kind, width, height, noise) => {
      const { bytes, expected } = make(kind, width, height, noise);
      expect(readHeader(bytes, "x")).toEqual({ format: "bmp", width, height });
      expect(decodeBmp(bytes, "x").data).toEqual(expected);
    }),
    { numRuns: 300 },
  );
});

test("pixels that begin inside header, masks or palette, or end behind the file, are refused", () => {
  fc.assert(
    fc.property(kinds, sides, sides, noises, fc.nat(), (kind, width, height, noise, draw) => {
      const { bytes, earliest } = make(kind, width, height, noise);
      const view = new DataView(bytes.buffer);
      const given = view.getUint32(10, true);
      view.setUint32(10, draw % earliest, true);
      expect(() => decodeBmp(bytes, "x")).toThrow(
        /pixels begin inside its (palette|header)\. Save it as PNG/,
      );
      view.setUint32(10, given + 1 + (draw % 2 ** 30), true);
      expect(() => decodeBmp(bytes, "x")).toThrow("cut short");
    }),
    { numRuns: 300 },
  );
});

describe("refused in words", () => {
  const kind: Kind = { bits: 32, headerSize: 56, masks: [2, 1, 0], topDown: false, colours: 0, gap: 0 };
  const noise = Uint8Array.of(1, 2, 3);
  const changed = (from: Kind, change: (view: DataView) => void) => {
    const { bytes } = make(from, 3, 2, noise);
    change(new DataView(bytes.buffer));
    return () => {
      readHeader(bytes, "x");
      return decodeBmp(bytes, "x");
    };
  };
  test.each<[string, Kind, (view: DataView) => void, RegExp]>([
    ["RLE", { ...kind, bits: 8, masks: null }, (view) => view.setUint32(30, 1, true), /Compressed/],
    [
      "a JPEG inside",
      { ...kind, bits: 24, masks: null },
      (view) => view.setUint32(30, 4, true),
      /Compressed/,
    ],
    ["masks of 16 bits", kind, (view) => view.setUint16(28, 16, true), /Compressed|16 bits/],
    ["two bits", { ...kind, bits: 1, masks: null }, (view) => view.setUint16(28, 2, true), /2 bits/],
    ["one byte for two colours", kind, (view) => view.setUint32(58, 0xff0000, true), /unusual colour masks/],
    ["a mask across bytes", kind, (view) => view.setUint32(54, 0x0ff0, true), /unusual colour masks/],
    ["alpha on a colour's byte", kind, (view) => view.setUint32(66, 0xff00, true), /unusual colour masks/],
    ["OS/2 1", kind, (view) => view.setUint32(14, 12, true), /OS\/2/],
    ["OS/2 2", kind, (view) => view.setUint32(14, 64, true), /kind of BMP/],
    ["a header longer than the file", kind, (view) => view.setUint32(14, 1e9, true), /kind of BMP/],
    ["a width below 0", kind, (view) => view.setInt32(18, -3, true), /no pixels/],
    ["the lowest height", kind, (view) => view.setInt32(22, -(2 ** 31), true), /megapixels/],
  ])("%s", (_, from, change, words) => {
    expect(changed(from, change)).toThrow(words);
    expect(changed(from, change)).toThrow(Failure);
  });
});
