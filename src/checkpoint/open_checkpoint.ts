// The door of this room: dropped files become a checked Checkpoint, or a Failure that says what is wrong with them.
// Only headers and the small JSON files are read here; weights are read one at a time when asked for.
import { z } from "zod";
import { Failure } from "../failure.ts";
import type { SourceFile } from "../source_file.ts";
import { parseWith, readModelConfig } from "./config.ts";
import { firstNonFinite, requireWeightDtype, toF32 } from "./dtypes.ts";
import { type HfVit, matchHfVit } from "./hf_vit.ts";
import { parseJsonObject, quoted } from "./json.ts";
import { readPreprocessing } from "./preprocessing.ts";
import { recognise } from "./recognise.ts";
import { readBytes, readSafetensors } from "./safetensors.ts";
import type { Activation, Architecture, Checkpoint, ModelAnswers, OpenQuestion, TensorRow } from "./types.ts";

// A config with 22,000 labels in four languages is below this.
const MAX_JSON = 8_000_000;
const HF_NAMES = "Choose a ViT or DeiT that transformers saved (model.safetensors, config.json).";

const triple = z.tuple([
  z.number().min(-10).max(10),
  z.number().min(-10).max(10),
  z.number().min(-10).max(10),
]);
const answersSchema = z.object({
  heads: z.int().min(1).max(4096).optional(),
  activation: z.enum(["gelu", "gelu_tanh", "quick_gelu"]).optional(),
  layerNormEps: z.number().positive().max(1).optional(),
  mean: triple.optional(),
  std: triple.refine((values) => values.every((value) => value > 0), "must be above 0").optional(),
  resize: z.int().min(1).max(4096).optional(),
  interpolation: z.enum(["nearest", "bilinear", "bicubic", "lanczos"]).optional(),
});

/** A checkpoint whose tensors are no usable network; `table` shows every one of them with its problem. */
export class BadCheckpoint extends Failure {
  readonly table: TensorRow[];

  constructor(table: TensorRow[], what: string, where: string, remedy: string) {
    const problems = table.flatMap(({ name, problem }) => (problem ? [`${name}: ${problem}`] : []));
    super({ code: "bad-model", what, where, remedy, details: problems.slice(0, 500) });
    this.table = table;
  }
}

/**
 * Opens a model folder or its loose files: one .safetensors, beside it config.json and preprocessor_config.json when
 * there are any. `answers` stand above what the files say; what neither says comes back as questions, with the usual
 * value in use. Throws Failure, or BadCheckpoint where the file is sound but its tensors are not a ViT or DeiT.
 */
