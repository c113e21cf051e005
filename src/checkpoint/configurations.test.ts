// Every file that says how a model was built or images were prepared: what it says is taken and not asked, and whatever
// stands in it is read or refused by a Failure.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Failure } from "../failure.ts";
import type { SourceFile } from "../source_file.ts";
import { readModelConfig } from "./config.ts";
import { familyFixture, fixture } from "./fixtures/load.ts";
import { openCheckpoint } from "./open_checkpoint.ts";
import { openClipPreprocessor, readOpenClipConfig } from "./open_clip_config.ts";
import { endingSize, imageProcessorOf, readPreprocessing } from "./preprocessing.ts";
import { recognise } from "./recognise.ts";
import { readSafetensors, writeSafetensors } from "./safetensors.ts";
import { readTimmConfig, timmInputSize, timmPreprocessor } from "./timm_config.ts";

type Json = Record<string, unknown>;
const json = (path: string, value: unknown): SourceFile => ({
  path,
  blob: new Blob([JSON.stringify(value)]),
});
const without = (files: SourceFile[], name: RegExp) => files.filter(({ path }) => !name.test(path));

const square = { height: 16, width: 16 };
const said = {
  image_processor_type: "ViTImageProcessor",
  size: square,
  resample: 3,
  image_mean: [0.1, 0.2, 0.3],
  image_std: [0.4, 0.5, 0.6],
};
const prepared = {
  resize: { mode: "exact", ...square },
  crop: null,
  interpolation: "bicubic",
  mean: [0.1, 0.2, 0.3],
  std: [0.4, 0.5, 0.6],
};

test.each<[string, Record<string, Json>]>([
  ["preprocessor_config.json", { "preprocessor_config.json": said }],
  ["processor_config.json", { "processor_config.json": { image_processor: said, processor_class: "X" } }],
  [
    "a processor_config.json that stands above the older file",
    { "processor_config.json": { image_processor: said }, "preprocessor_config.json": { size: 99 } },
  ],
  [
    "a processor_config.json that says nothing of images",
    { "processor_config.json": { processor_class: "X" }, "preprocessor_config.json": said },
  ],
  [
    "a preprocessor_config.json of a whole processor",
    { "preprocessor_config.json": { image_processor: said } },
  ],
])("how images are prepared, by %s", async (_, files) => {
  const base = without(fixture("vit"), /preprocessor_config/);
  const all = [...base, ...Object.entries(files).map(([name, value]) => json(`vit/${name}`, value))];
  const { preprocessing, questions } = await openCheckpoint(all, {});
  expect(preprocessing).toEqual(prepared);
  expect(questions).toEqual([]);
});

test.each([
  ["ViTImageProcessor", "exact", 0.5, "bilinear"],
  ["SiglipImageProcessor", "exact", 0.5, "bicubic"],
  ["DINOv3ViTImageProcessorFast", "exact", 0.485, "bilinear"],
  ["DeiTImageProcessor", "exact", 0.5, "bicubic"],
  ["CLIPImageProcessor", "shortest", 0.48145466, "bicubic"],
  ["BitImageProcessorPil", "shortest", 0.48145466, "bicubic"],
] as const)("%s does what its class does where its file is silent", (name, mode, mean, interpolation) => {
  const { preprocessing, questions } = readPreprocessing(
    { image_processor_type: name },
    "preprocessor_config.json",
    { family: "hf-vit", imageSize: 224 },
    "some/model",
    {},
  );
  expect(questions).toEqual([]);
  expect(preprocessing).toMatchObject({ resize: { mode }, interpolation });
  expect(preprocessing.mean[0]).toBe(mean);
});

// transformers' two ways to write a network of timm: without `model_args` in version 4, and with labels of its own kind.
const wrapped = {
  architecture: "vit_tiny_patch16_224",
  architectures: ["TimmWrapperForImageClassification"],
  model_type: "timm_wrapper",
  model_args: { img_size: 16, patch_size: 4, embed_dim: 32, depth: 2, num_heads: 2, mlp_ratio: 2 },
  pretrained_cfg: {
    input_size: [3, 16, 16],
    mean: [0.1, 0.2, 0.3],
    std: [0.4, 0.5, 0.6],
    interpolation: "bicubic",
    crop_pct: 1,
    crop_mode: "squash",
  },
};

