// config.json as timm writes it: the name of an architecture, its arguments, and how images were prepared. It becomes
// the same ModelConfig and preprocessor that transformers' files become.
import { z } from "zod";
import { type ModelConfig, parseWith } from "./config.ts";
import type { Activation } from "./types.ts";

const activations: ReadonlyMap<string, Activation> = new Map([
  ["gelu", "gelu"],
  ["gelu_tanh", "gelu_tanh"],
  ["quick_gelu", "quick_gelu"],
]);

const count = z.int().min(1).max(65536);
const pair = z.union([count, z.tuple([count, count])]);
const label = z.string().max(10_000);
const channels = z.tuple([z.number(), z.number(), z.number()]);

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
      global_pool: z.string().nullish(),
      act_layer: z.string().nullish(),
    })
    .nullish(),
  pretrained_cfg: pretrained.nullish(),
});

/** Whether a parsed config.json is timm's. */
export function isTimmConfig(json: Record<string, unknown>): boolean {
  return typeof json.architecture === "string" && json.model_type === undefined;
}

/** What it says about the network; `where` names the file in a Failure. */
export function readTimmConfig(json: Record<string, unknown>, where: string): ModelConfig {
  const config = parseWith(schema, json, where);
  const args = config.model_args ?? {};
  const name = config.architecture;
  const names = config.label_names ?? config.pretrained_cfg?.label_names;
  const patch = args.patch_size ?? undefined;
  return {
    architectures: [name],
    // Not timm's: an export of an original DINO says so, since nothing else in the file does.
    nameOrPath: config._name_or_path ?? undefined,
    hiddenSize: args.embed_dim ?? undefined,
    layers: args.depth ?? undefined,
    heads: args.num_heads ?? headsOf(name),
    patchSize: Array.isArray(patch) ? patch[0] : patch,
    // A constructor's norm and activation are not arguments in a file, but its name tells them.
    ...(/clip|siglip/.test(name)
      ? { activation: timmActivation(name), layerNormEps: /siglip/.test(name) ? 1e-6 : 1e-5 }
      : { activation: "gelu" as const, layerNormEps: name.includes("dinov3") ? 1e-5 : 1e-6 }),
    ...(args.act_layer && activations.has(args.act_layer)
      ? { activation: activations.get(args.act_layer) as Activation }
      : {}),
    ...(config.layer_norm_eps ? { layerNormEps: config.layer_norm_eps } : {}),
    globalPool: args.global_pool ?? config.global_pool ?? undefined,
    labels: names ? labelsOf(names) : undefined,
  };
}

/** timm's activation of a network whose name says it; undefined for the others, whose constructor alone knows. */
export function timmActivation(name: string): Activation | undefined {
  if (/quickgelu/.test(name)) return "quick_gelu";
  if (!/siglip/.test(name)) return /_clip_/.test(name) ? "gelu" : undefined;
  if (!/^vit_(base|large|so400m|giantopt)_/.test(name)) return undefined;
  const tanh = /^vit_(base_patch32|so400m_patch16|giantopt)_|^vit_large_patch16_siglip(_gap)?_512/.test(name);
  return tanh ? "gelu_tanh" : "gelu";
}

/** Heads of the networks whose width does not tell them, and of the usual ones; from timm's constructors. */
function headsOf(name: string): number | undefined {
  const sizes: [RegExp, number][] = [
    [/giant.*dinov2/, 24],
    [/huge_plus.*dinov3/, 20],
    [/7b.*dinov3/, 32],
    [/_tiny/, 3],
    [/_small/, 6],
    [/_medium/, 8],
    [/_base/, 12],
    [/_(large|huge|giant|gigantic|so400m)/, 16],
  ];
  return /^(vit|deit|deit3)_/.test(name) ? sizes.find(([test]) => test.test(name))?.[1] : undefined;
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
  const [, height, width] = parseWith(schema, json, where).pretrained_cfg?.input_size ?? [];
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
    // timm's third mode pads, which nothing here does
    ...(cfg.crop_mode === "border"
      ? {}
      : { size: squash ? { height: edge, width: edge } : { shortest_edge: edge } }),
    do_center_crop: edge !== imageSize || !squash,
    crop_size: { height: imageSize, width: imageSize },
    resample: cfg.interpolation ?? undefined,
    image_mean: cfg.mean ?? undefined,
    image_std: cfg.std ?? undefined,
  };
}
