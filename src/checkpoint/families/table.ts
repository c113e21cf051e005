// What a family of checkpoints is here: a table of tensor names, shapes and roles, and the few things that set it
// apart. match.ts reads a file by it, and an export writes the same names; neither knows any family.
import type { Pooling } from "../pooling.ts";
import type { GridResize } from "../positions.ts";
import type { Activation, Architecture, Family, Interpolation, Role } from "../types.ts";

/** Part of a role: one of `count` equal parts along its first axis. */
export interface RolePart {
  role: Role;
  index: number;
  count: number;
}

/** One tensor a family has. */
export interface TensorEntry {
  /** Without the backbone's prefix; `{i}` is the layer. */
  name: string;
  /** Sides in symbols that the file's tensors bind, with a factor where there is one: `3D D`. D width, M MLP, P patch,
   *  T positions, R registers, C classes; a family may use others. */
  shape: string;
  /** What the tensor's equal parts along its first axis are: one role, or several of them; null is not used. */
  roles: (Role | RolePart | null)[];
  /** Needed in files that have any tensor of this feature, and nowhere else. */
  feature?: string;
  /** Whether it stands beside the backbone's prefix instead of under it. An image classifier of the family's library has
   *  no place for such a tensor. */
  outside?: boolean;
  /** Whether a matrix is stored as [in, out], where its role is [out, in]. Such a tensor never changes. */
  transposed?: boolean;
  /** Its name in an export, where the network that is written calls it by another. */
  written?: string;
}

/** Names and shapes of a file, as a table asks for them. */
export interface FileNames {
  /** Whether there is a tensor of this name, after the prefix. */
  has(name: string): boolean;
  /** What of the family's own stands before the backbone's names, such as `deit.`. */
  prefix: string;
  /** What stands before that, which is whatever tools and scripts put there: `state_dict.module.`. */
  outer: string;
  /** Whether a config.json stands beside the file, and its `model_type`. */
  configured: boolean;
  modelType: string | undefined;
  /** The model's name and path, as far as known. */
  origin: string;
}

/** Where a family's added positions are, and what happens to them for another image size. */
export interface Positions {
  /** Tokens in front of the patches that may have a position, the likeliest first: all of them, CLS alone, none. */
  covers: ("all" | "cls" | "none")[];
  resize: GridResize;
  /** Whether the family's library interpolates while it runs, so that a file keeps the grid it was trained with. Else an
   *  export holds the interpolated grid. */
  atRuntime: boolean;
}

