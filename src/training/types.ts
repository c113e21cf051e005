// The loop's doors: what a run needs to know, what it reports, and how it is held, ended and taken up again.
import type { Adaptation, AdaptationOptions, AdaptationSnapshot } from "../adaptation/types.ts";

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
  weight: Float32Array;
  bias: Float32Array;
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
  /** `head.weight`, `head.bias`, their moments, and the probe's `probe.weight`, `probe.bias`. */
  head: Record<string, { shape: number[]; data: Float32Array }>;
}

/** One run. Made by `createTrainer({ weights, recipe, source, classes, head, hooks })` (trainer.ts). */
export interface Trainer {
  readonly adaptation: Adaptation;
  /** Steps of the whole run and steps done. */
  readonly steps: number;
  readonly step: number;
  /** Trains to the end, or until `between` says stop. False when stopped early. */
  run(): Promise<boolean>;
  /** The classifier as it stands: probe + strength·(tuned - probe) (WiSE-FT). */
  head(strength?: number): Promise<HeadArrays>;
  snapshot(): Promise<TrainerSnapshot>;
  restore(snapshot: TrainerSnapshot): void;
  dispose(): void;
}
