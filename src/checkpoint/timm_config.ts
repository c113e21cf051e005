// config.json as timm writes it, and as transformers writes it around a network of timm: the name of an architecture, its
// arguments, and how images were prepared. It becomes the same ModelConfig and preprocessor that transformers' files become.
import { z } from "zod";
import { Failure } from "../failure.ts";
import { type ModelConfig, parseWith } from "./config.ts";
import { quoted } from "./json.ts";
import type { Activation } from "./types.ts";

const activations: ReadonlyMap<string, Activation> = new Map([
  ["gelu", "gelu"],
  ["gelu_tanh", "gelu_tanh"],
  ["quick_gelu", "quick_gelu"],
  ["quickgelu", "quick_gelu"],
]);
// What classifiers of timm read that are read here; without a word the constructor's own.
const globalPools = new Set(["token", "avg", "map", ""]);

const count = z.int().min(1).max(65536);
const pair = z.union([count, z.tuple([count, count])]);
const label = z.string().max(10_000);
// Of a network for grey images there is one, which is then refused by its tensors.
const channels = z.array(z.number()).max(64);

const pretrained = z.object({
  input_size: z.tuple([count, count, count]).nullish(),
  interpolation: z.string().nullish(),
  crop_pct: z.number().positive().max(4).nullish(),
  crop_mode: z.string().nullish(),
  mean: channels.nullish(),
  std: channels.nullish(),
  num_classes: z.int().min(0).nullish(),
  label_names: z.union([z.array(label), z.record(z.string(), label)]).nullish(),
});

const schema = z.object({
  architecture: z.string().max(1000),
  _name_or_path: z.string().max(10_000).nullish(),
  global_pool: z.string().nullish(),
  layer_norm_eps: z.number().positive().max(1).nullish(),
  label_names: z.union([z.array(label), z.record(z.string(), label)]).nullish(),
  model_args: z
    .object({
      num_heads: count.nullish(),
      depth: count.nullish(),
      embed_dim: count.nullish(),
      patch_size: pair.nullish(),
      img_size: pair.nullish(),
      global_pool: z.string().nullish(),
      act_layer: z.string().nullish(),
      pool_include_prefix: z.boolean().nullish(),
    })
    .nullish(),
  pretrained_cfg: pretrained.nullish(),
});

/** Whether a parsed config.json is timm's, or transformers' of a network of timm. */
export function isTimmConfig(json: Record<string, unknown>): boolean {
  const wrapped = json.model_type === undefined || json.model_type === "timm_wrapper";
  return typeof json.architecture === "string" && wrapped;
}

/** What it says about the network; `where` names the file in a Failure. */
export function readTimmConfig(json: Record<string, unknown>, where: string): ModelConfig {
  const config = parseWith(schema, json, where);
  const args = config.model_args ?? {};
  const name = config.architecture;
  const names = config.label_names ?? config.pretrained_cfg?.label_names;
  const patch = args.patch_size ?? undefined;
  const globalPool = args.global_pool ?? config.global_pool ?? undefined;
  const unusable = (what: string, remedy: string): Failure =>
    new Failure({ code: "bad-model", what, where, remedy });
  if (args.act_layer && !activations.has(args.act_layer)) {
    throw unusable(
      `act_layer is ${quoted(args.act_layer)}, an activation that no ViT here is known to use.`,
      `Known are ${[...activations.keys()].join(", ")}.`,
    );
  }
  if (args.pool_include_prefix || (globalPool !== undefined && !globalPools.has(globalPool))) {
    const pool = args.pool_include_prefix
      ? "all tokens, the class token among them"
      : quoted(globalPool ?? "");
    throw unusable(
      `The network pools its tokens by ${pool}, which is not done here.`,
      "Choose a network of timm that pools by token, avg or map.",
    );
  }
  return {
    architectures: [name],
    // The first is not timm's: an export of an original DINO says so, since nothing else in the file does.
    nameOrPath: config._name_or_path ?? name,
    hiddenSize: args.embed_dim ?? undefined,
    layers: args.depth ?? undefined,
    patchSize: Array.isArray(patch) ? patch[0] : patch,
    ...timmConstructor(name),
    ...(args.num_heads ? { heads: args.num_heads } : {}),
    ...(args.act_layer && activations.has(args.act_layer)
      ? { activation: activations.get(args.act_layer) as Activation }
      : {}),
    ...(config.layer_norm_eps ? { layerNormEps: config.layer_norm_eps } : {}),
    globalPool,
    labels: names ? labelsOf(names) : wrappedLabels(json),
  };
}

