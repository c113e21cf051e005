// How few blocks are enough: the one-standard-error rule (Breiman et al. 1984, CART, 3.4.3), which takes the smallest
// model whose accuracy is within one standard error of the best one's.

/** A point of the curve: blocks open, and accuracy on the target's images. */
export interface KneePoint {
  open: number;
  accuracy: number;
}

/**
 * Index of the knee: fewest blocks open among the points whose accuracy is at least the best one's less its standard
 * error, sqrt(p (1 - p) / n).
 * @param count n, images that the accuracies were measured on
 * @returns null without points
 */
export function kneeOf(points: readonly KneePoint[], count: number): number | null {
  if (points.length === 0) return null;
  const best = Math.max(...points.map(({ accuracy }) => accuracy));
  const error = Math.sqrt((best * (1 - best)) / Math.max(1, count));
  let knee: number | null = null;
  points.forEach(({ open, accuracy }, i) => {
    // Equal accuracies come out of different sums of floats.
    if (accuracy < best - error - 1e-9) return;
    if (knee === null || open < (points[knee] as KneePoint).open) knee = i;
  });
  return knee;
}
