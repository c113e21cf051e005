// What a configuration says of the text tower: config.json of transformers (`text_config`), or open_clip_config.json
// (`model_cfg.text_cfg`). transformers leaves out what equals its defaults, so those stand here.
import { z } from "zod";
import { activationOf, parseWith } from "../checkpoint/config.ts";
import type { Activation } from "../checkpoint/types.ts";

export interface TextConfig {
  heads?: number;
  activation?: Activation;
  layerNormEps?: number;
  /** undefined where the tensors have to tell. */
  causal?: boolean;
  /** null: the highest id of a sentence. */
  endToken: number | null;
  padToken?: number;
  /** What OpenCLIP does with a sentence before its tokenizer. */
  clean?: string;
}

const size = z.int().min(1).max(65536);
const transformersSchema = z.object({
  model_type: z.string().nullish(),
  text_config: z
    .object({
      num_attention_heads: size.nullish(),
      hidden_act: z.string().nullish(),
      layer_norm_eps: z.number().positive().max(1).nullish(),
      eos_token_id: z.union([z.int(), z.array(z.int())]).nullish(),
      pad_token_id: z.int().nullish(),
    })
    .nullish(),
});
const openClipSchema = z.object({
  model_cfg: z.object({
    quick_gelu: z.boolean().nullish(),
    text_cfg: z.object({
      heads: size.nullish(),
      no_causal_mask: z.boolean().nullish(),
      act_kwargs: z.object({ approximate: z.string().nullish() }).nullish(),
      norm_kwargs: z.object({ eps: z.number().positive().max(1).nullish() }).nullish(),
      tokenizer_kwargs: z.object({ clean: z.string().nullish() }).nullish(),
    }),
  }),
});

/** The text tower's part of a configuration, or null where it has none; a bad value is a Failure that names `where`. */
export function readTextConfig(json: Record<string, unknown>, where: string): TextConfig | null {
  if (json.model_cfg !== undefined) {
    const { model_cfg: model } = parseWith(openClipSchema, json, where);
    const text = model.text_cfg;
    return {
      heads: text.heads ?? undefined,
      activation: model.quick_gelu
        ? "quick_gelu"
        : text.act_kwargs?.approximate === "tanh"
          ? "gelu_tanh"
          : "gelu",
      layerNormEps: text.norm_kwargs?.eps ?? undefined,
      causal: text.no_causal_mask == null ? undefined : !text.no_causal_mask,
      endToken: null,
      clean: text.tokenizer_kwargs?.clean ?? undefined,
    };
  }
  const { model_type: type, text_config: text } = parseWith(transformersSchema, json, where);
  if (!text) return null;
  const siglip = type === "siglip" || type === "siglip2";
  const end = Array.isArray(text.eos_token_id) ? text.eos_token_id[0] : text.eos_token_id;
  return {
    heads: text.num_attention_heads ?? (siglip ? 12 : 8),
    activation: activationOf(text.hidden_act ?? (siglip ? "gelu_pytorch_tanh" : "quick_gelu"), where),
    layerNormEps: text.layer_norm_eps ?? (siglip ? 1e-6 : 1e-5),
    causal: !siglip,
    endToken: end === 2 ? null : (end ?? 49407),
    padToken: text.pad_token_id ?? 1,
  };
}
