// What answers are worth: accuracy with its interval, in all and per class, and how far their certainty can be trusted.
import { calibrationOf } from "./calibration.ts";
import type { Answers, ClassScore, Score } from "./types.ts";

/** 97.5 % point of the normal distribution. */
const z = 1.959963984540054;

/** 95 % score interval of a proportion (Wilson 1927); [0, 1] where nothing was counted. */
export function wilsonInterval(correct: number, count: number): [number, number] {
  if (count === 0) return [0, 1];
  const p = correct / count;
  const spread = z * Math.sqrt((p * (1 - p)) / count + (z * z) / (4 * count * count));
  const centre = p + (z * z) / (2 * count);
  const scale = 1 + (z * z) / count;
  // At the ends the formula is exact, but its rounding is not.
  const low = correct === 0 ? 0 : (centre - spread) / scale;
  const high = correct === count ? 1 : (centre + spread) / scale;
  return [low, high];
}

/**
 * Scores answers against labels.
 * @param names what both index; accuracy of an empty set is 0
 */
export function score(answers: Answers, labels: Int32Array, names: string[]): Score {
  const { predictions, confidence, energy } = answers;
  const count = labels.length;
  const right = new Uint8Array(count);
  const classes = new Map<number, ClassScore>();
  let correct = 0;
  for (let i = 0; i < count; i++) {
    const label = labels[i] as number;
    const entry = classes.get(label) ?? { name: names[label] as string, count: 0, correct: 0 };
    classes.set(label, entry);
    entry.count += 1;
    if (predictions[i] === label) {
      entry.correct += 1;
      correct += 1;
      right[i] = 1;
    }
  }
  const perClass = [...classes].sort(([a], [b]) => a - b).map(([, entry]) => entry);
  const recalls = perClass.map((one) => one.correct / one.count);
  return {
    count,
    correct,
    accuracy: count === 0 ? 0 : correct / count,
    interval: wilsonInterval(correct, count),
    balanced: recalls.length === 0 ? 0 : recalls.reduce((sum, recall) => sum + recall, 0) / recalls.length,
    perClass,
    calibration: calibrationOf(confidence, right),
    predictions,
    confidence,
    energy,
    labels,
    names,
  };
}
