// SigLIP and SigLIP 2 of fixed resolution: no class token; a learned query pools the patches (the MAP head). transformers
// names it as its CLIP; timm calls the pool `attn_pool`, and OpenCLIP holds timm's network under `visual.trunk.`.
import { beside, hfTowerLayer } from "./clip.ts";
import { type FamilyTable, linear, norm, type TensorEntry } from "./table.ts";
import { timmVit } from "./timm_vit.ts";

const usual: FamilyTable["usual"] = {
  imageSize: 224,
  activation: "gelu_tanh",
  activationBy:
    "transformers' SigLIP has gelu_tanh; timm's have gelu but for B/32, L/16 at 512 and So400m/16, which have gelu_tanh",
  layerNormEps: 1e-6,
  layerNormEpsBy: "SigLIP uses 1e-6",
  statistics: "half",
  statisticsBy: "SigLIP uses 0.5",
  resizeMode: "exact",
  resizeTo224: 224,
  interpolation: "bicubic",
};

// Most of timm's have the exact gelu; those of SigLIP 2 and the largest have the tanh form.
const usualTimm: FamilyTable["usual"] = { ...usual, activation: "gelu" };

export const hfSiglip: FamilyTable = {
  family: "hf-siglip",
  title: "a SigLIP of transformers",
  modelTypes: ["siglip", "siglip_vision_model"],
  prefix: /^(vision_model\.)?$/,
  written: {
    config: "transformers",
    name: () => "SiglipForImageClassification",
    modelType: "siglip",
    prefix: "vision_model.",
    nested: "vision_config",
    pooling: "mean",
    keys: ({ mlpSize, attentionPool }) => ({
      intermediate_size: mlpSize,
      ...(attentionPool ? {} : { vision_use_head: false }),
    }),
  },
  recognises: ({ has }) => !has("embeddings.class_embedding"),
  tensors: [
    { name: "embeddings.patch_embedding.weight", shape: "D 3 P P", roles: ["patch_embed.weight"] },
    { name: "embeddings.patch_embedding.bias", shape: "D", roles: ["patch_embed.bias"] },
    { name: "embeddings.position_embedding.weight", shape: "T D", roles: ["pos_embed"] },
    ...norm("post_layernorm", "norm"),
    ...pool({
      probe: "head.probe",
      maps: [
        { name: "head.attention.in_proj_weight", shape: "3D D", roles: maps(["q", "k", "v"], "weight") },
        { name: "head.attention.in_proj_bias", shape: "3D", roles: maps(["q", "k", "v"], "bias") },
      ],
      o: "head.attention.out_proj",
      norm: "head.layernorm",
      mlp: "head.mlp",
    }),
  ],
  layers: [{ container: "encoder.layers.", tensors: hfTowerLayer() }],
  head: linear("classifier", ["head"], "C D", { feature: "classifier" }),
  headOutside: true,
  ignored: /^(embeddings\.position_ids$|text_model\.|logit_scale$|logit_bias$)/,
  carried: /^(text_model\.|logit_scale$|logit_bias$)/,
  own: /^(embeddings|encoder|post_layernorm|head)\./,
  positions: { covers: ["none"], resize: { antialias: false, offset: 0 }, atRuntime: false },
  pooling: (has) => (has("head.weight") || !has("attention_pool.probe") ? "mean" : "attention"),
  usual,
};

const timmPool = pool({
  probe: "attn_pool.latent",
  maps: [
    ...linear("attn_pool.q", ["attention_pool.q"], "D D"),
    ...linear("attn_pool.kv", ["attention_pool.k", "attention_pool.v"], "2D D"),
  ],
  o: "attn_pool.proj",
  norm: "attn_pool.norm",
  mlp: "attn_pool.mlp",
});

/** timm's own file of SigLIP's image tower. */
export const timmSiglip: FamilyTable = {
  ...timmVit,
  family: "timm-siglip",
  title: "a SigLIP of timm",
  recognises: ({ has }) => has("attn_pool.latent"),
  tensors: [
    ...timmVit.tensors.filter(({ name }) => /^(patch_embed|pos_embed|norm\.)/.test(name)),
    ...timmPool,
  ],
  positions: { covers: ["none"], resize: { antialias: true, offset: 0 }, atRuntime: false },
  pooling: "attention",
  usual: usualTimm,
};

/** OpenCLIP around a timm network: SigLIP's, or a ViT with a class token. */
export const openClipTrunk: FamilyTable = {
  ...timmVit,
  family: "open-clip-timm",
  title: "an OpenCLIP with a timm trunk",
  modelTypes: [],
  prefix: /^visual\.trunk\.$/,
  written: { config: "open_clip", name: () => "CustomTextCLIP", prefix: "visual.trunk.", headApart: true },
  recognises: ({ has }) => has("blocks.0.attn.qkv.weight"),
  tensors: [
    ...timmVit.tensors.filter(({ name }) => /^(patch_embed|pos_embed|norm\.)/.test(name)),
    { name: "cls_token", shape: "1 1 D", roles: ["cls_token"], feature: "cls" },
    ...norm("norm_pre", "pre_norm").map((entry) => ({ ...entry, feature: "preNorm" })),
    ...timmPool,
    {
      name: "visual.head.proj.weight",
      shape: "E D",
      roles: ["projection.weight"],
      feature: "projection",
      outside: true,
    },
  ],
  head: linear("classifier", ["head"], "C D", { feature: "classifier" }),
  headOutside: true,
  ...beside(),
  own: /^/,
  positions: { covers: ["all"], resize: { antialias: true, offset: 0 }, atRuntime: false },
  pooling: (has) =>
    has("attention_pool.probe")
      ? "attention"
      : has("projection.weight")
        ? "projection"
        : has("cls_token")
          ? "cls"
          : "mean",
  usual: usualTimm,
};

function maps(parts: string[], kind: "weight" | "bias") {
  return parts.map((part) => `attention_pool.${part}.${kind}`);
}

/** The attention pool's tensors; a tower may come without it. */
function pool(names: {
  probe: string;
  maps: TensorEntry[];
  o: string;
  norm: string;
  mlp: string;
}): TensorEntry[] {
  const entries: TensorEntry[] = [
    { name: names.probe, shape: "1 1 D", roles: ["attention_pool.probe"] },
    ...names.maps,
    ...linear(names.o, ["attention_pool.o"], "D D"),
    ...norm(names.norm, "attention_pool.norm"),
    ...linear(`${names.mlp}.fc1`, ["attention_pool.fc1"], "A D"),
    ...linear(`${names.mlp}.fc2`, ["attention_pool.fc2"], "D A"),
  ];
  return entries.map((entry) => ({ ...entry, feature: "attentionPool" }));
}
