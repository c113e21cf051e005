// The names of transformers' DINOv2, with and without registers. On disk the giant's gated MLP is `weights_in`, gate
// before up; in memory transformers 5 splits it, and calls the attention's maps `q_proj` and so on. Registers stand
// between CLS and the patches and have no position. Its classifier reads the CLS token beside the patches' mean.
import type { Architecture } from "../types.ts";
import { hfEmbeddings } from "./hf_vit.ts";
import { type FamilyTable, gatedHalves, linear, norm, scale, type TensorEntry } from "./table.ts";

const layer = (names: Record<"q" | "k" | "v" | "o", string>): TensorEntry[] => [
  ...norm("norm1", "norm1"),
  ...(["q", "k", "v"] as const).flatMap((role) =>
    linear(`attention.${names[role]}`, [role], "D D", { biasFeature: "qkvBias" }),
  ),
  ...linear(`attention.${names.o}`, ["o"], "D D"),
  scale("layer_scale1.lambda1", "scale1"),
  ...norm("norm2", "norm2"),
  ...linear("mlp.fc1", ["fc1"], "M D", { feature: "plain" }),
  ...linear("mlp.fc2", ["fc2"], "D M", { feature: "plain" }),
  ...linear("mlp.weights_in", ["fc1"], "2M D", { feature: "fused" }),
  ...linear("mlp.weights_out", ["fc2"], "D M", { feature: "fused" }),
  ...gatedHalves("mlp.gate_proj", "mlp.up_proj", "split"),
  ...linear("mlp.down_proj", ["fc2"], "D M", { feature: "split" }),
  scale("layer_scale2.lambda1", "scale2"),
];

/** transformers derives the gated MLP's width from `mlp_ratio`: two thirds of it, rounded up to a multiple of 8. */
function mlpRatio({ hiddenSize, mlpSize, gatedMlp }: Architecture): number {
  if (!gatedMlp) return mlpSize / hiddenSize;
  const width = (ratio: number) => Math.ceil(Math.trunc((hiddenSize * ratio * 2) / 3) / 8) * 8;
  for (let ratio = 1; ratio < 100; ratio++) if (width(ratio) === mlpSize) return ratio;
  return (1.5 * mlpSize) / hiddenSize;
}

const keys = (architecture: Architecture) => ({
  mlp_ratio: mlpRatio(architecture),
  use_swiglu_ffn: architecture.gatedMlp === true,
});

export const hfDinov2: FamilyTable = {
  family: "hf-dinov2",
  title: "a DINOv2 of transformers",
  modelTypes: ["dinov2"],
  prefix: /^(dinov2\.)?$/,
  written: {
    config: "transformers",
    name: () => "Dinov2ForImageClassification",
    modelType: "dinov2",
    prefix: "dinov2.",
    keys,
  },
  recognises: ({ has }) => has("encoder.layer.0.layer_scale1.lambda1") && !has("embeddings.register_tokens"),
  tensors: [...hfEmbeddings, ...norm("layernorm", "norm")],
  layers: [
    {
      container: "encoder.layer.",
      tensors: layer({
        q: "attention.query",
        k: "attention.key",
        v: "attention.value",
        o: "output.dense",
      }),
    },
    {
      container: "encoder.layer.",
      tensors: layer({ q: "q_proj", k: "k_proj", v: "v_proj", o: "o_proj" }),
    },
  ],
  head: linear("classifier", ["head"], "C 2D", { feature: "classifier" }),
  headOutside: true,
  ignored: /^embeddings\.mask_token$/,
  carried: /^embeddings\.mask_token$/,
  own: /^(embeddings|encoder|layernorm)\./,
  positions: { covers: ["cls"], resize: { antialias: false, offset: 0 }, atRuntime: true },
  pooling: "cls-mean",
  usual: {
    imageSize: 224,
    activation: "gelu",
    layerNormEps: 1e-6,
    layerNormEpsBy: "DINOv2 uses 1e-6",
    statistics: "imagenet",
    statisticsBy: "DINOv2 was trained with ImageNet's",
    resizeMode: "shortest",
    resizeTo224: 256,
    interpolation: "bicubic",
  },
};

export const hfDinov2Registers: FamilyTable = {
  ...hfDinov2,
  family: "hf-dinov2-registers",
  title: "a DINOv2 with registers of transformers",
  modelTypes: ["dinov2_with_registers"],
  prefix: /^(dinov2_with_registers\.)?$/,
  written: {
    config: "transformers",
    name: () => "Dinov2WithRegistersForImageClassification",
    modelType: "dinov2_with_registers",
    prefix: "dinov2_with_registers.",
    keys: (architecture) => ({ ...keys(architecture), num_register_tokens: architecture.registers }),
  },
  recognises: ({ has }) => has("encoder.layer.0.layer_scale1.lambda1") && has("embeddings.register_tokens"),
  tensors: [
    ...hfDinov2.tensors,
    { name: "embeddings.register_tokens", shape: "1 R D", roles: ["register_tokens"] },
  ],
  positions: { covers: ["cls"], resize: { antialias: true, offset: 0 }, atRuntime: true },
};
