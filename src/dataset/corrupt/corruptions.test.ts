// The corruptions against ImageNet-C's own (interop/make_fixtures_corruptions.py): how much each changes a picture at
// every severity and, where nothing is drawn at random, what it makes of it. And what must hold of all of them.
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { RgbImage } from "../types.ts";
import { corrupt } from "./corruptions.ts";
import { corruptions } from "./names.ts";

const published: Record<string, { change: number[]; blocks: number[][] }> = JSON.parse(
  readFileSync(new URL("../fixtures/corruptions.json", import.meta.url), "utf8"),
);

/** The picture the fixture was made with, at any size. */
function picture(edge: number): RgbImage {
  const data = new Uint8Array(edge * edge * 3);
  for (let y = 0, i = 0; y < edge; y++)
    for (let x = 0; x < edge; x++) {
      data[i++] = Math.floor(127 + 100 * Math.sin(x / 9) * Math.cos(y / 17) + 0.5);
      data[i++] = Math.floor(127 + 90 * Math.sin((x + y) / 13) + 0.5);
      data[i++] = 40 + 150 * ((Math.floor(x / 18) + Math.floor(y / 22)) % 2);
    }
  return { width: edge, height: edge, data };
}

function change(before: RgbImage, after: RgbImage): number {
  const squares = after.data.reduce((sum, value, i) => sum + (value - (before.data[i] as number)) ** 2, 0);
  return Math.sqrt(squares / after.data.length);
}

/** Mean colours of blocks of 28 pixels. */
function blocks({ width, data }: RgbImage): number[] {
  const across = width / 28;
  const sums = new Float64Array(across * across * 3);
  for (let i = 0; i < data.length; i++) {
    const pixel = Math.floor(i / 3);
    const block = Math.floor(pixel / width / 28) * across + Math.floor((pixel % width) / 28);
    sums[3 * block + (i % 3)]! += (data[i] as number) / 784;
  }
  return [...sums];
}

const whole = picture(224);

describe("of a picture of 224 pixels", () => {
  it.each(Object.keys(published))("%s changes as much as the published one", (name) => {
    const { change: theirs, blocks: colours } = published[name]!;
    const drawn = colours.length === 0;
    theirs.forEach((expected, i) => {
      // As many draws as theirs.
      const ours = [..."abcdefghijkl"]
        .slice(0, drawn ? 12 : 1)
        .map((key) => change(whole, corrupt(whole, name, i + 1, key)));
      const mean = ours.reduce((sum, value) => sum + value, 0) / ours.length;
      expect(Math.abs(mean / expected - 1), `severity ${i + 1}: ${mean} for ${expected}`).toBeLessThan(0.12);
      const known = colours[i] ?? [];
      if (known.length === 0) return;
      const found = blocks(corrupt(whole, name, i + 1, "a"));
      const apart = known.map((value, at) => Math.abs(value - (found[at] as number)));
      expect(Math.max(...apart), `severity ${i + 1}`).toBeLessThan(4);
    });
  });

  it("JPEG and coarse pixels are Pillow's to a hundredth of a level", () => {
    for (const name of ["jpeg", "pixelate"])
      published[name]!.change.forEach((expected, i) => {
        expect(change(whole, corrupt(whole, name, i + 1, "a"))).toBeCloseTo(expected, 1);
      });
  });
});

const drawsAtRandom = /noise|glass|motion|snow|frost|fog|elastic/;

describe.each(corruptions)("$name", ({ name, severities }) => {
  it("gives the same picture for the same key, another for another where it is drawn, and leaves its own", () => {
    const image = picture(40);
    const before = image.data.slice();
    const first = corrupt(image, name, 3, "cat/1.png");
    expect(image.data).toEqual(before);
    expect(corrupt(image, name, 3, "cat/1.png")).toEqual(first);
    expect(first.data.length).toBe(before.length);
    expect(change(image, first)).toBeGreaterThan(1);
    const other = corrupt(image, name, 3, "cat/2.png");
    if (drawsAtRandom.test(name)) expect(other).not.toEqual(first);
    else expect(other).toEqual(first);
    const strongest = corrupt(image, name, 5, "cat/1.png");
    if (severities) expect(strongest).not.toEqual(first);
    else expect(strongest).toEqual(first);
  });

  it("takes pictures of every shape", () => {
    for (const [width, height] of [
      [1, 1],
      [7, 5],
      [33, 16],
    ] as const) {
      const image = { width, height, data: new Uint8Array(width * height * 3).fill(90) };
      const { data, ...size } = corrupt(image, name, 5, "a");
      expect(size).toEqual({ width, height });
      expect(data.length).toBe(image.data.length);
    }
  });
});

it("a severity or a name there is none of is refused", () => {
  expect(() => corrupt(whole, "fog", 6, "a")).toThrow(RangeError);
  expect(() => corrupt(whole, "fog", 0, "a")).toThrow(RangeError);
  expect(() => corrupt(whole, "sleet", 1, "a")).toThrow(RangeError);
});

it("lengths grow with the picture: half the size, half the blur", () => {
  // A step from black to white is smeared as wide, in shares of the picture.
  const step = (edge: number): RgbImage => {
    const data = Uint8Array.from({ length: edge * edge * 3 }, (_, i) =>
      Math.floor(i / 3) % edge < edge / 2 ? 0 : 255,
    );
    return { width: edge, height: edge, data };
  };
  for (const edge of [224, 112, 56]) {
    const { data } = corrupt(step(edge), "defocus-blur", 5, "a");
    const row = data.subarray(edge * Math.floor(edge / 2) * 3, edge * (Math.floor(edge / 2) + 1) * 3);
    const between = row.filter((value) => value > 12 && value < 243).length / 3;
    expect(between / edge).toBeGreaterThan(0.06);
    expect(between / edge).toBeLessThan(0.1);
  }
});
