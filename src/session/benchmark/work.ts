// What is measured, said once for everyone who does it: the networks, their random weights, the batch, and how much
// arithmetic a step is. Plain numbers, no tensors, so that we and every peer start from the very same ones. All values
// are uniform draws of `random(seedFor(1, name))`, which interop/bench_step.py repeats in numpy.
import type { Architecture, Role } from "../../checkpoint/types.ts";
import { random, seedFor } from "../../random.ts";
import type { Task } from "./protocol.ts";

export interface WorkModel {
  id: string;
  title: string;
  architecture: Architecture;
  /** Images in a step unless somebody says otherwise. */
  batch: number;
}

const vit = (
  imageSize: number,
  patchSize: number,
  hiddenSize: number,
  layers: number,
  heads: number,
): Architecture => ({
  family: "hf-vit",
  imageSize,
  patchSize,
  hiddenSize,
  layers,
  heads,
  mlpSize: 4 * hiddenSize,
  activation: "gelu",
  layerNormEps: 1e-6,
  qkvBias: true,
  prefixTokens: 1,
  pooling: "cls",
  labels: null,
});

/** Smallest first. */
export const workModels: readonly WorkModel[] = [
  { id: "small", title: "ViT 128/6/4 at 64/8", architecture: vit(64, 8, 128, 6, 4), batch: 16 },
  { id: "demo", title: "The demo's ViT 96/12/3 at 64/8", architecture: vit(64, 8, 96, 12, 3), batch: 16 },
  { id: "vit-ti", title: "ViT-Ti/16 at 224", architecture: vit(224, 16, 192, 12, 3), batch: 8 },
  { id: "vit-s", title: "ViT-S/16 at 224", architecture: vit(224, 16, 384, 12, 6), batch: 8 },
  { id: "vit-b", title: "ViT-B/16 at 224", architecture: vit(224, 16, 768, 12, 12), batch: 4 },
];

/**
 * The network of a task.
 * @throws when there is none of that name
 */
export function workOf({ model, layers }: Pick<Task, "model" | "layers">): Architecture {
  const found = workModels.find(({ id }) => id === model);
  if (!found) throw new Error(`there is no model "${model}"`);
  return layers === undefined ? found.architecture : { ...found.architecture, layers };
}

/** Classes of the new classifier; rank and alpha of LoRA; AdamW's settings. The same for everyone. */
export const classes = 10;
export const rank = 4;
export const alpha = 8;
export const learningRate = 1e-3;
export const weightDecay = 0.01;
export const adam = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
/** Normalisation of pixels, each channel: (x/255 - mean)/std. */
export const mean = 0.5;
export const std = 0.5;

export const patchesOf = ({ imageSize, patchSize }: Architecture): number => (imageSize / patchSize) ** 2;
export const tokensOf = (architecture: Architecture): number =>
  patchesOf(architecture) + architecture.prefixTokens;

export type LinearName = "q" | "k" | "v" | "o" | "fc1" | "fc2";
export const linearNames: readonly LinearName[] = ["q", "k", "v", "o", "fc1", "fc2"];

/** [out, in] of a linear map of a layer. */
export function linearShape({ hiddenSize: d, mlpSize: m }: Architecture, name: LinearName): [number, number] {
  if (name === "fc1") return [m, d];
  if (name === "fc2") return [d, m];
  return [d, d];
}

function draw(name: string, size: number, scale: number, offset = 0): Float32Array<ArrayBuffer> {
  const stream = random(seedFor(1, name));
  const values = new Float32Array(size);
  for (let i = 0; i < size; i++) values[i] = offset + scale * (2 * stream.next() - 1);
  return values;
}

/** Of a linear map with `width` inputs: activations keep about their size through the depth. */
const spread = (width: number): number => 0.5 * Math.sqrt(3 / width);

/**
 * A frozen weight by its role (checkpoint/types.ts names them), and the new classifier's `head.weight` and `head.bias`.
 */