async function wrapper(config: Json): Promise<SourceFile[]> {
  const weights = familyFixture("timm-vit").find(({ path }) => path.endsWith(".safetensors"))!;
  const { tensors, metadata } = await readSafetensors(weights.blob, "w");
  const renamed = tensors.map((tensor) => ({ ...tensor, name: `timm_model.${tensor.name}` }));
  return [
    { path: "w/model.safetensors", blob: writeSafetensors(renamed, metadata) },
    json("w/config.json", config),
  ];
}

test.each<[string, Json]>([
  ["of version 5", { ...wrapped, label_names: ["axe", "bow", "cup"], num_classes: 3 }],
  ["of version 4", { ...wrapped, id2label: { 0: "axe", 1: "bow", 2: "cup" }, num_labels: 3 }],
])("transformers' wrapper around a network of timm, %s", async (_, config) => {
  const { architecture, preprocessing, questions } = await openCheckpoint(await wrapper(config), {});
  expect(questions).toEqual([]);
  expect(architecture).toMatchObject({ family: "timm-vit", heads: 2, layerNormEps: 1e-6 });
  expect(architecture.labels).toEqual(["axe", "bow", "cup"]);
  expect(preprocessing).toEqual(prepared);
});

test("a way to crop that is not done here is asked about, by its name", async () => {
  const pretrained_cfg = { ...wrapped.pretrained_cfg, crop_mode: "border" };
  const { questions } = await openCheckpoint(await wrapper({ ...wrapped, pretrained_cfg }), {});
  expect(questions).toMatchObject([
    { key: "resize", question: expect.stringContaining('the mode "border"') },
  ]);
});

test.each([
  [{ act_layer: "relu6" }, /"relu6"/],
  [{ global_pool: "avgmax" }, /"avgmax"/],
  [{ pool_include_prefix: true }, /class token among them/],
])("timm's arguments that make another network are refused: %j", async (model_args, sentence) => {
  const config = { ...wrapped, model_args: { ...wrapped.model_args, ...model_args } };
  await expect(openCheckpoint(await wrapper(config), {})).rejects.toThrow(sentence);
});

test("a DeiT in timm's names was trained with ImageNet's statistics, if nothing says otherwise", async () => {
  const [weights] = without(familyFixture("timm-distilled"), /config/);
  const asked = async (path: string, answers = {}) => {
    const { questions } = await openCheckpoint([{ path, blob: weights!.blob }], answers);
    return questions.find(({ key }) => key === "mean")?.usual;
  };
  expect(await asked("x/any.safetensors")).toBe("0.485, 0.456, 0.406");
  const [plain] = without(familyFixture("timm-vit"), /config/);
  const open = async (path: string) => {
    const { questions } = await openCheckpoint([{ path, blob: plain!.blob }], {});
    return questions.find(({ key }) => key === "mean")?.usual;
  };
  expect(await open("deit_tiny_patch16_224.safetensors")).toBe("0.485, 0.456, 0.406");
  expect(await open("mae_pretrain_vit_base.safetensors")).toBe("0.485, 0.456, 0.406");
  expect(await open("vit_tiny_patch16_224.safetensors")).toBe("0.5, 0.5, 0.5");
});

test("OpenCLIP prepares images as CLIP where its config is silent", async () => {
  const files = fixture("open-clip");
  const config = files.find(({ path }) => path.endsWith("open_clip_config.json"))!;
  const { preprocess_cfg: _, ...rest } = JSON.parse(await config.blob.text()) as Json;
  const bare = files.map((file) => (file === config ? json(file.path, rest) : file));
  const { preprocessing, questions } = await openCheckpoint(without(bare, /\/(config|preproc)/), {});
  expect(questions).toEqual([]);
  expect(preprocessing).toMatchObject({ interpolation: "bicubic", resize: { mode: "shortest" } });
  expect(preprocessing.mean[0]).toBe(0.48145466);
});

