// The text towers of CLIP and SigLIP in the names they are stored under, and what shapes and configuration say of them.
// One table a naming; what differs between CLIP and SigLIP is told by the tensors that are there.
import { isWeightDtype } from "../checkpoint/dtypes.ts";
import { quoted } from "../checkpoint/json.ts";
import type { Activation, NamedTensor } from "../checkpoint/types.ts";
import type { TextConfig } from "./config.ts";
import type { TextArchitecture } from "./types.ts";

interface Naming {
  /** Before every name of the tower; the first that fits. */
  prefixes: string[];
  tokens: string;
  positions: string;
  /** Followed by the layer's number and a dot. */
  layer: string;
  norm1: string;
  /** One fused tensor or three, stacked in the order q, k, v. */
  qkv: { weight: string[]; bias: string[] };
  o: string;
  norm2: string;
  fc1: string;
  fc2: string;
  norm: string;
  /** The map into the space shared with images; the first that is there. */
  project: { weight: string; bias: string | null; transposed: boolean }[];
}

const transformers: Naming = {
  prefixes: [""],
  tokens: "text_model.embeddings.token_embedding.weight",
  positions: "text_model.embeddings.position_embedding.weight",
  layer: "text_model.encoder.layers.",
  norm1: "layer_norm1",
  qkv: {
    weight: ["self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"],
    bias: ["self_attn.q_proj.bias", "self_attn.k_proj.bias", "self_attn.v_proj.bias"],
  },
  o: "self_attn.out_proj",
  norm2: "layer_norm2",
  fc1: "mlp.fc1",
  fc2: "mlp.fc2",
  norm: "text_model.final_layer_norm",
  project: [
    { weight: "text_projection.weight", bias: null, transposed: false },
    { weight: "text_model.head.weight", bias: "text_model.head.bias", transposed: false },
  ],
};

/** OpenAI's files have no prefix; OpenCLIP's custom towers (SigLIP's among them) have `text.`. */
const openClip: Naming = {
  prefixes: ["", "text."],
  tokens: "token_embedding.weight",
  positions: "positional_embedding",
  layer: "transformer.resblocks.",
  norm1: "ln_1",
  qkv: { weight: ["attn.in_proj_weight"], bias: ["attn.in_proj_bias"] },
  o: "attn.out_proj",
  norm2: "ln_2",
  fc1: "mlp.c_fc",
  fc2: "mlp.c_proj",
  norm: "ln_final",
  project: [
    { weight: "text_projection", bias: null, transposed: true },
    { weight: "text_projection.weight", bias: "text_projection.bias", transposed: false },
  ],
};

/** Where the numbers of the tower stand; each list is stacked row by row. */
export interface TextTensors {
  tokens: NamedTensor;
  positions: NamedTensor;
  layers: Record<
    "norm1" | "qkv" | "o" | "norm2" | "fc1" | "fc2",
    { weight: NamedTensor[]; bias: NamedTensor[] }
  >[];
  norm: { weight: NamedTensor[]; bias: NamedTensor[] };
  project: { weight: NamedTensor; bias: NamedTensor | null; transposed: boolean };
  logitScale: NamedTensor;
  /** SigLIP's. */
  logitBias: NamedTensor | null;
}

/** A tower that can run, or why it cannot, in a sentence; both null where the file has none. */
export type TextMatch =
  | { tensors: TextTensors; architecture: TextArchitecture; problem: null }
  | { tensors: null; architecture: null; problem: string | null };

const MAX_LAYERS = 100;
const none = (problem: string | null): TextMatch => ({ tensors: null, architecture: null, problem });

/**
 * Looks for a text tower among a file's tensors.
 * @param config what the configuration says of it; null without one
 * @param activation the vision tower's, which is the text tower's too where nothing else is said
 */
export function matchText(
  stored: readonly NamedTensor[],
  config: TextConfig | null,
  activation: Activation,
): TextMatch {
  const byName = new Map(stored.map((tensor) => [tensor.name, tensor]));
  const found = [transformers, openClip]
    .flatMap((naming) => naming.prefixes.map((prefix) => ({ naming, prefix })))
    .find(({ naming, prefix }) => byName.has(prefix + naming.tokens));
  if (!found) {
    const other = stored.some(({ name }) => /^text\.|(^|\.)text_model\./.test(name.slice(0, 300)));
    return none(other ? "The file's text tower is none of CLIP's or SigLIP's." : null);
  }
  try {
    return collect(byName, found.naming, found.prefix, config, activation);
  } catch (error) {
    if (error instanceof Unfit) return none(`The text tower cannot be used: ${error.message}.`);
    throw error;
  }
}

