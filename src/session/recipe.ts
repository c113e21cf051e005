// The recipe: every setting of a run, its default, bounds and one line on what it does. The studio's form, the
// link in the URL, the terminal's options and recipe.json are all made from this one table.
import { z } from "zod";
import { budgetPattern } from "../adaptation/budget.ts";
import { type Method, methods, type Selection, selections, traitsOf } from "../adaptation/methods.ts";
import { poolings } from "../checkpoint/pooling.ts";
import { templateProblem } from "../text/prompts.ts";
import { classWeightings } from "../training/class_weights.ts";

export { poolingWords } from "../checkpoint/pooling.ts";
export { promptSets, readTemplates } from "../text/prompts.ts";

/** What answers for the target: where the classifier comes from. */
export const heads = ["linear", "own", "zero-shot", "knn"] as const;
export type Head = (typeof heads)[number];

export const recipeSchema = z.object({
  method: z.enum(methods).default("selective"),
  granularity: z.enum(["block", "layer", "matrix"]).default("block"),
  /** Which of a layer's two halves get adapters. */
  targetModules: z.enum(["both", "attention", "mlp"]).default("both"),
  /** What the new classifier reads; "model": what the model's own classifier, or its family's, does. */
  pooling: z.enum(["model", ...poolings]).default("model"),
  head: z.enum(heads).default("linear"),
  /** Whether the classifier learns with the adapters, or stays as it starts. */
  headTrains: z.enum(["yes", "no"]).default("yes"),
  /** Templates of a zero-shot head: a set's name, or one a line (or with | between). */
  prompts: z
    .string()
    .max(8000)
    .refine((text) => templateProblem(text) === null, {
      error: ({ input }) => templateProblem(String(input)) ?? "",
    })
    .default("ensemble"),
  /** k of a k-NN head. */
  neighbours: z.int().min(1).max(1000).default(20),
  rank: z.int().min(1).max(128).default(16),
  alpha: z.number().positive().max(1024).default(32),
  tau: z.number().min(0).max(1).default(0.1),
  /** Gates open at the end: "auto" (tau and lambda decide), a count, or a share of the gates. */
  budget: z
    .string()
    .regex(budgetPattern, 'Give a count ("3"), a share of the gates ("5%"), or "auto"')
    .default("auto"),
  /** What ranks the gates under a budget. */
  select: z.enum(selections).default("learned"),
  lambda: z.number().min(0).max(100).default(1),
  /** Share of the steps before the penalty starts. */
  warmup: z.number().min(0).max(0.9).default(0.2),
  /** Share of the steps, at the end, in which the gates are frozen as they stand. */
  settle: z.number().min(0).max(0.9).default(0.3),
  epochs: z.int().min(1).max(1000).default(10),
  batch: z.int().min(1).max(512).default(16),
  learningRate: z.number().positive().max(1).default(1e-3),
  /** For methods that learn whole matrices. TAPS's rate for a ViT. */
  fullLearningRate: z.number().positive().max(1).default(5e-5),
  headLearningRate: z.number().positive().max(1).default(1e-3),
  scoreLearningRate: z.number().positive().max(10).default(0.01),
  weightDecay: z.number().min(0).max(1).default(0),
  /** Weight of staying near the frozen network, on the training images and on every set of role "keep". */
  keep: z.number().min(0).max(1000).default(0),
  /** What a class weighs in the loss. */
  classWeights: z.enum(classWeightings).default("none"),
  augmentation: z.enum(["none", "flip", "crop-flip"]).default("flip"),
  seed: z.int().min(0).max(4294967295).default(0),
});

/** Every setting of a run. Two runs with the same recipe, data, machine and backend are the same run. */
export type Recipe = z.infer<typeof recipeSchema>;

export const defaultRecipe: Recipe = recipeSchema.parse({});

