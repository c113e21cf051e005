// The matrix of change against the base: which answers were put right, which were broken, and whether that is more
// than chance (McNemar 1947).

/** Images by whether they were right before and are right after. */
export interface Change {
  stayedRight: number;
  fixed: number;
  broken: number;
  stayedWrong: number;
  /** Two-sided exact probability of so uneven a split of fixed and broken if either were as likely. */
  p: number;
}

/** @param before @param after answers to the same images, in the same order */
export function changeOf(before: Int32Array, after: Int32Array, labels: Int32Array): Change {
  const change = { stayedRight: 0, fixed: 0, broken: 0, stayedWrong: 0 };
  labels.forEach((label, i) => {
    const was = before[i] === label;
    const is = after[i] === label;
    if (was) change[is ? "stayedRight" : "broken"] += 1;
    else change[is ? "fixed" : "stayedWrong"] += 1;
  });
  return { ...change, p: mcNemar(change.fixed, change.broken) };
}

/** Exact two-sided binomial test of `fixed` out of `fixed + broken` against one half. */
export function mcNemar(fixed: number, broken: number): number {
  const count = fixed + broken;
  const fewer = Math.min(fixed, broken);
  // Terms are summed as multiples of the largest, so that nothing underflows before it must.
  let term = 1;
  let sum = 1;
  let logTop = -count * Math.LN2;
  for (let i = 0; i < fewer; i++) logTop += Math.log((count - i) / (i + 1));
  for (let i = fewer; i > 0; i--) {
    term *= i / (count - i + 1);
    sum += term;
  }
  return Math.min(1, 2 * sum * Math.exp(logTop));
}
