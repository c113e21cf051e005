// The method's doors: which matrices adapt, under which gates, and what can be read of them at any moment.
import type { Tensor1D, Tensor2D, Variable } from "@tensorflow/tfjs-core";
import type { EffectiveWeights, Position, Site, SiteVisitor } from "../vit/types.ts";

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
  /** Adapter parameters (A and B) that this gate switches. */
  parameters: number;
}

export interface AdaptationOptions {
  /** selective: gates learn · lora: every gate open and fixed. */
  method: "selective" | "lora";
  granularity: Granularity;
  targetModules: TargetModules;
  rank: number;
  alpha: number;
  /** A gate is open while its score is at least this. */
  tau: number;
  seed: number;
}

/** The gates at one moment; every array has one entry a gate. */
export interface GateReading {
  scores: Float32Array;
  /** 1 open, 0 closed. */
  open: Uint8Array;
  /** |dL/ds|, mean over the steps since the last reading that reset it. */
  sensitivity: Float32Array;
  /** ‖c·BA‖_F / ‖W‖_F of the gate's matrices, whether it is open or not. */
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
  /** `layer.{i}.{site}.lora_A` [pieces·r, in], `…lora_B` [out, r], `scores`, `score_momentum`, `sensitivity` [gates]. */
  tensors: SavedTensors;
  /** Steps in `sensitivity`. */
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
  /** Reads scores, indicator, sensitivity and change norms. With `reset`, sensitivity starts anew. What is read is the
   *  state at the call, however late the promise resolves. */
  read(reset?: boolean): Promise<GateReading>;
  /** The merged weights (W + g·strength·c·BA) of every matrix that changed, and only those: role -> row-major f32. */
  merge(applied?: Applied): Promise<Map<string, Float32Array<ArrayBuffer>>>;
  snapshot(): Promise<AdaptationSnapshot>;
  /** @throws Failure "state" when the snapshot is of another network or recipe */
  restore(snapshot: AdaptationSnapshot): void;
  dispose(): void;

  // The loop's side of it.

  /** Every A and B, in a fixed order. */
  readonly parameters: readonly Variable[];
  /** Indices into `parameters` of those that can still learn: all, or once frozen those of sites with an open gate. */
  learning(): number[];
  /** Whether the gates rest as they are. */
  readonly frozen: boolean;
  /** Ends the gates' movement. Waits for the device once. */
  freeze(): Promise<void>;
  /** What one step needs of the adaptation. */
  beginStep(): AdaptationStep;
  /** Moves the scores by one step of SGD with momentum; only before `freeze`. */
  stepScores(gradient: Tensor1D, lambda: number, learningRate: number): void;
}

export interface AdaptationStep {
  effective: EffectiveWeights;
  /** Where backward may end; null: nothing below the classifier learns. */
  keepFrom: Position | null;
  keepInput: (layer: number, site: Site) => boolean;
  visit: SiteVisitor;
  /** After backward: one gradient for each index of `learning()`, in its order, and dL/ds of the task (null once
   *  frozen). The caller disposes all of it, and `effective`. */
  finish(): { gradients: Tensor2D[]; scores: Tensor1D | null };
}