// Values of every type under the keys that are read, and under others.
const keys = [
  ...["model_type", "architecture", "architectures", "hidden_size", "image_size", "patch_size", "hidden_act"],
  ...["id2label", "label2id", "label_names", "model_args", "pretrained_cfg", "global_pool", "act_layer"],
  ...["input_size", "crop_pct", "crop_mode", "mean", "std", "img_size", "num_heads", "embed_dim"],
  ...["model_cfg", "vision_cfg", "preprocess_cfg", "layers", "width", "timm_model_name", "act_kwargs"],
  ...["image_processor", "image_processor_type", "size", "crop_size", "resample", "image_mean", "image_std"],
  ...[
    "do_resize",
    "do_center_crop",
    "do_rescale",
    "rescale_factor",
    "do_normalize",
    "shortest_edge",
    "height",
  ],
  ...[
    "vision_config",
    "quantization_config",
    "quant_method",
    "bits",
    "interpolation",
    "resize_mode",
    "__proto__",
  ],
];
const words = fc.constantFrom(
  ...[
    "vit",
    "clip",
    "siglip",
    "timm_wrapper",
    "gelu",
    "squash",
    "avg",
    "bicubic",
    "vit_base_patch16_clip_224",
  ],
  ...["CLIPImageProcessor", "DeiTImageProcessor", "TimmWrapperImageProcessor", "siglip", "gptq", ""],
);
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.oneof(
      words,
      fc.string(),
      fc.double(),
      fc.integer({ min: -2, max: 300 }),
      fc.boolean(),
      fc.constant(null),
    ),
    fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 4 }),
    fc.dictionary(fc.constantFrom(...keys), tie("value"), { maxKeys: 6, noNullPrototype: true }),
  ),
}));
const config = fc.dictionary(fc.constantFrom(...keys), value, { maxKeys: 12, noNullPrototype: true });

const towers = { model_cfg: { vision_cfg: {} } };
const readers: [string, (json: Json) => unknown][] = [
  ["config.json", (json) => readModelConfig(json, "f")],
  ["timm's config.json", (json) => readTimmConfig({ architecture: "vit_base_patch16_224", ...json }, "f")],
  ["timm's preparation", (json) => timmPreprocessor({ architecture: "x", ...json }, "f", 16)],
  ["timm's size", (json) => timmInputSize({ architecture: "x", ...json }, "f")],
  ["open_clip_config.json", (json) => readOpenClipConfig({ ...towers, ...json }, "f")],
  ["OpenCLIP's preparation", (json) => openClipPreprocessor({ ...towers, ...json }, "f", 16)],
  ["processor_config.json", (json) => imageProcessorOf(json)],
  ["preprocessor_config.json", (json) => endingSize(json, "f")],
  [
    "an image's preparation",
    (json) => readPreprocessing(json, "f", { family: "hf-vit", imageSize: 16 }, "x", {}),
  ],
  ["a refusal", (json) => recognise({ tensors: [{ name: "a", dtype: "U8", shape: [1, 1] }], config: json })],
];

test.each(readers)("whatever stands in it, %s is read or refused by a Failure", (_, read) => {
  let good = 0;
  fc.assert(
    fc.property(config, (json) => {
      try {
        read(json as Json);
        good++;
      } catch (error) {
        expect(error).toBeInstanceOf(Failure);
        expect((error as Failure).message.length).toBeLessThan(1500);
      }
    }),
    { numRuns: 300 },
  );
  expect(good).toBeGreaterThan(0);
});

test("whatever stands in the JSON files of a folder, it opens or is refused by a Failure", async () => {
  const weights = without(familyFixture("timm-vit"), /config/);
  await fc.assert(
    fc.asyncProperty(config, config, config, async (one, two, three) => {
      const files = [
        ...weights,
        json("timm-vit/config.json", one),
        json("timm-vit/processor_config.json", two),
        json("timm-vit/preprocessor_config.json", three),
      ];
      const opened = await openCheckpoint(files, {}).catch((error: unknown) => error);
      if (opened instanceof Error) expect(opened).toBeInstanceOf(Failure);
    }),
    { numRuns: 100 },
  );
});
