// Seeded random numbers. Everything in Selora that draws (splits, shuffles, initial weights, augmentation)
// draws from here, so that the same seed gives the same run.

/** A stream of random numbers with its whole state in one integer, so that a snapshot can hold it. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** Uniform integer in [0, n). */
  below(n: number): number;
  /** Shuffles in place (Fisher-Yates) and returns the same array. */
  shuffle<T>(items: T[]): T[];
  /** The state; `random(state)` continues the stream exactly. */
  state(): number;
}

/**
 * mulberry32 (Tommy Ettinger, public domain): 32 bits of state, passes gjrand; plenty for shuffles and initial weights.
 * @param seed any integer; only its low 32 bits count
 */
export function random(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const below = (n: number) => Math.floor(next() * n);
  return {
    next,
    below,
    shuffle(items) {
      for (let i = items.length - 1; i > 0; i--) {
        const j = below(i + 1);
        const a = items[i] as (typeof items)[number];
        items[i] = items[j] as (typeof items)[number];
        items[j] = a;
      }
      return items;
    },
    state: () => state,
  };
}

/** A seed for one named purpose, so that adding a draw in one place moves no other stream (FNV-1a over the name). */
export function seedFor(seed: number, purpose: string): number {
  let hash = 0x811c9dc5 ^ (seed >>> 0);
  for (let i = 0; i < purpose.length; i++) hash = Math.imul(hash ^ purpose.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
