// Whether an answer of which the network says "90 %" is right nine times in ten (Guo et al. 2017, arXiv 1706.04599).
import type { Calibration } from "./types.ts";

/** Bins of equal width, as many as Guo et al. take. */
export const calibrationBins = 15;

/**
 * Expected calibration error over bins of equal width, each open below and closed above.
 * @param right 1 where the answer is right, else 0; as long as `confidence`
 */
export function calibrationOf(confidence: ArrayLike<number>, right: ArrayLike<number>): Calibration {
  const sums = Array.from({ length: calibrationBins }, () => ({ count: 0, confidence: 0, right: 0 }));
  for (let i = 0; i < confidence.length; i++) {
    const sure = confidence[i] as number;
    const place = Math.min(calibrationBins - 1, Math.max(0, Math.ceil(sure * calibrationBins) - 1));
    const bin = sums[place] as (typeof sums)[number];
    bin.count += 1;
    bin.confidence += sure;
    bin.right += right[i] as number;
  }
  const gap = sums.reduce((sum, bin) => sum + Math.abs(bin.right - bin.confidence), 0);
  return {
    ece: confidence.length === 0 ? 0 : gap / confidence.length,
    bins: sums.map(({ count, confidence: sure, right: hits }) => ({
      count,
      confidence: count === 0 ? 0 : sure / count,
      accuracy: count === 0 ? 0 : hits / count,
    })),
  };
}