export function weightOf(architecture: Architecture, role: Role): Float32Array<ArrayBuffer> {
  const { hiddenSize: d, patchSize } = architecture;
  const [name, part] = [role.split(".").at(-2) ?? "", role.split(".").at(-1)];
  if (role === "pos_embed") return draw(role, tokensOf(architecture) * d, 0.2);
  if (role === "cls_token") return draw(role, d, 0.2);
  if (/norm/.test(name)) return part === "weight" ? draw(role, d, 0.05, 1) : draw(role, d, 0.05);
  const [out, width] =
    name === "patch_embed"
      ? [d, 3 * patchSize ** 2]
      : name === "head"
        ? [classes, d]
        : linearShape(architecture, name as LinearName);
  return part === "weight" ? draw(role, out * width, spread(width)) : draw(role, out, 0.05);
}

/** Where an adapter starts: A [rank, in], B [out, rank]. B is not 0, so that the first loss already sees it. */
export function adapterOf(architecture: Architecture, layer: number, name: LinearName) {
  const [out, width] = linearShape(architecture, name);
  return {
    A: draw(`layer.${layer}.${name}.lora_A`, rank * width, spread(width)),
    B: draw(`layer.${layer}.${name}.lora_B`, out * rank, 0.02),
  };
}

/** The batch: pixels [batch, H, W, 3] and labels. */
export function batchOf({ imageSize }: Architecture, batch: number) {
  const stream = random(seedFor(1, "pixels"));
  return {
    pixels: Uint8Array.from({ length: batch * imageSize ** 2 * 3 }, () => stream.below(256)),
    labels: Int32Array.from({ length: batch }, (_, i) => i % classes),
  };
}

/** Mean cross-entropy of logits [batch, classes], by which a forward pass is compared. */
export function crossEntropy(logits: ArrayLike<number>, labels: Int32Array): number {
  let sum = 0;
  for (const [i, label] of labels.entries()) {
    const row = Array.from({ length: classes }, (_, c) => logits[i * classes + c] as number);
    const top = Math.max(...row);
    const log = Math.log(row.reduce((total, value) => total + Math.exp(value - top), 0));
    sum += log + top - (row[label] as number);
  }
  return sum / labels.length;
}

/** Numbers in the frozen network. */
export function parametersOf(architecture: Architecture): number {
  const { hiddenSize: d, layers, patchSize } = architecture;
  const linear = linearNames.reduce((sum, name) => {
    const [out, width] = linearShape(architecture, name);
    return sum + out * width + out;
  }, 0);
  return layers * (linear + 4 * d) + d * (3 * patchSize ** 2 + 1) + (tokensOf(architecture) + 1) * d + 2 * d;
}

/** Bytes of the largest tensor that somebody makes of a batch: the MLP's hidden layer, or attention written out. */
export function largestTensor(architecture: Architecture, batch: number): number {
  const { mlpSize, heads } = architecture;
  const tokens = tokensOf(architecture);
  return 4 * batch * tokens * Math.max(mlpSize, heads * tokens);
}

/**
 * Floating-point operations of one step over a batch, as the network defines them: a multiplication with addition
 * counts 2; of the last layer only CLS goes on after its attention; the gradients of frozen weights, which nobody
 * needs, and what a kernel computes twice do not count. LayerNorm, GELU and softmax are left out (under 2 %).
 */
export function operations(architecture: Architecture, batch: number, what: "training" | "inference") {
  const { hiddenSize: d, layers, imageSize } = architecture;
  const tokens = tokensOf(architecture);
  const rowsOf = (layer: number, name: LinearName) =>
    batch * (layer === layers - 1 && !["q", "k", "v"].includes(name) ? 1 : tokens);
  const head = 2 * batch * d * classes;
  let forward = 2 * batch * imageSize ** 2 * 3 * d + head;
  let backward = 2 * head;
  let lora = 0;
  for (let layer = 0; layer < layers; layer++) {
    forward += 4 * batch * tokens ** 2 * d;
    backward += 8 * batch * tokens ** 2 * d;
    for (const name of linearNames) {
      const [out, width] = linearShape(architecture, name);
      const rows = rowsOf(layer, name);
      forward += 2 * rows * out * width;
      // Below the lowest adapters nothing learns.
      if (layer > 0 || !["q", "k", "v"].includes(name)) backward += 2 * rows * out * width;
      // W + cBA once a step; Z, U, V and dA over the rows.
      lora += 2 * rank * out * width + 4 * rows * rank * (out + width);
    }
  }
  return what === "inference" ? forward : forward + backward + lora;
}
