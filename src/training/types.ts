// The loop's doors: what a run needs to know, what it reports, and how it is held, ended and taken up again.
import type { Adaptation, AdaptationOptions, AdaptationSnapshot, SavedTensors } from "../adaptation/types.ts";
import type { PixelSource, VitWeights } from "../vit/types.ts";

/** The part of a recipe the loop reads; the session's `Recipe` fits as it is. */
export interface TrainingRecipe extends AdaptationOptions {
  lambda: number;
  /** Share of the steps before the penalty starts. */
  warmup: number;
  /** Share of the steps, at the end, in which the gates are frozen. */
  settle: number;
  epochs: number;
  batch: number;
  learningRate: number;
  headLearningRate: number;
  scoreLearningRate: number;
  weightDecay: number;
  augmentation: "none" | "flip" | "crop-flip";
  /** For A, B and the classifier; AdamW unless said otherwise. SGD has momentum 0.9 and no weight decay. */
  optimiser?: "adamw" | "sgd";
}

export type Phase = "warm-up" | "selecting" | "settling";

export interface TrainingReport {
  /** Steps done. */
  step: number;
  steps: number;
  /** 0-based epoch of the last step. */
  epoch: number;
  /** Cross-entropy, mean over the steps since the last report. */
  loss: number;
  penalty: number;
  learningRate: number;
  open: number;
  imagesPerSecond: number;
  secondsLeft: number;
  phase: Phase;
}

export interface TrainingFrame {
  step: number;
  scores: Float32Array;
  open: Uint8Array;
  sensitivity: Float32Array;
  deltaNorm: Float32Array;
}

/** A linear classifier as plain data. */
export interface HeadArrays {
  /** [classes, D] row-major */
  weight: Float32Array<ArrayBuffer>;
  bias: Float32Array<ArrayBuffer>;
  classes: number;
}

export interface TrainingHooks {
  onReport?: (report: TrainingReport) => void;
  onFrame?: (frame: TrainingFrame) => void;
  /** Awaited after every epoch with the gates quiet: evaluate here. */
  onEpoch?: (epoch: number, step: number) => Promise<void>;
  /** Awaited between steps: resolve late to pause; "stop" ends the run after the step just done. */
  between?: (step: number) => Promise<"go" | "stop">;
}

/** The whole run at a step boundary. Shuffles, augmentation and initial values are pure functions of (seed, step),
 *  so no generator state is needed beside them. */
export interface TrainerSnapshot {
  version: 1;
  step: number;
  adaptation: AdaptationSnapshot;
  /** `weight`, `bias`. */
  head: SavedTensors;
  /** The classifier it started from. */
  probe: HeadArrays;
  optimiser: { steps: number; moments: SavedTensors };
}

export interface TrainerInput {
  /** Stay the caller's. */
  weights: VitWeights;
  recipe: TrainingRecipe;
  /** Training images with their target class. */
  source: PixelSource;
  /** Where the classifier starts: the linear probe. */
  head: HeadArrays;
  hooks?: TrainingHooks;
  /** Steps between reports and gate frames; by default about a hundred in a run. */
  reportEvery?: number;
}

/** One run. Made by `createTrainer` (trainer.ts). */
export interface Trainer {
  readonly adaptation: Adaptation;
  /** Steps of the whole run and steps done. */
  readonly steps: number;
  readonly step: number;
  /** Trains to the end, or until `between` says stop; may be called again to go on. False when stopped early.
   *  @throws Failure "numeric" when the loss is no longer finite, "gpu" when the device failed */
  run(): Promise<boolean>;
  /** The classifier as it stands: probe + strength·(tuned - probe) (WiSE-FT). */
  head(strength?: number): Promise<HeadArrays>;
  snapshot(): Promise<TrainerSnapshot>;
  /** @throws Failure "state" when the snapshot is of another model or recipe */
  restore(snapshot: TrainerSnapshot): void;
  dispose(): void;
}
