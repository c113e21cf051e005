// The network as the floors above see it: weights held as tensors, one forward, one explicit backward, and the
// places (sites) where an adapter may sit. Token tensors are flat, [T, D] with T = batch * (prefix + patches).
import type { Tensor1D, Tensor2D, Tensor4D } from "@tensorflow/tfjs-core";
import type { Architecture } from "../checkpoint/types.ts";

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
  norm2: NormWeights;
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
  /** CLS, then the distillation token where there is one: [prefix, D]. */
  prefix: Tensor2D;
  /** [prefix + N, D] */
  pos: Tensor2D;
  layers: LayerWeights[];
  norm: NormWeights;
  /** The checkpoint's own classifier; null when the file has none. */
  head: LinearWeights | null;
  headDist: LinearWeights | null;
  dispose(): void;
}

/** The weight that stands at a site now: the frozen one, or W + g·c·BA where a gate is open. */
export interface EffectiveWeights {
  weight(layer: number, site: Site): Tensor2D;
  /** Releases the formed weights, never the frozen ones. */
  dispose(): void;
}

/** What the final LayerNorm leaves of the prefix tokens; [batch, D] each. */
export interface Features {
  cls: Tensor2D;
  /** Only for distilled DeiT, and only when asked for. */
  dist: Tensor2D | null;
  dispose(): void;
}

/** Where a forward pass starts: pixels [B, H, W, 3] in 0..255, or the activation [T, D] that enters `layer`. */
export type ForwardInput = { pixels: Tensor4D } | { entry: Tensor2D; layer: number; batch: number };

export interface ForwardOptions {
  /** Lowest position whose gradient is wanted: backward will end there, and activations are kept from there on.
   *  null or absent: keep nothing. */
  keepFrom?: Position | null;
  /** Which sites will need their input again in backward; default all from `keepFrom` on. */
  keepInput?: (layer: number, site: Site) => boolean;
  /** Also give the distillation token's features (own classifier of a distilled DeiT); backward does not see them. */
  dist?: boolean;
}

/** Called by backward for every site from the top down, with the site's input and the gradient of its output.
 *  Both belong to backward and are gone after the call. In the last layer o, fc1 and fc2 see only the CLS rows. */
export type SiteVisitor = (layer: number, site: Site, x: Tensor2D, dy: Tensor2D) => void;

/** What one layer leaves for backward; null where nothing above will ask for it. */
export interface KeptLayer {
  /** [T, D], what entered the layer. */
  x: Tensor2D | null;
  /** Input of qkv. */
  norm1: Tensor2D | null;
  qkv: Tensor2D | null;
  /** Attention's output [T, D]. */
  attended: Tensor2D | null;
  /** Input of o: `attended`, or in the last layer its CLS rows [batch, D]. */
  oInput: Tensor2D | null;
  /** After the attention's residual: [T, D], in the last layer [batch, D]. */
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
  /** Index is the layer; empty below `from`. */
  layers: (KeptLayer | null)[];
  /** Input of the final LayerNorm, [batch, D]. */
  last: Tensor2D;
  dispose(): void;
}

export interface ForwardResult {
  features: Features;
  kept: Kept | null;
}

/** Logits [batch, classes] from features; the caller disposes the result. */
export type Classifier = (features: Features) => Tensor2D;

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
