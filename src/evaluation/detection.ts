// Whether certainty alone tells the target's images from strange ones: by the largest softmax probability (Hendrycks
// and Gimpel 2017, arXiv 1610.02136) and by the energy of the logits (Liu et al. 2020, arXiv 2010.03759).

/**
 * Area under the ROC curve: how often an image of `inside` scores higher than one of `outside`, ties counting half
 * (Mann and Whitney 1947). 0.5 is a coin; null where a side is empty.
 */
export function auroc(inside: Float32Array, outside: Float32Array): number | null {
  if (inside.length === 0 || outside.length === 0) return null;
  const known = Float32Array.from(inside).sort();
  const strange = Float32Array.from(outside).sort();
  let below = 0;
  let notAbove = 0;
  let twice = 0;
  for (const value of known) {
    while (below < strange.length && (strange[below] as number) < value) below++;
    while (notAbove < strange.length && (strange[notAbove] as number) <= value) notAbove++;
    twice += below + notAbove;
  }
  return twice / (2 * known.length * strange.length);
}
