// The method's doors: which matrices adapt, under which gates, and what can be read of them at any moment.
import type { EffectiveWeights, Site } from "../vit/types.ts";

export type Matrix = "q" | "k" | "v" | "o" | "fc1" | "fc2";
export type Granularity = "block" | "layer" | "matrix";
export type Target = "both" | "attention" | "mlp";

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
  target: Target;
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

export type { EffectiveWeights };

/** Everything an adaptation has learned, as plain data: survives `postMessage` and storage, restores bit-equal. */
export interface AdaptationSnapshot {
  /** `layer.{i}.{site}.lora_A` [pieces·r, in], `…lora_B` [out, r], their optimiser moments, scores, momentum. */
  tensors: Record<string, { shape: number[]; data: Float32Array }>;
  frozen: Uint8Array | null;
}

/** Adapters and gates over one network. Made by `createAdaptation(weights, options)` (adaptation.ts). */
export interface Adaptation {
  readonly options: AdaptationOptions;
  readonly gates: Gate[];
  readonly sites: AdapterShape[];
  /** Forms W' for every site that is not known to be shut. The caller disposes it. */
  effective(applied?: Applied): EffectiveWeights;
  /** Reads scores, indicator, sensitivity and change norms. With `reset`, sensitivity starts anew. */
  read(reset?: boolean): Promise<GateReading>;
  /** The merged weights (W + g·strength·c·BA) of every role that changed, and only those: role -> row-major f32. */
  merge(applied?: Applied): Promise<Map<string, Float32Array>>;
  snapshot(): Promise<AdaptationSnapshot>;
  restore(snapshot: AdaptationSnapshot): void;
  dispose(): void;
}
