// The recipe: every setting of a run, its default, bounds and one line on what it does. The studio's form, the
// link in the URL, the terminal's options and recipe.json are all made from this one table.
import { z } from "zod";

export const recipeSchema = z.object({
  method: z.enum(["selective", "lora"]).default("selective"),
  granularity: z.enum(["block", "layer", "matrix"]).default("block"),
  /** Which of a layer's two halves get adapters. */
  targetModules: z.enum(["both", "attention", "mlp"]).default("both"),
  rank: z.int().min(1).max(128).default(16),
  alpha: z.number().positive().max(1024).default(32),
  tau: z.number().min(0).max(1).default(0.1),
  lambda: z.number().min(0).max(100).default(1),
  /** Share of the steps before the penalty starts. */
  warmup: z.number().min(0).max(0.9).default(0.2),
  /** Share of the steps, at the end, in which the gates are frozen as they stand. */
  settle: z.number().min(0).max(0.9).default(0.3),
  epochs: z.int().min(1).max(1000).default(10),
  batch: z.int().min(1).max(512).default(16),
  learningRate: z.number().positive().max(1).default(1e-3),
  headLearningRate: z.number().positive().max(1).default(1e-3),
  scoreLearningRate: z.number().positive().max(10).default(0.01),
  weightDecay: z.number().min(0).max(1).default(0),
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
    explanation: "Selective closes most gates and keeps the blocks that matter; LoRA adapts every block.",
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
  rank: { label: "Rank", explanation: "Width of each low-rank adapter. More learns more, and forgets more." },
  alpha: { label: "Alpha", explanation: "Strength of the adapters; the change is scaled by alpha / rank." },
  tau: {
    label: "Threshold (tau)",
    explanation: "A gate is open while its score is at least this. TAPS default 0.1.",
  },
  lambda: {
    label: "Closing pressure (lambda)",
    explanation: "How hard every score is pushed towards 0. Higher leaves fewer blocks open. TAPS default 1.",
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
  headLearningRate: {
    label: "Head learning rate",
    explanation: "Step size of the classifier, which starts from a linear probe.",
  },
  scoreLearningRate: {
    label: "Score learning rate",
    explanation: "Step size of the gate scores (SGD with momentum 0.9). TAPS default 0.01.",
  },
  weightDecay: {
    label: "Weight decay",
    explanation: "Pull of adapters and classifier towards 0; the scores have none.",
  },
  augmentation: {
    label: "Augmentation",
    explanation: "Random changes to training images: none, mirror images, or mirror and random crop.",
  },
  seed: { label: "Seed", explanation: "The same seed on the same data and machine gives the same run." },
};
