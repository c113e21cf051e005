// The loop's doors: what a run needs to know, what it reports, and how it is held, ended and taken up again.
import type { Adaptation, AdaptationOptions, AdaptationSnapshot, SavedTensors } from "../adaptation/types.ts";
import type { Pooling } from "../checkpoint/pooling.ts";
import type { PixelSource, VitWeights } from "../vit/types.ts";
import type { ClassWeighting } from "./class_weights.ts";

/** The part of a recipe the loop reads; the session's `Recipe` fits as it is. */
export interface TrainingRecipe extends AdaptationOptions {
  lambda: number;
  /** How many gates are open at the end, as `adaptation/budget.ts` reads it; "auto" unless said otherwise. With a budget
   *  the highest scores are open whatever tau is, and there is no penalty. */
  budget?: string;
  /** Share of the steps before the penalty starts. */
  warmup: number;
  /** Share of the steps, at the end, in which the gates are frozen. */
  settle: number;
  epochs: number;
  batch: number;
  learningRate: number;
  /** For methods that learn whole matrices; `learningRate` unless said otherwise. */
  fullLearningRate?: number;
  headLearningRate: number;
  scoreLearningRate: number;
  weightDecay: number;
  /** Weight of staying near the frozen network (`Learner.keep`); 0 unless said otherwise. */
  keep?: number;
  augmentation: "none" | "flip" | "crop-flip";
  /** Whether the classifier learns too; by default it does. */
  headTrains?: "yes" | "no";
  /** What a class weighs in the loss (class_weights.ts); every image counts alike unless said otherwise. */
  classWeights?: ClassWeighting;
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
  /** Cross-entropy, weighted as the recipe weighs classes, mean over the steps since the last report. */
  loss: number;
  penalty: number;
  /** Mean 1 - cos between the features of now and the frozen network's, over the steps since the last report; absent where
   *  the recipe does not keep near it. */
  keep?: number;
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
  /** [classes, F] row-major */
  weight: Float32Array<ArrayBuffer>;
  bias: Float32Array<ArrayBuffer>;
  classes: number;
  /** A classifier by cosine: it reads features of length 1, and its bias, the same for every class, never learns, so
   *  that its answers need no length. */
  unit?: boolean;
}

export interface TrainingHooks {
  onReport?: (report: TrainingReport) => void;
  onFrame?: (frame: TrainingFrame) => void;
  /** Awaited after every epoch with the gates quiet: evaluate here. */
  onEpoch?: (epoch: number, step: number) => Promise<void>;
  /** Something the person should know, in a sentence. */
  onNotice?: (text: string) => void;
  /** Awaited between steps: resolve late to pause; "stop" ends the run after the step just done. */
  between?: (step: number) => Promise<"go" | "stop">;
  /** Asked in the middle of a step that takes long: true gives it up, and the run ends after the step before it. */
  stopping?: () => boolean;
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
  /** What the classifier reads; by default what the model's own does. */
  pooling?: Pooling;
  recipe: TrainingRecipe;
  /** Training images with their target class. */
  source: PixelSource;
  /** The classifier of the frozen network: the linear probe. It is what a strength of 0 comes back to. */
  head: HeadArrays;
  /** Where the classifier starts, if not from that. */
  start?: HeadArrays;
  /** Images without classes on which the network is to stay as it was too, where the recipe keeps near it. */
  keepSource?: PixelSource | null;
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
  /** The run as it last was with every number finite: at its start, where gates froze, and at ends of epochs. After a
   *  failure it is what can be gone on from, here or with another trainer. */
  readonly lastGood: TrainerSnapshot | null;
  /** Trains to the end, or until `between` says stop; may be called again to go on. False when stopped early.
   *  @throws Failure "numeric" when the loss is no longer finite: the run is then back at its last good step; "gpu"
   *    when the device failed or memory ran out below one image */
  run(): Promise<boolean>;
  /** Ends the gates' movement for good, at exactly the budget's count where there is one, wherever the run stands. */
  harden(): Promise<void>;
  /** The classifier as it stands: probe + strength·(tuned - probe) (WiSE-FT). */
  head(strength?: number): Promise<HeadArrays>;
  snapshot(): Promise<TrainerSnapshot>;
  /** @throws Failure "state" when the snapshot is of another model or recipe */
  restore(snapshot: TrainerSnapshot): void;
  dispose(): void;
}
