import fc from "fast-check";
import { expect, test } from "vitest";
import { cut, type Interpolation, resize } from "./resize.ts";
import type { RgbImage } from "./types.ts";

const side = fc.integer({ min: 1, max: 40 });
const interpolation = fc.constantFrom<Interpolation>("nearest", "bilinear", "bicubic", "lanczos");
const image = fc.tuple(side, side, fc.integer()).map(([width, height, seed]): RgbImage => {
  const data = new Uint8Array(width * height * 3);
  let state = seed | 1;
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    data[i] = state >>> 24;
  }
  return { width, height, data };
});

test("a window is the same as a cut out of the whole", () => {
  fc.assert(
    fc.property(
      image,
      side,
      side,
      interpolation,
      fc.double({ min: 0, max: 1, noNaN: true }),
      (source, w, h, i, at) => {
        const left = Math.floor(at * (w - 1));
        const top = Math.floor(at * (h - 1));
        const window = { left, top, width: Math.ceil((w - left) / 2), height: Math.ceil((h - top) / 2) };
        const whole = resize(source, w, h, i);
        expect(whole.data.length).toBe(w * h * 3);
        expect(resize(source, w, h, i, window)).toEqual(cut(whole, window));
      },
    ),
  );
});

test("one colour stays that colour at every size", () => {
  fc.assert(
    fc.property(
      side,
      side,
      side,
      side,
      interpolation,
      fc.integer({ min: 0, max: 255 }),
      (w, h, W, H, i, value) => {
        const flat = { width: w, height: h, data: new Uint8Array(w * h * 3).fill(value) };
        expect(resize(flat, W, H, i).data.every((byte) => byte === value)).toBe(true);
      },
    ),
  );
});

test("nearest and bilinear never leave the range of the input", () => {
  fc.assert(
    fc.property(
      image,
      side,
      side,
      fc.constantFrom<Interpolation>("nearest", "bilinear"),
      (source, w, h, i) => {
        const low = Math.min(...source.data);
        const high = Math.max(...source.data);
        expect(resize(source, w, h, i).data.every((byte) => byte >= low && byte <= high)).toBe(true);
      },
    ),
  );
});

test("bicubic overshoots are clipped, not wrapped", () => {
  const edge = {
    width: 4,
    height: 1,
    data: new Uint8Array([0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255]),
  };
  const wide = resize(edge, 16, 1, "bicubic").data.filter((_, i) => i % 3 === 0);
  expect(Math.max(...wide.slice(0, 5))).toBe(0);
  expect(Math.min(...wide.slice(11))).toBe(255);
});

test("an image of one pixel by ten thousand costs only what the crop keeps", () => {
  const thin = { width: 1, height: 10_000, data: new Uint8Array(30_000).fill(7) };
  const kept = resize(thin, 256, 2_560_000, "bicubic", { left: 16, top: 1_279_888, width: 224, height: 224 });
  expect(kept.data.length).toBe(224 * 224 * 3);
  expect(kept.data.every((byte) => byte === 7)).toBe(true);
});
