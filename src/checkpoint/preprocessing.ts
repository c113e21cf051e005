// preprocessor_config.json, in every shape transformers has written it, as one Preprocessing that ends in a square of
// the network's image size. What the file leaves open, or what does not fit the network, becomes a question.
import { z } from "zod";
import { Failure } from "../failure.ts";
import { parseWith } from "./config.ts";
import { tableOf } from "./families/index.ts";
import type { FamilyTable } from "./families/table.ts";
import { isDino } from "./families/timm_vit.ts";
import { quoted } from "./json.ts";
import type { Architecture, Interpolation, ModelAnswers, OpenQuestion, Preprocessing } from "./types.ts";

type Triple = [number, number, number];

const HALF: Triple = [0.5, 0.5, 0.5];
const IMAGENET_MEAN: Triple = [0.485, 0.456, 0.406];
const IMAGENET_STD: Triple = [0.229, 0.224, 0.225];
/** OpenAI's CLIP, and everything that followed it. */
export const CLIP_MEAN: Triple = [0.48145466, 0.4578275, 0.40821073];
/** Likewise. */
export const CLIP_STD: Triple = [0.26862954, 0.26130258, 0.27577711];

// An image this large on either side is the most that is ever prepared.
const edge = z.int().min(1).max(4096);
const size = z
  .union([
    edge,
    z.tuple([edge, edge]),
    z.object({
      height: edge.nullish(),
      width: edge.nullish(),
      shortest_edge: edge.nullish(),
      longest_edge: edge.nullish(),
    }),
  ])
  .nullish();
const channels = z.union([z.number(), z.tuple([z.number(), z.number(), z.number()])]).nullish();

const schema = z.object({
  image_processor_type: z.string().nullish(),
  feature_extractor_type: z.string().nullish(),
  do_resize: z.boolean().nullish(),
  size,
  resample: z.union([z.int(), z.string()]).nullish(),
  do_center_crop: z.boolean().nullish(),
  crop_size: size,
  other_crop_mode: z.string().nullish(),
  do_rescale: z.boolean().nullish(),
  rescale_factor: z.number().positive().max(1e6).nullish(),
  do_normalize: z.boolean().nullish(),
  image_mean: channels,
  image_std: channels,
});

// What transformers' processors do where a file of theirs is silent; a file may name the class and little else.
const square224 = { height: 224, width: 224 };
const clipClass = {
  size: { shortest_edge: 224 },
  crop_size: square224,
  do_center_crop: true,
  resample: 3,
  image_mean: CLIP_MEAN,
  image_std: CLIP_STD,
};
const byClass: [RegExp, z.infer<typeof schema>][] = [
  [/^(ChineseCLIP|CLIP|Bit)/, clipClass],
  [/^ViT(Image|Feature)/, { size: square224, resample: 2, image_mean: HALF, image_std: HALF }],
  [
    /^DeiT/,
    {
      size: { height: 256, width: 256 },
      crop_size: square224,
      do_center_crop: true,
      resample: 3,
      image_mean: HALF,
      image_std: HALF,
    },
  ],
  [/^Siglip(Image|Feature)/, { size: square224, resample: 3, image_mean: HALF, image_std: HALF }],
  [/^DINOv3ViT/, { size: square224, resample: 2, image_mean: IMAGENET_MEAN, image_std: IMAGENET_STD }],
];

/** Checks the file, and fills in what its class does where it is silent. */
function readFile(json: Record<string, unknown>, where: string): z.infer<typeof schema> {
  const stated = parseWith(schema, json, where);
  const name = stated.image_processor_type ?? stated.feature_extractor_type ?? "";
  const usual = byClass.find(([test]) => test.test(name))?.[1] ?? {};
  const said = Object.fromEntries(
    Object.entries(stated).filter(([, value]) => value !== null && value !== undefined),
  );
  return { ...usual, ...said };
}

type Side = { height: number; width: number };