export async function openCheckpoint(files: SourceFile[], answers: ModelAnswers): Promise<Checkpoint> {
  parseWith(answersSchema, answers, "answers");
  const found = findFiles(files);
  const { tensors, metadata } = await readSafetensors(found.weights.blob, found.weights.path);
  const config = found.config ? await readJson(found.config) : null;
  const preprocessorConfig = found.preprocessor ? await readJson(found.preprocessor) : null;
  const configPath = found.config?.path ?? "config.json";

  const table: TensorRow[] = tensors.map(({ name, dtype, shape, bytes }) => {
    return { name, shape, dtype, bytes: bytes.size, role: null, problem: null };
  });
  await refuseOthers(tensors, config, configPath, found, table);
  const said = config ? readModelConfig(config, configPath) : null;
  const vit = matchHfVit(tensors, said);
  if (!vit) throw unknownModel(tensors, found, table);
  if (said?.modelType === (vit.family === "hf-vit" ? "deit" : "vit")) {
    vit.contradictions.push(
      `config.json says ${quoted(said.modelType)}, but the tensors are ${vit.family === "hf-vit" ? "ViT's" : "DeiT's"}.`,
    );
  }
  for (const row of table) {
    row.role = vit.uses.get(row.name)?.role ?? null;
    row.problem = vit.problems.get(row.name) ?? vit.remarks.get(row.name) ?? null;
  }
  refuseUnfit(vit, found, table);

  const questions: OpenQuestion[] = [];
  const heads = answers.heads ?? said?.heads ?? usualHeads(vit.shapes.hiddenSize);
  if (answers.heads === undefined && said?.heads === undefined) {
    questions.push({
      key: "heads",
      question:
        "How many attention heads? The files do not say; most ViTs have one for every 64 of the width.",
      usual: String(heads),
    });
  }
  checkHeads(heads, vit.shapes.hiddenSize, answers.heads === undefined ? configPath : "heads");
  const activation: Activation = answers.activation ?? said?.activation ?? "gelu";
  if (answers.activation === undefined && said?.activation === undefined) {
    questions.push({
      key: "activation",
      question: "Which activation does the MLP use? The files do not say; ViT and DeiT use gelu.",
      usual: "gelu",
      choices: ["gelu", "gelu_tanh", "quick_gelu"],
    });
  }
  const layerNormEps = answers.layerNormEps ?? said?.layerNormEps ?? 1e-12;
  if (answers.layerNormEps === undefined && said?.layerNormEps === undefined) {
    questions.push({
      key: "layerNormEps",
      question: "Which epsilon do the layer norms use? transformers' ViT and DeiT use 1e-12, timm 1e-6.",
      usual: "1e-12",
    });
  }
  const { classes, ...shapes } = vit.shapes;
  const architecture: Architecture = {
    family: vit.family,
    ...shapes,
    heads,
    activation,
    layerNormEps,
    distillationHead: [...vit.uses.values()].some(({ role }) => role === "head_dist.weight"),
    labels: classes === null ? null : nameClasses(classes, said?.labels, table),
  };
  const prepared = readPreprocessing(
    preprocessorConfig,
    found.preprocessor?.path ?? "preprocessor_config.json",
    architecture,
    `${found.name}/${said?.nameOrPath ?? ""}`,
    answers,
  );

  const byRole = new Map(
    tensors.flatMap((tensor) => {
      const use = vit.uses.get(tensor.name);
      return use ? [[use.role, { tensor, shape: use.shape }] as const] : [];
    }),
  );
  return {
    name: found.name,
    architecture,
    preprocessing: prepared.preprocessing,
    questions: [...questions, ...prepared.questions],
    table,
    roles: new Map([...byRole].map(([role, { tensor, shape }]) => [role, { shape, source: tensor.name }])),
    async read(role) {
      const entry = byRole.get(role);
      if (!entry) {
        throw new Failure({
          code: "state",
          what: `This model has no ${quoted(role)}.`,
          where: found.weights.path,
          remedy: "Load a model that has it.",
        });
      }
      const { name, dtype, bytes } = entry.tensor;
      const values = toF32(await readBytes(bytes, found.weights.path), requireWeightDtype(dtype, name));
      const at = firstNonFinite(values);
      if (at >= 0) {
        throw new Failure({
          code: "bad-model",
          what: `The tensor ${quoted(name)} holds ${values[at]} at index ${at} of ${values.length}.`,
          where: found.weights.path,
          remedy: "The file is damaged, or training that made it diverged; use another copy.",
        });
      }
      return values;
    },
    source: {
      tensors: tensors.map((tensor) => ({ ...tensor, role: vit.uses.get(tensor.name)?.role ?? null })),
      metadata,
      config,
      preprocessorConfig,
      prefix: vit.prefix,
    },
  };
}

interface Found {
  name: string;
  weights: SourceFile;
  config: SourceFile | undefined;
  preprocessor: SourceFile | undefined;
  adapterConfig: SourceFile | undefined;
}

function split(path: string): { folder: string; base: string } {
  const cut = path.lastIndexOf("/");
  return { folder: path.slice(0, Math.max(cut, 0)), base: path.slice(cut + 1) };
}

function findFiles(files: SourceFile[]): Found {
  const visible = files.filter(
    ({ path }) => !path.split("/").some((part) => part.startsWith(".") || part === "__MACOSX"),
  );
  const weights = visible.filter(({ path }) => /\.safetensors$/i.test(path));
  const first = weights[0];
  if (!first) throw noWeights(visible);
  if (weights.some(({ path }) => /-\d{5}-of-\d{5}\.safetensors$/i.test(path))) {
    throw new Failure({
      code: "bad-model",
      what: "The model is split over several safetensors files.",
      where: first.path,
      remedy: "Save it as one file, e.g. save_pretrained(..., max_shard_size='100GB').",
    });
  }
  if (weights.length > 1) {
    const some = weights.slice(0, 4).map(({ path }) => quoted(path));
    throw new Failure({
      code: "bad-model",
      what: `There are ${weights.length} safetensors files: ${some.join(", ")}${weights.length > 4 ? ", ..." : ""}.`,
      remedy: "Choose one model: a folder with a single safetensors file, or that file with its config.json.",
    });
  }
  const { folder, base } = split(first.path);
  const beside = (name: string): SourceFile | undefined => {
    const same = visible.filter(({ path }) => path === (folder ? `${folder}/${name}` : name));
    if (same.length > 1) {
      throw new Failure({
        code: "bad-model",
        what: `There are ${same.length} files of this name.`,
        where: name,
        remedy: "Choose the one that belongs to the model.",
      });
    }
    return same[0];
  };
  return {
    name: split(folder).base || base.replace(/\.safetensors$/i, ""),
    weights: first,
    config: beside("config.json"),
    preprocessor: beside("preprocessor_config.json"),
    adapterConfig: beside("adapter_config.json"),
  };
}

