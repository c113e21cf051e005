// What can be set about a model that stands above what its files say: the studio's form and the terminal's options are
// made from this one table.
import type { ModelAnswers, ModelReport } from "./protocol.ts";

interface Setting {
  label: string;
  explanation: string;
  /** Closed list of values, where there is one. */
  choices?: readonly string[];
}

export const modelSettings: Record<keyof ModelAnswers, Setting> = {
  weights: {
    label: "Weights",
    explanation:
      "Which ones, where a folder or a file holds several: a file's path, or what the weights stand under in it, such as state_dict_ema.",
  },
  imageSize: {
    label: "Image size",
    explanation:
      "Edge of the square images that enter the network, in pixels: a multiple of the patch size. Position embeddings are interpolated as the family does it.",
  },
  heads: {
    label: "Attention heads",
    explanation: "No file of weights tells it; most ViTs have one for every 64 of the width.",
  },
  activation: {
    label: "Activation",
    explanation:
      "Of the MLPs, which no file of weights tells: OpenAI's CLIP has quick_gelu and LAION's gelu, with the same names and shapes.",
    choices: ["gelu", "gelu_tanh", "quick_gelu"],
  },
  layerNormEps: {
    label: "Layer norm epsilon",
    explanation:
      "1e-12 in transformers' ViT and DeiT, 1e-6 in timm, DINO and SigLIP, 1e-5 in CLIP and DINOv3.",
  },
  resize: {
    label: "Resize to",
    explanation: "Edge of the resize in pixels; what is larger than the image size is cropped at the centre.",
  },
  interpolation: {
    label: "Interpolation",
    explanation: "How images are resized, as PIL does it.",
    choices: ["nearest", "bilinear", "bicubic", "lanczos"],
  },
  mean: { label: "Mean", explanation: "Subtracted from each colour channel (0 to 1): one number, or three." },
  std: { label: "Std", explanation: "What each colour channel is divided by: one number, or three." },
};

/** A setting's value from its text; null when the text cannot be one. */
export function readSetting(key: keyof ModelAnswers, text: string): ModelAnswers[keyof ModelAnswers] | null {
  if (key === "weights") return text.trim() || null;
  const { choices } = modelSettings[key];
  if (choices) return choices.includes(text) ? (text as ModelAnswers["activation"]) : null;
  const numbers = text
    .split(/[\s,;]+/)
    .filter(Boolean)
    .map(Number);
  const [first] = numbers;
  if (first === undefined || !numbers.every(Number.isFinite)) return null;
  if (key === "mean" || key === "std") {
    const [r, g = r, b = r] = numbers;
    if (numbers.length !== 1 && numbers.length !== 3) return null;
    if (key === "std" && numbers.some((value) => value <= 0)) return null;
    return [r, g, b] as [number, number, number];
  }
  if (numbers.length !== 1 || first <= 0) return null;
  if (key !== "layerNormEps" && !Number.isInteger(first)) return null;
  return first;
}

/** What is in use, each as the text that `readSetting` reads. Which weights are is told by a question, or by a note. */
export function settingsOf({
  architecture,
  preprocessing,
}: ModelReport): Record<Exclude<keyof ModelAnswers, "weights">, string> {
  const { resize, interpolation, mean, std } = preprocessing;
  const triple = (values: readonly number[]) =>
    (new Set(values).size === 1 ? values.slice(0, 1) : values).join(", ");
  return {
    imageSize: String(architecture.imageSize),
    heads: String(architecture.heads),
    activation: architecture.activation,
    layerNormEps: architecture.layerNormEps.toExponential(),
    resize: String(resize.mode === "exact" ? resize.height : resize.edge),
    interpolation,
    mean: triple(mean),
    std: triple(std),
  };
}
