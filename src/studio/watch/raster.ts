// The picture behind the timeline: one row a gate, one column a stretch of steps, painted as frames come in so that
// a long run costs no more to follow than a short one.
import type { GateFrame } from "../../session/protocol.ts";
import { LEVELS, levelColours, levelOf, mix, type Rgb, type Scale } from "./colour.ts";
import { type Metric, metricOf } from "./gates.ts";

/** Colours as 32-bit pixels in the byte order of canvas image data. */
export interface Palette {
  open: Uint32Array;
  closed: Uint32Array;
}

function pixel([red, green, blue]: Rgb): number {
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

/** Open gates in the heatmap's colours, closed ones nearly the page's, so that openings stand out in grey too. */
export function palette(dark: boolean): Palette {
  const page: Rgb = dark ? [43, 48, 57] : [236, 238, 241];
  const colours = levelColours(dark);
  return {
    open: Uint32Array.from({ length: LEVELS }, (_, level) => pixel(colours[level]!)),
    closed: Uint32Array.from({ length: LEVELS }, (_, level) => pixel(mix(page, colours[level]!, 0.12))),
  };
}

/** Column, 0 to `width`, at which a step begins in a run of `total` steps. */
export function columnOf(step: number, total: number, width: number): number {
  return Math.min(width, Math.max(0, Math.round((step / Math.max(1, total)) * width)));
}

/**
 * Paints frames `from` and later into `pixels` (row-major, `gates` rows of `width`). A frame fills the columns from
 * the frame before it to its own step, at least one; it stands for the steps since then.
 */
export function paintFrames(
  pixels: Uint32Array,
  width: number,
  gates: number,
  frames: readonly GateFrame[],
  from: number,
  total: number,
  scale: Scale,
  colours: Palette,
  metric: Metric = "score",
): void {
  for (let index = from; index < frames.length; index++) {
    const frame = frames[index]!;
    const end = Math.max(1, columnOf(frame.step, total, width));
    const start = Math.min(end - 1, index === 0 ? 0 : columnOf(frames[index - 1]!.step, total, width));
    for (let gate = 0; gate < gates; gate++) {
      const table = frame.open[gate] ? colours.open : colours.closed;
      const colour = table[levelOf(metricOf(frame, metric)[gate] ?? 0, scale)]!;
      pixels.fill(colour, gate * width + start, gate * width + end);
    }
  }
}

/** Index of the frame that was current at a share, 0 to 1, of the run; null without frames. */
export function frameAt(frames: readonly GateFrame[], share: number, total: number): number | null {
  if (frames.length === 0) return null;
  const step = share * total;
  let low = 0;
  let high = frames.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (frames[middle]!.step < step) low = middle + 1;
    else high = middle;
  }
  return low;
}