function noWeights(files: SourceFile[]): Failure {
  const pickle = files.find(({ path }) => /\.(bin|pth?|ckpt)$/i.test(path));
  if (pickle) {
    return new Failure({
      code: "bad-model",
      what: "This is a PyTorch file, which may run code when it is read; only safetensors are read.",
      where: pickle.path,
      remedy: "Save it as safetensors, e.g. model.save_pretrained(...) of transformers.",
    });
  }
  return new Failure({
    code: "bad-model",
    what:
      files.length === 0 ? "There are no files." : `None of the ${files.length} files is a safetensors file.`,
    remedy: "Choose model.safetensors with its config.json and preprocessor_config.json, or their folder.",
  });
}

async function readJson({ path, blob }: SourceFile): Promise<Record<string, unknown>> {
  if (blob.size > MAX_JSON) {
    throw new Failure({
      code: "bad-file",
      what: `The file has ${blob.size} bytes; a configuration has at most ${MAX_JSON}.`,
      where: path,
      remedy: "Choose the file that was saved with the model.",
    });
  }
  return parseJsonObject(new TextDecoder().decode(await readBytes(blob, path)), path);
}

type Named = { name: string }[];

// Adapters show in their names, other kinds of model in config.json; both before any shape is looked at.
async function refuseOthers(
  tensors: Named,
  config: Record<string, unknown> | null,
  configPath: string,
  found: Found,
  table: TensorRow[],
): Promise<void> {
  if (tensors.some(({ name }) => /\.lora_([AB]|up|down)\b/.test(name.slice(0, 300)))) {
    const adapter = found.adapterConfig ? await readJson(found.adapterConfig) : null;
    const base = adapter?.base_model_name_or_path;
    const named = typeof base === "string" && base !== "" ? ` for ${quoted(base)}` : "";
    throw new BadCheckpoint(
      table,
      `This is a LoRA adapter${named}, not a whole model.`,
      found.weights.path,
      "Choose the base model itself, or merge the adapter into it first.",
    );
  }
  const type = config?.model_type;
  if (typeof type === "string" && type !== "vit" && type !== "deit") {
    const looks = recognise(tensors.map(({ name }) => name));
    throw new BadCheckpoint(
      table,
      `The model is of type ${quoted(type)}${looks ? `; its tensors look like ${looks}` : ""}.`,
      configPath,
      HF_NAMES,
    );
  }
}

function unknownModel(tensors: Named, found: Found, table: TensorRow[]): BadCheckpoint {
  const looks = recognise(tensors.map(({ name }) => name));
  const some = tensors.slice(0, 2).map(({ name }) => quoted(name));
  const what = looks
    ? `This looks like ${looks}.`
    : `These tensors belong to no network that is known here (the first: ${some.join(", ") || "none"}).`;
  return new BadCheckpoint(table, what, found.weights.path, HF_NAMES);
}

function refuseUnfit(vit: HfVit, found: Found, table: TensorRow[]): void {
  const lines = [
    ...vit.contradictions,
    ...[...vit.problems].map(([name, problem]) => `${quoted(name)} ${problem}.`),
  ];
  if (lines.length === 0) return;
  const shown = lines.slice(0, 3).join(" ");
  const more = lines.length > 3 ? ` And ${lines.length - 3} more.` : "";
  throw new BadCheckpoint(
    [...table, ...vit.missing],
    `The tensors do not make up a ViT. ${shown}${more}`,
    found.weights.path,
    "Check that config.json belongs to this file and that the download was complete.",
  );
}

// 64 wide each, as Ti, S, B, L and H have it; a narrower network has at least one.
function usualHeads(hiddenSize: number): number {
  const wanted = Math.max(1, Math.round(hiddenSize / 64));
  for (let heads = wanted; heads > 1; heads--) if (hiddenSize % heads === 0) return heads;
  return 1;
}

function checkHeads(heads: number, hiddenSize: number, where: string): void {
  if (Number.isInteger(heads) && heads >= 1 && hiddenSize % heads === 0) return;
  throw new Failure({
    code: "bad-model",
    what: `The width ${hiddenSize} cannot be shared by ${heads} attention heads.`,
    where,
    remedy: `Give a number that divides ${hiddenSize}.`,
  });
}

// Rows without a name get transformers' own stand-in; the table says so.
function nameClasses(classes: number, labels: Map<number, string> | undefined, table: TensorRow[]): string[] {
  const names = Array.from({ length: classes }, (_, i) => labels?.get(i) ?? `LABEL_${i}`);
  const named = labels ? names.filter((_, i) => labels.has(i)).length : 0;
  const row = table.find(({ role }) => role === "head.weight");
  if (row && (named < classes || (labels?.size ?? 0) > classes)) {
    row.problem =
      labels === undefined
        ? "No config.json names the classes; they are called LABEL_0, LABEL_1, ..."
        : `config.json names ${labels.size} classes, the classifier has ${classes}; the rest are called LABEL_...`;
  }
  return names;
}
