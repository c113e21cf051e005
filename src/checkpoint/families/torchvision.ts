// torchvision's VisionTransformer: a fused attention as torch's own MultiheadAttention has it, and an MLP that older files
// call `linear_1` and `linear_2`. No configuration goes with its weights; what an export says in config.json of
// transformers' keys is for whoever reads it here.
import type { Architecture } from "../types.ts";
import { type FamilyTable, linear, norm, type TensorEntry } from "./table.ts";
import { timmVit } from "./timm_vit.ts";

const layer = (fc1: string, fc2: string): { container: string; tensors: TensorEntry[] } => ({
  container: "encoder.layers.encoder_layer_",
  tensors: [
    ...norm("ln_1", "norm1"),
    { name: "self_attention.in_proj_weight", shape: "3D D", roles: ["q.weight", "k.weight", "v.weight"] },
    { name: "self_attention.in_proj_bias", shape: "3D", roles: ["q.bias", "k.bias", "v.bias"] },
    ...linear("self_attention.out_proj", ["o"], "D D"),
    ...norm("ln_2", "norm2"),
    ...linear(fc1, ["fc1"], "M D"),
    ...linear(fc2, ["fc2"], "D M"),
  ],
});

/** The call that builds the network an export belongs to. */
function note({ imageSize, patchSize, layers, heads, hiddenSize, mlpSize }: Architecture, classes: number) {
  return `torchvision reads no config.json: build torchvision.models.VisionTransformer(image_size=${imageSize}, patch_size=${patchSize}, num_layers=${layers}, num_heads=${heads}, hidden_dim=${hiddenSize}, mlp_dim=${mlpSize}, num_classes=${classes}) and load model.safetensors into it.`;
}

export const torchvision: FamilyTable = {
  family: "torchvision",
  title: "a ViT of torchvision",
  modelTypes: [],
  prefix: /^$/,
  written: { config: "transformers", name: () => "VisionTransformer", note },
  recognises: ({ has }) => has("encoder.pos_embedding"),
  tensors: [
    { name: "conv_proj.weight", shape: "D 3 P P", roles: ["patch_embed.weight"] },
    { name: "conv_proj.bias", shape: "D", roles: ["patch_embed.bias"] },
    { name: "class_token", shape: "1 1 D", roles: ["cls_token"] },
    { name: "encoder.pos_embedding", shape: "1 T D", roles: ["pos_embed"] },
    ...norm("encoder.ln", "norm"),
  ],
  layers: [layer("mlp.0", "mlp.3"), layer("mlp.linear_1", "mlp.linear_2")],
  head: linear("heads.head", ["head"], "C D", { feature: "head" }),
  headOutside: false,
  ignored: /^$/,
  own: /^(encoder|heads|conv_proj|class_token)/,
  positions: { covers: ["all"], resize: { antialias: false, offset: 0 }, atRuntime: false },
  pooling: "cls",
  usual: {
    imageSize: 224,
    heads: timmVit.usual.heads,
    activation: "gelu",
    layerNormEps: 1e-6,
    layerNormEpsBy: "torchvision's ViTs use 1e-6",
    statistics: "imagenet",
    statisticsBy: "torchvision's were trained with ImageNet's",
    resizeMode: "shortest",
    resizeTo224: 256,
    interpolation: "bilinear",
  },
};