// Codes of PIL.Image.Resampling.
const interpolations: ReadonlyMap<number | string, Interpolation> = new Map<number | string, Interpolation>([
  [0, "nearest"],
  [1, "lanczos"],
  [2, "bilinear"],
  [3, "bicubic"],
  ["nearest", "nearest"],
  ["lanczos", "lanczos"],
  ["bilinear", "bilinear"],
  ["bicubic", "bicubic"],
]);

/** PIL's code of an interpolation, as `resample` in preprocessor_config.json has it. */
export const resampleCode: Record<Interpolation, number> = {
  nearest: 0,
  lanczos: 1,
  bilinear: 2,
  bicubic: 3,
};

/**
 * How to prepare images for `architecture`, from the parsed preprocessor_config.json (null when there is none),
 * with `answers` above it. `origin` is the model's name or path, which tells DINO from other ViTs.
 */
export function readPreprocessing(
  json: Record<string, unknown> | null,
  where: string,
  architecture: Pick<Architecture, "family" | "imageSize">,
  origin: string,
  answers: ModelAnswers,
): { preprocessing: Preprocessing; questions: OpenQuestion[] } {
  const file = json === null ? null : readFile(json, where);
  const name = where.slice(where.lastIndexOf("/") + 1);
  const { imageSize, family } = architecture;
  const { usual } = tableOf(family);
  const questions: OpenQuestion[] = [];

  const stats = readStatistics(file, where, usual, origin, questions);
  const geometry = readGeometry(file, name, imageSize, usual, answers.imageSize !== undefined, questions);
  const interpolation = readInterpolation(file, name, usual, questions);

  const resize = answers.resize === undefined ? geometry.resize : withEdge(geometry.resize, answers.resize);
  if (answers.resize !== undefined && answers.resize < imageSize) {
    throw new Failure({
      code: "bad-model",
      what: `Images cannot be resized to ${answers.resize}: the network takes ${imageSize} x ${imageSize}.`,
      where: "resize",
      remedy: `Give ${imageSize} or more; what is larger is cropped at the centre.`,
    });
  }
  const crop = answers.resize === undefined ? geometry.crop : squareCrop(resize, imageSize);
  return {
    preprocessing: {
      resize,
      crop,
      interpolation: answers.interpolation ?? interpolation,
      mean: answers.mean ?? stats.mean,
      std: answers.std ?? stats.std,
    },
    questions: questions.filter((question) => answers[question.key] === undefined),
  };
}

/**
 * Edge of the square images that a preprocessor_config.json ends in, for networks that take any size.
 * @returns null where it says nothing of it, or no square
 */
export function endingSize(json: Record<string, unknown> | null, where: string): number | null {
  if (json === null) return null;
  const file = readFile(json, where);
  if (file.do_resize === false) return null;
  const geometry = statedGeometry(file, null);
  const { resize, crop } = geometry ?? {};
  const end = crop ?? (resize?.mode === "exact" ? resize : null);
  return end && end.height === end.width ? end.height : null;
}

/** What a processor_config.json of transformers says of images: it holds every part of a processor under a name of its
 *  own. Null where it says nothing of them; a preprocessor_config.json comes back as it is. */
export function imageProcessorOf(json: Record<string, unknown>): Record<string, unknown> | null {
  // transformers' processor around a network of timm does what config.json says.
  if (json.image_processor_type === "TimmWrapperImageProcessor") return null;
  const nested = json.image_processor;
  if (typeof nested === "object" && nested !== null && !Array.isArray(nested)) {
    return imageProcessorOf(nested as Record<string, unknown>);
  }
  const said = Object.keys(schema.shape).some((key) => json[key] !== undefined && json[key] !== null);
  return said ? json : null;
}

type File = z.infer<typeof schema> | null;
type Usual = FamilyTable["usual"];

