// Every shape of preprocessor_config.json that transformers has written, and what does not fit the network.
import { expect, test } from "vitest";
import { readPreprocessing } from "./preprocessing.ts";
import type { Family, ModelAnswers } from "./types.ts";

const read = (
  json: Record<string, unknown> | null,
  { family = "hf-vit" as Family, imageSize = 224, origin = "some/model", answers = {} as ModelAnswers } = {},
) => readPreprocessing(json, "preprocessor_config.json", { family, imageSize }, origin, answers);

const stats = { image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5], resample: 2 };
const exact = (edge: number) => ({ mode: "exact", height: edge, width: edge });
const crop224 = { height: 224, width: 224 };

test.each<[string, Record<string, unknown>, unknown, unknown]>([
  ["height and width", { size: { height: 224, width: 224 } }, exact(224), null],
  [
    "a bare number, as old ViT files",
    { size: 224, feature_extractor_type: "ViTFeatureExtractor" },
    exact(224),
    null,
  ],
  ["a pair", { size: [224, 224] }, exact(224), null],
  [
    "old DeiT: 256, cropped to 224",
    { size: 256, crop_size: 224, do_center_crop: true, feature_extractor_type: "DeiTFeatureExtractor" },
    exact(256),
    crop224,
  ],
  [
    "DeiT of today, whose crop is its class's",
    { size: { height: 256, width: 256 }, crop_size: crop224, image_processor_type: "DeiTImageProcessor" },
    exact(256),
    crop224,
  ],
  [
    "the shorter edge, cropped",
    { size: { shortest_edge: 256 }, crop_size: crop224, do_center_crop: true },
    { mode: "shortest", edge: 256 },
    crop224,
  ],
  [
    "CLIP's bare number is the shorter edge",
    { size: 224, crop_size: 224, do_center_crop: true, feature_extractor_type: "CLIPFeatureExtractor" },
    { mode: "shortest", edge: 224 },
    crop224,
  ],
  [
    "a crop that is off",
    { size: { height: 224, width: 224 }, crop_size: 100, do_center_crop: false },
    exact(224),
    null,
  ],
  ["a crop without its size", { size: 256, do_center_crop: true }, exact(256), crop224],
])("%s", (_, json, resize, crop) => {
  const { preprocessing, questions } = read({ ...stats, ...json });
  expect(questions).toEqual([]);
  expect(preprocessing.resize).toEqual(resize);
  expect(preprocessing.crop).toEqual(crop);
});

test("another image size that was chosen keeps the file's proportions, and nothing is asked", () => {
  const at384 = (json: Record<string, unknown>) => {
    const { preprocessing, questions } = read(
      { ...stats, ...json },
      { imageSize: 384, answers: { imageSize: 384 } },
    );
    expect(questions).toEqual([]);
    return [preprocessing.resize, preprocessing.crop];
  };
  const crop384 = { height: 384, width: 384 };
  expect(at384({ size: 224 })).toEqual([exact(384), null]);
  const cropped = { crop_size: 224, do_center_crop: true };
  expect(at384({ size: 256, ...cropped })).toEqual([exact(439), crop384]);
  expect(at384({ size: { shortest_edge: 256 }, ...cropped })).toEqual([
    { mode: "shortest", edge: 439 },
    crop384,
  ]);
  // Not chosen, only unlike the file: the person is asked.
  const { questions } = read({ ...stats, size: 224 }, { imageSize: 384 });
  expect(questions.map(({ key }) => key)).toEqual(["resize"]);
});

test.each<[string, Record<string, unknown>]>([
  ["another size than the network's", { size: { height: 384, width: 384 } }],
  ["the shorter edge without a crop", { size: { shortest_edge: 224 } }],
  ["a crop larger than the image", { size: 200, crop_size: 224, do_center_crop: true }],
  ["an oblong crop", { size: 256, crop_size: [224, 200], do_center_crop: true }],
  ["no resize at all", { do_resize: false, size: 224 }],
  ["no size", {}],
  ["a longest edge", { size: { shortest_edge: 224, longest_edge: 500 } }],
])("%s: asked, with the network's size in use", (_, json) => {
  const { preprocessing, questions } = read({ ...stats, ...json });
  expect(questions.map(({ key, usual }) => [key, usual])).toEqual([["resize", "224"]]);
  expect(preprocessing.resize).toEqual(exact(224));
  expect(preprocessing.crop).toBeNull();
});

