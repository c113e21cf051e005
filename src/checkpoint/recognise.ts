// What a model that cannot be used is, by signs in its tensors' names, in config.json's `model_type` and in the name of
// timm's architecture, so that it is refused by its own name with a step that works. The first kind that shows counts.

/** What shows of a model. */
export interface Shown {
  tensors: readonly { name: string; dtype: string; shape: readonly number[] }[];
  /** config.json, or open_clip_config.json. */
  config: Record<string, unknown> | null;
  /** PEFT's config, beside an adapter. */
  adapterConfig?: Record<string, unknown> | null;
}

/** A kind of model, as a sentence says it. */
export interface Recognised {
  /** "This is ..." */
  what: string;
  /** A step that works; absent: choose another model. */
  remedy?: string;
}

interface Kind extends Recognised {
  /** In the name of a tensor; of several signs every one must be there. */
  tensors?: RegExp | RegExp[];
  /** In no name of a tensor. */
  lacks?: RegExp;
  /** `model_type`. */
  types?: RegExp;
  /** timm's name of the architecture. */
  timm?: RegExp;
}

const MERGE =
  "Merge it into its base model first (PEFT: `model.merge_and_unload().save_pretrained(FOLDER)`) and choose that folder, or choose the base model itself.";
const IMAGE_TOWER = "Choose a CLIP or SigLIP with its image tower.";

// Adapters show in their names and in nothing else; a file that holds one is no whole model.
const adapters: Kind[] = [
  { what: "a DoRA adapter", tensors: /\.lora_magnitude_vector\b/ },
  { what: "an AdaLoRA adapter", tensors: /\.lora_E\b/ },
  { what: "a VB-LoRA adapter", tensors: /\.vblora_/ },
  { what: "a RandLoRA adapter", tensors: /\.randlora_/ },
  { what: "a VeRA adapter", tensors: /\.vera_lambda_[bd]\b/ },
  { what: "an IA3 adapter", tensors: /\.ia3_l\b/ },
  { what: "a LoHa adapter", tensors: /\.hada_w[12]/ },
  { what: "a LoKr adapter", tensors: /\.lokr_w[12]/ },
  { what: "an OFT or BOFT adapter", tensors: /\.(oft|boft)_[a-zA-Z]/ },
  { what: "a FourierFT adapter", tensors: /\.(fourierft|waveft)_spectrum\b/ },
  { what: "an HRA adapter", tensors: /\.hra_u\b/ },
  { what: "a Bone or MiSS adapter", tensors: /\.(bone|miss)_(block\b|\.)/ },
  { what: "a SHiRA adapter", tensors: /\.shira_weight\b/ },
  { what: "a RoAd adapter", tensors: /\.road_(theta|alpha)\b/ },
  { what: "a C3A adapter", tensors: /\.c3a_kernel\b/ },
  { what: "a prompt or prefix adapter", tensors: /^prompt_embeddings$/ },
  { what: "a LoRA adapter", tensors: /\.lora_([AB]|up|down|embedding_[AB])\b/ },
].map((kind) => ({ remedy: MERGE, ...kind }));

// Whose tensors may be those of a plain ViT, though the network computes another thing.
const unlike: Kind[] = [
  { what: "an EVA, whose blocks are not those of a plain ViT", timm: /^eva/ },
  { what: "a ViT with rotary positions of its own kind (RoPE-ViT)", timm: /^vit_.*_rope_/ },
  { what: "a Perception Encoder, which has rotary positions and a pool of its own", timm: /^vit_pe_/ },
  { what: "a NaFlexViT, which takes images of any shape", timm: /^naflexvit_|_naflex(_|$)/ },
  { what: "a ViT whose norms come after its branches (res-post-norm)", timm: /_rpn(_|$)/ },
  {
    what: "a ViT with parallel blocks",
    timm: /_18x2_|_xp_|^vit_d?p(wee|little)_/,
    tensors: /(^|\.)blocks\.\d+\.(attns|ffns|in_proj)\./,
  },
  { what: "a ViT with differential attention", timm: /^vit_d(wee|little)_/ },
  { what: "a RADIO, whose head and tokens are its own", timm: /_c?radio(_|$)/ },
  { what: "a Sapiens, whose blocks are its own", timm: /_sapiens/ },
  { what: "an image tower of SAM, whose attention has relative positions", timm: /^samvit_/ },
  { what: "a ViT with relative positions", timm: /_s?relpos(_|$)/ },
  { what: "a hybrid: a ViT behind a convolutional stem", timm: /^vit_\w+_(r\d*_s\d+|resnet\d+)/ },
  { what: "a BEiT-3, which has norms inside its attention and its MLP", timm: /^beit3/ },
  { what: "a BEiT, whose attention has relative positions", timm: /^beit/ },
  { what: "an InternViT, which has no final norm", timm: /^vit_intern/ },
  { what: "an AIMv2, whose norms are RMS norms", timm: /^aimv2/ },
];