class Unfit extends Error {}

function collect(
  byName: ReadonlyMap<string, NamedTensor>,
  naming: Naming,
  prefix: string,
  config: TextConfig | null,
  activation: Activation,
): TextMatch {
  if (byName.has(`${prefix}cls_emb`)) throw new Unfit("it has a class token of its own, as CoCa's");
  const at = (name: string, shape: (number | null)[]): NamedTensor => {
    const tensor = byName.get(name);
    if (!tensor) throw new Unfit(`${quoted(name)} is missing`);
    const fits =
      tensor.shape.length === shape.length &&
      shape.every((size, i) => size === null || size === tensor.shape[i]);
    if (!fits) {
      const wanted = shape.map((size) => size ?? "any").join(", ");
      throw new Unfit(`${quoted(name)} has shape [${tensor.shape.join(", ")}] instead of [${wanted}]`);
    }
    if (!isWeightDtype(tensor.dtype)) throw new Unfit(`${quoted(name)} is stored as ${tensor.dtype}`);
    return tensor;
  };
  const tower = (name: string, shape: (number | null)[]) => at(prefix + name, shape);

  const tokens = tower(naming.tokens, [null, null]);
  const [vocabulary, width] = tokens.shape as [number, number];
  const positions = tower(naming.positions, [null, width]);
  const context = positions.shape[0] as number;
  if (vocabulary < 1 || width < 1 || context < 2) throw new Unfit("its embeddings are empty");
  const pair = (name: string, weight: number[], bias: number[]) => ({
    weight: [tower(`${name}.weight`, weight)],
    bias: [tower(`${name}.bias`, bias)],
  });

  const layers: TextTensors["layers"] = [];
  let mlpSize = 0;
  const fused = (3 * width) / naming.qkv.weight.length;
  while (byName.has(`${prefix}${naming.layer}${layers.length}.${naming.norm1}.weight`)) {
    if (layers.length === MAX_LAYERS) throw new Unfit(`it has more than ${MAX_LAYERS} layers`);
    const here = `${naming.layer}${layers.length}.`;
    mlpSize ||= tower(`${here}${naming.fc1}.weight`, [null, width]).shape[0] as number;
    layers.push({
      norm1: pair(here + naming.norm1, [width], [width]),
      qkv: {
        weight: naming.qkv.weight.map((name) => tower(here + name, [fused, width])),
        bias: naming.qkv.bias.map((name) => tower(here + name, [fused])),
      },
      o: pair(here + naming.o, [width, width], [width]),
      norm2: pair(here + naming.norm2, [width], [width]),
      fc1: pair(here + naming.fc1, [mlpSize, width], [mlpSize]),
      fc2: pair(here + naming.fc2, [width, mlpSize], [width]),
    });
  }
  if (layers.length === 0) throw new Unfit("it has no layers");

  const chosen = naming.project.find(({ weight }) => byName.has(prefix + weight));
  if (!chosen) throw new Unfit("its projection is missing, so it shares no space with the images");
  const weight = tower(chosen.weight, chosen.transposed ? [width, null] : [null, width]);
  const size = weight.shape[chosen.transposed ? 1 : 0] as number;
  const bias = chosen.bias !== null && byName.has(prefix + chosen.bias) ? tower(chosen.bias, [size]) : null;
  const scalar = (name: string) => at(name, byName.get(name)?.shape.length === 1 ? [1] : []);
  const logitBias = byName.has("logit_bias") ? scalar("logit_bias") : null;

  // SigLIP's text is read from both sides and summed up in the last place; CLIP's from the left, at the end token.
  const causal = config?.causal ?? logitBias === null;
  // 64 wide each wherever no configuration speaks, but for So400m.
  const heads = config?.heads ?? (width === 1152 ? 16 : Math.max(1, Math.round(width / 64)));
  if (width % heads !== 0) throw new Unfit(`its width ${width} cannot be shared by ${heads} heads`);
  return {
    problem: null,
    tensors: {
      tokens,
      positions,
      layers,
      norm: pair(naming.norm, [width], [width]),
      project: { weight, bias, transposed: chosen.transposed },
      logitScale: scalar("logit_scale"),
      logitBias,
    },
    architecture: {
      vocabulary,
      width,
      context,
      layers: layers.length,
      heads,
      embeddingSize: size,
      causal,
      activation: config?.activation ?? activation,
      layerNormEps: config?.layerNormEps ?? (causal ? 1e-5 : 1e-6),
      pool: causal ? "end" : "last",
      endToken: config?.endToken ?? null,
    },
  };
}
