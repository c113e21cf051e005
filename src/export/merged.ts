// The adapted model as a folder that transformers loads: names and dtype of the source, a new classifier, and every
// tensor that did not change taken over byte for byte. Only changed tensors are ever in memory.

import { classifierFile } from "../checkpoint/choose_files.ts";
import { firstNonFinite, fromF32, requireWeightDtype, toF32 } from "../checkpoint/dtypes.ts";
import { tableOf } from "../checkpoint/families/index.ts";
import { jsonText } from "../checkpoint/json.ts";
import { openClipPreprocessor } from "../checkpoint/open_clip_config.ts";
import { featureSize, type Pooling, poolingWords } from "../checkpoint/pooling.ts";
import { resizePositions } from "../checkpoint/positions.ts";
import { readPreprocessing, resampleCode } from "../checkpoint/preprocessing.ts";
import { writeSafetensors } from "../checkpoint/safetensors.ts";
import { writeShards } from "../checkpoint/sharded.ts";
import type {
  Architecture,
  Checkpoint,
  NamedTensor,
  Piece,
  Preprocessing,
  Role,
} from "../checkpoint/types.ts";
import { Failure } from "../failure.ts";
import { nextTurn } from "../turn.ts";
import { timmConfig, transformersConfig } from "./config.ts";
import { openClipConfig, openClipWeights } from "./open_clip.ts";

export interface MergedModel {
  /** model.safetensors (or the shards of the source and their index), config.json and preprocessor_config.json. */
  files: { path: string; blob: Blob }[];
  /** Tensors whose bytes are not those of the source, the new classifier's included. */
  changed: number;
  /** Tensors in the file. */
  total: number;
  /** What the person should know about the file, one sentence each. */
  notes: string[];
}

/**
 * Writes `checkpoint` with `changes` as ViTForImageClassification or DeiTForImageClassification. A change is a whole
 * new tensor in f32, with the elements of its role (`head.weight` [labels, D], `head.bias` [labels]); it is rounded
 * to the dtype of the source. Without a new head the source's own is kept. DeiT's distillation head is left out: the
 * exported network answers from the CLS token alone. Throws Failure when a change does not fit, is not finite, or
 * overflows F16. With a pooling that the family's library does not compute in its own classifier, the model keeps the
 * names and the class of the source, all of its tensors, and the classifier is a file of its own. `onProgress` hears of
 * tensors done and in all, and may throw to cancel.
 */
