// The adapted model as a folder that transformers loads: names and dtype of the source, a new classifier, and every
// tensor that did not change taken over byte for byte. Only changed tensors are ever in memory.
import { readModelConfig } from "../checkpoint/config.ts";
import { firstNonFinite, fromF32, requireWeightDtype } from "../checkpoint/dtypes.ts";
import { classifierPrefix } from "../checkpoint/hf_vit.ts";
import { readPreprocessing, resampleCode } from "../checkpoint/preprocessing.ts";
import { type StoredTensor, writeSafetensors } from "../checkpoint/safetensors.ts";
import type {
  Activation,
  Architecture,
  Checkpoint,
  Family,
  Preprocessing,
  Role,
} from "../checkpoint/types.ts";
import { Failure } from "../failure.ts";

export interface MergedModel {
  /** model.safetensors, config.json and preprocessor_config.json. */
  files: { path: string; blob: Blob }[];
  /** Tensors whose bytes are not those of the source, the new classifier's included. */
  changed: number;
  /** Tensors in the file. */
  total: number;
  /** What the person should know about the file, one sentence each. */
  notes: string[];
}

const classifierName: Record<Family, string> = {
  "hf-vit": "ViTForImageClassification",
  "hf-deit": "DeiTForImageClassification",
};

/**
 * Writes `checkpoint` with `changes` as ViTForImageClassification or DeiTForImageClassification. A change is a whole
 * new tensor in f32, with the elements of its role (`head.weight` [labels, D], `head.bias` [labels]); it is rounded
 * to the dtype of the source. Without a new head the source's own is kept. DeiT's distillation head is left out: the
 * exported network answers from the CLS token alone. Throws Failure when a change does not fit, is not finite, or
 * overflows F16.
 */
export async function writeMerged(
  checkpoint: Pick<Checkpoint, "source" | "architecture" | "preprocessing">,
  changes: ReadonlyMap<Role, Float32Array<ArrayBuffer>>,
  labels: readonly string[],
): Promise<MergedModel> {
  const { source, architecture, preprocessing } = checkpoint;
  const byRole = new Map(source.tensors.flatMap((tensor) => (tensor.role ? [[tensor.role, tensor]] : [])));
  for (const role of changes.keys()) {
    if (!byRole.has(role) && !isHead(role)) throw misfit(role, "The model has no such tensor.");
  }

  const backbone = source.prefix || classifierPrefix[architecture.family];
  const tensors: StoredTensor[] = [];
  let changed = 0;
  for (const tensor of source.tensors) {
    if (tensor.role === null || tensor.role.startsWith("head")) continue;
    const values = changes.get(tensor.role);
    const bytes = values ? await rounded(tensor, tensor.role, values) : tensor.bytes;
    if (bytes !== tensor.bytes) changed++;
    tensors.push({ ...tensor, name: backbone + tensor.name.slice(source.prefix.length), bytes });
  }

  // The head stands last. Its dtype is that of the source's, or of the final norm where there was none.
  for (const role of ["head.weight", "head.bias"] as const) {
    const old = byRole.get(role);
    const values = changes.get(role);
    const shape = role === "head.weight" ? [labels.length, architecture.hiddenSize] : [labels.length];
    const dtype = (old ?? byRole.get("norm.weight"))?.dtype ?? "F32";
    const name = `classifier.${role.slice("head.".length)}`;
    if (!old && !values) throw misfit(role, "The model has no classifier, and no new one was given.");
    if (!values && old && !sameShape(old.shape, shape)) {
      throw misfit(role, `The model's own classifier has ${old.shape[0]} classes, not ${labels.length}.`);
    }
    const empty = { name, dtype, shape, bytes: new Blob([]) };
    const same = old && sameShape(old.shape, shape) ? { ...old, name } : empty;
    const bytes = values ? await rounded(same, role, values) : same.bytes;
    if (bytes !== same.bytes) changed++;
    tensors.push({ name, dtype, shape, bytes });
  }

  // transformers refuses a file that does not say which library wrote it.
  const metadata = { format: "pt", ...source.metadata };
  return {
    files: [
      { path: "model.safetensors", blob: writeSafetensors(tensors, metadata) },
      { path: "config.json", blob: jsonBlob(mergedConfig(source.config, architecture, labels)) },
      {
        path: "preprocessor_config.json",
        blob: jsonBlob(preprocessorConfig(source.preprocessorConfig, architecture, preprocessing)),
      },
    ],
    changed,
    total: tensors.length,
    notes: remarks(checkpoint),
  };
}

