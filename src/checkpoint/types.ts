// What a checkpoint is to the rest of the house: an architecture, named tensors read on demand, and how to
// prepare an image for it. Family tables turn a file's names into these; nobody above knows a file's names.

import type { Pooling } from "./pooling.ts";
import type { PositionGrid } from "./positions.ts";

export type Dtype = "F64" | "F32" | "F16" | "BF16";
export type Interpolation = "nearest" | "bilinear" | "bicubic" | "lanczos";
export type Activation = "gelu" | "gelu_tanh" | "quick_gelu";

/** Which family's names a file uses (families/); the exporter writes the same ones. */
export type Family =
  | "hf-vit"
  | "hf-deit"
  | "hf-mae"
  | "hf-msn"
  | "hf-ijepa"
  | "hf-dinov2"
  | "hf-dinov2-registers"
  | "hf-dinov3"
  | "timm-vit"
  | "timm-deit"
  | "timm-clip"
  | "timm-dinov3"
  | "dino"
  | "dinov2"
  | "dinov2-registers"
  | "dinov3"
  | "mae"
  | "moco-v3"
  | "msn"
  | "ijepa"
  | "torchvision"
  | "hf-clip"
  | "openai-clip"
  | "open-clip"
  | "open-clip-timm"
  | "hf-siglip"
  | "timm-siglip";

/** What a file says of a tensor. */
export interface TensorHead {
  name: string;
  /** As safetensors spells it, e.g. `F16`. */
  dtype: string;
  shape: number[];
  /** Name of the shard it lies in, where the weights are several files. */
  file?: string;
}

/** One tensor of a file, not yet read. */
export interface NamedTensor extends TensorHead {
  /** The raw bytes, row-major, little-endian: a slice of a file, not in memory until it is read. */
  bytes: Blob;
}

/** A file's tensors, each with its bytes. */
export interface NamedTensors {
  /** The file, for a Failure. */
  where: string;
  tensors: NamedTensor[];
  /** `__metadata__` of a safetensors header; empty elsewhere. */
  metadata: Record<string, string>;
  /** What was chosen from the file and what was left in it, one sentence each. */
  notes: string[];
}

/** What every source of weights comes down to, be it safetensors, shards or a torch file: all its tensors, each by the
 *  keys and prefixes that lead to it (`state_dict.module.blocks.0.norm1.weight`). Where their bytes lie is looked for only
 *  once it is known which of them are the network, so that a strange tensor beside it does no harm. */
export interface Weights extends Omit<NamedTensors, "tensors"> {
  tensors: TensorHead[];
  /** Classes of networks that a torch file holds as objects, with which nothing can be done. */
  modules?: string[];
  /** A tensor of this file with its bytes; a Failure where they are damaged or of a kind that is not read. */
  find(tensor: TensorHead): Promise<NamedTensor>;
}

/** The network's shape. All ViTs here are pre-norm; symbols as in the field: D hidden, M MLP, N patches. */
export interface Architecture {
  family: Family;
  imageSize: number;
  patchSize: number;
  hiddenSize: number;
  layers: number;
  heads: number;
  mlpSize: number;
  activation: Activation;
  layerNormEps: number;
  /** Whether q, k and v have biases. */
  qkvBias: boolean;
  /** Tokens in front of the patches: CLS, then DeiT's distillation token, then registers; any of them may be absent. */
  prefixTokens: number;
  /** How many of them are registers, the last ones; absent: none. */
  registers?: number;
  /** Whether residual branches are scaled (LayerScale); absent: no. */
  layerScale?: boolean;
  /** SwiGLU instead of `activation`: fc1 is [2M, D], gate before up; absent: no. */
  gatedMlp?: boolean;
  /** Rotary positions of the patches by axis (DINOv3), with this base; such a network has no `pos_embed`. */
  ropeBase?: number;
  /** Whether the classifier has a second head, on the distillation token (`head_dist.*`). A DeiT may have the token
   *  and not the head: DeiTForImageClassification, which is also what an export is. `openCheckpoint` always says. */
  distillationHead?: boolean;
  /** What the checkpoint's own classifier reads, or where it has none what its family's does. */
  pooling: Pooling;
  /** Whether the tokens pass a LayerNorm before the first layer (CLIP). */
  preNorm?: boolean;
  /** Width of the space shared with a text tower, where the file has the map into it. */
  projectionSize?: number;
  /** SigLIP's attention pool, and the width of its MLP. */
  attentionPool?: { mlpSize: number };
  /** Labels of the checkpoint's own classifier, in order of its rows; null when the file has no classifier. */
  labels: string[] | null;
}

/** How the reference prepares an image: `resize` (PIL, antialiased), centre `crop`, then (x/255 - mean)/std. */
export interface Preprocessing {
  /** Exactly this size, or the shorter edge to this length (aspect kept). */
  resize: { mode: "exact"; height: number; width: number } | { mode: "shortest"; edge: number };
  crop: { height: number; width: number } | null;
  interpolation: Interpolation;
  mean: [number, number, number];
  std: [number, number, number];
}

