// The names of timm's VisionTransformer, which the original DeiT, DINO and DINOv2 share: one fused qkv, LayerScale as
// `ls1.gamma`, registers as `reg_token` (timm) or `register_tokens` (DINOv2), the giant's gated MLP inside `fc1` (timm)
// or as `w12` (DINOv2). A ViT may do without the class token or with a norm before the first layer, as CLIP's towers; the
// patches then have no bias. What was trained by itself in these names is in self_supervised.ts. A whole DINO training
// checkpoint holds a student and a teacher, of which the teacher is the model.
import type { Architecture } from "../types.ts";
import { type FamilyTable, linear, norm, optional, scale, type TensorEntry } from "./table.ts";

/** The wide ones have heads of more than 64; timm, MAE and I-JEPA agree in them. */
const heads = (width: number) =>
  new Map([
    [1280, 16],
    [1408, 16],
    [1664, 16],
  ]).get(width);

const layer: TensorEntry[] = [
  ...norm("norm1", "norm1"),
  ...linear("attn.qkv", ["q", "k", "v"], "3D D", { biasFeature: "qkvBias" }),
  ...linear("attn.proj", ["o"], "D D"),
  scale("ls1.gamma", "scale1"),
  ...norm("norm2", "norm2"),
  // timm packs gate and up projection into fc1, so F is M or 2M
  ...linear("mlp.fc1", ["fc1"], "F D", { feature: "plain" }),
  ...linear("mlp.fc2", ["fc2"], "D M", { feature: "plain" }),
  ...linear("mlp.w12", ["fc1"], "2M D", { feature: "w12" }),
  ...linear("mlp.w3", ["fc2"], "D M", { feature: "w12" }),
  scale("ls2.gamma", "scale2"),
];

const size = (width: number) =>
  new Map([
    [192, "tiny"],
    [384, "small"],
    [1024, "large"],
    [1280, "huge"],
    [1536, "giant"],
  ]).get(width) ?? "base";

/** A network of timm that model_args can give any size. */
function timmName({ hiddenSize, patchSize, layerScale, gatedMlp, registers = 0 }: Architecture): string {
  if (!layerScale)
    return hiddenSize === 1280
      ? "vit_huge_patch14_224"
      : `vit_${size(hiddenSize)}_patch${patchSize === 32 ? 32 : 16}_224`;
  // Only the giant's constructor makes a gated MLP, which no argument in a file can ask for.
  return `vit_${gatedMlp ? "giant" : size(hiddenSize)}_patch14_${registers > 0 ? "reg4_" : ""}dinov2`;
}

export const timmVit: FamilyTable = {
  family: "timm-vit",
  title: "a ViT of timm",
  modelTypes: ["timm_wrapper"],
  prefix: /^$/,
  written: { config: "timm", name: timmName },
  recognises: ({ has }) => has("blocks.0.attn.qkv.weight") && has("pos_embed"),
  tensors: [
    { name: "patch_embed.proj.weight", shape: "D 3 P P", roles: ["patch_embed.weight"] },
    { name: "patch_embed.proj.bias", shape: "D", roles: ["patch_embed.bias"], feature: "patchBias" },
    { name: "cls_token", shape: "1 1 D", roles: ["cls_token"], feature: "cls" },
    // A distilled DeiT answers from its CLS token here; its other token is then what timm calls a register.
    { name: "dist_token", shape: "1 1 D", roles: ["dist_token"], feature: "dist", written: "reg_token" },
    { name: "reg_token", shape: "1 R D", roles: ["register_tokens"], feature: "reg" },
    { name: "pos_embed", shape: "1 T D", roles: ["pos_embed"] },
    ...optional("preNorm", norm("norm_pre", "pre_norm")),
    ...optional("norm", norm("norm", "norm")),
    ...optional("fcNorm", norm("fc_norm", "norm")),
  ],
  zeros: [{ role: "patch_embed.bias", shape: "D" }],
  layers: [{ container: "blocks.", tensors: layer }],
  head: [
    ...linear("head", ["head"], "C D", { feature: "head" }),
    ...linear("head_dist", ["head_dist"], "C D", { feature: "head_dist" }),
  ],
  headOutside: false,
  ignored: /^(student\.|pre_logits\.|head\.(mlp|last_layer)\.)/,
  own: /^(blocks|norm|fc_norm|patch_embed|attn_pool|norm_pre|rope|(cls|dist|reg|mask|register)_token|pos_embed)/,
  positions: { covers: ["all", "none", "cls"], resize: { antialias: true, offset: 0 }, atRuntime: false },
  pooling: (has) => (has("cls_token") ? "cls" : "mean"),
  usual: {
    imageSize: 224,
    heads,
    activation: "gelu",
    layerNormEps: 1e-6,
    layerNormEpsBy: "timm's ViTs, DeiT and DINO use 1e-6",
    statistics: "half",
    statisticsBy: "timm's augreg ViTs use 0.5, DeiT and DINO ImageNet's",
    resizeMode: "shortest",
    resizeTo224: 248,
    interpolation: "bicubic",
  },
};