export async function writeMerged(
  checkpoint: Model,
  changes: ReadonlyMap<Role, Float32Array<ArrayBuffer>>,
  labels: readonly string[],
  pooling: Pooling = checkpoint.architecture.pooling,
  onProgress?: (done: number, total: number) => void,
): Promise<MergedModel> {
  const { source, architecture, preprocessing } = checkpoint;
  const features = featureSize(architecture, pooling);
  const table = tableOf(architecture.family);
  const apart = standsApart(architecture, pooling);
  const sizes = new Map<Role, number>();
  const holder = new Map<Role, SourceTensor>();
  for (const tensor of source.tensors) {
    for (const { role, count } of tensor.pieces) {
      sizes.set(role, (sizes.get(role) ?? 0) + count);
      holder.set(role, tensor);
    }
  }
  for (const [role, values] of changes) {
    if (isHead(role)) continue;
    const count = sizes.get(role);
    if (count === undefined) throw misfit(role, "The model has no such tensor.");
    if (values.length !== count) throw wrongCount(role, values.length, count);
  }

  const { written } = table;
  const backbone = written.prefix === undefined ? "" : source.prefix || (apart ? "" : written.prefix);
  const grid = writtenGrid(checkpoint);
  const tensors: NamedTensor[] = [];
  let changed = 0;
  for (const [done, tensor] of source.tensors.entries()) {
    onProgress?.(done, source.tensors.length);
    await nextTurn();
    const { name, dtype, file, pieces, carried } = tensor;
    if ((pieces.length === 0 && !carried) || pieces.some(({ role }) => role.startsWith("head"))) continue;
    const under = isUnder(tensor, checkpoint);
    // The library's classifier is the image tower alone.
    if (!under && !apart) continue;
    const inside = under ? name.slice(source.prefix.length) : name;
    const entry = table.tensors.find((other) => other.name === inside);
    const resized =
      grid && pieces.some(({ role }) => role === "pos_embed") ? await atSize(tensor, grid) : null;
    const { shape } = resized ?? tensor;
    const touched = pieces.some(({ role }) => changes.has(role));
    const values = resized?.values ?? (touched ? await assembled(tensor, changes) : null);
    const bytes = values ? await rounded({ ...tensor, shape }, values) : tensor.bytes;
    if (bytes !== tensor.bytes) changed++;
    tensors.push({
      name: (under ? backbone : "") + (entry?.written ?? inside),
      dtype,
      shape,
      bytes,
      ...(file ? { file } : {}),
    });
  }

  const head: NamedTensor[] = [];
  // The head stands last. Its dtype is that of the source's, or of the final norm where there was none.
  for (const role of ["head.weight", "head.bias"] as const) {
    const old = holder.get(role);
    const values = changes.get(role);
    const shape = role === "head.weight" ? [labels.length, features] : [labels.length];
    const dtype = (old ?? holder.get("norm.weight"))?.dtype ?? "F32";
    const entry = table.head.find(({ roles }) => roles.includes(role));
    const name = apart
      ? role.replace("head", "classifier")
      : (table.headOutside ? "" : backbone) + (entry as { name: string }).name;
    if (!old && !values) throw misfit(role, "The model has no classifier, and no new one was given.");
    if (!values && old && !sameShape(old.shape, shape)) {
      throw misfit(role, `The model's own classifier has ${old.shape[0]} classes, not ${labels.length}.`);
    }
    const count = shape.reduce((a, b) => a * b, 1);
    if (values && values.length !== count) throw wrongCount(role, values.length, count);
    const same: NamedTensor =
      old && sameShape(old.shape, shape)
        ? { name, dtype, shape, bytes: old.bytes }
        : { name, dtype, shape, bytes: new Blob([]) };
    const bytes = values ? await rounded(same, values) : same.bytes;
    if (bytes !== same.bytes) changed++;
    const file = apart ? undefined : (old?.file ?? tensors.at(-1)?.file);
    head.push({ name, dtype, shape, bytes, ...(file ? { file } : {}) });
  }

  // transformers refuses a file that does not say which library wrote it.
  const metadata = { format: "pt", ...source.metadata };
  const imageSize =
    source.positions && !grid ? source.positions.side * architecture.patchSize : architecture.imageSize;
  const files = writeShards(apart ? tensors : [...tensors, ...head], metadata);
  if (apart) {
    const selora = JSON.stringify({ pooling, labels });
    files.push({ path: classifierFile, blob: writeSafetensors(head, { ...metadata, selora }) });
  }
  if (written.config === "open_clip") {
    const config = openClipConfig(source, architecture, preprocessing);
    // OpenCLIP looks for weights of its own name.
    for (const file of files) if (file.path === "model.safetensors") file.path = openClipWeights;
    if (config) files.push({ path: "open_clip_config.json", blob: jsonBlob(config, source.configFloats) });
    if (!config || !preparesAs(config, checkpoint)) files.push(preprocessorFile(checkpoint));
    return {
      files,
      changed,
      total: tensors.length + head.length,
      notes: remarks(checkpoint, apart, pooling, labels.length),
    };
  }
  const timm = written.config === "timm";
  const config = timm
    ? timmConfig(source, architecture, imageSize, preprocessing, labels, apart)
    : transformersConfig(source.config, architecture, imageSize, apart && !written.headApart ? null : labels);
  files.push({ path: "config.json", blob: jsonBlob(config, source.configFloats) });
  if (!timm) files.push(preprocessorFile(checkpoint));
  return {
    files,
    changed,
    total: tensors.length + head.length,
    notes: remarks(checkpoint, apart, pooling, labels.length),
  };
}

/** Whether a classifier on this pooling is none that the family's library has, and so a file of its own. */
function standsApart({ family, pooling: own }: Architecture, pooling: Pooling): boolean {
  const { written } = tableOf(family);
  return written.headApart === true || pooling !== (written.pooling ?? own);
}

