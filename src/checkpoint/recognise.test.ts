// Every kind of model that is refused, by a name of one of its tensors, by its type or by timm's name of it.
import { expect, test } from "vitest";
import { fixture, fixtureJson } from "./fixtures/load.ts";
import { openCheckpoint } from "./open_checkpoint.ts";
import { type Recognised, recognise, recogniseFirst, type Shown } from "./recognise.ts";
import { readSafetensors, writeSafetensors } from "./safetensors.ts";
import { readTimmConfig } from "./timm_config.ts";

const shown = (names: string[], config: Record<string, unknown> | null = null): Shown => ({
  tensors: names.map((name) => ({ name, dtype: "F32", shape: [2, 2] })),
  config,
});
const at = "base_model.model.vit.encoder.layer.0.attention.attention.query";

test.each([
  ["lora_A.weight", /a LoRA adapter, not a whole model/],
  ["lora_embedding_A", /LoRA/],
  ["lora_magnitude_vector", /DoRA/],
  ["lora_E", /AdaLoRA/],
  ["ia3_l", /IA3/],
  ["vera_lambda_b", /VeRA/],
  ["hada_w1_a", /LoHa/],
  ["lokr_w2", /LoKr/],
  ["oft_R.weight", /OFT/],
  ["boft_R", /BOFT/],
  ["fourierft_spectrum", /FourierFT/],
  ["hra_u", /HRA/],
  ["bone_block", /Bone/],
  ["shira_weight", /SHiRA/],
  ["road_theta", /RoAd/],
  ["c3a_kernel", /C3A/],
  ["vblora_logits_A", /VB-LoRA/],
  ["randlora_lambda", /RandLoRA/],
])("an adapter with %s", (name, sentence) => {
  const found = recogniseFirst(shown([`${at}.${name}`, "classifier.weight"]));
  expect(found?.what).toMatch(sentence);
  expect(found?.remedy).toMatch(/merge_and_unload/);
});

test("an adapter's base is named", () => {
  const adapterConfig = { base_model_name_or_path: "google/vit-base" };
  expect(recogniseFirst({ ...shown([`${at}.ia3_l`]), adapterConfig })?.what).toContain('"google/vit-base"');
});

test.each<[string, string[], RegExp]>([
  ["YOLOS", ["vit.embeddings.detection_tokens"], /YOLOS/],
  ["BEiT", ["beit.encoder.layer.0.attention.attention.relative_position_bias.x"], /BEiT/],
  ["timm's BEiT", ["blocks.0.attn.relative_position_bias_table", "blocks.0.attn.qkv.weight"], /BEiT/],
  ["Swin", ["layers.0.blocks.0.attn.relative_position_index"], /Swin/],
  ["SAM", ["mask_decoder.iou_token.weight"], /SAM/],
  ["SAM's ViT", ["blocks.0.attn.rel_pos_h", "blocks.0.attn.qkv.weight"], /relative positions/],
  ["a hybrid", ["patch_embed.backbone.stem.conv.weight", "blocks.0.attn.qkv.weight"], /convolution/],
  ["MoCo v3 with a stem", ["patch_embed.proj.0.weight", "blocks.0.attn.qkv.weight"], /convolution/],
  ["parallel blocks", ["blocks.0.attns.0.attn.qkv.weight"], /parallel/],
  ["q and k norms", ["blocks.0.attn.q_norm.weight", "blocks.0.attn.qkv.weight"], /q_norm/],
  ["EVA", ["blocks.0.attn.q_bias", "blocks.0.attn.qkv.weight"], /EVA/],
  ["EVA-02", ["blocks.0.mlp.norm.weight", "blocks.0.attn.q_proj.weight"], /EVA-02/],
  ["differential attention", ["blocks.0.attn.lambda_q1"], /differential/],
  ["RMS norms", ["blocks.0.norm1.weight", "blocks.0.attn.qkv.weight"], /RMS/],
  ["a pool behind registers", ["attn_pool.latent", "reg_token", "blocks.0.norm1.bias"], /attention pool/],
  ["torchvision's pre-logits", ["heads.pre_logits.weight", "conv_proj.weight"], /representation_size/],
  ["XCiT", ["cls_attn_blocks.0.attn.qkv.weight"], /XCiT/],
  ["CaiT", ["blocks_token_only.0.attn.q.weight"], /CaiT/],
  ["Mixer", ["blocks.0.mlp_tokens.fc1.weight"], /Mixer/],
  ["CoCa", ["visual.attn_pool.query", "visual.conv1.weight"], /CoCa/],
  ["LLaVA", ["multi_modal_projector.linear_1.weight"], /language and images/],
  ["BLIP", ["vision_model.encoder.layers.0.self_attn.qkv.weight"], /BLIP/],
])("%s by its tensors", (_, names, sentence) => {
  expect(recognise(shown(names))?.what).toMatch(sentence);
});

