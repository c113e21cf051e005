// The network as the floors above see it: weights held as tensors, one forward, one explicit backward, and the
// places (sites) where an adapter may sit. Token tensors are flat, [T, D] with T = batch * (prefix + patches).
import type { Tensor1D, Tensor2D, Tensor4D } from "@tensorflow/tfjs-core";
import type { Pooling } from "../checkpoint/pooling.ts";
import type { Architecture } from "../checkpoint/types.ts";
import type { PoolMaps } from "../tensor/attention_pool.ts";

/** The four linear maps of a layer, in the order the forward pass meets them. q, k and v are one fused site. */
export type Site = "qkv" | "o" | "fc1" | "fc2";

/** A place in the network, ordered by layer, then entry < qkv < o < fc1 < fc2; `entry` is the activation that enters
 *  the layer. */
export interface Position {
  layer: number;
  site: Site | "entry";
}

export interface LinearWeights {
  /** [out, in] */
  weight: Tensor2D;
  /** [out], or null where the family has none. */
  bias: Tensor1D | null;
}

export interface NormWeights {
  gamma: Tensor1D;
  beta: Tensor1D;
}

export interface LayerWeights {
  norm1: NormWeights;
  /** Weight [3D, D]: rows 0..D are q, D..2D k, 2D..3D v. */
  qkv: LinearWeights;
  o: LinearWeights;
  /** LayerScale of the attention branch [D], or null where the family has none. */
  scale1: Tensor1D | null;
  norm2: NormWeights;
  /** [M, D]; of a gated MLP [2M, D], the gate's rows before the up projection's. */
  fc1: LinearWeights;
  fc2: LinearWeights;
  /** LayerScale of the MLP branch. */
  scale2: Tensor1D | null;
}

/** SigLIP's head: attention by a learned query, then an MLP beside its residual. */
export interface AttentionPoolWeights {
  maps: PoolMaps;
  o: LinearWeights;
  norm: NormWeights;
  fc1: LinearWeights;
  fc2: LinearWeights;
}

/** Every frozen tensor of the network, on the device. */
export interface VitWeights {
  architecture: Architecture;
  mean: [number, number, number];
  std: [number, number, number];
  /** [D, 3·P·P] */
  patchEmbed: LinearWeights;
  /** CLS, the distillation token, registers, as far as there are any: [prefix, D]. */
  prefix: Tensor2D;
  /** [prefix + N, D]; 0 for tokens that have no position. */
  pos: Tensor2D;
  /** Rotary turns of the patches (tensor/rope.ts) [N, head size], or null where positions are only added. */
  turns: Tensor2D | null;
  /** Before the first layer; null where the family has none. */
  preNorm: NormWeights | null;
  layers: LayerWeights[];
  norm: NormWeights;
  /** [E, D]; null where the file has no such map. */
  projection: Tensor2D | null;
  attentionPool: AttentionPoolWeights | null;
  /** The checkpoint's own classifier; null when the file has none. */
  head: LinearWeights | null;
  headDist: LinearWeights | null;
  dispose(): void;
}

/** The weight that stands at a site now: the frozen one, or the changed one where a gate is open. */
export interface EffectiveWeights {
  weight(layer: number, site: Site): Tensor2D;
  /** The network whose other tensors (biases, norms, embeddings) stand; absent: the frozen one. */
  network?: VitWeights;
  /** Releases the formed weights, never the frozen ones. */
  dispose(): void;
}

/** What a classifier reads. */
export interface Features {
  /** [batch, F], F as `featureSize` says for the pooling. */
  pooled: Tensor2D;
  /** The distillation token after the final norm, [batch, D]; only for distilled DeiT, and only when asked for. */
  dist: Tensor2D | null;
  dispose(): void;
}

/** Where a forward pass starts: pixels [B, H, W, 3] in 0..255, or the activation [T, D] that enters `layer`. */
export type ForwardInput = { pixels: Tensor4D } | { entry: Tensor2D; layer: number; batch: number };