/** Whether a tensor belongs to the backbone, and not to what stands beside it, such as a text tower. */
function isUnder({ name }: NamedTensor, { source, architecture }: Model): boolean {
  const outside = tableOf(architecture.family).tensors.some((entry) => entry.outside && entry.name === name);
  return !outside && name.startsWith(source.prefix);
}

/** Whether a written open_clip_config.json says how images were prepared. */
function preparesAs(config: Record<string, unknown>, { architecture, preprocessing }: Model): boolean {
  const json = openClipPreprocessor(config, "open_clip_config.json", architecture.imageSize);
  const read = readPreprocessing(json, "open_clip_config.json", architecture, "", {});
  return JSON.stringify(read.preprocessing) === JSON.stringify(preprocessing) && read.questions.length === 0;
}

function preprocessorFile({ source, architecture, preprocessing }: Model): { path: string; blob: Blob } {
  const json = preprocessorConfig(source.preprocessorConfig, architecture, preprocessing);
  return { path: "preprocessor_config.json", blob: jsonBlob(json) };
}

function isHead(role: Role): boolean {
  return role === "head.weight" || role === "head.bias";
}

function misfit(role: Role, what: string): Failure {
  return new Failure({ code: "state", what, where: role, remedy: "Start the export again after training." });
}

function wrongCount(role: Role, has: number, needs: number): Failure {
  return misfit(role, `The change has ${has} values instead of ${needs}.`);
}

type SourceTensor = NamedTensor & { pieces: Piece[] };
type Model = Pick<Checkpoint, "source" | "architecture" | "preprocessing">;

/** What the written position embeddings must be resized to; null where they stay as they are. */
function writtenGrid({ source, architecture }: Model) {
  const { positions } = tableOf(architecture.family);
  const side = architecture.imageSize / architecture.patchSize;
  if (!positions || positions.atRuntime || !source.positions || source.positions.side === side) return null;
  return { side, from: source.positions, width: architecture.hiddenSize, resize: positions.resize };
}

async function atSize(
  { name, dtype, shape, bytes }: NamedTensor,
  { side, from, width, resize }: NonNullable<ReturnType<typeof writtenGrid>>,
): Promise<{ shape: number[]; values: Float32Array<ArrayBuffer> }> {
  const values = toF32(await bytes.arrayBuffer(), requireWeightDtype(dtype, name));
  return {
    shape: [...shape.slice(0, -2), from.covered + side ** 2, width],
    values: resizePositions(values, from, side, width, resize) as Float32Array<ArrayBuffer>,
  };
}

/** A tensor's values with the changed pieces in their places. */
async function assembled(
  { name, dtype, shape, bytes, pieces }: SourceTensor,
  changes: ReadonlyMap<Role, Float32Array<ArrayBuffer>>,
): Promise<Float32Array<ArrayBuffer>> {
  const [first] = pieces;
  const whole = first && changes.get(first.role);
  const size = shape.reduce((a, b) => a * b, 1);
  if (whole && whole.length === size && pieces.length === 1) return whole;
  const values = toF32(await bytes.arrayBuffer(), requireWeightDtype(dtype, name));
  for (const { role, at, into, count } of pieces) {
    const change = changes.get(role);
    if (change) values.set(change.subarray(into, into + count), at);
  }
  return values;
}

/** The values in the tensor's dtype; the tensor's own bytes where rounding leaves no difference. */
async function rounded(tensor: NamedTensor, values: Float32Array<ArrayBuffer>): Promise<Blob> {
  const at = firstNonFinite(values);
  if (at >= 0) {
    throw new Failure({
      code: "numeric",
      what: `The trained weights hold ${values[at]} at index ${at}.`,
      where: tensor.name,
      remedy: "Train again with a lower learning rate.",
    });
  }
  const dtype = requireWeightDtype(tensor.dtype, tensor.name);
  const bytes = fromF32(values, dtype);
  if (dtype === "F16" || dtype === "BF16") {
    const pattern = dtype === "F16" ? 0x7c00 : 0x7f80;
    const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, values.length);
    const over = halves.findIndex((half) => (half & pattern) === pattern);
    if (over >= 0) {
      throw new Failure({
        code: "numeric",
        what: `The trained weight ${values[over]} at index ${over} is too large for ${dtype}, the dtype of the source.`,
        where: tensor.name,
        remedy: "Train again with a lower learning rate, or start from an F32 copy of the model.",
      });
    }
  }
  const before = new Uint8Array(await tensor.bytes.arrayBuffer());
  if (before.length === bytes.length && before.every((byte, i) => byte === bytes[i])) return tensor.bytes;
  return new Blob([bytes]);
}

