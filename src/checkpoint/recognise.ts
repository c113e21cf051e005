// What a file that is no HF ViT looks like, so that it can be refused by name. First match wins; from METHOD 5.4.

// Names that each kind of model is sure to have; one is enough.
const looks: [words: string, test: RegExp][] = [
  [
    "an adapter (LoRA or the like), not a whole model",
    /\.lora_[AB]\b|\.lora_magnitude_vector|\.lora_(up|down)\./,
  ],
  ["a CLIP with a convolutional image tower", /^visual\.(layer[1-4]|trunk\.(stem|stages|layers))\./],
  ["OpenCLIP with a timm trunk", /^visual\.trunk\./],
  ["OpenAI CLIP or OpenCLIP", /^visual\.(conv1|class_embedding)/],
  ["SigLIP", /(^|\.)head\.probe$/],
  ["CLIP or SigLIP of transformers", /(^|\.)(vision_model|text_model)\.|(^|\.)embeddings\.class_embedding$/],
  ["DINOv3 in its original names", /(^|\.)(storage_tokens|rope_embed\.periods)$/],
  ["DINOv3 of transformers", /^(model\.)?layer\.\d+\.attention\.[qkvo]_proj\./],
  ["DINOv2 of transformers", /\.layer_scale[12]\.lambda1$/],
  ["DINOv2 in its original or timm's names", /(^|\.)(ls[12]\.gamma|register_tokens|reg_token)$/],
  ["a whole DINO training checkpoint", /^(student|teacher)\./],
  ["BEiT", /^beit\.|\.relative_position_bias_table$|\.lambda_[12]$/],
  ["Swin", /^swin(v2)?\./],
  ["a timm ViT or DeiT", /(^|\.)blocks\.\d+\.attn\.qkv\./],
  ["ConvNeXt", /^convnext|\.dwconv\.|\.conv_dw\./],
  ["a ResNet", /^resnet\.|(^|\.)layer[1-4]\.0\.(conv1|bn1)\./],
  [
    "a text model",
    /(^|\.)(word_embeddings|embed_tokens|wte|token_embedding|tok_embeddings|shared)\.weight$|^(bert|roberta|gpt2|t5)\./,
  ],
  ["a diffusion model", /(^|\.)(down_blocks|mid_block|diffusion_model)\./],
  ["a convolutional network", /(^|\.)(bn\d*|running_mean|num_batches_tracked)(\.|$)/],
];

const textTower = /^text_model\.|^(transformer\.resblocks\.|token_embedding\.weight$)/;
const imageTower = /^(vision_model|visual)\./;

/** Words for what these tensor names look like, or null when nothing is known to have them. */
export function recognise(names: Iterable<string>): string | null {
  const known = [...names].map((name) => name.slice(0, 300));
  if (known.some((name) => textTower.test(name)) && !known.some((name) => imageTower.test(name))) {
    return "the text tower of a CLIP or SigLIP, without its image tower";
  }
  return looks.find(([, test]) => known.some((name) => test.test(name)))?.[0] ?? null;
}
