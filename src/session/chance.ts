// Whether a change of accuracy is more than chance: a change inside its interval is no gain and no loss.
import { mcNemar } from "../evaluation/change.ts";
import { wilsonInterval } from "../evaluation/score.ts";

/** Accuracies of the same images before and now, 0 to 1. */
export interface Compared {
  before: number;
  after: number;
  /** How many images. */
  count: number;
  /** Images whose answer was put right, and whose was broken; null where only their number is known. */
  pairs: { fixed: number; broken: number } | null;
  /** How often each picture is counted, under that many corruptions; 1 for others. */
  repeated?: number;
}

/** 97.5 % point of the normal distribution. */
const z = 1.959963984540054;
/** What may come of chance once in twenty times is taken for chance. */
const level = 0.05;

/**
 * Whether the mean change of these sets is more than chance would give, at 95 %. One set whose answers are known image by
 * image is judged by McNemar's exact test; several, or one whose pictures count more than once, by an interval. False
 * without sets.
 */
export function moreThanChance(sets: readonly Compared[]): boolean {
  const [first, ...rest] = sets;
  if (!first) return false;
  if (rest.length === 0 && first.pairs && (first.repeated ?? 1) === 1)
    return mcNemar(first.pairs.fixed, first.pairs.broken) < level;
  const sum = sets.reduce((all, { before, after }) => all + after - before, 0);
  return Math.abs(sum) > Math.hypot(...sets.map(margin));
}

/** 95 % interval of an accuracy on so many images. */
export const intervalOf = (accuracy: number, count: number): [number, number] =>
  wilsonInterval(accuracy * count, count);

/** How far chance alone may move the accuracy of a set, at 95 %. */
function margin({ before, after, count, pairs, repeated = 1 }: Compared): number {
  if (count === 0) return 1;
  const pictures = count / repeated;
  if (pairs) {
    // Two images more, one put right and one broken, so that no change at all is not sure either (Agresti & Min 2005).
    const [fixed, broken] = [pairs.fixed / repeated + 0.5, pairs.broken / repeated + 0.5];
    return (z * Math.sqrt(fixed + broken - (fixed - broken) ** 2 / (pictures + 2))) / (pictures + 2);
  }
  // Of two independent proportions (Newcombe 1998, method 10).
  const [low, high] = [Math.min(before, after), Math.max(before, after)];
  const above = intervalOf(low, pictures)[1] - low;
  const below = high - intervalOf(high, pictures)[0];
  return Math.hypot(above, below);
}
