// config.json as transformers writes it. Keys nobody here needs are left alone; a key that is needed must have the
// right type and a sane range. A key that is missing stays undefined, so that whoever needs it can ask.
import { z } from "zod";
import { Failure } from "../failure.ts";
import { quoted } from "./json.ts";
import type { Activation } from "./types.ts";

const count = (max: number) => z.int().min(1).max(max);
const side = z.union([count(65536), z.tuple([count(65536), count(65536)])]).nullish();
const labelText = z.string().max(10_000);

const schema = z.object({
  model_type: z.string().nullish(),
  architectures: z.array(z.string()).nullish(),
  _name_or_path: z.string().nullish(),
  hidden_size: count(1 << 20).nullish(),
  num_hidden_layers: count(1000).nullish(),
  num_attention_heads: count(4096).nullish(),
  intermediate_size: count(1 << 22).nullish(),
  hidden_act: z.string().nullish(),
  layer_norm_eps: z.number().positive().max(1).nullish(),
  image_size: side,
  patch_size: side,
  num_channels: count(65536).nullish(),
  qkv_bias: z.boolean().nullish(),
  rope_theta: z.number().positive().max(1e9).nullish(),
  num_labels: z.int().min(0).nullish(),
  id2label: z.record(z.string(), z.union([labelText, z.number()])).nullish(),
  label2id: z.record(z.string(), z.union([z.int(), labelText])).nullish(),
});

/** What config.json says about the network; undefined where it is silent. */
export interface ModelConfig {
  modelType?: string;
  architectures: string[];
  nameOrPath?: string;
  hiddenSize?: number;
  layers?: number;
  heads?: number;
  mlpSize?: number;
  activation?: Activation;
  /** Whether hidden_act is silu, which only gated MLPs have. */
  silu?: boolean;
  layerNormEps?: number;
  imageSize?: number;
  patchSize?: number;
  channels?: number;
  qkvBias?: boolean;
  /** Base of rotary positions. */
  ropeBase?: number;
  /** timm's word for what its classifier reads. */
  globalPool?: string;
  /** Name of each class, by index; undefined when neither id2label nor label2id is there. */
  labels?: Map<number, string>;
}

// transformers' names. gelu_new and gelu_fast are the tanh form written in two ways.
const activations: ReadonlyMap<string, Activation> = new Map([
  ["gelu", "gelu"],
  ["gelu_python", "gelu"],
  ["gelu_new", "gelu_tanh"],
  ["gelu_fast", "gelu_tanh"],
  ["gelu_pytorch_tanh", "gelu_tanh"],
  ["gelu_python_tanh", "gelu_tanh"],
  ["quick_gelu", "quick_gelu"],
]);

// What transformers' classes take where a config of theirs is silent, as most of SigLIP's on the Hub are.
const tower = {
  hidden_size: 768,
  intermediate_size: 3072,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  num_channels: 3,
  image_size: 224,
};
const clip = { ...tower, patch_size: 32, hidden_act: "quick_gelu", layer_norm_eps: 1e-5 };
const siglip = { ...tower, patch_size: 16, hidden_act: "gelu_pytorch_tanh", layer_norm_eps: 1e-6 };
const towers: ReadonlyMap<unknown, Record<string, unknown>> = new Map([
  ["clip", clip],
  ["clip_vision_model", clip],
  ["siglip", siglip],
  ["siglip_vision_model", siglip],
]);

/** The keys of an image tower at the top, where CLIP's and SigLIP's config has them under `vision_config`. */
function flattened(json: Record<string, unknown>): Record<string, unknown> {
  const usual = towers.get(json.model_type);
  if (!usual) return json;
  const { vision_config: nested, ...top } = json;
  const own = typeof nested === "object" && nested !== null ? (nested as Record<string, unknown>) : {};
  const given = Object.fromEntries(Object.entries(own).filter(([, value]) => value !== null));
  return { ...usual, ...top, ...given, model_type: json.model_type };
}

/** Checks the parsed config.json; `where` names the file in a Failure. */
export function readModelConfig(json: Record<string, unknown>, where: string): ModelConfig {
  const config = parseWith(schema, flattened(json), where);
  const square = (key: "image_size" | "patch_size"): number | undefined => {
    const value = config[key] ?? undefined;
    if (!Array.isArray(value)) return value;
    if (value[0] === value[1]) return value[0];
    throw new Failure({
      code: "bad-model",
      what: `${key} is ${value.join(" x ")}; only square images and patches can be used.`,
      where,
      remedy: "Choose a model for square images.",
    });
  };
  const act = config.hidden_act ?? undefined;
  const silu = act === "silu" || act === "swish";
  return {
    modelType: config.model_type ?? undefined,
    architectures: config.architectures ?? [],
    nameOrPath: config._name_or_path ?? undefined,
    hiddenSize: config.hidden_size ?? undefined,
    layers: config.num_hidden_layers ?? undefined,
    heads: config.num_attention_heads ?? undefined,
    mlpSize: config.intermediate_size ?? undefined,
    activation: act === undefined || silu ? undefined : activationOf(act, where),
    silu,
    layerNormEps: config.layer_norm_eps ?? undefined,
    imageSize: square("image_size"),
    patchSize: square("patch_size"),
    channels: config.num_channels ?? undefined,
    qkvBias: config.qkv_bias ?? undefined,
    ropeBase: config.rope_theta ?? undefined,
    labels: readLabels(config.id2label, config.label2id),
  };
}

/** The activation that transformers calls `name`; `where` names the file in a Failure. */
export function activationOf(name: string, where: string): Activation {
  const activation = activations.get(name);
  if (activation) return activation;
  throw new Failure({
    code: "bad-model",
    what: `hidden_act is ${quoted(name)}, an activation no ViT here is known to use.`,
    where,
    remedy: `Known are ${[...activations.keys()].join(", ")}.`,
  });
}

function readLabels(
  id2label: Record<string, string | number> | null | undefined,
  label2id: Record<string, string | number> | null | undefined,
): Map<number, string> | undefined {
  const labels = new Map<number, string>();
  if (id2label) {
    for (const [id, label] of Object.entries(id2label)) {
      if (/^\d{1,7}$/.test(id)) labels.set(Number(id), String(label));
    }
    return labels;
  }
  if (!label2id) return undefined;
  for (const [label, id] of Object.entries(label2id)) {
    if (/^\d{1,7}$/.test(String(id))) labels.set(Number(id), label);
  }
  return labels;
}

/** Parses with zod; what does not fit becomes one sentence about the first key at fault. */
export function parseWith<T>(schema: z.ZodType<T>, json: unknown, where: string): T {
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const key = issue?.path.map(String).join(".") ?? "";
  throw new Failure({
    code: "bad-file",
    what: `The value of ${quoted(key)} cannot be used (${issue?.message ?? "wrong type"}).`,
    where,
    remedy:
      "Correct it, use the file that was saved with the model, or leave it out and answer the questions.",
  });
}