test.each([
  ["beit", /BEiT/],
  ["yolos", /YOLOS/],
  ["swinv2", /Swin/],
  ["siglip2", /NaFlex/],
  ["clip_text_model", /text tower/],
  ["videomae", /video/],
  ["convnextv2", /ConvNeXt/],
  ["hiera", /Hiera/],
  ["llama", /text model/],
])("type %s", (model_type, sentence) => {
  expect(recognise(shown(["x"], { model_type }))?.what).toMatch(sentence);
});

test.each<[string, Shown, RegExp]>([
  [
    "bitsandbytes",
    shown(["a.weight", "a.SCB"], {
      quantization_config: { quant_method: "bitsandbytes", load_in_8bit: true },
    }),
    /quantised model \(bitsandbytes, 8-bit\)/,
  ],
  ["bitsandbytes without a config", shown(["a.weight", "a.weight.quant_map"]), /bitsandbytes, 4-bit/],
  ["GPTQ", shown(["a.qweight"], { quantization_config: { quant_method: "gptq", bits: 4 } }), /gptq, 4-bit/],
  ["AWQ without a config", shown(["a.qweight", "a.qzeros"]), /AWQ/],
  [
    "F8",
    { tensors: [{ name: "a.weight", dtype: "F8_E4M3", shape: [2, 2] }], config: null },
    /stored as F8_E4M3/,
  ],
])("quantised: %s", (_, model, sentence) => {
  const found = recognise(model) as Recognised;
  expect(found.what).toMatch(sentence);
  expect(found.remedy).toMatch(/dequantize/);
});

test("an ordinary model is of no other kind", async () => {
  for (const name of ["vit", "deit", "siglip", "clip", "open-clip"]) {
    const file = fixture(name).find(({ path }) => path.endsWith(".safetensors"));
    const { tensors } = await readSafetensors(file!.blob, name);
    expect(recogniseFirst({ tensors, config: null })).toBeNull();
  }
});

const names = fixtureJson<Record<string, [number, string, number] | null>>("timm_names.json");

test("timm's name of a network tells what no file says, or that it cannot be used", () => {
  const wrong = Object.entries(names).filter(([architecture, facts]) => {
    if (recogniseFirst({ tensors: [], config: { architecture } })) return false;
    if (facts === null) return !/^test_vit4$/.test(architecture);
    const { heads, activation, layerNormEps } = readTimmConfig({ architecture }, "config.json");
    // A gated MLP has silu, and its shapes say so.
    const acts = facts[1] === "silu" || activation === facts[1];
    return heads !== facts[0] || !acts || layerNormEps !== facts[2];
  });
  expect(wrong).toEqual([]);
});

const wide = async (change: (values: Float64Array) => void = () => {}) => {
  const files = fixture("vit");
  const weights = files.find(({ path }) => path.endsWith(".safetensors"))!;
  const { tensors, metadata } = await readSafetensors(weights.blob, "vit");
  const doubled = await Promise.all(
    tensors.map(async (tensor) => {
      const values = Float64Array.from(new Float32Array(await tensor.bytes.arrayBuffer()));
      if (tensor.name === "classifier.weight") change(values);
      return { ...tensor, dtype: "F64", bytes: new Blob([values]) };
    }),
  );
  const blob = writeSafetensors(doubled, metadata);
  return files.map((file) => (file === weights ? { path: file.path, blob } : file));
};

test("F64 weights are read as F32, and that is told", async () => {
  const [narrow, rounded] = [
    await openCheckpoint(fixture("vit"), {}),
    await openCheckpoint(await wide(), {}),
  ];
  expect(rounded.notes.join()).toMatch(/40 tensors are stored as F64 and rounded to F32/);
  for (const role of ["cls_token", "layer.1.k.weight", "head.weight", "pos_embed"]) {
    expect(await rounded.read(role)).toEqual(await narrow.read(role));
  }
  const over = await openCheckpoint(await wide((values) => values.fill(1e300, 5, 6)), {});
  await expect(over.read("head.weight")).rejects.toThrow(/too large for F32 at index 5/);
});
