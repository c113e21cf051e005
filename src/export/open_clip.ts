// open_clip_config.json of an export: the source's, corrected where something else was used; for a file that came without
// one it is made from the tensors, which say everything but heads and activation.
import { readOpenClipConfig } from "../checkpoint/open_clip_config.ts";
import type { Architecture, CheckpointSource, Preprocessing } from "../checkpoint/types.ts";

type Json = Record<string, unknown>;

/** The name under which OpenCLIP looks for weights in a folder. */
export const openClipWeights = "open_clip_model.safetensors";

/** null where the source had none and the tensors do not make up a whole CLIP in OpenAI's names. */
export function openClipConfig(
  source: CheckpointSource,
  architecture: Architecture,
  preprocessing: Preprocessing,
): Json | null {
  // A folder may hold transformers' config of the same CLIP instead.
  const base = source.config?.model_cfg ? source.config : configOf(source, architecture);
  if (!base) return null;
  const model = base.model_cfg as Json;
  const vision = { ...(model.vision_cfg as Json) };
  const said = readOpenClipConfig(base, "open_clip_config.json");
  if (said.imageSize !== architecture.imageSize) vision.image_size = architecture.imageSize;
  const native = vision.timm_model_name === undefined;
  if (native && said.heads !== architecture.heads) {
    vision.head_width = architecture.hiddenSize / architecture.heads;
  }
  if (native && said.layerNormEps !== architecture.layerNormEps) {
    vision.norm_kwargs = { ...(vision.norm_kwargs as Json), eps: architecture.layerNormEps };
  }
  const { resize, mean, std, interpolation } = preprocessing;
  return {
    ...base,
    model_cfg: {
      ...model,
      ...(native && said.activation !== architecture.activation
        ? { quick_gelu: architecture.activation === "quick_gelu" }
        : {}),
      vision_cfg: vision,
    },
    preprocess_cfg: {
      ...(base.preprocess_cfg as Json | undefined),
      mean,
      std,
      interpolation,
      resize_mode: resize.mode === "exact" ? "squash" : "shortest",
    },
  };
}

/** A config for a whole CLIP in OpenAI's names; null for anything else. */
function configOf({ tensors }: CheckpointSource, architecture: Architecture): Json | null {
  const shape = (name: string) => tensors.find((tensor) => tensor.name === name)?.shape ?? [];
  const [context, width] = shape("positional_embedding");
  const [vocabulary] = shape("token_embedding.weight");
  if (!context || !width || !vocabulary || architecture.projectionSize === undefined) return null;
  const layers = tensors.filter(({ name }) =>
    /^transformer\.resblocks\.\d+\.ln_1\.weight$/.test(name),
  ).length;
  const { imageSize, hiddenSize, heads, patchSize, mlpSize, activation } = architecture;
  return {
    model_cfg: {
      embed_dim: architecture.projectionSize,
      quick_gelu: activation === "quick_gelu",
      vision_cfg: {
        image_size: imageSize,
        layers: architecture.layers,
        width: hiddenSize,
        head_width: hiddenSize / heads,
        patch_size: patchSize,
        mlp_ratio: mlpSize / hiddenSize,
      },
      text_cfg: {
        context_length: context,
        vocab_size: vocabulary,
        width,
        heads: Math.max(1, Math.round(width / 64)),
        layers,
      },
    },
  };
}
