// How the images that a number stands on are called, the same in the studio, in the terminal and in reports.
import type { Basis } from "./protocol.ts";

const grouped = new Intl.NumberFormat("en");

/** "116 validation images", "64 of 179 images", "179 images". */
export function basisWords({ images, count, of }: Basis): string {
  const kind = images === "validation" ? "validation " : "";
  if (count < of) return `${grouped.format(count)} of ${grouped.format(of)} ${kind}images`;
  return `${grouped.format(count)} ${kind}${count === 1 ? "image" : "images"}`;
}

/** Whether two numbers are of the same images, so that one may be taken from the other. */
export const sameImages = (one: Basis, other: Basis): boolean =>
  one.images === other.images && one.count === other.count && one.of === other.of;
