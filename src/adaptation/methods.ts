// What can be learned, and how it is switched: every method as one row of a table. The rest of the house asks a method
// for its traits and never for its name.

export const methods = ["selective", "taps", "l0", "dora", "lora", "full", "linear", "lp-ft"] as const;
export type Method = (typeof methods)[number];

/** Which gates stay open: those whose scores training has raised, or those that a measure of their change ranks first. */
export const selections = [
  "learned",
  "sensitivity",
  "magnitude",
  "output",
  "random",
  "first",
  "last",
] as const;
export type Selection = (typeof selections)[number];

/** TAPS's start of a score: a little above its tau of 0.1. */
export const scoreStart = 0.15;
/** Momentum of the scores' SGD. */
export const scoreMomentum = 0.9;

export interface Traits {
  /**
   * What is added to a frozen weight W:
   *   low-rank  c·B·A, c = alpha/r (LoRA, arXiv 2106.09685)
   *   dora      m·(W + c·B·A)/‖W + c·B·A‖ - W, row by row (DoRA, arXiv 2402.09353)
   *   residual  a matrix of W's own shape (TAPS, arXiv 2203.16708; full fine-tuning)
   *   nothing   only the classifier learns
   */
  change: "low-rank" | "dora" | "residual" | "nothing";
  /**
   * Whether a change counts:
   *   indicator      1[s >= tau], straight-through (TAPS)
   *   hard-concrete  a random number in 0..1 that is often exactly 0 or 1 (arXiv 1712.01312)
   *   open           always
   */
  gates: "indicator" | "hard-concrete" | "open";
  /** Whether biases, norms, LayerScale and embeddings learn too. */
  everything: boolean;
}

const table: Record<Method, Traits> = {
  selective: { change: "low-rank", gates: "indicator", everything: false },
  taps: { change: "residual", gates: "indicator", everything: false },
  l0: { change: "low-rank", gates: "hard-concrete", everything: false },
  dora: { change: "dora", gates: "indicator", everything: false },
  lora: { change: "low-rank", gates: "open", everything: false },
  full: { change: "residual", gates: "open", everything: true },
  linear: { change: "nothing", gates: "open", everything: false },
  "lp-ft": { change: "residual", gates: "open", everything: true },
};

export function traitsOf(method: Method): Traits {
  return table[method];
}
