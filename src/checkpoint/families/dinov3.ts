// DINOv3's ViTs: rotary positions instead of added ones, registers, LayerScale, and keys without a bias. Meta's file
// masks the keys' bias (`bias_mask`) and calls registers `storage_tokens`; transformers stores the three maps apart, the
// keys without a bias; timm stores the biases of q and v apart, or none.
import type { Architecture } from "../types.ts";
import { type FamilyTable, gatedHalves, linear, norm, scale, type TensorEntry } from "./table.ts";

const usual: FamilyTable["usual"] = {
  imageSize: 224,
  activation: "gelu",
  layerNormEps: 1e-5,
  layerNormEpsBy: "DINOv3 uses 1e-5",
  statistics: "imagenet",
  statisticsBy: "DINOv3 for web images was trained with ImageNet's, for satellite images with others",
  resizeMode: "exact",
  resizeTo224: 224,
  interpolation: "bilinear",
  ropeBase: 100,
};

const hfLayer: TensorEntry[] = [
  ...norm("norm1", "norm1"),
  { name: "attention.q_proj.weight", shape: "D D", roles: ["q.weight"] },
  { name: "attention.q_proj.bias", shape: "D", roles: ["q.bias"], feature: "qBias" },
  { name: "attention.k_proj.weight", shape: "D D", roles: ["k.weight"] },
  { name: "attention.k_proj.bias", shape: "D", roles: ["k.bias"], feature: "kBias" },
  { name: "attention.v_proj.weight", shape: "D D", roles: ["v.weight"] },
  { name: "attention.v_proj.bias", shape: "D", roles: ["v.bias"], feature: "vBias" },
  ...linear("attention.o_proj", ["o"], "D D"),
  scale("layer_scale1.lambda1", "scale1"),
  ...norm("norm2", "norm2"),
  // Without a gate, up_proj is all of fc1.
  ...linear("mlp.up_proj", ["fc1"], "M D", { feature: "up_proj" }),
  ...linear("mlp.down_proj", ["fc2"], "D M"),
  scale("layer_scale2.lambda1", "scale2"),
];

const hfGatedLayer: TensorEntry[] = [
  ...hfLayer.filter(({ feature }) => feature !== "up_proj"),
  ...gatedHalves("mlp.gate_proj", "mlp.up_proj", "gated"),
];

export const hfDinov3: FamilyTable = {
  family: "hf-dinov3",
  title: "a DINOv3 of transformers",
  modelTypes: ["dinov3_vit"],
  prefix: /^$/,
  written: {
    config: "transformers",
    name: () => "DINOv3ViTModel",
    modelType: "dinov3_vit",
    prefix: "",
    headApart: true,
    keys: ({ gatedMlp, registers, ropeBase }: Architecture) => ({
      use_gated_mlp: gatedMlp === true,
      num_register_tokens: registers ?? 0,
      rope_theta: ropeBase,
    }),
  },
  recognises: ({ has }) =>
    !has("embeddings.position_embeddings") &&
    ["layer.", "model.layer."].some((container) => has(`${container}0.attention.q_proj.weight`)),
  tensors: [
    { name: "embeddings.patch_embeddings.weight", shape: "D 3 P P", roles: ["patch_embed.weight"] },
    { name: "embeddings.patch_embeddings.bias", shape: "D", roles: ["patch_embed.bias"] },
    { name: "embeddings.cls_token", shape: "1 1 D", roles: ["cls_token"] },
    { name: "embeddings.register_tokens", shape: "1 R D", roles: ["register_tokens"], feature: "reg" },
    ...norm("norm", "norm"),
  ],
  layers: [
    { container: "layer.", tensors: hfLayer },
    { container: "layer.", tensors: hfGatedLayer },
    { container: "model.layer.", tensors: hfLayer },
    { container: "model.layer.", tensors: hfGatedLayer },
  ],
  head: linear("classifier", ["head"], "C D", { feature: "classifier" }),
  headOutside: true,
  ignored: /^(embeddings\.mask_token|rope_embeddings\.inv_freq)$/,
  carried: /^embeddings\.mask_token$/,
  own: /^(embeddings|layer|model|norm)\./,
  positions: null,
  pooling: "cls",
  usual,
};

