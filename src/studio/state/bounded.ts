// Histories that grow for as long as a run lasts, held within a bound.

/**
 * `history` with `added` at its end. Past `limit` entries every second one is dropped, the first and the last kept,
 * so that a long run is still covered from its start. Returns the same array when nothing was added.
 */
export function appendBounded<T>(history: readonly T[], added: readonly T[], limit: number): T[] {
  if (added.length === 0) return history as T[];
  let all = [...history, ...added];
  while (all.length > limit) {
    const last = all.length - 1;
    all = all.filter((_, i) => i % 2 === 0 || i === last);
  }
  return all;
}