function readStatistics(
  file: File,
  where: string,
  ofFamily: Usual,
  origin: string,
  questions: OpenQuestion[],
): { mean: Triple; std: Triple } {
  const rescale = file?.do_rescale === false ? 1 : (file?.rescale_factor ?? 1 / 255);
  // Only do_rescale off or an unusual factor differs from x/255; both fold into mean and std exactly.
  const fold = Math.abs(rescale * 255 - 1) < 1e-6 ? 1 : rescale * 255;
  const scaled = (values: Triple): Triple =>
    fold === 1 ? values : (values.map((value) => value / fold) as Triple);
  if (file?.do_normalize === false) return { mean: [0, 0, 0], std: scaled([1, 1, 1]) };

  const dino = isDino(origin);
  const usual = {
    half: { mean: HALF, std: HALF },
    imagenet: { mean: IMAGENET_MEAN, std: IMAGENET_STD },
    clip: { mean: CLIP_MEAN, std: CLIP_STD },
  }[dino ? "imagenet" : ofFamily.statistics];
  const mean = triple(file?.image_mean);
  const std = triple(file?.image_std);
  if (std?.some((value) => value <= 0)) {
    throw new Failure({
      code: "bad-file",
      what: "image_std must be above 0.",
      where,
      remedy: "Use the file that was saved with the model, or leave it out and answer the questions instead.",
    });
  }
  // The files on the Hub say 0.5 for DINO, but it was trained and evaluated with ImageNet's statistics.
  const trap = dino && mean?.every((value) => value === 0.5) === true;
  const ask = (key: "mean" | "std", usual: Triple) =>
    questions.push({
      key,
      question: trap
        ? `The file says 0.5 for the ${key} of each channel, but DINO was trained with ImageNet's. Which?`
        : `What is the ${key} of each colour channel? The files do not say; ${dino ? "DINO was trained with ImageNet's" : ofFamily.statisticsBy}.`,
      usual: usual.join(", "),
    });
  if (!mean || trap) ask("mean", usual.mean);
  if (!std || trap) ask("std", usual.std);
  return {
    mean: scaled(trap || !mean ? usual.mean : mean),
    std: scaled(trap || !std ? usual.std : std),
  };
}

function triple(value: number | Triple | null | undefined): Triple | undefined {
  if (value === null || value === undefined) return undefined;
  return typeof value === "number" ? [value, value, value] : value;
}

function readGeometry(
  file: File,
  name: string,
  imageSize: number,
  { resizeTo224, resizeMode }: Usual,
  chosen: boolean,
  questions: OpenQuestion[],
): Pick<Preprocessing, "resize" | "crop"> {
  const ask = (reason: string, usual: Preprocessing["resize"]): Pick<Preprocessing, "resize" | "crop"> => {
    questions.push({
      key: "resize",
      question: `To what size are images resized before the centre ${imageSize} x ${imageSize} is taken? ${reason}`,
      usual: String(usual.mode === "exact" ? usual.height : usual.edge),
    });
    return { resize: usual, crop: squareCrop(usual, imageSize) };
  };
  // transformers' DeiT resizes to 256 and keeps the centre 224; its ViT resizes to the network's size at once.
  const usualEdge = Math.round((imageSize * resizeTo224) / 224);
  const usual: Preprocessing["resize"] =
    resizeMode === "exact"
      ? { mode: "exact", height: usualEdge, width: usualEdge }
      : { mode: "shortest", edge: usualEdge };
  const direct = { mode: "exact" as const, height: imageSize, width: imageSize };
  if (!file) return ask("There is no preprocessor_config.json, nor another file that says it.", usual);
  if (file.do_resize === false) return ask(`${name} says not to resize at all.`, direct);

  if (file.other_crop_mode) {
    return ask(`${name} crops by the mode ${quoted(file.other_crop_mode)}, which is not done here.`, usual);
  }
  const stated = statedGeometry(file, imageSize);
  if (!stated) return ask(`${name} does not say it in a way that is known.`, usual);
  const { resize, crop } = chosen ? scaledTo(stated, imageSize) : stated;
  const ends = crop ?? (resize.mode === "exact" ? { height: resize.height, width: resize.width } : null);
  const covers =
    !crop ||
    (resize.mode === "exact"
      ? resize.height >= crop.height && resize.width >= crop.width
      : resize.edge >= Math.max(crop.height, crop.width));
  if (!ends || !covers || ends.height !== imageSize || ends.width !== imageSize) {
    return ask(`What ${name} says does not end in that size.`, direct);
  }
  return { resize, crop };
}