// What else a model may be. The more particular stand first, because their parts show in them.
const others: Kind[] = [
  {
    what: "a YOLOS, which detects objects",
    types: /^yolos$/,
    tensors: /^(vit\.)?embeddings\.detection_tokens$/,
  },
  {
    what: "a SAM, which cuts out objects",
    types: /^(sam|sam2|sam3|edgetam)/,
    tensors: /^(mask_decoder|prompt_encoder)\.|^vision_encoder\.layers\.\d+\.attn\.rel_pos/,
  },
  {
    what: "a BLIP, whose image tower fuses its attention in another way",
    types: /^(blip|instructblip)/,
    tensors: /(^|\.)(qformer|text_decoder)\.|^vision_model\.encoder\.layers\.\d+\.self_attn\.qkv\./,
  },
  {
    what: "a network for video",
    types: /^(vivit|videomae|timesformer|vjepa|xclip)/,
    tensors: /\.temporal_(attention|dense|embeddings)|tubelet/,
  },
  {
    what: "a network that finds poses, depth or masks on top of a ViT",
    types: /^(dpt|vitpose|vitmatte|vitdet|depth_anything|zoedepth|eomt|clipseg|prompt_depth_anything)/,
    tensors: /(^|\.)(fusion_stage|reassemble_stage|mask_head|fusion_blocks)\./,
  },
  { what: "an OWL-ViT, which detects objects by words", types: /^owl/ },
  { what: "a SigLIP 2 of the NaFlex kind, which takes images of any shape", types: /^siglip2/ },
  {
    what: "the text tower of a CLIP or SigLIP, without its image tower",
    types: /^(clip|siglip\d?)_text_model$/,
    remedy: IMAGE_TOWER,
  },
  {
    what: "a CoCa, whose image tower ends in pools of its own",
    types: /^coca$/,
    tensors: /^visual\.attn_pool(_contrastive)?\.|^text_decoder\.resblocks\./,
  },
  {
    what: "a CLIP with a convolutional image tower",
    tensors: /^visual\.(layer[1-4]|trunk\.(stem|stages|layers))\./,
  },
  {
    what: "a relative of CLIP that is not read here",
    types: /^(chinese_clip|altclip|metaclip_2|align|groupvit|vision-text-dual-encoder|flava|clvp|tipsv2)/,
  },
  {
    what: "a model of language and images",
    types:
      /^(git|llava|vilt|lxmert|kosmos|idefics|paligemma|qwen\d?\w*_vl|internvl|pixtral|mllama|aria|fuyu|vision-encoder-decoder|trocr|donut|florence|smolvlm)/,
    tensors: /(^|\.)(multi_modal_projector|mm_projector)\./,
  },
  {
    what: "Swin, whose attention sees windows",
    types: /^(swin|swinv2|swin2sr|donut-swin|maskformer-swin)/,
    timm: /^swin/,
    tensors: /^swin(v2)?\.|(^|\.)layers\.\d+\.blocks\.\d+\.attn\.relative_position/,
  },
  {
    what: "a ViT with relative positions",
    tensors: /(^|\.)blocks\.\d+\.attn\.rel_pos(\.|_[hw]$)|^rel_pos\.|^shared_rel_pos\./,
  },
  {
    what: "a BEiT, whose attention has relative positions",
    types: /^(beit|data2vec-vision)$/,
    tensors: /^(beit|data2vec_vision)\.|relative_position_bias(_table)?\b/,
  },
  {
    what: "XCiT, whose attention is over channels",
    timm: /^xcit/,
    tensors: /(^|\.)(cls_attn_blocks|blocks\.\d+\.local_mp)\./,
  },
  {
    what: "a CaiT, which attends to its class token in layers of their own",
    timm: /^cait/,
    tensors: /(^|\.)blocks_token_only\./,
  },
  {
    what: "an MLP-Mixer or one of its kind",
    timm: /^(mixer|gmixer|resmlp|gmlp)/,
    tensors: /(^|\.)blocks\.\d+\.(mlp_tokens|mlp_channels)\./,
  },
  {
    what: "a ViT with differential attention",
    tensors: /\.attn\.lambda_[qk][12]$/,
  },
  {
    what: "a ViT with an attention pool behind its class or register tokens",
    tensors: [/(^|\.)attn_pool\.latent$/, /(^|\.)(cls|reg)_token$/],
  },
  {
    what: "a ViT whose norms are RMS norms",
    tensors: /(^|\.)(norm1|layernorm_before|layer_norm1)\.weight$/,
    lacks: /(^|\.)(norm1|layernorm_before|layer_norm1)\.bias$/,
  },
  {
    what: "a ViT of torchvision with a layer before its classifier (representation_size)",
    tensors: /(^|\.)heads\.pre_logits\./,
  },
  {
    what: "a ViT whose queries and keys pass norms (q_norm, k_norm)",
    tensors: /\.attn(ention)?\.[qk]_(norm|layernorm)\./,
  },
  {
    what: "a ViT with norms inside its attention or its MLP (as EVA-02)",
    tensors: /(^|\.)blocks\.\d+\.(attn|mlp)\.(norm|inner_attn_ln|ffn_ln)\./,
  },
  {
    what: "an EVA, whose blocks are not those of a plain ViT",
    tensors: /(^|\.)blocks\.\d+\.attn\.(q_bias|inner_attn_ln\.\w+|rope\.\w+|q_proj\.weight)$/,
  },
  { what: "Hiera, whose layers shrink their grid", types: /^hiera/, timm: /^hiera/, tensors: /^hiera\./ },
  {
    what: "a network of stages between convolutions and attention",
    types:
      /^(pvt|pvt_v2|segformer|levit|cvt|mobilevit|mobilevitv2|swiftformer|dinat|poolformer|focalnet|efficientformer)/,
    timm: /^(levit|pvt|coat|convit|crossvit|davit|efficientvit|fastvit|gcvit|maxvit|mobilevit|mvit|nest|nextvit|pit|tiny_vit|twins|volo)/,
  },
  {
    what: "a hybrid: a ViT behind a convolutional stem",
    types: /^vit-hybrid$/,
    tensors:
      /(^|\.)(patch_embed\.backbone\.|patch_embed\.proj\.\d+\.|patch_embed\.(conv|stem)|bit\.|conv_stem)/,
  },
  { what: "ConvNeXt", types: /convnext/, timm: /^convnext/, tensors: /^convnext|\.dwconv\.|\.conv_dw\./ },
  {
    what: "a ResNet",
    types: /^(resnet|bit|regnet)$/,
    timm: /^(resnet|seresnet|resnext|resnetv2)/,
    tensors: /^resnet\.|(^|\.)layer[1-4]\.0\.(conv1|bn1)\./,
  },
];