/** The source's file where it says what was done; else one that says it, for the processor that can do it. */
function preprocessorConfig(
  source: Record<string, unknown> | null,
  architecture: Architecture,
  used: Preprocessing,
): Record<string, unknown> {
  if (source) {
    const read = readPreprocessing(source, "preprocessor_config.json", architecture, "", {});
    const same = JSON.stringify(read.preprocessing) === JSON.stringify(used);
    if (same && read.questions.length === 0) return source;
  }
  const { resize, crop } = used;
  const processor = resize.mode === "shortest" ? "CLIP" : crop ? "DeiT" : "ViT";
  return {
    image_processor_type: `${processor}ImageProcessor`,
    do_resize: true,
    size:
      resize.mode === "shortest"
        ? { shortest_edge: resize.edge }
        : { height: resize.height, width: resize.width },
    resample: resampleCode[used.interpolation],
    do_center_crop: crop !== null,
    ...(crop ? { crop_size: crop } : {}),
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    image_mean: used.mean,
    image_std: used.std,
  };
}

function remarks(checkpoint: Model, apart: boolean, pooling: Pooling, classes: number): string[] {
  const { source, architecture } = checkpoint;
  const notes: string[] = [];
  const { written } = tableOf(architecture.family);
  const name = written.name(architecture);
  const unused = source.leftOut;
  const beside = source.tensors.filter(
    (tensor) => (tensor.carried || tensor.pieces.length > 0) && !isUnder(tensor, checkpoint),
  );
  const texts = beside.filter(({ pieces }) => pieces.length === 0).length;
  const holds = (wanted: Role) =>
    source.tensors.some(({ pieces }) => pieces.some(({ role }) => role === wanted));
  if (holds("head_dist.weight")) {
    notes.push(
      `The distillation head is left out: ${name} answers from the CLS token, as it was trained here.`,
    );
  }
  if (apart && !written.headApart) {
    const reads = poolingWords[pooling].label.toLowerCase();
    notes.push(
      `The classifier reads another thing (${reads}) than ${name} does, so it is a file of its own, ${classifierFile}, and the model stays what it was.`,
    );
    if (holds("head.weight")) notes.push("The source's own classifier is left out.");
  } else if (written.headApart) {
    notes.push(`${name} has no place for a classifier, which is a file of its own, ${classifierFile}.`);
  } else if (!holds("head.weight")) {
    notes.push(`The source had no classifier; this is a ${name} with the new one.`);
  }
  if (!apart && written.note) notes.push(written.note(architecture, classes));
  if (apart && written.nested !== undefined && source.prefix === "") {
    notes.push("The names are those of transformers 5, as the source's are; version 4 does not load them.");
  }
  const grid = source.positions?.side;
  const resizes = written.config === "timm" && tableOf(architecture.family).positions?.atRuntime;
  if (resizes && grid !== undefined && grid * architecture.patchSize !== architecture.imageSize) {
    notes.push(
      `The position embeddings stay those of ${grid} x ${grid} patches. The original code resizes them as was done here; timm, which loads the file too, does so in a slightly different way.`,
    );
  }
  if (texts > 0) {
    notes.push(
      apart
        ? "The text tower is in the file as it was, byte for byte."
        : `The text tower and the map into its space are left out: ${name} has no place for them.`,
    );
  }
  if (unused > 0) {
    const them = unused === 1 ? "One tensor" : `${unused} tensors`;
    notes.push(`${them} of the source that a classifier does not use (such as a pooler) are left out.`);
  }
  return notes;
}

function jsonBlob(value: unknown, floats?: ReadonlySet<string>): Blob {
  return new Blob([jsonText(value, floats)], { type: "application/json" });
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}
