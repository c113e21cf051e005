import fc from "fast-check";
import { expect, test } from "vitest";
import { random } from "../random.ts";
import { cropSource, randomCrop, randomFlip } from "./augment.ts";

const gradient = (width: number, height: number) => {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      data.set([Math.floor((255 * x) / width), Math.floor((255 * y) / height), 128], (y * width + x) * 3);
  return { width, height, data };
};

test("a random crop has the network's size and at least its share of the image", () => {
  const source = gradient(120, 100);
  const size = { height: 64, width: 64 };
  const areas: number[] = [];
  const corners = new Set<number>();
  for (let seed = 0; seed < 300; seed++) {
    const pixels = randomCrop(source, size, "nearest", random(seed));
    expect(pixels.length).toBe(64 * 64 * 3);
    const last = (64 * 64 - 1) * 3;
    // Red tells the column and green the row, so first and last pixel tell how much was kept.
    const across = ((pixels[last] as number) - (pixels[0] as number)) / 255;
    const down = ((pixels[last + 1] as number) - (pixels[1] as number)) / 255;
    areas.push(across * down);
    corners.add(pixels[0] as number);
  }
  expect(Math.min(...areas)).toBeGreaterThan(0.55);
  expect(Math.min(...areas)).toBeLessThan(0.65);
  expect(Math.max(...areas)).toBeGreaterThan(0.85);
  expect(corners.size).toBeGreaterThan(10);
});

test("what is kept for crops is never scaled up, and no longer than twice its width", () => {
  const size = { height: 224, width: 224 };
  const shape = (width: number, height: number) => {
    const source = cropSource(gradient(width, height), size, "bilinear");
    expect(source.data.length).toBe(source.width * source.height * 3);
    return [source.width, source.height];
  };
  expect(shape(1000, 800)).toEqual([362, 290]);
  expect(shape(100, 80)).toEqual([100, 80]);
  expect(shape(3000, 500)).toEqual([580, 290]);
  expect(shape(5, 300)).toEqual([5, 10]);
});

test("any shape of image gives a crop", () => {
  const side = fc.integer({ min: 1, max: 60 });
  fc.assert(
    fc.property(side, side, fc.integer(), (width, height, seed) => {
      const pixels = randomCrop(gradient(width, height), { height: 5, width: 7 }, "bicubic", random(seed));
      expect(pixels.length).toBe(105);
    }),
  );
});

test("flipping twice is flipping not at all", () => {
  const data = gradient(5, 3).data;
  const original = data.slice();
  const heads = { ...random(0), next: () => 0.9 };
  randomFlip(data, 5, heads);
  expect(data).not.toEqual(original);
  randomFlip(data, 5, heads);
  expect(data).toEqual(original);
});
