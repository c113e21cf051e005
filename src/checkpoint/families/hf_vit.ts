// The names of transformers' ViT and DeiT. transformers 4 wrote `encoder.layer.{i}.attention.attention.query`, which 5
// still writes; in memory 5 calls it `layers.{i}.attention.q_proj`. A backbone saved alone has no prefix; inside a
// classifier it is `vit.` or `deit.`. DINO on the Hub is such a ViT.
import { type FamilyTable, linear, norm, type TensorEntry } from "./table.ts";

const layer = (names: Record<"q" | "k" | "v" | "o" | "fc1" | "fc2", string>): TensorEntry[] => [
  ...norm("layernorm_before", "norm1"),
  ...(["q", "k", "v"] as const).flatMap((role) =>
    linear(names[role], [role], "D D", { biasFeature: "qkvBias" }),
  ),
  ...linear(names.o, ["o"], "D D"),
  ...norm("layernorm_after", "norm2"),
  ...linear(names.fc1, ["fc1"], "M D"),
  ...linear(names.fc2, ["fc2"], "D M"),
];

/** What enters the layers, as transformers' ViT and DINOv2 call it. */
export const hfEmbeddings: readonly TensorEntry[] = [
  {
    name: "embeddings.patch_embeddings.projection.weight",
    shape: "D 3 P P",
    roles: ["patch_embed.weight"],
  },
  { name: "embeddings.patch_embeddings.projection.bias", shape: "D", roles: ["patch_embed.bias"] },
  { name: "embeddings.cls_token", shape: "1 1 D", roles: ["cls_token"] },
  { name: "embeddings.position_embeddings", shape: "1 T D", roles: ["pos_embed"] },
];

const names = {
  prefix: /^(vit\.|deit\.)?$/,
  tensors: [...hfEmbeddings, ...norm("layernorm", "norm")],
  layers: [
    {
      container: "encoder.layer.",
      tensors: layer({
        q: "attention.attention.query",
        k: "attention.attention.key",
        v: "attention.attention.value",
        o: "attention.output.dense",
        fc1: "intermediate.dense",
        fc2: "output.dense",
      }),
    },
    {
      container: "layers.",
      tensors: layer({
        q: "attention.q_proj",
        k: "attention.k_proj",
        v: "attention.v_proj",
        o: "attention.o_proj",
        fc1: "mlp.fc1",
        fc2: "mlp.fc2",
      }),
    },
  ],
  head: [
    ...linear("classifier", ["head"], "C D", { feature: "classifier" }),
    ...linear("cls_classifier", ["head"], "C D", { feature: "cls_classifier" }),
    ...linear("distillation_classifier", ["head_dist"], "C D", { feature: "cls_classifier" }),
  ],
  headOutside: true,
  ignored: /^(pooler\.|decoder\.|embeddings\.(mask_token|position_ids)$)/,
  own: /^(embeddings|encoder|layers|layernorm)\./,
  positions: { covers: ["all"], resize: { antialias: false, offset: 0 }, atRuntime: false },
  pooling: "cls",
} satisfies Partial<FamilyTable>;

const withoutClassToken = names.tensors.filter(({ name }) => name !== "embeddings.cls_token");

const distillationToken = "embeddings.distillation_token";

export const hfDeit: FamilyTable = {
  ...names,
  family: "hf-deit",
  title: "a DeiT of transformers",
  modelTypes: ["deit"],
  written: {
    config: "transformers",
    name: () => "DeiTForImageClassification",
    modelType: "deit",
    prefix: "deit.",
  },
  recognises: ({ has, prefix, modelType }) =>
    has(distillationToken) || prefix === "deit." || (prefix === "" && modelType === "deit"),
  tensors: [...names.tensors, { name: distillationToken, shape: "1 1 D", roles: ["dist_token"] }],
  usual: {
    imageSize: 224,
    activation: "gelu",
    layerNormEps: 1e-12,
    layerNormEpsBy: "transformers' ViT and DeiT use 1e-12, timm 1e-6",
    statistics: "imagenet",
    statisticsBy: "DeiT's usual value is ImageNet's",
    resizeMode: "exact",
    resizeTo224: 256,
    interpolation: "bicubic",
  },
};