/** What each setting is called and does, in words for someone who knows nothing of LoRA. */
export const recipeWords: Record<keyof Recipe, { label: string; explanation: string }> = {
  method: {
    label: "Method",
    explanation:
      "What is learned: adapters behind gates of which most close (selective, l0), the same with DoRA or with whole matrices (dora, taps), adapters everywhere (lora), the whole network from a new classifier or from a fitted one (full, lp-ft), or the classifier alone (linear).",
  },
  granularity: {
    label: "One gate per",
    explanation:
      "What opens and closes as one: an attention or MLP block, a whole layer, or a single matrix.",
  },
  targetModules: {
    label: "Adapt",
    explanation: "Which half of each layer gets adapters: attention, MLP, or both.",
  },
  pooling: {
    label: "Classifier reads",
    explanation:
      "What the new classifier sees of an image: as the model's own does (model), its class token (cls, projection), the mean of its patches (mean, mean-norm, raw-mean), both (cls-mean), or its attention pool (attention).",
  },
  head: {
    label: "Head",
    explanation:
      "What answers for the target: a linear classifier fitted to your images (linear), the model's own rows for your classes (own), your class names read by the model's text tower (zero-shot), or the nearest training images (knn; a linear one trains along).",
  },
  headTrains: {
    label: "Head learns",
    explanation:
      "Whether the classifier learns with the adapters (yes), or stays as it starts and only they learn (no).",
  },
  prompts: {
    label: "Prompts",
    explanation:
      "Sentences for a zero-shot head, {} being the class name: ensemble, single, or your own, one a line or with | between.",
  },
  neighbours: {
    label: "Neighbours (k)",
    explanation: "How many of the nearest images vote, where k-NN answers; weight exp(cosine / 0.07).",
  },
  rank: { label: "Rank", explanation: "Width of each low-rank adapter. More learns more, and forgets more." },
  alpha: { label: "Alpha", explanation: "Strength of the adapters; the change is scaled by alpha / rank." },
  tau: {
    label: "Threshold (tau)",
    explanation: "A gate is open while its score is at least this. TAPS default 0.1.",
  },
  budget: {
    label: "Budget",
    explanation:
      "How many gates are open at the end, exactly: a count (3), a share (5%), or auto, where threshold and closing pressure decide (10% where the choice is not learned).",
  },
  select: {
    label: "Chosen by",
    explanation:
      "What decides which gates stay open: a score learned along (learned), how strongly the loss reacts to a block's change (sensitivity), its size (magnitude), what it adds to what passes it (output), or, to compare with, chance (random) or the order in the network (first, last).",
  },
  lambda: {
    label: "Closing pressure (lambda)",
    explanation:
      "How hard every score is pushed towards 0; under l0 the price of an open block. Higher leaves fewer blocks open. TAPS default 1.",
  },
  warmup: {
    label: "Warm-up",
    explanation:
      "Share of the steps before the pressure starts, so that every block has a chance to show its worth.",
  },
  settle: {
    label: "Settle",
    explanation:
      "Share of the steps, at the end, in which the gates stay as they are and only open blocks learn.",
  },
  epochs: { label: "Epochs", explanation: "How often every training image is seen." },
  batch: { label: "Batch", explanation: "Images in one step." },
  learningRate: {
    label: "Learning rate",
    explanation: "Step size of the adapters (AdamW, warmed up and then falling as a cosine).",
  },
  fullLearningRate: {
    label: "Whole-matrix rate",
    explanation:
      "Step size where whole matrices learn (taps, full, lp-ft): far smaller, since there are far more numbers. TAPS default for a ViT 0.00005.",
  },
  headLearningRate: {
    label: "Head learning rate",
    explanation: "Step size of the classifier, which starts as its kind does: from a linear probe, for one.",
  },
  scoreLearningRate: {
    label: "Score learning rate",
    explanation: "Step size of the gate scores (SGD with momentum 0.9). TAPS default 0.01.",
  },
  weightDecay: {
    label: "Weight decay",
    explanation:
      "Pull of what is learned towards 0, which for whole matrices is the model before the run; the scores have none.",
  },
  keep: {
    label: "Keep near before",
    explanation:
      "How hard the network is held to what it made of images before the run, your training images and any you add to keep. Higher forgets less and learns less; 0 is off.",
  },
  classWeights: {
    label: "Class weights",
    explanation:
      "What an image counts for while learning: each alike (none), or so that every class counts alike, whether it has 300 images or 3 (balanced).",
  },
  augmentation: {
    label: "Augmentation",
    explanation: "Random changes to training images: none, mirror images, or mirror and random crop.",
  },
  seed: { label: "Seed", explanation: "The same seed on the same data and machine gives the same run." },
};

/** What each method is called and does, a line each. */
export const methodWords: Record<Method, { label: string; explanation: string }> = {
  selective: {
    label: "Selective LoRA",
    explanation: "Small adapters behind learned gates; most close, and the blocks that matter stay open.",
  },
  taps: {
    label: "TAPS",
    explanation: "Whole matrices change, behind learned gates; each open block learns as much as it can.",
  },
  l0: {
    label: "L0 gates",
    explanation:
      "Small adapters behind gates that flicker while they learn; lambda is the price of an open block.",
  },
  dora: {
    label: "Selective DoRA",
    explanation: "Adapters that turn and stretch each row apart, behind learned gates.",
  },
  lora: { label: "LoRA on all", explanation: "Small adapters on every block, none ever closed." },
  full: {
    label: "Full fine-tuning",
    explanation: "Every weight of the network moves, and a new classifier with it.",
  },
  linear: { label: "Linear probe", explanation: "Only the classifier learns; the network stays as it is." },
  "lp-ft": {
    label: "LP-FT",
    explanation: "Full fine-tuning that starts from the fitted classifier, which distorts the features less.",
  },
};

export const selectionWords: Record<Selection, string> = {
  learned: "Learned score",
  sensitivity: "Sensitivity",
  magnitude: "Size of change",
  output: "Output",
  random: "Random",
  first: "First blocks",
  last: "Last blocks",
};

/** Whether the classifier starts as one that knows nothing: full fine-tuning, unless the model brings the classifier or it
 *  is not to learn. */
export function startsFresh({
  method,
  head,
  headTrains,
}: Pick<Recipe, "method" | "head" | "headTrains">): boolean {
  return method === "full" && headTrains === "yes" && (head === "linear" || head === "knn");
}

/** The score at which a gate opens, as scores are shown; null where their ranks decide, or nothing does. */
export function opensAt(recipe: Recipe): number | null {
  if (applies("tau", recipe)) return recipe.tau;
  return traitsOf(recipe.method).gates === "hard-concrete" && recipe.budget === "auto" ? 0 : null;
}

/** Whether a setting does anything with the others as they are; what does not is not asked for. */
export function applies(key: keyof Recipe, recipe: Recipe): boolean {
  const { change, gates, everything } = traitsOf(recipe.method);
  const moves = gates !== "open";
  const learned = gates === "hard-concrete" || recipe.select === "learned";
  const byPressure = moves && learned && recipe.budget === "auto";
  switch (key) {
    case "granularity":
    case "headTrains":
    case "keep":
      return change !== "nothing";
    case "targetModules":
      return change !== "nothing" && !everything;
    case "rank":
    case "alpha":
    case "learningRate":
      return change === "low-rank" || change === "dora";
    case "fullLearningRate":
      return change === "residual";
    case "budget":
    case "warmup":
    case "settle":
      return moves;
    case "select":
      return gates === "indicator";
    case "scoreLearningRate":
      return moves && learned;
    case "tau":
      return byPressure && gates === "indicator";
    case "lambda":
      return byPressure;
    default:
      return true;
  }
}
