// When the balanced accuracy is told beside the accuracy.
import type { Score } from "../evaluation/types.ts";

/**
 * Whether the balanced accuracy says what the accuracy does not: it lies outside of the accuracy's interval, so that more
 * than chance parts the two.
 */
export function balancedTells(
  ...measured: (Pick<Score, "balanced" | "interval"> | null | undefined)[]
): boolean {
  return measured.some((set) => set && (set.balanced < set.interval[0] || set.balanced > set.interval[1]));
}