export const hfVit: FamilyTable = {
  ...names,
  family: "hf-vit",
  title: "a ViT of transformers",
  modelTypes: ["vit"],
  written: {
    config: "transformers",
    name: () => "ViTForImageClassification",
    modelType: "vit",
    prefix: "vit.",
  },
  recognises: () => true,
  usual: {
    ...hfDeit.usual,
    statistics: "half",
    statisticsBy: "google's ViTs use 0.5, timm's and DINO's ImageNet's",
    resizeTo224: 224,
    interpolation: "bilinear",
  },
};

const imagenet: Partial<FamilyTable["usual"]> = {
  statistics: "imagenet",
  resizeTo224: 256,
  interpolation: "bicubic",
};

/** The encoder of a masked autoencoder. transformers has no classifier of this type; its ViT's is the same network. */
export const hfMae: FamilyTable = {
  ...hfVit,
  family: "hf-mae",
  title: "a ViTMAE of transformers",
  modelTypes: ["vit_mae"],
  recognises: ({ modelType, origin }) =>
    modelType === "vit_mae" || (modelType === undefined && /(^|[/_-])mae([/_-]|$)/i.test(origin)),
  usual: { ...hfVit.usual, ...imagenet, statisticsBy: "MAE was trained with ImageNet's" },
};

/** transformers 5 writes a classifier's layers beside `vit.` and all else under it, as it does with no other type; the
 *  names as version 4 and the class itself have them. */
export function gathered<T extends { name: string }>(tensors: readonly T[]): T[] {
  const scattered =
    tensors.some(({ name }) => name === "vit.embeddings.cls_token") &&
    tensors.some(({ name }) => name.startsWith("encoder.layer.")) &&
    !tensors.some(({ name }) => name.startsWith("vit.encoder.") || name.startsWith("vit.layers."));
  if (!scattered) return [...tensors];
  return tensors.map((tensor) =>
    tensor.name.startsWith("encoder.layer.") ? { ...tensor, name: `vit.${tensor.name}` } : tensor,
  );
}

/** A masked siamese network. */
export const hfMsn: FamilyTable = {
  ...hfVit,
  family: "hf-msn",
  title: "a ViTMSN of transformers",
  modelTypes: ["vit_msn"],
  written: {
    config: "transformers",
    name: () => "ViTMSNForImageClassification",
    modelType: "vit_msn",
    prefix: "vit.",
  },
  recognises: ({ modelType, origin }) =>
    modelType === "vit_msn" || (modelType === undefined && /(^|[/_-])msn([/_-]|$)/i.test(origin)),
  usual: { ...hfVit.usual, ...imagenet, layerNormEps: 1e-6, statisticsBy: "MSN was trained with ImageNet's" },
};

/** I-JEPA has no class token; its classifier reads the mean of the patches. */
export const hfIjepa: FamilyTable = {
  ...hfVit,
  family: "hf-ijepa",
  title: "an I-JEPA of transformers",
  modelTypes: ["ijepa"],
  prefix: /^(ijepa\.)?$/,
  written: {
    config: "transformers",
    name: () => "IJepaForImageClassification",
    modelType: "ijepa",
    prefix: "ijepa.",
  },
  recognises: ({ has, prefix, modelType }) =>
    modelType === "ijepa" || prefix === "ijepa." || !has("embeddings.cls_token"),
  tensors: withoutClassToken,
  pooling: "mean",
  usual: {
    ...hfVit.usual,
    ...imagenet,
    layerNormEps: 1e-6,
    statisticsBy: "I-JEPA was trained with ImageNet's",
  },
};