// What a file is that is of a family that is read, and yet fits none; and what only a general sign tells.
const looks: Kind[] = [
  { what: "OpenCLIP with a timm trunk that is no plain ViT", tensors: /^visual\.trunk\./ },
  { what: "SigLIP", tensors: /(^|\.)head\.probe$/ },
  { what: "an OpenAI CLIP or OpenCLIP", tensors: /^visual\.(conv1|class_embedding)/ },
  {
    what: "a CLIP or SigLIP of transformers",
    tensors: /(^|\.)(vision_model|text_model)\.|(^|\.)embeddings\.class_embedding$/,
  },
  { what: "a DINOv3 in its original names", tensors: /(^|\.)(storage_tokens|rope_embed\.periods)$/ },
  { what: "a DINOv3 of transformers", tensors: /^(model\.)?layer\.\d+\.attention\.[qkvo]_proj\./ },
  { what: "a DINOv2 of transformers", tensors: /\.layer_scale[12]\.lambda1$/ },
  {
    what: "a DINOv2 in its original or timm's names",
    tensors: /(^|\.)(ls[12]\.gamma|register_tokens|reg_token)$/,
  },
  { what: "a whole DINO training checkpoint", tensors: /^(student|teacher)\./ },
  { what: "a timm ViT or DeiT", tensors: /(^|\.)blocks\.\d+\.attn\.qkv\./ },
  {
    what: "a text model",
    types: /^(llama|mistral|qwen\d?|gemma\d?|phi\d?|gpt\w*|bert|roberta|t5|opt|falcon|mamba)$/,
    tensors:
      /(^|\.)(word_embeddings|embed_tokens|wte|token_embedding|tok_embeddings|shared)\.weight$|^(bert|roberta|gpt2|t5)\./,
  },
  { what: "a diffusion model", tensors: /(^|\.)(down_blocks|mid_block|diffusion_model)\./ },
  { what: "a convolutional network", tensors: /(^|\.)(bn\d*|running_mean|num_batches_tracked)(\.|$)/ },
];

