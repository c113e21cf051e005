// Which images of a set are where.
import type { ImageSet, Split } from "./types.ts";

/** Indices of the images a set is scored on: its test split, or validation where there is none, or all. */
export function heldOut(set: ImageSet): number[] {
  for (const split of ["test", "val"] as const) {
    const indices = indicesOf(set, split);
    if (indices.length > 0) return indices;
  }
  return set.items.map((_, i) => i);
}

/** Indices of the items of one split, in the set's order. */
export function indicesOf(set: ImageSet, split: Split): number[] {
  return set.items.flatMap((item, i) => (item.split === split ? [i] : []));
}

/**
 * Images of each class in each split, in the order of `set.classes`.
 * @param unreadable indices of items that do not count
 */
export function classCounts(
  set: ImageSet,
  unreadable: ReadonlySet<number> = new Set(),
): { name: string; counts: Record<Split, number> }[] {
  const rows = set.classes.map((name) => ({ name, counts: { train: 0, val: 0, test: 0 } }));
  for (const [i, item] of set.items.entries()) {
    const row = rows[item.label];
    if (row && !unreadable.has(i)) row.counts[item.split]++;
  }
  return rows;
}
