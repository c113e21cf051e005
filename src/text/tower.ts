// The door of this room: a checkpoint's tensors and the files beside them become a text tower, or a sentence that says
// why there is none.
import { firstNonFinite, requireWeightDtype, toF32 } from "../checkpoint/dtypes.ts";
import { quoted } from "../checkpoint/json.ts";
import { readBytes } from "../checkpoint/safetensors.ts";
import type { Activation, NamedTensor } from "../checkpoint/types.ts";
import { Failure } from "../failure.ts";
import type { SourceFile } from "../source_file.ts";
import { unitRowsOf } from "../tensor/unit_rows.ts";
import { readTextConfig } from "./config.ts";
import { encodeSentences, type TextWeights } from "./encoder.ts";
import { matchText, type TextTensors } from "./names.ts";
import { findTokenizerFiles, openTokenizer } from "./tokenizer.ts";
import type { TextArchitecture, TextTokenizer, TextTower } from "./types.ts";

/** The part of a checkpoint that a text tower is looked for in. */
export interface TextSource {
  tensors: readonly NamedTensor[];
  /** config.json or open_clip_config.json. */
  config: Record<string, unknown> | null;
}

/** Embeddings of this many lists of sentences are kept: a run asks for the same classes again and again. */
const KEPT = 16;

/** `problem` says why there is no tower, in a sentence for the person; null where the file holds none. */
export type OpenedText = { tower: TextTower; problem: null } | { tower: null; problem: string | null };

/**
 * Opens the text tower of a checkpoint; nothing but the tokenizer's files and two numbers is read yet. A tower that
 * cannot be used is a problem and no Failure: the vision tower does without.
 * @param files everything that was dropped with the model
 * @param activation the vision tower's
 */
export async function openText(
  source: TextSource,
  files: readonly SourceFile[],
  activation: Activation,
): Promise<OpenedText> {
  try {
    return await open(source, files, activation);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const { where, what } = error.parts;
    return { tower: null, problem: `The text tower cannot be used: ${where ? `${where}: ` : ""}${what}` };
  }
}

async function open(
  source: TextSource,
  files: readonly SourceFile[],
  activation: Activation,
): Promise<OpenedText> {
  const config = source.config ? readTextConfig(source.config, "config.json") : null;
  const { tensors, architecture, problem } = matchText(source.tensors, config, activation);
  if (tensors === null) return { tower: null, problem };
  const siglip = architecture.pool === "last";
  const tokenizer = await openTokenizer(findTokenizerFiles(files), siglip, config ?? {});
  if (!tokenizer) {
    const pair = siglip ? "" : " (or vocab.json and merges.txt)";
    return {
      tower: null,
      problem: `The model's tokenizer is missing: load tokenizer.json${pair} together with the model.`,
    };
  }
  const scale = Math.exp((await readTensor(tensors.logitScale))[0] as number);
  const bias = tensors.logitBias ? ((await readTensor(tensors.logitBias))[0] as number) : 0;
  return { tower: makeTower(architecture, textWeights(tensors), tokenizer, scale, bias), problem: null };
}

function makeTower(
  architecture: TextArchitecture,
  weights: TextWeights,
  tokenizer: TextTokenizer,
  scale: number,
  bias: number,
): TextTower {
  const kept = new Map<string, Float32Array>();
  return {
    architecture,
    scale,
    bias,
    async embed(texts, onProgress) {
      const key = JSON.stringify(texts);
      const known = kept.get(key);
      if (known) return known;
      const sentences = texts.map((text) => idsOf(tokenizer, architecture, text));
      const raw = await encodeSentences(architecture, weights, sentences, onProgress);
      const embeddings = unitRowsOf(raw, architecture.embeddingSize);
      if (kept.size >= KEPT) kept.delete(kept.keys().next().value as string);
      kept.set(key, embeddings);
      return embeddings;
    },
  };
}

/** Ids of a sentence; filled to the context where the last place is read. */
function idsOf(tokenizer: TextTokenizer, { context, pool }: TextArchitecture, text: string): number[] {
  const ids = tokenizer.encode(text, context);
  if (pool === "end") return ids;
  const filling = new Array<number>(context - ids.length).fill(tokenizer.pad.id);
  return tokenizer.pad.side === "left" ? [...filling, ...ids] : [...ids, ...filling];
}

async function readTensor({ name, dtype, bytes }: NamedTensor): Promise<Float32Array> {
  return toFinite(await readBytes(bytes, name), name, dtype);
}

function toFinite(bytes: ArrayBuffer, name: string, dtype: string): Float32Array {
  const values = toF32(bytes, requireWeightDtype(dtype, name));
  const at = firstNonFinite(values);
  if (at < 0) return values;
  throw new Failure({
    code: "bad-model",
    what: `The tensor ${quoted(name)} holds ${values[at]} at index ${at} of ${values.length}.`,
    remedy: "The file is damaged; use another copy.",
  });
}

async function stacked(parts: readonly NamedTensor[]): Promise<Float32Array> {
  const [first, ...others] = await Promise.all(parts.map(readTensor));
  if (others.length === 0) return first as Float32Array;
  const all = new Float32Array(parts.length * (first as Float32Array).length);
  [first as Float32Array, ...others].forEach((values, i) => {
    all.set(values, i * values.length);
  });
  return all;
}

/** Reads the tower's tensors as f32, when they are asked for. */
export function textWeights(tensors: TextTensors): TextWeights {
  const pair = async ({ weight, bias }: { weight: NamedTensor[]; bias: NamedTensor[] }) => ({
    weight: await stacked(weight),
    bias: await stacked(bias),
  });
  return {
    async tokens(ids) {
      // The table can be most of the file (Gemma's has 256,000 rows), a sentence needs a dozen rows of it.
      const { name, dtype, shape, bytes } = tensors.tokens;
      const width = shape[1] as number;
      const size = bytes.size / (shape[0] as number);
      const rows = new Float32Array(ids.length * width);
      for (const [i, id] of ids.entries()) {
        const row = await readBytes(bytes.slice(id * size, (id + 1) * size), name);
        rows.set(toFinite(row, name, dtype), i * width);
      }
      return rows;
    },
    positions: () => readTensor(tensors.positions),
    layer: (index, part) => pair((tensors.layers[index] as TextTensors["layers"][number])[part]),
    norm: () => pair(tensors.norm),
    async project() {
      const { weight, bias, transposed } = tensors.project;
      const values = await readTensor(weight);
      const [rows, columns] = weight.shape as [number, number];
      return {
        weight: transposed
          ? Float32Array.from(values, (_, i) => values[(i % rows) * columns + Math.floor(i / rows)] as number)
          : values,
        bias: bias ? await readTensor(bias) : null,
      };
    },
  };
}
