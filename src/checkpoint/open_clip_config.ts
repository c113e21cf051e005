// open_clip_config.json: the sizes of OpenCLIP's towers under `model_cfg`, the image's preparation under `preprocess_cfg`.
import { z } from "zod";
import { Failure } from "../failure.ts";
import { type ModelConfig, parseWith } from "./config.ts";
import { quoted } from "./json.ts";
import { CLIP_MEAN, CLIP_STD } from "./preprocessing.ts";
import { timmConstructor } from "./timm_config.ts";
import type { Activation } from "./types.ts";

const count = z
  .int()
  .min(1)
  .max(1 << 22);
const side = z.union([count, z.tuple([count, count])]);
const schema = z.object({
  model_cfg: z.object({
    quick_gelu: z.boolean().nullish(),
    vision_cfg: z.object({
      layers: z.union([z.int(), z.array(z.unknown())]).nullish(),
      width: count.nullish(),
      head_width: count.nullish(),
      mlp_ratio: z.number().positive().nullish(),
      patch_size: count.nullish(),
      image_size: side.nullish(),
      pool_type: z.string().nullish(),
      attentional_pool: z.union([z.boolean(), z.string()]).nullish(),
      act_kwargs: z.object({ approximate: z.string().nullish() }).nullish(),
      norm_kwargs: z.object({ eps: z.number().positive().max(1).nullish() }).nullish(),
      timm_model_name: z.string().nullish(),
      timm_pool: z.string().nullish(),
    }),
  }),
  preprocess_cfg: z
    .object({
      mean: z.tuple([z.number(), z.number(), z.number()]).nullish(),
      std: z.tuple([z.number(), z.number(), z.number()]).nullish(),
      interpolation: z.string().nullish(),
      resize_mode: z.string().nullish(),
    })
    .nullish(),
});

/** What it says about the image tower. Where it leaves out the activation, OpenCLIP's own default counts: gelu. */
export function readOpenClipConfig(json: Record<string, unknown>, where: string): ModelConfig {
  const { model_cfg } = parseWith(schema, json, where);
  const { vision_cfg: vision, quick_gelu } = model_cfg;
  if (Array.isArray(vision.layers)) throw unusable("has a convolutional image tower", where);
  if (vision.pool_type && vision.pool_type !== "tok") {
    throw unusable(`pools its patches by ${quoted(vision.pool_type)} before its projection`, where);
  }
  if (vision.attentional_pool) throw unusable("has an attentional pooler of its own (CoCa)", where);
  const timm = vision.timm_model_name ?? undefined;
  if (timm !== undefined) {
    return {
      architectures: [],
      nameOrPath: timm,
      ...timmConstructor(timm),
      ...(vision.image_size ? { imageSize: square(vision.image_size, where) } : {}),
    };
  }
  const width = vision.width ?? 768;
  const activation: Activation = quick_gelu
    ? "quick_gelu"
    : vision.act_kwargs?.approximate === "tanh"
      ? "gelu_tanh"
      : "gelu";
  return {
    architectures: [],
    hiddenSize: width,
    layers: typeof vision.layers === "number" ? vision.layers : 12,
    heads: Math.floor(width / (vision.head_width ?? 64)),
    mlpSize: Math.floor(width * (vision.mlp_ratio ?? 4)),
    activation,
    layerNormEps: vision.norm_kwargs?.eps ?? 1e-5,
    imageSize: square(vision.image_size ?? 224, where),
    patchSize: vision.patch_size ?? 16,
  };
}

/** Its image preparation as a preprocessor_config.json of transformers would have it; where it is silent, OpenCLIP's own
 *  defaults count, which are CLIP's. */
export function openClipPreprocessor(
  json: Record<string, unknown>,
  where: string,
  imageSize: number,
): Record<string, unknown> {
  const said = parseWith(schema, json, where).preprocess_cfg ?? {};
  // Without a word, OpenCLIP resizes the shorter edge and crops the centre.
  const squash = said.resize_mode === "squash";
  if (said.resize_mode && !squash && said.resize_mode !== "shortest") {
    throw unusable(`resizes images by ${quoted(said.resize_mode)}`, where);
  }
  return {
    do_resize: true,
    size: squash ? { height: imageSize, width: imageSize } : { shortest_edge: imageSize },
    do_center_crop: !squash,
    ...(squash ? {} : { crop_size: { height: imageSize, width: imageSize } }),
    resample: said.interpolation ?? "bicubic",
    image_mean: said.mean ?? CLIP_MEAN,
    image_std: said.std ?? CLIP_STD,
  };
}

function square(value: z.infer<typeof side>, where: string): number {
  if (!Array.isArray(value)) return value;
  if (value[0] === value[1]) return value[0];
  throw unusable(`takes images of ${value.join(" x ")}`, where);
}

function unusable(what: string, where: string): Failure {
  return new Failure({
    code: "bad-model",
    what: `This OpenCLIP ${what}; that cannot be used here.`,
    where,
    remedy: "Choose an OpenCLIP whose image tower is a plain ViT or SigLIP.",
  });
}
