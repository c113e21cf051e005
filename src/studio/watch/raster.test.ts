import { describe, expect, it } from "vitest";
import type { GateFrame } from "../../session/protocol.ts";
import { LEVELS } from "./colour.ts";
import { columnOf, frameAt, paintFrames, palette } from "./raster.ts";

function frame(step: number, scores: number[], open: number[]): GateFrame {
  const none = new Float32Array(scores.length);
  return {
    step,
    scores: Float32Array.from(scores),
    open: Uint8Array.from(open),
    sensitivity: none,
    deltaNorm: none,
  };
}

const scale = { max: 1, curve: "linear" } as const;

describe("paintFrames", () => {
  it("fills each gate's row up to the frame's step, open and closed apart", () => {
    const colours = palette(false);
    const pixels = new Uint32Array(2 * 10);
    const frames = [frame(2, [1, 0], [1, 0]), frame(5, [0, 1], [0, 1])];
    paintFrames(pixels, 10, 2, frames, 0, 10, scale, colours);
    const most = colours.open[LEVELS - 1]!;
    const least = colours.closed[0]!;
    expect([...pixels.subarray(0, 10)]).toEqual([most, most, least, least, least, 0, 0, 0, 0, 0]);
    expect([...pixels.subarray(10)]).toEqual([least, least, most, most, most, 0, 0, 0, 0, 0]);
  });

  it("gives the same picture frame by frame as all at once", () => {
    const frames = Array.from({ length: 37 }, (_, i) => frame(i * 3 + 1, [i / 37, 1 - i / 37], [i % 2, 1]));
    const once = new Uint32Array(2 * 64);
    paintFrames(once, 64, 2, frames, 0, 120, scale, palette(true));
    const growing = new Uint32Array(2 * 64);
    for (let i = 0; i < frames.length; i++) {
      paintFrames(growing, 64, 2, frames.slice(0, i + 1), i, 120, scale, palette(true));
    }
    expect(growing).toEqual(once);
  });

  it("shows more frames than columns without writing past a row", () => {
    const frames = Array.from({ length: 50 }, (_, i) => frame(i + 1, [1, 0], [1, 0]));
    const pixels = new Uint32Array(2 * 8);
    paintFrames(pixels, 8, 2, frames, 0, 50, scale, palette(false));
    expect(new Set(pixels.subarray(0, 8)).size).toBe(1);
    expect(new Set(pixels.subarray(8)).size).toBe(1);
    expect(pixels[0]).not.toBe(pixels[8]);
  });
});

it("keeps columns inside the picture", () => {
  expect([-5, 0, 50, 100, 400].map((step) => columnOf(step, 100, 20))).toEqual([0, 0, 10, 20, 20]);
  expect(columnOf(3, 0, 20)).toBe(20);
});

it("finds the frame under the pointer", () => {
  const frames = [frame(10, [], []), frame(20, [], []), frame(30, [], [])];
  expect([0, 0.1, 0.11, 0.25, 0.3, 0.9, 1].map((share) => frameAt(frames, share, 100))).toEqual([
    0, 0, 1, 2, 2, 2, 2,
  ]);
  expect(frameAt([], 0.5, 100)).toBeNull();
});