export interface ForwardOptions {
  /** What to make of the last layer's tokens; by default what the model's own classifier reads. */
  pooling?: Pooling;
  /** Lowest position whose gradient is wanted: backward will end there, and activations are kept from there on.
   *  null or absent: keep nothing. */
  keepFrom?: Position | null;
  /** Which sites will need their input again in backward; default all from `keepFrom` on. */
  keepInput?: (layer: number, site: Site) => boolean;
  /** Also give the distillation token's features (own classifier of a distilled DeiT); backward does not see them. */
  dist?: boolean;
  /** Shown what enters each layer, [T, D], as it passes; the tensor is gone after the call. */
  onEntry?: (layer: number, x: Tensor2D) => void;
}

/** Called by backward for every site from the top down, with the site's input and the gradient of its output.
 *  Both belong to backward and are gone after the call. Where only the class token is pooled, o, fc1 and fc2 of the
 *  last layer see its rows alone. */
export type SiteVisitor = (layer: number, site: Site, x: Tensor2D, dy: Tensor2D) => void;

/** Called by backward, on its way down, for what can learn beside the sites and their biases. */
export interface RestVisitor {
  /** @param name `layer.{i}.norm1`, `layer.{i}.norm2` or `norm` · x what entered it, dy the gradient of what left it */
  norm(name: string, x: Tensor2D, dy: Tensor2D): void;
  /** @param name `layer.{i}.scale1|scale2` · x the residual branch before it */
  scale(name: string, x: Tensor2D, dy: Tensor2D): void;
  /** The map into a text tower's space. */
  projection(x: Tensor2D, dy: Tensor2D): void;
}

/** What one layer leaves for backward; null where nothing above will ask for it. */
export interface KeptLayer {
  /** [T, D], what entered the layer. */
  x: Tensor2D | null;
  /** Input of qkv. */
  norm1: Tensor2D | null;
  /** q and k already turned where the network has rotary positions. */
  qkv: Tensor2D | null;
  /** Attention's output [T, D]. */
  attended: Tensor2D | null;
  /** Input of o: `attended`, or its CLS rows [batch, D] in a last layer of which only they are pooled. */
  oInput: Tensor2D | null;
  /** After the attention's residual, as many rows as `oInput`. */
  middle: Tensor2D | null;
  /** Input of fc1. */
  norm2: Tensor2D | null;
  /** Output of fc1, before the activation function. */
  u: Tensor2D | null;
  /** Input of fc2. */
  h: Tensor2D | null;
}

/** Activations that backward needs; backward disposes them as it passes, `dispose` drops what is left. */
export interface Kept {
  from: Position;
  batch: number;
  pooling: Pooling;
  /** Index is the layer; empty below `from`. */
  layers: (KeptLayer | null)[];
  /** What the last layer left: [T, D], or [batch, D] where only the class token is pooled. */
  last: Tensor2D;
  dispose(): void;
}

export interface ForwardResult {
  features: Features;
  kept: Kept | null;
}

/** A classifier, and what it must be given. */
export interface Classifier {
  pooling: Pooling;
  /** Whether it reads the distillation token too. */
  dist: boolean;
  /** Logits [batch, classes]; the caller disposes the result. */
  logits(features: Features): Tensor2D;
}

/** Images as the network eats them: 8-bit RGB after resize and crop, in a fixed order. The data floor delivers it. */
export interface PixelSource {
  readonly count: number;
  /** Class of each image. */
  readonly labels: Int32Array;
  /** Pixels of the images asked for, one after the other, H·W·3 bytes each (H = W = architecture.imageSize).
   *  With `augment`, each image is changed at random as a pure function of (kind, seed, epoch, index). */
  pixels(indices: readonly number[], augment?: Augment): Promise<Uint8Array>;
}

export interface Augment {
  kind: "none" | "flip" | "crop-flip";
  seed: number;
  epoch: number;
}
