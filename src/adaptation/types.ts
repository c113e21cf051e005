// The method's doors: which matrices adapt, under which gates, and what can be read of them at any moment.
import type { Tensor1D, Tensor2D, Variable } from "@tensorflow/tfjs-core";
import type { Role } from "../checkpoint/types.ts";
import type { Trainables } from "../tensor/trainables.ts";
import type {
  EffectiveWeights,
  ForwardInput,
  Position,
  RestVisitor,
  Site,
  SiteVisitor,
} from "../vit/types.ts";
import type { Method, Selection } from "./methods.ts";

export type { Method, Selection } from "./methods.ts";

export type Matrix = "q" | "k" | "v" | "o" | "fc1" | "fc2";
export type Granularity = "block" | "layer" | "matrix";
export type TargetModules = "both" | "attention" | "mlp";

/** One gate: a block, a layer or a matrix. Ids run layer by layer, attention before MLP, q k v o fc1 fc2. */
export interface Gate {
  id: number;
  layer: number;
  /** Column of the heatmap. */
  column: "attention" | "mlp" | "layer" | Matrix;
  matrices: Matrix[];
  /** Learned numbers that this gate switches in its matrices. */
  parameters: number;
}

export interface AdaptationOptions {
  method: Method;
  /** What ranks the gates under a budget; "learned" unless said otherwise. */
  select?: Selection;
  granularity: Granularity;
  targetModules: TargetModules;
  rank: number;
  alpha: number;
  /** A gate is open while its score is at least this. */
  tau: number;
  seed: number;
  /** Roles that the checkpoint's file can take back; absent: every one. Full fine-tuning leaves others frozen. */
  stored?: ReadonlySet<Role>;
}

/** The gates at one moment; every array has one entry a gate. */
export interface GateReading {
  /** What decides: a learned score; of a hard-concrete gate its value without noise before it is clipped to 0..1; of any
   *  other selection what it ranks by, the highest being 1. */
  scores: Float32Array;
  /** 1 open, 0 closed. */
  open: Uint8Array;
  /** |dL/dg|, mean over the steps since the last reading that reset it. */
  sensitivity: Float32Array;
  /** ‖ΔW‖_F / ‖W‖_F of the gate's matrices, whether it is open or not. */
  deltaNorm: Float32Array;
}

/** One adapted site. `pieces` is 3 for the fused qkv, else 1. */
export interface AdapterShape {
  layer: number;
  site: Site;
  pieces: number;
  out: number;
  in: number;
}

/** Which change stands in the network: by default the gates as they are, at full strength. */
export interface Applied {
  /** One entry a gate; absent: the gates' own indicator. */
  open?: Uint8Array;
  /** Share of the change, 0 to 1 (WiSE-FT). */
  strength?: number;
}

/** Everything an adaptation has learned, as plain data: survives `postMessage` and storage, restores bit-equal. */
export interface AdaptationSnapshot {
  /** `layer.{i}.{site}.lora_A` [pieces·r, in], `…lora_B` [out, r], DoRA's `…lora_magnitude_vector` [out], or `…residual`
   *  [out, in]; of full fine-tuning `rest.{tensor}` of every other tensor; `scores`, `score_momentum`, `sensitivity` [gates]. */
  tensors: SavedTensors;
  /** Steps in `sensitivity`; 0 where it is the mean of the last ones and starts anew. */
  sensitivitySteps: number;
  /** The gates as they were frozen; null while they move. */
  frozen: Uint8Array | null;
}

export type SavedTensors = Record<string, { shape: number[]; data: Float32Array }>;

/** Adapters and gates over one network. Made by `createAdaptation(weights, options)` (adaptation.ts). */
export interface Adaptation {
  readonly options: AdaptationOptions;
  readonly gates: readonly Gate[];
  readonly sites: readonly AdapterShape[];
  /** Forms W' for every site that is not known to be shut. The caller disposes it. */
  effective(applied?: Applied): EffectiveWeights;
  /** Lowest place of the network that the change touches, where known: what lies below is frozen for these gates.
   *  null: the change touches nothing. */
  lowest(open: Uint8Array): Position | null;
  /** The lowest place that can still learn; null: nothing can. */
  lowestLearning(): Position | null;
  /** Reads scores, indicator, sensitivity and change norms. With `reset`, sensitivity starts anew. What is read is the
   *  state at the call, however late the promise resolves. */
  read(reset?: boolean): Promise<GateReading>;
  /** The merged values (W + g·strength·ΔW) of every tensor that changed, and only those: role -> row-major f32. */
  merge(applied?: Applied): Promise<Map<string, Float32Array<ArrayBuffer>>>;
  snapshot(): Promise<AdaptationSnapshot>;
  /** @throws Failure "state" when the snapshot is of another network or recipe */
  restore(snapshot: AdaptationSnapshot): void;
  dispose(): void;

  // The loop's side of it.

  /** Everything that learns, in a fixed order. */
  readonly parameters: readonly Variable[];
  /** What each of `parameters` is called in a snapshot. */
  readonly names: readonly string[];
  /** Indices into `parameters` of those that can still learn: all, or once frozen those of sites with an open gate. */
  learning(): number[];
  /** Whether the gates rest as they are. */
  readonly frozen: boolean;
  /** From now on the gates with the `count` highest scores are open, instead of those at tau. No effect once frozen. */
  openHighest(count: number): void;
  /** Ranks the gates by these numbers from now on, for a selection that is not learned. No effect once frozen. */
  rank(values: ArrayLike<number>): void;
  /** ‖ΔW‖_F of each gate's matrices together. */
  changeNorms(): Promise<Float32Array>;
  /** Mean over the tokens of ‖ΔW x‖ of each site's pieces, summed into their gates: what each gate adds to what passes
   *  it (LoRA-drop, arXiv 2402.07721). @param inputOf x of a site, [T, in]; stays the caller's */
  outputNorms(inputOf: (layer: number, site: Site) => Tensor2D): Promise<Float32Array>;
  /** Ends the gates' movement. Waits for the device once. */
  freeze(): Promise<void>;
  /** What one step needs of the adaptation.
   *  @param trainables collects the gradients; `parameters` are its first ones
   *  @param noise the step by which gates that draw noise draw it; null: they are all open, and rest */
  beginStep(trainables: Trainables, noise: number | null): AdaptationStep;
  /** Moves the scores by one step of SGD with momentum, where they learn, and sums up sensitivity; only before `freeze`. */
  stepScores(gradient: Tensor1D, lambda: number, learningRate: number): void;
  /** What lambda multiplies, for these scores: mean|s|, or the mean chance of being open. */
  penalty(scores: Float32Array): number;
}

export interface AdaptationStep {
  effective: EffectiveWeights;
  /** Where backward may end; null: nothing below the classifier learns. */
  keepFrom: Position | null;
  keepInput: (layer: number, site: Site) => boolean;
  visit: SiteVisitor;
  /** Present where norms and the like learn too. */
  visitRest?: RestVisitor;
  /** Takes the gradient of what entered layer 0, where `keepFrom` reaches down to it. Both stay the caller's. */
  visitEntry?: (input: ForwardInput, dx: Tensor2D) => void;
  /** What multiplies the gradient of each piece of a parameter, g·alpha/r, [pieces]; null: nothing does. Gone with the
   *  next step. */
  scaleOf: (parameter: number) => Tensor1D | null;
  /** dL/ds of the task once the batch has ended and before parameters move, [gates]; null once frozen. The caller
   *  disposes it, and `effective`. */
  scoreGradient: () => Tensor1D | null;
}
