// The config.json of an export: the source's where it says what was used, corrected and completed where it does not, so
// that the family's library builds the same network and nothing is asked again here.
import { readModelConfig } from "../checkpoint/config.ts";
import { tableOf } from "../checkpoint/families/index.ts";
import type { Pooling } from "../checkpoint/pooling.ts";
import type { Activation, Architecture, CheckpointSource, Preprocessing, Role } from "../checkpoint/types.ts";

type Json = Record<string, unknown>;

// transformers' names of the three activations.
const activationNames: Record<Activation, string> = {
  gelu: "gelu",
  gelu_tanh: "gelu_pytorch_tanh",
  quick_gelu: "quick_gelu",
};

/**
 * config.json of transformers.
 * @param imageSize what its position embeddings are for, which is not always the size of the images
 * @param labels null where the classifier stands apart and the model stays of the source's class
 */
export function transformersConfig(
  source: Json | null,
  architecture: Architecture,
  imageSize: number,
  labels: readonly string[] | null,
): Json {
  const { written } = tableOf(architecture.family);
  const said = source ? readModelConfig(source, "config.json") : null;
  // The head is a plain classifier now, whatever loss the source was trained with.
  const { problem_type: _, ...kept } = source ?? {};
  const { top, tower } = placed(kept, architecture, labels === null);
  const named: Json =
    labels === null
      ? {}
      : {
          architectures: [written.name(architecture)],
          model_type: written.modelType,
          num_labels: labels.length,
          id2label: Object.fromEntries(labels.map((label, i) => [String(i), label])),
          label2id: Object.fromEntries(labels.map((label, i) => [label, i])),
        };
  const fill = (key: string, before: unknown, used: unknown, value = used) => {
    if (before !== used) tower[key] = value;
  };
  fill("hidden_size", said?.hiddenSize, architecture.hiddenSize);
  fill("num_hidden_layers", said?.layers, architecture.layers);
  fill("num_attention_heads", said?.heads, architecture.heads);
  fill("layer_norm_eps", said?.layerNormEps, architecture.layerNormEps);
  fill("image_size", said?.imageSize, imageSize);
  fill("patch_size", said?.patchSize, architecture.patchSize);
  fill("num_channels", said?.channels, 3);
  if (architecture.gatedMlp) fill("hidden_act", source?.hidden_act ?? "silu", source?.hidden_act, "silu");
  else
    fill("hidden_act", said?.activation, architecture.activation, activationNames[architecture.activation]);
  const keys = written.keys?.(architecture) ?? {
    intermediate_size: architecture.mlpSize,
    qkv_bias: architecture.qkvBias,
  };
  const stated = { ...tower };
  for (const [key, used] of Object.entries(keys)) fill(key, stated[key], used);
  return tower === top ? { ...tower, ...named } : { ...top, ...named, [written.nested as string]: tower };
}

/**
 * Where the image tower's keys stand: at the top, or under a key of their own where a text tower may stand beside it.
 * @param apart the model stays of the source's class, and so do the places
 */
function placed(kept: Json, architecture: Architecture, apart: boolean): { top: Json; tower: Json } {
  const { nested, modelType, name } = tableOf(architecture.family).written;
  if (nested === undefined) {
    const top = apart ? { model_type: modelType, ...kept } : { ...kept };
    return { top, tower: top };
  }
  if (kept.model_type === modelType) {
    return { top: kept, tower: { ...(kept[nested] as Json | undefined) } };
  }
  const alone = `${modelType}_vision_model`;
  if (apart) {
    const projected = architecture.projectionSize !== undefined ? "WithProjection" : "";
    const family = name(architecture).replace("ForImageClassification", "VisionModel");
    const top = { architectures: [`${family}${projected}`], model_type: alone, ...kept };
    return { top, tower: top };
  }
  const { architectures: _, ...tower } = kept;
  return { top: {}, tower: { ...tower, model_type: alone } };
}

const globalPools: Partial<Record<Pooling, string>> = {
  cls: "token",
  mean: "avg",
  "mean-norm": "avg",
  attention: "map",
};

