// The names of transformers' ViT and DeiT, and what their shapes say about the network. transformers 4 wrote
// `encoder.layer.{i}.attention.attention.query`, which 5 still writes; in memory 5 calls it `layers.{i}.attention.q_proj`.
// A backbone saved alone has no prefix; inside a classifier it is `vit.` or `deit.`.
import type { ModelConfig } from "./config.ts";
import { isWeightDtype } from "./dtypes.ts";
import { quoted } from "./json.ts";
import type { StoredTensor } from "./safetensors.ts";
import type { Architecture, Family, Role, TensorRow } from "./types.ts";

const embeddings: Record<Role, string> = {
  cls_token: "embeddings.cls_token",
  dist_token: "embeddings.distillation_token",
  pos_embed: "embeddings.position_embeddings",
  "patch_embed.weight": "embeddings.patch_embeddings.projection.weight",
  "patch_embed.bias": "embeddings.patch_embeddings.projection.bias",
};

type LayerPart = "norm1" | "q" | "k" | "v" | "o" | "norm2" | "fc1" | "fc2";

const layerNames: Record<"legacy" | "v5", { container: string } & Record<LayerPart, string>> = {
  legacy: {
    container: "encoder.layer.",
    norm1: "layernorm_before",
    q: "attention.attention.query",
    k: "attention.attention.key",
    v: "attention.attention.value",
    o: "attention.output.dense",
    norm2: "layernorm_after",
    fc1: "intermediate.dense",
    fc2: "output.dense",
  },
  v5: {
    container: "layers.",
    norm1: "layernorm_before",
    q: "attention.q_proj",
    k: "attention.k_proj",
    v: "attention.v_proj",
    o: "attention.o_proj",
    norm2: "layernorm_after",
    fc1: "mlp.fc1",
    fc2: "mlp.fc2",
  },
};
const layerParts: LayerPart[] = ["norm1", "q", "k", "v", "o", "norm2", "fc1", "fc2"];

/** Prefix of the backbone inside a classifier of the family. */
export const classifierPrefix: Record<Family, string> = { "hf-vit": "vit.", "hf-deit": "deit." };

// Parts of a file that a classifier does not use. Anything else inside the backbone means another network.
const ignorable = /^(pooler\.|decoder\.|embeddings\.(mask_token|position_ids)$)/;

// A file may number its layers up to anything; no ViT comes near.
const MAX_LAYERS = 1000;
const MAX_IMAGE = 4096;
const MAX_CLASSES = 100_000;

interface Use {
  role: Role;
  /** As the rest of the house sees it. */
  shape: number[];
}

/** What a file's names and shapes say. With `problems`, it is not a network that can run. */
export interface HfVit {
  prefix: string;
  family: Family;
  /** The parts of an Architecture that shapes tell; with problems these may be wrong. */
  shapes: Pick<
    Architecture,
    "imageSize" | "patchSize" | "hiddenSize" | "layers" | "mlpSize" | "qkvBias" | "prefixTokens"
  > & { classes: number | null };
  /** By tensor name. */
  uses: Map<string, Use>;
  /** What makes it unusable, by tensor name, those that are missing included. */
  problems: Map<string, string>;
  /** Rows for tensors that should be there. */
  missing: TensorRow[];
  /** Contradictions that concern no single tensor. */
  contradictions: string[];
  /** What the person should know but need not act on, by tensor name. */
  remarks: Map<string, string>;
}