test("no file: ViT's and DeiT's usual values, all asked", () => {
  expect(read(null).questions.map(({ key }) => key)).toEqual(["mean", "std", "resize", "interpolation"]);
  const { preprocessing, questions } = read(null, { family: "hf-deit" });
  expect(preprocessing).toEqual({
    resize: exact(256),
    crop: crop224,
    interpolation: "bicubic",
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
  });
  expect(questions.map(({ usual }) => usual)).toEqual([
    "0.485, 0.456, 0.406",
    "0.229, 0.224, 0.225",
    "256",
    "bicubic",
  ]);
});

test.each([
  [0, "nearest"],
  [1, "lanczos"],
  [2, "bilinear"],
  [3, "bicubic"],
])("PIL's resample %i is %s", (code, name) => {
  expect(read({ ...stats, size: 224, resample: code }).preprocessing.interpolation).toBe(name);
});

test("box and hamming are not offered, so the person is asked", () => {
  const { questions, preprocessing } = read({ ...stats, size: 224, resample: 4 });
  expect(questions).toHaveLength(1);
  expect(questions[0]).toMatchObject({ key: "interpolation", usual: "bilinear" });
  expect(questions[0]!.question).toContain('"4"');
  expect(preprocessing.interpolation).toBe("bilinear");
});

/** (x/255 - mean)/std for x = 100 in the first channel. */
const normalised = ({ mean, std }: { mean: number[]; std: number[] }) => (100 / 255 - mean[0]!) / std[0]!;

test("scaling and normalising switched off or done otherwise fold into mean and std", () => {
  const base = { size: 224, resample: 2, image_mean: [0.4, 0.4, 0.4], image_std: [0.2, 0.2, 0.2] };
  const value = (json: Record<string, unknown>) => normalised(read({ ...base, ...json }).preprocessing);
  expect(value({})).toBeCloseTo((100 / 255 - 0.4) / 0.2, 12);
  expect(value({ do_normalize: false })).toBeCloseTo(100 / 255, 12);
  expect(value({ do_rescale: false })).toBeCloseTo((100 - 0.4) / 0.2, 9);
  expect(value({ do_rescale: false, do_normalize: false })).toBeCloseTo(100, 9);
  expect(value({ rescale_factor: 1 / 127.5 })).toBeCloseTo((100 / 127.5 - 0.4) / 0.2, 12);
  expect(value({ image_mean: 0.3, image_std: 0.1 })).toBeCloseTo((100 / 255 - 0.3) / 0.1, 12);
  // The factor as files write it is not exactly 1/255; the statistics stay as the file has them.
  expect(read({ ...base, rescale_factor: 0.00392156862745098 }).preprocessing.mean).toEqual([0.4, 0.4, 0.4]);
  expect(read({ size: 224, resample: 2, do_normalize: false }).questions).toEqual([]);
});

test("facebook/dino says 0.5 but was trained with ImageNet's: ImageNet's in use, and asked", () => {
  for (const origin of ["x/facebook/dino-vitb16", "dino-vits8/", "dino_deitsmall16_pretrain/"]) {
    const { preprocessing, questions } = read({ ...stats, size: 224 }, { origin });
    expect(preprocessing.mean).toEqual([0.485, 0.456, 0.406]);
    expect(preprocessing.std).toEqual([0.229, 0.224, 0.225]);
    expect(questions.map(({ key }) => key)).toEqual(["mean", "std"]);
    expect(questions[0]!.question).toMatch(/DINO was trained/);
  }
  const repaired = {
    ...stats,
    size: 224,
    image_mean: [0.485, 0.456, 0.406],
    image_std: [0.229, 0.224, 0.225],
  };
  expect(read(repaired, { origin: "facebook/dino-vitb16" }).questions).toEqual([]);
  const kept = read(
    { ...stats, size: 224 },
    {
      origin: "facebook/dino-vitb16",
      answers: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
    },
  );
  expect(kept.preprocessing.mean).toEqual([0.5, 0.5, 0.5]);
  expect(kept.questions).toEqual([]);
  expect(read({ ...stats, size: 224 }, { origin: "facebook/dinov2-base" }).questions).toEqual([]);
});

test.each<[Record<string, unknown>, RegExp]>([
  [{ image_mean: [0.5, 0.5] }, /"image_mean"/],
  [{ image_std: [0.5, 0, 0.5] }, /image_std must be above 0/],
  [{ size: { height: 1e9, width: 1e9 } }, /"size\.height"/],
  [{ size: "224" }, /"size"/],
  [{ do_resize: "yes" }, /"do_resize"/],
  [{ rescale_factor: 0 }, /"rescale_factor"/],
])("%j is refused", (json, sentence) => {
  expect(() => read({ ...stats, size: 224, ...json })).toThrow(sentence);
});