const textTower = /^text_model\.|^(transformer\.resblocks\.|token_embedding\.weight$)/;
const imageTower = /^(vision_model|visual)\./;

/** An adapter, or a network that computes another thing than its tensors' names say; told before any shape is looked at. */
export function recogniseFirst(shown: Shown): Recognised | null {
  const adapter = find(adapters, shown);
  const base = shown.adapterConfig?.base_model_name_or_path;
  if (adapter) {
    const named = typeof base === "string" && base !== "" ? ` for "${base.slice(0, 200)}"` : "";
    return { ...adapter, what: `${adapter.what}${named}, not a whole model` };
  }
  return find(unlike, shown);
}

/** What a model is whose tensors do not make up the family they look like; null when nothing shows another. */
export function recogniseOther(shown: Shown): Recognised | null {
  return recogniseFirst(shown) ?? quantised(shown) ?? find(others, shown);
}

/** What a model is that fits no family; null when nothing shows it. */
export function recognise(shown: Shown): Recognised | null {
  const known = shown.tensors.map(({ name }) => name);
  if (known.some((name) => textTower.test(name)) && !known.some((name) => imageTower.test(name))) {
    return { what: "the text tower of a CLIP or SigLIP, without its image tower", remedy: IMAGE_TOWER };
  }
  return recogniseOther(shown) ?? find(looks, shown);
}

/** A name's first 300 letters are enough for any sign. */
function find(kinds: readonly Kind[], { tensors, config }: Shown): Recognised | null {
  const names = tensors.map(({ name }) => name.slice(0, 300));
  const text = (key: string) =>
    typeof config?.[key] === "string" ? (config[key] as string).slice(0, 300) : "";
  const type = text("model_type");
  const timm = text("architecture");
  const found = kinds.find(
    (kind) =>
      (type !== "" && kind.types?.test(type)) ||
      (timm !== "" && kind.timm?.test(timm)) ||
      (kind.tensors !== undefined &&
        [kind.tensors].flat().every((sign) => names.some((name) => sign.test(name))) &&
        !names.some((name) => kind.lacks?.test(name))),
  );
  return found ? { what: found.what, ...(found.remedy ? { remedy: found.remedy } : {}) } : null;
}

// What packs its weights leaves beside them.
const packings: [name: string, sign: RegExp][] = [
  ["bitsandbytes, 4-bit", /\.(quant_map|quant_state(\.bitsandbytes__\w+)?|nested_absmax)$/],
  ["bitsandbytes, 8-bit", /\.(SCB|weight_format)$/],
  ["GPTQ or AWQ", /\.(qweight|qzeros|g_idx)$/],
  ["MXFP4", /_blocks$|_scales$/],
  ["compressed-tensors", /\.(weight_packed|weight_scale|weight_zero_point|weight_shape)$/],
];

const packed = /^([IU]8|F[468](_\w+)?)$/;

/** Weights that were packed into fewer bits; `quantization_config` names the way, or what stands beside the weights. */
function quantised({ tensors, config }: Shown): Recognised | null {
  const said = config?.quantization_config;
  const method = typeof said === "object" && said !== null ? methodOf(said as Record<string, unknown>) : null;
  const sign = packings.find(([, test]) => tensors.some(({ name }) => test.test(name.slice(-100))));
  const few = tensors.filter(({ dtype, shape }) => shape.length === 2 && packed.test(dtype));
  if (!method && !sign && few.length === 0) return null;
  const dtypes = [...new Set(few.map(({ dtype }) => dtype))].sort();
  const way = method ?? sign?.[0];
  return {
    what: `a quantised model${way ? ` (${way})` : ""}${dtypes.length > 0 ? `, whose weights are stored as ${dtypes.join(" and ")}` : ""}`,
    remedy:
      "Choose the model that it was made from, or unpack it in its library (transformers: `model.dequantize()`) and save it as F32, F16 or BF16.",
  };
}

/** `quant_method` of a quantization_config, with its bits. */
function methodOf(said: Record<string, unknown>): string | null {
  const method =
    typeof said.quant_method === "string" ? said.quant_method.slice(0, 40).replace(/[^\w.-]/g, "") : "";
  const bits =
    said.load_in_4bit === true
      ? 4
      : said.load_in_8bit === true
        ? 8
        : typeof said.bits === "number"
          ? said.bits
          : null;
  const words = [method, ...(bits === null ? [] : [`${bits}-bit`])].filter(Boolean);
  return words.length > 0 ? words.join(", ") : null;
}
