// Marks that several figures share.
import { roundUp } from "../watch/colour.ts";

/** What recharts hands to a shape. */
interface Place {
  cx?: number;
  cy?: number;
}

/** A diamond: measured on all held-out images, not on those of the live curve. Hollow: before. */
export function diamond(colour: string, hollow = false) {
  return ({ cx, cy }: Place) =>
    cx === undefined || cy === undefined ? (
      <g />
    ) : (
      <path
        d={`M${cx} ${cy - 6}l6 6l-6 6l-6 -6z`}
        fill={hollow ? "var(--mantine-color-body)" : colour}
        stroke={hollow ? colour : "var(--mantine-color-body)"}
        strokeWidth={hollow ? 1.75 : 1}
      />
    );
}

/** The look of numbers along an axis. */
export const axisTick = { fontSize: 11, fill: "var(--dim)" };

/** An axis's name, where it is horizontal. */
export const along = (value: string) => ({
  value,
  position: "insideBottomRight" as const,
  offset: -2,
  fontSize: 11,
  fill: "var(--dim)",
});

/** Round step numbers for the axis, at most seven, both ends among them. */
export function stepTicks(from: number, to: number): number[] {
  const gap = Math.max(1, roundUp((to - from) / 5));
  const ticks = [from];
  // One too near an end would stand on its number.
  for (let tick = Math.ceil((from + gap / 2) / gap) * gap; tick < to - gap / 2; tick += gap) ticks.push(tick);
  return to > from ? [...ticks, to] : ticks;
}