/** config.json of timm, whose `model_args` make its named constructor build this very network. */
export function timmConfig(
  source: CheckpointSource,
  architecture: Architecture,
  imageSize: number,
  preprocessing: Preprocessing,
  labels: readonly string[],
  headApart: boolean,
): Json {
  const { written, usual } = tableOf(architecture.family);
  const { config } = source;
  // A distilled network is written as one with a register.
  const distilled = source.tensors.some(({ pieces }) => pieces.some(({ role }) => role === "dist_token"));
  const known = config !== null && !distilled;
  const kept = (key: string) => (config?.[key] ?? {}) as Json;
  const sizeChanged =
    source.positions !== null && imageSize !== source.positions.side * architecture.patchSize;
  const classes = headApart ? 0 : labels.length;
  // transformers' own keys around a network of timm mean nothing to timm, whose names an export has.
  const { model_type: _, architectures: __, ...own } = config ?? {};
  return {
    ...own,
    architecture: known ? config.architecture : written.name(architecture),
    ...(written.origin ? { _name_or_path: written.origin(architecture) } : {}),
    num_classes: classes,
    num_features: architecture.hiddenSize,
    global_pool: globalPools[architecture.pooling] ?? "token",
    label_names: [...labels],
    // timm takes it from the constructor; it stands here for whoever loads the file again.
    ...(architecture.layerNormEps === usual.layerNormEps
      ? {}
      : { layer_norm_eps: architecture.layerNormEps }),
    model_args: known
      ? {
          ...kept("model_args"),
          ...("num_classes" in kept("model_args") ? { num_classes: classes } : {}),
          ...(sizeChanged ? { img_size: imageSize } : {}),
        }
      : constructorArguments(architecture, imageSize, source),
    pretrained_cfg: {
      ...kept("pretrained_cfg"),
      num_classes: classes,
      input_size: [3, architecture.imageSize, architecture.imageSize],
      ...timmPreparation(preprocessing, architecture.imageSize),
      first_conv: "patch_embed.proj",
      classifier: "head",
    },
  };
}

function constructorArguments(architecture: Architecture, imageSize: number, source: CheckpointSource): Json {
  const { hiddenSize, mlpSize, gatedMlp, layerScale, prefixTokens, positions, ...rest } = {
    ...architecture,
    positions: source.positions,
  };
  const common = {
    img_size: imageSize,
    patch_size: rest.patchSize,
    embed_dim: hiddenSize,
    depth: rest.layers,
    num_heads: rest.heads,
    ...(imageSize === architecture.imageSize ? {} : { dynamic_img_size: true }),
    qkv_bias: rest.qkvBias,
    global_pool: globalPools[rest.pooling] ?? "token",
    ...(layerScale ? { init_values: 1e-5 } : {}),
    ...(rest.activation === "gelu" ? {} : { act_layer: rest.activation }),
  };
  if (rest.ropeBase !== undefined) {
    return {
      ...common,
      mlp_ratio: mlpSize / hiddenSize,
      num_reg_tokens: rest.registers ?? 0,
      rope_temperature: rest.ropeBase,
      ...(gatedMlp ? { swiglu_mlp: true, swiglu_align_to: 1 } : {}),
    };
  }
  const holds = (wanted: Role) =>
    source.tensors.some(({ pieces }) => pieces.some(({ role }) => role === wanted));
  const classToken = holds("cls_token");
  return {
    ...common,
    mlp_ratio: (gatedMlp ? 2 * mlpSize : mlpSize) / hiddenSize,
    class_token: classToken,
    reg_tokens: prefixTokens - Number(classToken),
    no_embed_class: positions !== null && positions.covered < prefixTokens,
    ...(rest.preNorm ? { pre_norm: true } : {}),
    // Without it timm norms what it has pooled; here the norm stands before the pool.
    ...(rest.pooling === "mean" ? { fc_norm: false } : {}),
  };
}

/** timm's words for a resize and a centre crop. */
function timmPreparation({ resize, interpolation, mean, std }: Preprocessing, size: number): Json {
  const edge = resize.mode === "exact" ? resize.height : resize.edge;
  // timm resizes to size / crop_pct rounded down; half a pixel more keeps rounding from losing one.
  const share = Math.floor(size / (size / edge)) === edge ? size / edge : size / (edge + 0.5);
  return {
    crop_pct: share,
    crop_mode: resize.mode === "exact" ? "squash" : "center",
    interpolation,
    mean,
    std,
  };
}
