// Draws a validation split where folders give none.
import { random, seedFor } from "../random.ts";
import { groupBy } from "./collections.ts";
import type { Split } from "./types.ts";

/** Share of a class that is drawn for validation. */
const VALIDATION_SHARE = 0.2;

/** Splits by class: a fifth of the training images, at least one but never all, copies of one image together. */
export function drawValidation(
  images: readonly { split: Split | null }[],
  labels: readonly number[],
  classes: readonly string[],
  copies: readonly (readonly number[])[],
  seed: number,
): Split[] {
  const splits: Split[] = images.map((image) => image.split ?? "train");
  const unitOf = new Map<number, number>();
  copies.forEach((group, g) => {
    for (const i of group) unitOf.set(i, g);
  });
  const training = labels.flatMap((label, i) => (splits[i] === "train" ? [{ label, i }] : []));
  const byClass = groupBy(training, ({ label }) => label);
  classes.forEach((name, label) => {
    const members = (byClass.get(label) ?? []).map(({ i }) => i);
    const units = [...groupBy(members, (i) => unitOf.get(i) ?? -1 - i).values()];
    // A stream for each class, so that adding a class does not redraw the others.
    random(seedFor(seed, `validation ${name}`)).shuffle(units);
    const wanted = Math.max(1, Math.round(members.length * VALIDATION_SHARE));
    let drawn = 0;
    for (const unit of units.slice(1)) {
      if (drawn >= wanted) break;
      for (const i of unit) splits[i] = "val";
      drawn += unit.length;
    }
  });
  return splits;
}