export interface FamilyTable {
  family: Family;
  /** In a sentence, with its article: "a ViT of transformers". */
  title: string;
  /** `model_type` values that belong to these names. */
  modelTypes: string[];
  /** What the family's own classes put before the backbone's names; wrappers' prefixes and keys are taken off before. */
  prefix: RegExp;
  /** What an export is, in `config.json` of transformers or timm, or in `open_clip_config.json`. */
  written: {
    config: "transformers" | "timm" | "open_clip";
    /** The library's class, or timm's name of a network of this kind. */
    name(architecture: Architecture): string;
    modelType?: string;
    /** What `_name_or_path` of timm's config.json says, where the family is recognised by its name alone. */
    origin?(architecture: Architecture): string;
    /** What stands before the backbone's names where the source is a backbone alone; absent: the source's prefix goes,
     *  because a training checkpoint's containers mean nothing in a model file. */
    prefix?: string;
    /** Keys of config.json that only this family has, and what they must say. */
    keys?(architecture: Architecture): Record<string, unknown>;
    /** Key of config.json under which the image tower's own keys stand. */
    nested?: string;
    /** What the library's class reads; absent: as `pooling` has it. With any other the classifier is a file of its own. */
    pooling?: Pooling;
    /** Whether the library's class has no place for a classifier, which then is a file of its own. */
    headApart?: boolean;
    /** How the library loads it, where no `config.json` tells it. */
    note?(architecture: Architecture, classes: number): string;
  };
  /** Whether a file in which the patch embedding was found under a prefix is of this family. */
  recognises(file: FileNames): boolean;
  /** Tensors outside the layers, the patch embedding's weight first. */
  tensors: TensorEntry[];
  /** Roles that the family has no tensor for, and that are zeros. */
  zeros?: { role: Role; shape: string }[];
  /** Ways to name a layer's tensors; the one that most of the first layer's tensors follow counts. */
  layers: { container: string; tensors: TensorEntry[] }[];
  /** The classifier's tensors; what an export calls them stands first. */
  head: TensorEntry[];
  /** Whether the classifier stands beside the backbone's prefix (`vit.`, `classifier.`) or under it. */
  headOutside: boolean;
  /** Names (after the prefix) of tensors that no classifier uses. */
  ignored: RegExp;
  /** Of those, the ones that the library's class has all the same, so that an export keeps them. */
  carried?: RegExp;
  /** Names (after the prefix) where a stranger means that this is another network. */
  own: RegExp;
  /** Added position embeddings; null where there are only rotary ones. */
  positions: Positions | null;
  /** What the family's own classifier reads, where no config.json says. */
  pooling: Pooling | ((has: (role: Role) => boolean) => Pooling);
  /** What files of this family usually were made with; used, and shown, where the files do not say. */
  usual: {
    /** Where neither the tensors nor the files tell. */
    imageSize: number;
    /** Attention heads of a network of this width, where there is not one for every 64. */
    heads?(width: number): number | undefined;
    activation: Activation;
    /** Who used what, for the question; absent where the family is of one mind. */
    activationBy?: string;
    layerNormEps: number;
    /** Who used what, for the questions. */
    layerNormEpsBy: string;
    statistics: "half" | "imagenet" | "clip";
    statisticsBy: string;
    resizeMode: "exact" | "shortest";
    /** Edge of the resize before the centre crop, for a crop of 224. */
    resizeTo224: number;
    interpolation: Interpolation;
    /** Base of rotary positions, for networks that have them. */
    ropeBase?: number;
  };
}

/** weight and bias of a norm. */
export function norm(name: string, role: Role): TensorEntry[] {
  return [
    { name: `${name}.weight`, shape: "D", roles: [`${role}.weight`] },
    { name: `${name}.bias`, shape: "D", roles: [`${role}.bias`] },
  ];
}

/** weight [out, in] and bias [out] of a linear map, or of several fused ones (`roles` in order). */
export function linear(
  name: string,
  roles: (Role | null)[],
  shape: string,
  options: { feature?: string; biasFeature?: string } = {},
): TensorEntry[] {
  const { feature, biasFeature = feature } = options;
  const of = (part: "weight" | "bias") => roles.map((role) => role && `${role}.${part}`);
  const entry = (part: "weight" | "bias", shape: string, needed: string | undefined): TensorEntry => ({
    name: `${name}.${part}`,
    shape,
    roles: of(part),
    ...(needed ? { feature: needed } : {}),
  });
  return [entry("weight", shape, feature), entry("bias", shape.split(" ")[0] as string, biasFeature)];
}

/** Entries that a file has all of or none of. */
export function optional(feature: string, entries: TensorEntry[]): TensorEntry[] {
  return entries.map((entry) => ({ ...entry, feature }));
}

/** LayerScale's factors. */
export function scale(name: string, role: Role): TensorEntry {
  return { name, shape: "D", roles: [role], feature: "layerScale" };
}

/** A gated MLP whose gate and up projection are two tensors, as halves of one fc1. */
export function gatedHalves(gate: string, up: string, feature: string): TensorEntry[] {
  return [gate, up].flatMap((name, index) =>
    (["weight", "bias"] as const).map((part) => ({
      name: `${name}.${part}`,
      shape: part === "weight" ? "M D" : "M",
      roles: [{ role: `fc1.${part}`, index, count: 2 }],
      feature,
    })),
  );
}
