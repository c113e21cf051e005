import { describe, expect, it } from "vitest";
import {
  contrast,
  fractionOf,
  LEVELS,
  levelColours,
  levelFill,
  levelInk,
  levelOf,
  luminance,
  type Rgb,
  roundUp,
} from "./colour.ts";

// Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
const blindness: Record<string, number[][]> = {
  protanopia: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranopia: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  tritanopia: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
};

function linear(channel: number): number {
  const c = channel / 255;
  return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
}

/** CIE L* of a colour, after an optional matrix on linear RGB. */
function lightness(colour: Rgb, matrix?: number[][]): number {
  const rgb = colour.map(linear);
  const seen = matrix ? matrix.map((row) => row.reduce((sum, m, i) => sum + m * rgb[i]!, 0)) : rgb;
  const y = 0.2126 * seen[0]! + 0.7152 * seen[1]! + 0.0722 * seen[2]!;
  return y > 0.008856 ? 116 * Math.cbrt(y) - 16 : 903.3 * y;
}

describe("the colour scale", () => {
  for (const dark of [false, true]) {
    const side = dark ? "dark" : "light";
    it(`runs evenly from the page to its opposite on a ${side} page`, () => {
      const steps = levelColours(dark).map((colour) => lightness(colour) * (dark ? 1 : -1));
      const gaps = steps.slice(1).map((step, i) => step - steps[i]!);
      const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
      expect(mean).toBeGreaterThan(1);
      for (const gap of gaps) {
        expect(gap).toBeGreaterThan(0.3 * mean);
        expect(gap).toBeLessThan(2.2 * mean);
      }
    });

    for (const [name, matrix] of Object.entries(blindness)) {
      it(`keeps its order under ${name} on a ${side} page`, () => {
        const seen = levelColours(dark).map((colour) => lightness(colour, matrix) * (dark ? 1 : -1));
        for (let i = 4; i < seen.length; i++) expect(seen[i]! - seen[i - 4]!).toBeGreaterThan(1.5);
      });
    }

    it(`writes readable text on every level of a ${side} page`, () => {
      for (let level = 0; level < LEVELS; level++) {
        const ground = luminance(levelColours(dark)[level]!);
        const ink = levelInk(level, dark) === "#000000" ? 0 : 1;
        expect(contrast(ground, ink)).toBeGreaterThanOrEqual(4.5);
        expect(levelFill(level, dark)).toMatch(/^#[0-9a-f]{6}$/);
      }
    });
  }
});

describe("fractionOf and levelOf", () => {
  it("clamps and takes what is no number as nothing", () => {
    const scale = { max: 2, curve: "linear" } as const;
    expect([-1, Number.NaN, 0, 1, 2, 9].map((value) => fractionOf(value, scale))).toEqual([
      0, 0, 0, 0.5, 1, 1,
    ]);
    expect(levelOf(9, scale)).toBe(LEVELS - 1);
  });

  it("spreads small values on the square-root scale", () => {
    expect(fractionOf(0.25, { max: 1, curve: "sqrt" })).toBe(0.5);
  });
});

describe("roundUp", () => {
  it("gives the next round number and stays put between", () => {
    expect([0.11, 0.19, 0.2, 0.21, 0.41, 0.9, 7, 12].map(roundUp)).toEqual([
      0.2,
      0.2,
      0.2,
      expect.closeTo(0.3),
      expect.closeTo(0.5),
      1,
      8,
      20,
    ]);
  });

  it("has an answer for nothing", () => {
    expect([0, -1, Number.NaN, Number.POSITIVE_INFINITY].map(roundUp)).toEqual([1, 1, 1, 1]);
  });
});
