// What a checkpoint is to the rest of the house: an architecture, named tensors read on demand, and how to
// prepare an image for it. Family tables turn a file's names into these; nobody above knows a file's names.

export type Dtype = "F32" | "F16" | "BF16";
export type Activation = "gelu" | "gelu_tanh" | "quick_gelu";

/** Which family's names a file uses; the exporter writes the same ones. */
export type Family = "hf-vit" | "hf-deit";

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
  /** CLS, or CLS and the distillation token of DeiT. */
  prefixTokens: 1 | 2;
  /** Whether the classifier has a second head, on the distillation token (`head_dist.*`). A DeiT may have the token
   *  and not the head: DeiTForImageClassification, which is also what an export is. `openCheckpoint` always says. */
  distillationHead?: boolean;
  /** Labels of the checkpoint's own classifier, in order of its rows; null when the file has no classifier. */
  labels: string[] | null;
}

/** How the reference prepares an image: `resize` (PIL, antialiased), centre `crop`, then (x/255 - mean)/std. */
export interface Preprocessing {
  /** Exactly this size, or the shorter edge to this length (aspect kept). */
  resize: { mode: "exact"; height: number; width: number } | { mode: "shortest"; edge: number };
  crop: { height: number; width: number } | null;
  interpolation: "nearest" | "bilinear" | "bicubic" | "lanczos";
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
}

/** Answers to open questions; every value overrides what the files say. */
export interface ModelAnswers {
  heads?: number;
  activation?: Activation;
  layerNormEps?: number;
  mean?: [number, number, number];
  std?: [number, number, number];
  /** Edge of the resize, before any centre crop; its mode (exact or shortest edge) stays as the files have it. */
  resize?: number;
  interpolation?: Preprocessing["interpolation"];
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

/** Internal weight names; `{i}` is the layer. Linear weights are [out, in].
 *  `cls_token` [D] · `dist_token` [D] · `pos_embed` [prefix+N, D] · `patch_embed.weight` [D, 3·P·P] (order c, y, x)
 *  · `patch_embed.bias` [D] · `layer.{i}.norm1.weight|bias` · `layer.{i}.q|k|v|o.weight|bias` [D,D] · `layer.{i}.norm2.*`
 *  · `layer.{i}.fc1.weight` [M,D] · `layer.{i}.fc2.weight` [D,M] (+ `.bias`) · `norm.weight|bias`
 *  · `head.weight` [C,D] · `head.bias` [C] · `head_dist.weight` · `head_dist.bias` (distilled DeiT). */
export type Role = string;

/** An opened checkpoint: validated, its tensors not yet in memory. */
export interface Checkpoint {
  /** Short name for the person: folder or file. */
  name: string;
  architecture: Architecture;
  preprocessing: Preprocessing;
  questions: OpenQuestion[];
  table: TensorRow[];
  /** Every role the network needs, and how big it is once read as f32. */
  roles: Map<Role, { shape: number[]; source: string }>;
  /** Reads one tensor as f32 (row-major); throws Failure on NaN or infinity. */
  read(role: Role): Promise<Float32Array>;
  /** What the exporter needs to write the same file again. */
  source: CheckpointSource;
}

export interface CheckpointSource {
  /** Tensors in file order, with their raw bytes. */
  tensors: { name: string; dtype: string; shape: number[]; bytes: Blob; role: Role | null }[];
  /** `__metadata__` of the safetensors header. */
  metadata: Record<string, string>;
  /** config.json as it was read, or null when there was none. */
  config: Record<string, unknown> | null;
  /** preprocessor_config.json as it was read, or null. */
  preprocessorConfig: Record<string, unknown> | null;
  /** Prefix of the backbone's names in the file, `vit.`, `deit.` or none. */
  prefix: string;
}