function isHead(role: Role): boolean {
  return role === "head.weight" || role === "head.bias";
}

function misfit(role: Role, what: string): Failure {
  return new Failure({ code: "state", what, where: role, remedy: "Start the export again after training." });
}

/** The values in the tensor's dtype; the tensor's own bytes where rounding leaves no difference. */
async function rounded(tensor: StoredTensor, role: Role, values: Float32Array<ArrayBuffer>): Promise<Blob> {
  const count = tensor.shape.reduce((a, b) => a * b, 1);
  if (values.length !== count)
    throw misfit(role, `The change has ${values.length} values instead of ${count}.`);
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
  if (dtype !== "F32") {
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

// transformers' names of the three activations.
const activationNames: Record<Activation, string> = {
  gelu: "gelu",
  gelu_tanh: "gelu_pytorch_tanh",
  quick_gelu: "quick_gelu",
};

/** config.json of the source with the new classes; what it lacks or says otherwise is filled in as it was used. */
function mergedConfig(
  source: Record<string, unknown> | null,
  architecture: Architecture,
  labels: readonly string[],
): Record<string, unknown> {
  const said = source ? readModelConfig(source, "config.json") : null;
  // The head is a plain classifier now, whatever loss the source was trained with.
  const { problem_type: _, ...kept } = source ?? {};
  const config: Record<string, unknown> = {
    ...kept,
    architectures: [classifierName[architecture.family]],
    model_type: architecture.family === "hf-vit" ? "vit" : "deit",
    num_labels: labels.length,
    id2label: Object.fromEntries(labels.map((label, i) => [String(i), label])),
    label2id: Object.fromEntries(labels.map((label, i) => [label, i])),
  };
  const fill = (key: string, before: unknown, used: unknown, written = used) => {
    if (before !== used) config[key] = written;
  };
  fill("hidden_size", said?.hiddenSize, architecture.hiddenSize);
  fill("num_hidden_layers", said?.layers, architecture.layers);
  fill("num_attention_heads", said?.heads, architecture.heads);
  fill("intermediate_size", said?.mlpSize, architecture.mlpSize);
  fill("hidden_act", said?.activation, architecture.activation, activationNames[architecture.activation]);
  fill("layer_norm_eps", said?.layerNormEps, architecture.layerNormEps);
  fill("image_size", said?.imageSize, architecture.imageSize);
  fill("patch_size", said?.patchSize, architecture.patchSize);
  fill("num_channels", said?.channels, 3);
  fill("qkv_bias", said?.qkvBias, architecture.qkvBias);
  return config;
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

function remarks({ source, architecture }: Pick<Checkpoint, "source" | "architecture">): string[] {
  const notes: string[] = [];
  const unused = source.tensors.filter(({ role }) => role === null).length;
  if (source.tensors.some(({ role }) => role === "head_dist.weight")) {
    notes.push(
      "The distillation head is left out: DeiTForImageClassification answers from the CLS token, as it was trained here.",
    );
  }
  if (!source.tensors.some(({ role }) => role === "head.weight")) {
    notes.push(
      `The source had no classifier; this is a ${classifierName[architecture.family]} with the new one.`,
    );
  }
  if (unused > 0) {
    const them = unused === 1 ? "One tensor" : `${unused} tensors`;
    notes.push(`${them} of the source that a classifier does not use (such as a pooler) are left out.`);
  }
  return notes;
}

function jsonBlob(value: unknown): Blob {
  return new Blob([`${JSON.stringify(value, null, 2)}\n`], { type: "application/json" });
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}