/** A DeiT in timm's names, which are its own; only the distillation token or its name set it apart. */
export const timmDeit: FamilyTable = {
  ...timmVit,
  family: "timm-deit",
  title: "a DeiT in timm's names",
  written: {
    config: "timm",
    // Any of DeiT's takes any width; there are only three.
    name: (architecture) => {
      const width = size(architecture.hiddenSize);
      const known = width === "tiny" || width === "small" ? width : "base";
      return architecture.layerScale ? timmName(architecture) : `deit_${known}_patch16_224`;
    },
  },
  recognises: (file) =>
    timmVit.recognises(file) && (file.has("dist_token") || /(^|[/_-])deit3?[_-]/i.test(file.origin)),
  usual: {
    ...timmVit.usual,
    layerNormEpsBy: "DeiT uses 1e-6",
    statistics: "imagenet",
    statisticsBy: "DeiT was trained with ImageNet's",
    resizeTo224: 256,
  },
};

/** CLIP's image towers in timm's names. */
export const timmClip: FamilyTable = {
  ...timmVit,
  family: "timm-clip",
  title: "a CLIP tower of timm",
  written: {
    config: "timm",
    // Only these constructors have CLIP's epsilon.
    name: ({ activation }) => `vit_base_patch16_clip_${activation === "quick_gelu" ? "quickgelu_" : ""}224`,
  },
  recognises: (file) => timmVit.recognises(file) && file.has("norm_pre.weight"),
  usual: {
    ...timmVit.usual,
    activationBy: "OpenAI's, DFN's and MetaCLIP's have quick_gelu, LAION's and DataComp's gelu",
    layerNormEps: 1e-5,
    layerNormEpsBy: "CLIP uses 1e-5",
    statistics: "clip",
    statisticsBy: "CLIP was trained with its own",
    resizeTo224: 224,
  },
};

/** The original DINO or iBOT: a backbone file, or the teacher of a whole training checkpoint. */
export const dino: FamilyTable = {
  ...timmVit,
  family: "dino",
  title: "an original DINO or iBOT",
  written: { ...timmVit.written, origin: ({ patchSize }) => `dino_vit${patchSize}` },
  modelTypes: [],
  recognises: (file) =>
    timmVit.recognises(file) &&
    file.has("cls_token") &&
    !file.has("blocks.0.ls1.gamma") &&
    !file.has("dist_token") &&
    ((!file.configured && /(^|\.)(teacher|student)\./.test(file.outer)) ||
      file.has("masked_embed") ||
      /(^|[/_-])ibot([/_-]|$)/i.test(file.origin) ||
      isDino(file.origin)),
  ignored:
    /^(student\.|masked_embed$|teacher\.head\.|(module\.)?head\.(mlp2?|last_layer2?)\.|(dino|ibot)_loss\.|optimizer\.)/,
  positions: { covers: ["cls"], resize: { antialias: false, offset: 0.1 }, atRuntime: true },
  pooling: "cls",
  usual: {
    ...timmVit.usual,
    statistics: "imagenet",
    statisticsBy: "DINO and iBOT were trained with ImageNet's",
    resizeTo224: 256,
  },
};

/** The original DINOv2, whose position embeddings are always those of 37 x 37 patches. */
export const dinov2: FamilyTable = {
  ...dino,
  family: "dinov2",
  title: "an original DINOv2",
  written: { config: "timm", name: timmName, headApart: true },
  recognises: ({ has }) => has("blocks.0.ls1.gamma") && has("pos_embed") && has("mask_token"),
  tensors: [
    ...timmVit.tensors.filter(({ name }) => /^(patch_embed\.|pos_embed$|norm\.)/.test(name)),
    { name: "cls_token", shape: "1 1 D", roles: ["cls_token"] },
    { name: "register_tokens", shape: "1 R D", roles: ["register_tokens"], feature: "reg" },
  ],
  head: linear("classifier", ["head"], "C 2D", { feature: "classifier" }),
  headOutside: true,
  ignored: /^(mask_token$|student\.|teacher\.(dino|ibot)_head\.)/,
  carried: /^mask_token$/,
  positions: { covers: ["cls"], resize: { antialias: false, offset: 0.1 }, atRuntime: true },
  pooling: "cls-mean",
  usual: {
    ...dino.usual,
    layerNormEpsBy: "DINOv2 uses 1e-6",
    statisticsBy: "DINOv2 was trained with ImageNet's",
  },
};

/** The original DINOv2 with registers: it resizes its grid with antialiasing and no offset. */
export const dinov2Registers: FamilyTable = {
  ...dinov2,
  family: "dinov2-registers",
  title: "an original DINOv2 with registers",
  recognises: (file) => dinov2.recognises(file) && file.has("register_tokens"),
  positions: { covers: ["cls"], resize: { antialias: true, offset: 0 }, atRuntime: true },
};

/** Whether a name or path says DINO (and not DINOv2). */
export function isDino(origin: string): boolean {
  return /(^|[/_-])dino[-_]?(deit|vit)/i.test(origin);
}