/** What a constructor of timm gives a network that no argument in a file can: its name tells. */
export function timmConstructor(name: string): Pick<ModelConfig, "heads" | "activation" | "layerNormEps"> {
  const early = /_clip_|dinov3|lingbot/.test(name);
  return { heads: headsOf(name), activation: activationOf(name), layerNormEps: early ? 1e-5 : 1e-6 };
}

/** Undefined for a SigLIP of an unknown size. */
function activationOf(name: string): Activation | undefined {
  if (/quickgelu/.test(name)) return "quick_gelu";
  if (!/siglip/.test(name)) return "gelu";
  if (!/^vit_(base|large|so400m|giantopt)_/.test(name)) return undefined;
  const tanh = /^vit_(base_patch32|so400m_patch16|giantopt)_|^vit_large_patch16_siglip(_gap)?_512/.test(name);
  return tanh ? "gelu_tanh" : "gelu";
}

/** Heads of the networks whose width does not tell them, and of the usual ones; from timm's constructors. */
function headsOf(name: string): number | undefined {
  const sizes: [RegExp, number][] = [
    [/giant.*(dinov2|tipsv2|lingbot)/, 24],
    [/huge_plus.*dinov3/, 20],
    [/7b.*dinov3/, 32],
    [/_base_patch16_gap_224/, 16],
    [/_base_patch\d+_plus_/, 14],
    [/^test_vit[34]/, 3],
    [/^test_vit/, 2],
    [/_tiny/, 3],
    [/_(xsmall|wee)/, 4],
    [/_little/, 5],
    [/_small/, 6],
    [/_medium/, 8],
    [/_betwixt/, 10],
    [/_base/, 12],
    [/_so150m2/, 13],
    [/_so150m/, 14],
    [/_(large|huge|giant|giantopt|gigantic|so400m|intern300m)/, 16],
  ];
  return /^(vit|deit|deit3|flexivit|test_vit)\d*(_|$)/.test(name)
    ? sizes.find(([test]) => test.test(name))?.[1]
    : undefined;
}

/** Labels that transformers wrote around a network of timm without timm's own list of them. */
function wrappedLabels(json: Record<string, unknown>): Map<number, string> | undefined {
  const { id2label } = json;
  if (typeof id2label !== "object" || id2label === null || Array.isArray(id2label)) return undefined;
  const named = Object.entries(id2label).filter(([, name]) => typeof name === "string");
  return labelsOf(Object.fromEntries(named) as Record<string, string>);
}

/** Labels in order of their rows; a list, or names by number. */
function labelsOf(names: string[] | Record<string, string>): Map<number, string> {
  if (Array.isArray(names)) return new Map(names.entries());
  return new Map(
    Object.entries(names).flatMap(([key, name]) => (/^\d{1,7}$/.test(key) ? [[Number(key), name]] : [])),
  );
}

/** Edge of the images that the network was made for; null where the config does not say, or they are no square. */
export function timmInputSize(json: Record<string, unknown>, where: string): number | null {
  const { model_args, pretrained_cfg } = parseWith(schema, json, where);
  const built = model_args?.img_size ?? undefined;
  const sides = typeof built === "number" ? [built, built] : built;
  const [height, width] = pretrained_cfg?.input_size?.slice(1) ?? sides ?? [];
  return height !== undefined && height === width ? height : null;
}

/**
 * How timm prepares images, as a preprocessor_config.json would say it: the shorter edge (or with `squash` both) to
 * size / crop_pct, rounded down, then the centre. Null where the config says nothing of it.
 * @param imageSize edge of the images that enter the network
 */
export function timmPreprocessor(
  json: Record<string, unknown>,
  where: string,
  imageSize: number,
): Record<string, unknown> | null {
  const cfg = parseWith(schema, json, where).pretrained_cfg;
  if (!cfg) return null;
  const edge = Math.min(4096, Math.floor(imageSize / (cfg.crop_pct ?? 0.875)));
  const squash = cfg.crop_mode === "squash";
  return {
    image_processor_type: squash ? "ViTImageProcessor" : "CLIPImageProcessor",
    size: squash ? { height: edge, width: edge } : { shortest_edge: edge },
    // timm's other modes pad what is too small, which nothing here does.
    other_crop_mode: ["center", "squash"].includes(cfg.crop_mode ?? "center") ? undefined : cfg.crop_mode,
    do_center_crop: edge !== imageSize || !squash,
    crop_size: { height: imageSize, width: imageSize },
    resample: cfg.interpolation ?? undefined,
    image_mean: cfg.mean?.length === 3 ? cfg.mean : undefined,
    image_std: cfg.std?.length === 3 ? cfg.std : undefined,
  };
}