/** What the files did not say and the person must confirm; the usual value is filled in. */
export interface OpenQuestion {
  /** Key into `ModelAnswers`. */
  key: keyof ModelAnswers;
  /** One sentence for the person, e.g. "How many attention heads? The file does not say." */
  question: string;
  /** The usual value, as text; what is used when the answer is left as it stands. */
  usual: string;
  /** Closed list of choices, where there is one. */
  choices?: string[];
  /** Whether no choice is more usual than another, so that somebody must choose; `usual` is then only the first. */
  open?: boolean;
}

/** Answers to open questions; every value overrides what the files say. */
export interface ModelAnswers {
  /** Which weights, where there are several: a file of a folder, or what they stand under in a file; with both,
   *  `file:name`. */
  weights?: string;
  heads?: number;
  activation?: Activation;
  layerNormEps?: number;
  /** Edge of the images that enter the network; a multiple of the patch size. */
  imageSize?: number;
  mean?: [number, number, number];
  std?: [number, number, number];
  /** Edge of the resize, before any centre crop; its mode (exact or shortest edge) stays as the files have it. */
  resize?: number;
  interpolation?: Interpolation;
}

/** One row of the tensor table. */
export interface TensorRow {
  name: string;
  shape: number[];
  dtype: string;
  bytes: number;
  /** Internal role (`layer.3.q.weight`, `pos_embed`, ...) or null when nothing uses it. */
  role: string | null;
  /** Problem in plain words; null when all is well. */
  problem: string | null;
}

/** Consecutive numbers of a tensor, row-major, that are consecutive numbers of a role: one piece for most tensors, three
 *  for a fused qkv, and two tensors with one piece each for a gated MLP that is stored in halves. */
export interface Piece {
  role: Role;
  /** First number in the tensor, first number in the role, and how many. */
  at: number;
  into: number;
  count: number;
  /** Rows of the tensor where the role is its transpose. */
  rows?: number;
}

/** Internal weight names; `{i}` is the layer. Linear weights are [out, in].
 *  `cls_token` [D] · `dist_token` [D] · `register_tokens` [R, D] · `pos_embed` [prefix+N, D] as the image size needs it · `patch_embed.weight` [D, 3·P·P] (order c, y, x)
 *  · `patch_embed.bias` [D] · `layer.{i}.norm1.weight|bias` · `layer.{i}.q|k|v|o.weight|bias` [D,D] · `layer.{i}.norm2.*`
 *  · `layer.{i}.fc1.weight` [M,D], of a gated MLP [2M,D] · `layer.{i}.fc2.weight` [D,M] (+ `.bias`)
 *  · `layer.{i}.scale1|scale2` [D] · `norm.weight|bias`
 *  · `pre_norm.weight|bias` (CLIP) · `projection.weight` [E,D]
 *  · `attention_pool.probe` [D] · `attention_pool.q|k|v|o.weight|bias` · `attention_pool.norm.weight|bias`
 *  · `attention_pool.fc1|fc2.weight|bias`
 *  · `head.weight` [C,F] (F what the pooling gives, D for most) · `head.bias` [C] · `head_dist.weight`
 *  · `head_dist.bias` (distilled DeiT). */
export type Role = string;

/** An opened checkpoint: validated, its tensors not yet in memory. */
export interface Checkpoint {
  /** Short name for the person: folder or file. */
  name: string;
  architecture: Architecture;
  preprocessing: Preprocessing;
  questions: OpenQuestion[];
  /** What was chosen from the files that the person may want to know, one sentence each. */
  notes: string[];
  table: TensorRow[];
  /** Every role the network needs, and how big it is once read as f32; `source` names its tensors. A role without a
   *  tensor is zeros: a bias that the family does not store. */
  roles: Map<Role, { shape: number[]; source: string }>;
  /** Reads one tensor as f32 (row-major); throws Failure on NaN or infinity. */
  read(role: Role): Promise<Float32Array>;
  /** What the exporter needs to write the same file again. */
  source: CheckpointSource;
}

export interface CheckpointSource {
  /** Tensors in file order, by their names without wrappers; those without pieces are not used, but carried over into an
   *  export all the same, because the family's own library wants them. */
  tensors: (NamedTensor & { pieces: Piece[]; carried: boolean })[];
  /** How many others the file holds. */
  leftOut: number;
  /** `__metadata__` of the safetensors header. */
  metadata: Record<string, string>;
  /** config.json as it was read, or null when there was none. */
  config: Record<string, unknown> | null;
  /** Keys of it whose whole numbers stand with a decimal point, which must not get lost in an export. */
  configFloats: ReadonlySet<string>;
  /** preprocessor_config.json as it was read, or null. */
  preprocessorConfig: Record<string, unknown> | null;
  /** What stands before the backbone's names in the file, such as `vit.`; often nothing. */
  prefix: string;
  /** The positions that the file holds; null where the family adds none. */
  positions: PositionGrid | null;
}
