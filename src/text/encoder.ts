// The text transformer, forward only: a text tower is frozen here. Weights are read a layer at a time and every sentence
// passes it before the next one is read, so that a tower larger than the vision tower needs little memory.
import * as tf from "@tensorflow/tfjs-core";
import { attention, causalAttention } from "../tensor/attention.ts";
import { throwIfFaulty } from "../tensor/faults.ts";
import { gelu } from "../tensor/gelu.ts";
import { layerNorm } from "../tensor/layer_norm.ts";
import { linear } from "../tensor/linear.ts";
import { nextTurn } from "../turn.ts";
import type { TextArchitecture } from "./types.ts";

/** The tower's numbers, read when they are asked for; all row-major f32. */
export interface TextWeights {
  /** Rows of the token table, [ids, width]. */
  tokens(ids: readonly number[]): Promise<Float32Array>;
  /** [context, width] */
  positions(): Promise<Float32Array>;
  /** Weight [out, in] (qkv fused) and bias of a part of a layer. */
  layer(index: number, part: LayerPart): Promise<{ weight: Float32Array; bias: Float32Array }>;
  norm(): Promise<{ weight: Float32Array; bias: Float32Array }>;
  /** Weight [E, width]; no bias but for SigLIP. */
  project(): Promise<{ weight: Float32Array; bias: Float32Array | null }>;
}

export type LayerPart = "norm1" | "qkv" | "o" | "norm2" | "fc1" | "fc2";

/** Sentences of one forward pass. */
const BATCH = 32;
/** Numbers of activation that stay on the device between layers. */
const HELD = 2 ** 25;

/**
 * States of the pooled token after the final norm and the projection, row-major [sentences, E]; not normalised.
 * @param sentences ids, each already padded where the tower wants that
 * @param onProgress layers done and layers in all; may throw to cancel
 */
export async function encodeSentences(
  shape: TextArchitecture,
  weights: TextWeights,
  sentences: readonly number[][],
  onProgress?: (done: number, total: number) => void,
): Promise<Float32Array> {
  const longest = Math.max(1, ...sentences.map((ids) => ids.length));
  const group = Math.max(BATCH, Math.floor(HELD / (longest * shape.width)));
  const groups = Math.ceil(sentences.length / group);
  const all = new Float32Array(sentences.length * shape.embeddingSize);
  for (let g = 0; g < groups; g++) {
    const part = sentences.slice(g * group, (g + 1) * group);
    const done = (layers: number) => onProgress?.(g * shape.layers + layers, groups * shape.layers);
    all.set(await encodeGroup(shape, weights, part, longest, done), g * group * shape.embeddingSize);
  }
  return all;
}

async function encodeGroup(
  shape: TextArchitecture,
  weights: TextWeights,
  sentences: readonly number[][],
  tokens: number,
  done: (layers: number) => void,
): Promise<Float32Array> {
  const batches: { count: number; pooled: number[]; x: tf.Tensor2D }[] = [];
  try {
    const positions = await weights.positions();
    for (let first = 0; first < sentences.length; first += BATCH) {
      const part = sentences.slice(first, first + BATCH);
      const values = await embed(shape, weights, positions, part, tokens);
      batches.push({
        count: part.length,
        pooled: part.map((ids, i) => i * tokens + pooledPlace(shape, ids, tokens)),
        x: tf.tensor2d(values, [part.length * tokens, shape.width]),
      });
    }
    for (let i = 0; i < shape.layers; i++) {
      await nextTurn();
      done(i);
      const layer = await loadLayer(weights, i);
      try {
        for (const batch of batches) {
          const next = passLayer(shape, layer, batch.x, batch.count, tokens);
          batch.x.dispose();
          batch.x = next;
        }
        // Layers are queued no faster than they are computed: weights would pile up on the device.
        await settled(batches[0]?.x);
      } finally {
        tf.dispose(Object.values(layer));
      }
    }
    done(shape.layers);
    return await readOut(shape, weights, batches);
  } finally {
    for (const { x } of batches) x.dispose();
  }
}

