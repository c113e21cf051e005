// What a class weighs in the loss, so that a class of few images is not drowned by one of many.

export const classWeightings = ["none", "balanced"] as const;
export type ClassWeighting = (typeof classWeightings)[number];

/**
 * The weight of each class: n / (k·n_c) of n images, n_c of them of the class, k classes that have any (scikit-learn's
 * "balanced"), so that every class weighs n / k in all. A class without an image weighs 0, and nothing of it is met.
 * @param labels of the training images, each in 0..classes-1
 * @returns null where every image counts alike
 */
export function classWeights(
  weighting: ClassWeighting,
  labels: Int32Array,
  classes: number,
): Float32Array | null {
  if (weighting === "none") return null;
  const counts = new Float64Array(classes);
  for (const label of labels) counts[label] = counts[label]! + 1;
  const present = counts.filter((count) => count > 0).length;
  return Float32Array.from(counts, (count) => (count > 0 ? labels.length / (present * count) : 0));
}
