// CLIP's image tower: a norm before the first layer, a class token, patches without a bias, and a map into the space it
// shares with text. transformers names it `vision_model.` beside a text tower and writes nothing before it where it stands
// alone (its `pre_layrnorm` is really spelled so); OpenAI and OpenCLIP name it `visual.` and fuse q, k and v. Tensors say
// nothing of the activation: OpenAI's has quick_gelu, OpenCLIP's own mostly gelu.
import { type FamilyTable, linear, norm, type TensorEntry } from "./table.ts";

const usual: FamilyTable["usual"] = {
  imageSize: 224,
  activation: "quick_gelu",
  activationBy:
    "OpenAI's CLIP has quick_gelu, and so have DFN and MetaCLIP; LAION's and DataComp's have gelu",
  layerNormEps: 1e-5,
  layerNormEpsBy: "CLIP uses 1e-5",
  statistics: "clip",
  statisticsBy: "CLIP was trained with its own",
  resizeMode: "shortest",
  resizeTo224: 224,
  interpolation: "bicubic",
};

/** The class token after the norm, mapped into the shared space where the file has the map. */
const clipPooling: Extract<FamilyTable["pooling"], (...of: never[]) => unknown> = (has) =>
  has("projection.weight") ? "projection" : "cls";

export const hfClip: FamilyTable = {
  family: "hf-clip",
  title: "a CLIP of transformers",
  modelTypes: ["clip", "clip_vision_model"],
  prefix: /^(vision_model\.)?$/,
  written: {
    config: "transformers",
    name: () => "CLIPForImageClassification",
    modelType: "clip",
    prefix: "vision_model.",
    nested: "vision_config",
    pooling: "raw-mean",
    keys: ({ mlpSize, projectionSize }) => ({
      intermediate_size: mlpSize,
      ...(projectionSize === undefined ? {} : { projection_dim: projectionSize }),
    }),
  },
  recognises: ({ has }) => has("embeddings.class_embedding"),
  tensors: [
    { name: "embeddings.patch_embedding.weight", shape: "D 3 P P", roles: ["patch_embed.weight"] },
    { name: "embeddings.class_embedding", shape: "D", roles: ["cls_token"] },
    { name: "embeddings.position_embedding.weight", shape: "T D", roles: ["pos_embed"] },
    ...norm("pre_layrnorm", "pre_norm"),
    ...norm("post_layernorm", "norm"),
    {
      name: "visual_projection.weight",
      shape: "E D",
      roles: ["projection.weight"],
      feature: "projection",
      outside: true,
    },
  ],
  zeros: [{ role: "patch_embed.bias", shape: "D" }],
  layers: [{ container: "encoder.layers.", tensors: hfTowerLayer() }],
  head: linear("classifier", ["head"], "C D", { feature: "classifier" }),
  headOutside: true,
  ignored: /^(embeddings\.position_ids$|text_model\.|text_projection\.|logit_scale$)/,
  carried: /^(text_model\.|text_projection\.|logit_scale$)/,
  own: /^(embeddings|encoder|pre_layrnorm|post_layernorm)\./,
  positions: { covers: ["all"], resize: { antialias: false, offset: 0 }, atRuntime: false },
  pooling: (has) => (has("head.weight") ? "raw-mean" : clipPooling(has)),
  usual,
};

/** OpenCLIP's own image towers, in the names that OpenAI gave them. */
export const openClip: FamilyTable = {
  family: "open-clip",
  title: "an OpenCLIP",
  modelTypes: ["clip"],
  prefix: /^visual\.$/,
  written: { config: "open_clip", name: () => "CLIP", prefix: "visual.", headApart: true },
  recognises: ({ has }) => has("class_embedding"),
  tensors: [
    { name: "conv1.weight", shape: "D 3 P P", roles: ["patch_embed.weight"] },
    { name: "class_embedding", shape: "D", roles: ["cls_token"] },
    { name: "positional_embedding", shape: "T D", roles: ["pos_embed"] },
    ...norm("ln_pre", "pre_norm").map((entry) => ({ ...entry, feature: "preNorm" })),
    ...norm("ln_post", "norm"),
    { name: "proj", shape: "D E", roles: ["projection.weight"], transposed: true },
  ],
  zeros: hfClip.zeros,
  layers: [
    {
      container: "transformer.resblocks.",
      tensors: [
        ...norm("ln_1", "norm1"),
        { name: "attn.in_proj_weight", shape: "3D D", roles: ["q.weight", "k.weight", "v.weight"] },
        { name: "attn.in_proj_bias", shape: "3D", roles: ["q.bias", "k.bias", "v.bias"] },
        ...linear("attn.out_proj", ["o"], "D D"),
        { name: "ls_1.gamma", shape: "D", roles: ["scale1"], feature: "layerScale" },
        ...norm("ln_2", "norm2"),
        ...linear("mlp.c_fc", ["fc1"], "M D"),
        ...linear("mlp.c_proj", ["fc2"], "D M"),
        { name: "ls_2.gamma", shape: "D", roles: ["scale2"], feature: "layerScale" },
      ],
    },
  ],
  head: linear("classifier", ["head"], "C D", { feature: "classifier" }),
  headOutside: true,
  ...beside(),
  own: /^/,
  positions: { covers: ["all"], resize: { antialias: true, offset: 0 }, atRuntime: false },
  pooling: clipPooling,
  usual: { ...usual, activation: "gelu" },
};

/** OpenAI's own file; only its name sets it apart. */
export const openAiClip: FamilyTable = {
  ...openClip,
  family: "openai-clip",
  title: "an OpenAI CLIP",
  recognises: (file) =>
    openClip.recognises(file) && /openai|(^|\/)ViT-(B-32|B-16|L-14|L-14-336px)(\/|$)/i.test(file.origin),
  usual,
};

/** transformers' layer of a CLIP or SigLIP tower. */
export function hfTowerLayer(): TensorEntry[] {
  return [
    ...norm("layer_norm1", "norm1"),
    ...(["q", "k", "v"] as const).flatMap((role) => linear(`self_attn.${role}_proj`, [role], "D D")),
    ...linear("self_attn.out_proj", ["o"], "D D"),
    ...norm("layer_norm2", "norm2"),
    ...linear("mlp.fc1", ["fc1"], "M D"),
    ...linear("mlp.fc2", ["fc2"], "D M"),
  ];
}

/** What stands beside OpenCLIP's image tower: the text tower, and the numbers of OpenAI's file. */
export function beside(): Pick<FamilyTable, "ignored" | "carried"> {
  const text =
    /^(text\.|transformer\.|token_embedding\.|ln_final\.|(positional_embedding|text_projection|logit_scale|logit_bias|input_resolution|context_length|vocab_size)$)/;
  return { ignored: text, carried: text };
}