/** Token and position embeddings, [sentences · tokens, width]; places past a sentence's end hold the position alone. */
async function embed(
  { width, vocabulary }: TextArchitecture,
  weights: TextWeights,
  positions: Float32Array,
  sentences: readonly number[][],
  tokens: number,
): Promise<Float32Array> {
  const used = [...new Set(sentences.flat())].filter((id) => id < vocabulary);
  const rows = await weights.tokens(used);
  const place = new Map(used.map((id, i) => [id, i * width]));
  const values = new Float32Array(sentences.length * tokens * width);
  sentences.forEach((ids, s) => {
    for (let t = 0; t < tokens; t++) {
      const to = (s * tokens + t) * width;
      const from = place.get(ids[t] ?? -1);
      for (let d = 0; d < width; d++)
        values[to + d] =
          (positions[t * width + d] as number) + (from === undefined ? 0 : (rows[from + d] as number));
    }
  });
  return values;
}

/** Where a sentence's state is read, as transformers' CLIP and SigLIP have it. */
function pooledPlace(shape: TextArchitecture, ids: readonly number[], tokens: number): number {
  if (shape.pool === "last") return tokens - 1;
  if (shape.endToken === null) return ids.indexOf(Math.max(...ids));
  return Math.max(0, ids.indexOf(shape.endToken));
}

/** Waits until a tensor is computed. */
async function settled(x: tf.Tensor2D | undefined): Promise<void> {
  if (!x) return;
  const one = tf.slice2d(x, [0, 0], [1, 1]);
  await one.data();
  one.dispose();
}

type Layer = Record<`${LayerPart}Weight` | `${LayerPart}Bias`, tf.Tensor>;

async function loadLayer(weights: TextWeights, index: number): Promise<Layer> {
  const made: Record<string, tf.Tensor> = {};
  try {
    for (const part of ["norm1", "qkv", "o", "norm2", "fc1", "fc2"] as const) {
      const { weight, bias } = await weights.layer(index, part);
      const isNorm = part === "norm1" || part === "norm2";
      made[`${part}Weight`] = isNorm
        ? tf.tensor1d(weight)
        : tf.tensor2d(weight, [bias.length, weight.length / bias.length]);
      made[`${part}Bias`] = tf.tensor1d(bias);
    }
    return made as Layer;
  } catch (error) {
    tf.dispose(Object.values(made));
    throw error;
  }
}

function passLayer(
  { heads, causal, activation, layerNormEps: eps }: TextArchitecture,
  layer: Layer,
  x: tf.Tensor2D,
  batch: number,
  tokens: number,
): tf.Tensor2D {
  const weight = (part: LayerPart) => layer[`${part}Weight`] as tf.Tensor2D;
  const bias = (part: LayerPart) => layer[`${part}Bias`] as tf.Tensor1D;
  const norm = (input: tf.Tensor2D, part: "norm1" | "norm2") =>
    layerNorm(input, layer[`${part}Weight`] as tf.Tensor1D, bias(part), eps);
  return tf.tidy(() => {
    const qkv = linear(norm(x, "norm1"), weight("qkv"), bias("qkv"));
    const shape = { batch, tokens, heads };
    const attended = causal ? causalAttention(qkv, shape) : attention(qkv, shape);
    const middle = linear(attended, weight("o"), bias("o"), x);
    const hidden = gelu(linear(norm(middle, "norm2"), weight("fc1"), bias("fc1")), activation);
    return linear(hidden, weight("fc2"), bias("fc2"), middle);
  });
}

/** The pooled tokens through the final norm and the projection. */
async function readOut(
  { layerNormEps: eps, embeddingSize, width }: TextArchitecture,
  weights: TextWeights,
  batches: readonly { pooled: number[]; x: tf.Tensor2D }[],
): Promise<Float32Array> {
  const norm = await weights.norm();
  const project = await weights.project();
  const out = tf.tidy(() => {
    const rows = tf.concat2d(
      batches.map(({ pooled, x }) => tf.gather(x, tf.tensor1d(pooled, "int32"))),
      0,
    );
    const states = layerNorm(rows, tf.tensor1d(norm.weight), tf.tensor1d(norm.bias), eps);
    const bias = project.bias ? tf.tensor1d(project.bias) : null;
    return linear(states, tf.tensor2d(project.weight, [embeddingSize, width]), bias);
  });
  const values = (await out.data()) as Float32Array;
  out.dispose();
  throwIfFaulty();
  return values;
}