/** Matches `tensors` against the names above; null when this is no HF ViT or DeiT. */
export function matchHfVit(tensors: readonly StoredTensor[], config: ModelConfig | null): HfVit | null {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const prefixes = ["", "vit.", "deit."].filter((p) => byName.has(p + embeddings["patch_embed.weight"]));
  const prefix = prefixes[0];
  if (prefix === undefined) return null;

  const contradictions: string[] = [];
  const problems = new Map<string, string>();
  const remarks = new Map<string, string>();
  if (prefixes.length > 1) contradictions.push("The file holds more than one backbone.");

  const naming = tensors.some(({ name }) => name.startsWith(prefix + layerNames.legacy.container))
    ? layerNames.legacy
    : layerNames.v5;
  const at = (name: string) => byName.get(prefix + name);
  const layerTensor = (i: number, part: LayerPart, kind: "weight" | "bias") =>
    `${naming.container}${i}.${naming[part]}.${kind}`;

  const patch = at(embeddings["patch_embed.weight"]!)!.shape;
  const hiddenSize = patch[0] ?? 0;
  const patchSize = patch[2] ?? 0;
  const patchName = prefix + embeddings["patch_embed.weight"];
  if (patch.length !== 4 || patch.some((side) => side < 1)) {
    problems.set(patchName, `has shape [${patch.join(", ")}], not [hidden, 3, patch, patch]`);
  } else if (patch[1] !== 3) {
    problems.set(patchName, `takes ${patch[1]} colour channels; only RGB can be used`);
  } else if (patch[2] !== patch[3]) {
    problems.set(patchName, `cuts patches of ${patch[2]} x ${patch[3]}; only square ones can be used`);
  }

  const counted = countLayers(tensors, prefix + naming.container);
  if (counted > MAX_LAYERS)
    contradictions.push(`The file numbers ${counted} layers; at most ${MAX_LAYERS} are read.`);
  const layers = Math.min(config?.layers ?? counted, MAX_LAYERS);
  if (counted === 0) contradictions.push("The file holds no transformer layers.");
  const mlpSize = at(layerTensor(0, "fc1", "weight"))?.shape[0] ?? config?.mlpSize ?? 4 * hiddenSize;
  const qkvBias = (["q", "k", "v"] as const).some((part) => at(layerTensor(0, part, "bias")));

  const distilled = at(embeddings.dist_token!) !== undefined;
  const family: Family =
    distilled || prefix === "deit." || (prefix === "" && config?.modelType === "deit") ? "hf-deit" : "hf-vit";
  const prefixTokens = family === "hf-deit" ? 2 : 1;

  const positions = at(embeddings.pos_embed!)?.shape ?? [];
  const side = Math.sqrt(Math.max(0, (positions[1] ?? 0) - prefixTokens));
  if (positions.length === 3 && !(Number.isInteger(side) && side > 0)) {
    problems.set(
      prefix + embeddings.pos_embed,
      `has ${positions[1]} positions, which is not ${prefixTokens} and a square of patches`,
    );
  }
  const imageSize = Math.floor(side) * patchSize;

  if (imageSize > MAX_IMAGE) {
    contradictions.push(`The images would be ${imageSize} pixels wide; at most ${MAX_IMAGE} are prepared.`);
  }

  const heads = (["classifier", "cls_classifier"] as const).filter((name) => byName.has(`${name}.weight`));
  if (heads.length > 1) contradictions.push("The file holds two classifiers, classifier and cls_classifier.");
  const classes = heads[0] ? (byName.get(`${heads[0]}.weight`)!.shape[0] ?? 0) : null;
  if (heads[0] && !classes) problems.set(`${heads[0]}.weight`, "has no rows, so it knows no classes");
  if (classes !== null && classes > MAX_CLASSES) {
    contradictions.push(`The classifier has ${classes} classes; at most ${MAX_CLASSES} are read.`);
  }

  // Every tensor the network needs: name in the file, role, shape in the file, shape in the house.
  const D = hiddenSize;
  const M = mlpSize;
  const needed: { name: string; role: Role; shape: number[]; house?: number[] }[] = [];
  const need = (name: string, role: Role, shape: number[], house?: number[]) =>
    needed.push({ name, role, shape, house });
  const N = Math.floor(side) ** 2;
  need(prefix + embeddings.cls_token, "cls_token", [1, 1, D], [D]);
  if (prefixTokens === 2) need(prefix + embeddings.dist_token, "dist_token", [1, 1, D], [D]);
  const T = prefixTokens + N;
  need(prefix + embeddings.pos_embed, "pos_embed", [1, T, D], [T, D]);
  need(patchName, "patch_embed.weight", [D, 3, patchSize, patchSize], [D, 3 * patchSize * patchSize]);
  need(prefix + embeddings["patch_embed.bias"], "patch_embed.bias", [D]);
  for (let i = 0; i < layers; i++) {
    for (const part of layerParts) {
      const shape = {
        norm1: [D],
        norm2: [D],
        q: [D, D],
        k: [D, D],
        v: [D, D],
        o: [D, D],
        fc1: [M, D],
        fc2: [D, M],
      }[part];
      need(prefix + layerTensor(i, part, "weight"), `layer.${i}.${part}.weight`, shape);
      if (!"qkv".includes(part) || qkvBias) {
        need(prefix + layerTensor(i, part, "bias"), `layer.${i}.${part}.bias`, [shape[0]!]);
      }
    }
  }
  need(`${prefix}layernorm.weight`, "norm.weight", [D]);
  need(`${prefix}layernorm.bias`, "norm.bias", [D]);
  if (classes !== null) {
    const head = heads[0]!;
    need(`${head}.weight`, "head.weight", [classes, D]);
    need(`${head}.bias`, "head.bias", [classes]);
    if (head === "cls_classifier") {
      need("distillation_classifier.weight", "head_dist.weight", [classes, D]);
      need("distillation_classifier.bias", "head_dist.bias", [classes]);
    }
  }

  const uses = new Map<string, Use>();
  const missing: TensorRow[] = [];
  for (const { name, role, shape, house } of needed) {
    const tensor = byName.get(name);
    if (!tensor) {
      problems.set(name, "is missing");
      missing.push({ name, shape, dtype: "", bytes: 0, role, problem: "is missing" });
      continue;
    }
    uses.set(name, { role, shape: house ?? shape });
    if (problems.has(name)) continue;
    if (!sameShape(tensor.shape, shape)) {
      problems.set(name, `has shape [${tensor.shape.join(", ")}] instead of [${shape.join(", ")}]`);
    } else if (!isWeightDtype(tensor.dtype)) {
      problems.set(name, `is stored as ${tensor.dtype}; F32, F16 and BF16 can be read`);
    }
  }

  for (const { name, dtype } of tensors) {
    if (uses.has(name) || problems.has(name)) continue;
    const inside = name.startsWith(prefix) ? name.slice(prefix.length) : name;
    if (ignorable.test(inside) || ignorable.test(name)) continue;
    const backbone =
      name.startsWith(prefix) && (prefix !== "" || /^(embeddings|encoder|layers|layernorm)\./.test(name));
    // A buffer of whole numbers changes nothing; a weight that ViT does not have would be left out of the sum.
    if (backbone && isWeightDtype(dtype))
      problems.set(name, "is no part of a ViT, so this is another network");
    else remarks.set(name, "Not used, and left out of an export.");
  }

  if (config)
    contradictions.push(
      ...contradict(config, { hiddenSize, layers: counted, mlpSize, patchSize, imageSize }),
    );
  if (config?.qkvBias !== undefined && config.qkvBias !== qkvBias) {
    const name = prefix + layerTensor(0, "q", "weight");
    remarks.set(
      name,
      `config.json says qkv_bias is ${config.qkvBias}; the file holds ${qkvBias ? "biases" : "none"}, and that counts.`,
    );
  }

  return {
    prefix,
    family,
    shapes: { imageSize, patchSize, hiddenSize, layers, mlpSize, qkvBias, prefixTokens, classes },
    uses,
    problems,
    missing,
    contradictions,
    remarks,
  };
}

/** One more than the highest layer number in the file. */
function countLayers(tensors: readonly StoredTensor[], container: string): number {
  let count = 0;
  for (const { name } of tensors) {
    if (!name.startsWith(container)) continue;
    const digits = /^\d{1,9}(?=\.)/.exec(name.slice(container.length, container.length + 10));
    if (digits) count = Math.max(count, Number(digits[0]) + 1);
  }
  return count;
}

function contradict(
  config: ModelConfig,
  found: { hiddenSize: number; layers: number; mlpSize: number; patchSize: number; imageSize: number },
): string[] {
  const lines: string[] = [];
  const compare = (key: string, says: number | undefined, holds: number) => {
    if (says !== undefined && says !== holds) {
      lines.push(`config.json says ${quoted(key)} is ${says}, but the tensors say ${holds}.`);
    }
  };
  compare("hidden_size", config.hiddenSize, found.hiddenSize);
  compare("num_hidden_layers", config.layers, found.layers);
  compare("intermediate_size", config.mlpSize, found.mlpSize);
  compare("patch_size", config.patchSize, found.patchSize);
  compare("image_size", config.imageSize, found.imageSize);
  compare("num_channels", config.channels, 3);
  return lines;
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}
