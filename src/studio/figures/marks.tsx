// Marks that several figures share.

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