const fusedLayer: TensorEntry[] = [
  ...norm("norm1", "norm1"),
  { name: "attn.qkv.weight", shape: "3D D", roles: ["q.weight", "k.weight", "v.weight"] },
  // What stands in the keys' third is masked out.
  { name: "attn.qkv.bias", shape: "3D", roles: ["q.bias", null, "v.bias"], feature: "qkvBias" },
  ...linear("attn.proj", ["o"], "D D"),
  scale("ls1.gamma", "scale1"),
  ...norm("norm2", "norm2"),
  ...linear("mlp.fc1", ["fc1"], "M D", { feature: "plain" }),
  ...linear("mlp.fc2", ["fc2"], "D M", { feature: "plain" }),
  ...gatedHalves("mlp.w1", "mlp.w2", "gated"),
  ...linear("mlp.w3", ["fc2"], "D M", { feature: "gated" }),
  scale("ls2.gamma", "scale2"),
];

function timmName({ hiddenSize, gatedMlp, qkvBias }: Architecture): string {
  const size = new Map([
    [192, "tiny"],
    [384, gatedMlp ? "small_plus" : "small"],
    [1024, "large"],
    [1280, "huge_plus"],
    [4096, "7b"],
  ]).get(hiddenSize);
  const name = size ?? (gatedMlp ? "huge_plus" : "base");
  // The tiny one is only to be had with biases, the 7B only without.
  return `vit_${name}_patch16_dinov3${(qkvBias && name !== "7b") || name === "tiny" ? "_qkvb" : ""}`;
}

const fused = {
  modelTypes: [],
  prefix: /^$/,
  headOutside: false,
  own: /^(blocks|norm|cls_norm|patch_embed|(cls|storage|reg)_token|rope)/,
  positions: null,
  usual: { ...usual, interpolation: "bicubic" as const },
} satisfies Partial<FamilyTable>;

const patchEmbed: TensorEntry[] = [
  { name: "patch_embed.proj.weight", shape: "D 3 P P", roles: ["patch_embed.weight"] },
  { name: "patch_embed.proj.bias", shape: "D", roles: ["patch_embed.bias"] },
  { name: "cls_token", shape: "1 1 D", roles: ["cls_token"] },
];

export const dinov3: FamilyTable = {
  ...fused,
  family: "dinov3",
  title: "an original DINOv3",
  written: { config: "timm", name: timmName, headApart: true },
  recognises: ({ has }) =>
    has("blocks.0.attn.qkv.weight") &&
    (has("rope_embed.periods") || has("storage_tokens")) &&
    !has("pos_embed"),
  tensors: [
    ...patchEmbed,
    { name: "storage_tokens", shape: "1 R D", roles: ["register_tokens"], feature: "reg" },
    ...norm("norm", "norm"),
  ],
  layers: [{ container: "blocks.", tensors: fusedLayer }],
  head: linear("classifier", ["head"], "C D", { feature: "classifier" }),
  headOutside: true,
  ignored:
    /^(mask_token$|rope_embed\.periods$|local_cls_norm\.|blocks\.\d+\.attn\.qkv\.bias_mask$|student\.)/,
  carried: /^(mask_token$|rope_embed\.periods$|local_cls_norm\.|blocks\.\d+\.attn\.qkv\.bias_mask$)/,
  pooling: "cls",
};

export const timmDinov3: FamilyTable = {
  ...fused,
  family: "timm-dinov3",
  title: "a DINOv3 of timm",
  modelTypes: ["timm_wrapper"],
  written: { config: "timm", name: timmName },
  recognises: ({ has }) =>
    has("blocks.0.attn.qkv.weight") && has("blocks.0.gamma_1") && has("reg_token") && !has("pos_embed"),
  tensors: [
    ...patchEmbed,
    { name: "reg_token", shape: "1 R D", roles: ["register_tokens"] },
    ...norm("norm", "norm"),
  ],
  layers: [
    {
      container: "blocks.",
      tensors: [
        ...norm("norm1", "norm1"),
        { name: "attn.qkv.weight", shape: "3D D", roles: ["q.weight", "k.weight", "v.weight"] },
        { name: "attn.q_bias", shape: "D", roles: ["q.bias"], feature: "qkvBias" },
        { name: "attn.v_bias", shape: "D", roles: ["v.bias"], feature: "qkvBias" },
        ...linear("attn.proj", ["o"], "D D"),
        scale("gamma_1", "scale1"),
        ...norm("norm2", "norm2"),
        ...linear("mlp.fc1", ["fc1"], "M D", { feature: "plain" }),
        ...gatedHalves("mlp.fc1_g", "mlp.fc1_x", "gated"),
        ...linear("mlp.fc2", ["fc2"], "D M"),
        scale("gamma_2", "scale2"),
      ],
    },
  ],
  head: linear("head", ["head"], "C D", { feature: "head" }),
  ignored: /^$/,
  pooling: "mean",
};