/** What ends in a square of another size, in the same proportions for this one: 256 and 224 become 439 and 384. */
function scaledTo(
  { resize, crop }: Pick<Preprocessing, "resize" | "crop">,
  imageSize: number,
): Pick<Preprocessing, "resize" | "crop"> {
  const ends = crop ?? (resize.mode === "exact" ? resize : null);
  if (!ends || ends.height !== ends.width) return { resize, crop };
  const scaled = (edge: number) => Math.round((edge * imageSize) / ends.height);
  return {
    resize:
      resize.mode === "exact"
        ? { mode: "exact", height: scaled(resize.height), width: scaled(resize.width) }
        : { mode: "shortest", edge: scaled(resize.edge) },
    crop: crop && { height: imageSize, width: imageSize },
  };
}

/** What the file says, whether it fits the network or not. @param imageSize crop that is meant where none is stated */
function statedGeometry(
  file: NonNullable<File>,
  imageSize: number | null,
): Pick<Preprocessing, "resize" | "crop"> | null {
  const processor = file.image_processor_type ?? file.feature_extractor_type ?? "";
  const clip = /^(CLIP|Bit)/.test(processor);
  const resize = readResize(file.size, clip);
  if (!resize) return null;
  const cropping = file.do_center_crop ?? (clip || processor.startsWith("DeiT"));
  return { resize, crop: cropping ? readSide(file.crop_size ?? imageSize) : null };
}

function readResize(value: NonNullable<File>["size"], clip: boolean): Preprocessing["resize"] | null {
  const side = readSide(value);
  // An old file's bare number means the shorter edge to CLIP's processor, a square to ViT's and DeiT's.
  if (side && !(clip && typeof value === "number")) return { mode: "exact", ...side };
  if (side) return { mode: "shortest", edge: side.height };
  if (value && typeof value === "object" && !Array.isArray(value)) {
    if (value.shortest_edge && !value.longest_edge) return { mode: "shortest", edge: value.shortest_edge };
  }
  return null;
}

function readSide(value: NonNullable<File>["size"]): Side | null {
  if (value === null || value === undefined) return null;
  if (typeof value === "number") return { height: value, width: value };
  if (Array.isArray(value)) return { height: value[0], width: value[1] };
  if (value.height && value.width) return { height: value.height, width: value.width };
  return null;
}

function withEdge(resize: Preprocessing["resize"], edge: number): Preprocessing["resize"] {
  return resize.mode === "exact" ? { mode: "exact", height: edge, width: edge } : { mode: "shortest", edge };
}

function squareCrop(resize: Preprocessing["resize"], imageSize: number): Preprocessing["crop"] {
  if (resize.mode === "exact" && resize.height === imageSize && resize.width === imageSize) return null;
  return { height: imageSize, width: imageSize };
}

function readInterpolation(
  file: File,
  name: string,
  { interpolation: usual }: Usual,
  questions: OpenQuestion[],
): Interpolation {
  const stated = file?.resample ?? undefined;
  const known = stated === undefined ? undefined : interpolations.get(stated);
  if (known) return known;
  questions.push({
    key: "interpolation",
    question:
      stated === undefined
        ? "How are images resized? The files do not say."
        : `How are images resized? ${name} says ${quoted(String(stated))}, which is not offered here.`,
    usual,
    choices: ["nearest", "bilinear", "bicubic", "lanczos"],
  });
  return usual;
}
