// The door of this room: dropped files become a checked Checkpoint, or a Failure that says what is wrong with them.
// Only headers and the small JSON files are read here; weights are read one at a time when asked for.
import { z } from "zod";
import { Failure } from "../failure.ts";
import type { SourceFile } from "../source_file.ts";
import { type ModelConfig, parseWith, readModelConfig } from "./config.ts";
import { dtypeBytes, firstNonFinite, isWeightDtype, requireWeightDtype, toF32 } from "./dtypes.ts";
import { families } from "./families/index.ts";
import { type Fit, fitNetwork, unwrapped } from "./fit.ts";
import { parseJsonObject, quoted } from "./json.ts";
import { type Match, NOT_USED, problemsOf, rolesOf } from "./match.ts";
import { type JsonFile, type ModelFiles, readModelFiles } from "./model_files.ts";
import { openClipPreprocessor, readOpenClipConfig } from "./open_clip_config.ts";
import { featureSize, type Pooling, poolings, poolingsOf } from "./pooling.ts";
import { placePositions, resizePositions } from "./positions.ts";
import { endingSize, readPreprocessing } from "./preprocessing.ts";
import { type Recognised, recognise, recogniseFirst, recogniseOther, type Shown } from "./recognise.ts";
import { readBytes } from "./safetensors.ts";
import { isTimmConfig, readTimmConfig, timmInputSize, timmPreprocessor } from "./timm_config.ts";
import { wholeModule } from "./torch_values.ts";
import type {
  Architecture,
  Checkpoint,
  ModelAnswers,
  NamedTensor,
  OpenQuestion,
  Piece,
  Role,
  TensorHead,
  TensorRow,
  Weights,
} from "./types.ts";

const KNOWN =
  "Choose a Vision Transformer that transformers, timm, torchvision or OpenCLIP saved, or an original DINO, DINOv2, DINOv3, iBOT, MAE, MoCo v3, MSN or I-JEPA.";
/** The largest images that are prepared. */
const MAX_IMAGE = 4096;
/** Above this, a training step is slow enough to ask whether the person wants it so. */
const LARGE_IMAGE = 400;

const triple = z.tuple([
  z.number().min(-10).max(10),
  z.number().min(-10).max(10),
  z.number().min(-10).max(10),
]);
const answersSchema = z.object({
  weights: z.string().max(10_000).optional(),
  heads: z.int().min(1).max(4096).optional(),
  activation: z.enum(["gelu", "gelu_tanh", "quick_gelu"]).optional(),
  layerNormEps: z.number().positive().max(1).optional(),
  imageSize: z.int().min(1).max(MAX_IMAGE).optional(),
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
 * Opens a model folder or its loose files (model_files.ts). `answers` stand above what the files say; what neither says
 * comes back as questions, with the usual value in use. Throws Failure, or BadCheckpoint where the file is sound but its
 * tensors are of no family that is known.
 */
export async function openCheckpoint(files: SourceFile[], answers: ModelAnswers): Promise<Checkpoint> {
  parseWith(answersSchema, answers, "answers");
  return describe(await readModelFiles(files, answers.weights), answers);
}

async function describe(found: ModelFiles, answers: ModelAnswers): Promise<Checkpoint> {
  const { weights, classifier } = found;
  const { metadata, where } = weights;
  // A folder of the Hub may hold one CLIP in both libraries' names, with a config for each.
  const visual = weights.tensors.some(({ name }) => /(^|\.)visual\./.test(name));
  const foreign = found.config && !visual ? null : found.openClipConfig;
  const configPath = (foreign ?? found.config)?.path ?? "config.json";
  refuseOthers(found);
  const config = found.config?.json ?? null;
  const timm = config !== null && !foreign && isTimmConfig(config);
  const said = foreign
    ? readOpenClipConfig(foreign.json, configPath)
    : config && (timm ? readTimmConfig(config, configPath) : readModelConfig(config, configPath));
  const origin = `${found.name}/${said?.nameOrPath ?? ""}`;
  const fitted = fitNetwork(weights.tensors, { config: said, origin, where, chosen: found.chosen });
  if (!fitted) throw unknownModel(found);
  const { match, inside, beside } = fitted;
  const apart = classifier && attachClassifier(match, classifier);
  const table: TensorRow[] = [
    ...[...inside].map(([name, tensor]) => ({
      ...rowOf(tensor, match.problems.get(name) ?? match.remarks.get(name) ?? null),
      name,
      role: rolesOf(match.uses.get(name) ?? []),
    })),
    ...beside.map((tensor) => rowOf(tensor, NOT_USED)),
    ...(classifier?.tensors ?? []).map((tensor) => ({
      ...rowOf(tensor, null),
      role: rolesOf(match.uses.get(tensor.name) ?? []),
    })),
  ];
  refuseUnfit(fitted, found, table);

  const questions: OpenQuestion[] = [...found.questions, ...fitted.questions];
  const byTimm = timm && !found.preprocessor;
  const ends = byTimm
    ? timmInputSize(config, configPath)
    : ((found.preprocessor && endingSize(found.preprocessor.json, found.preprocessor.path)) ??
      (match.positions === null ? (said?.imageSize ?? null) : null));
  const imageSize = settleImageSize(match, answers, ends, where, questions);
  if (match.roles.has("pos_embed") || match.positions === null) {
    const patches = (imageSize / match.shapes.patchSize) ** 2;
    match.roles.set("pos_embed", [match.shapes.prefixTokens + patches, match.shapes.hiddenSize]);
  }
  const named = apart?.labels && new Map(apart.labels.entries());
  const stated = named ? { architectures: [], ...said, labels: named } : said;
  const settled = settle(match, stated, answers, imageSize, configPath, table, questions);
  const architecture = apart ? { ...settled, pooling: apart.pooling } : settled;
  const preprocessor: Pick<JsonFile, "path" | "json"> | null = byTimm
    ? { path: configPath, json: timmPreprocessor(config, configPath, imageSize) ?? {} }
    : found.preprocessor || !foreign
      ? found.preprocessor
      : { path: configPath, json: openClipPreprocessor(foreign.json, configPath, imageSize) };
  const prepared = readPreprocessing(
    preprocessor?.json ?? null,
    preprocessor?.path ?? "preprocessor_config.json",
    architecture,
    origin,
    answers,
  );
  const tensors = [...(await findTensors(fitted, weights)), ...(await findAll(classifier))];
  return {
    name: found.name,
    architecture,
    preprocessing: prepared.preprocessing,
    questions: [...questions, ...prepared.questions],
    notes: [...found.notes, ...weights.notes, ...fitted.notes, ...roundingNotes(match, tensors)],
    table,
    ...reader(match, tensors, where, imageSize / match.shapes.patchSize),
    source: {
      tensors: tensors.map((tensor) => ({
        ...tensor,
        pieces: match.uses.get(tensor.name) ?? [],
        carried: isCarried(match, tensor.name),
      })),
      leftOut: weights.tensors.length + (classifier?.tensors.length ?? 0) - tensors.length,
      metadata,
      config: foreign?.json ?? config,
      configFloats: (foreign ?? found.config)?.floats ?? new Set(),
      preprocessorConfig: found.preprocessor?.json ?? null,
      prefix: match.prefix,
      positions: match.positions,
    },
  };
}

/** What is rounded as it is read. */
function roundingNotes({ uses }: Match, tensors: readonly Pick<NamedTensor, "name" | "dtype">[]): string[] {
  const wide = tensors.filter(({ name, dtype }) => dtype === "F64" && uses.has(name)).length;
  if (wide === 0) return [];
  const them = wide === 1 ? "One tensor is" : `${wide} tensors are`;
  return [`${them} stored as F64 and rounded to F32, in which everything is computed.`];
}

function rowOf({ name, shape, dtype }: TensorHead, problem: string | null): TensorRow {
  const bytes = shape.reduce((a, b) => a * b, dtypeBytes.get(dtype) ?? 0);
  return { name, shape, dtype, bytes, role: null, problem };
}

/** The network's tensors with their bytes, and those that an export carries over, by the names they have in it. */
async function findTensors({ match, inside }: Fit, weights: Weights): Promise<NamedTensor[]> {
  const found: NamedTensor[] = [];
  for (const [name, tensor] of inside) {
    if (match.uses.has(name) || isCarried(match, name)) found.push({ ...(await weights.find(tensor)), name });
  }
  return found;
}

async function findAll(weights: Weights | null): Promise<NamedTensor[]> {
  return Promise.all((weights?.tensors ?? []).map((tensor) => (weights as Weights).find(tensor)));
}

function isCarried({ table, prefix }: Match, name: string): boolean {
  return table.carried?.test(name.startsWith(prefix) ? name.slice(prefix.length) : name) ?? false;
}

/** The edge of the images: as answered, else as the files have it. A network whose library interpolates positions while
 *  it runs, or that has rotary ones, takes what its preprocessor ends in (`ends`); any other what its positions are for. */
function settleImageSize(
  { table, shapes, positions }: Match,
  answers: ModelAnswers,
  ends: number | null,
  where: string,
  questions: OpenQuestion[],
): number {
  const { patchSize } = shapes;
  const grid = positions ? positions.side * patchSize : null;
  const anySize = table.positions === null || table.positions.atRuntime;
  const usual = Math.min(
    grid ?? MAX_IMAGE,
    Math.floor(table.usual.imageSize / patchSize) * patchSize || patchSize,
  );
  const fits = ends !== null && ends % patchSize === 0;
  const found = anySize ? (fits ? ends : usual) : (grid as number);
  const size = answers.imageSize ?? found;
  if (size % patchSize !== 0 || size > MAX_IMAGE || size < patchSize) {
    throw new Failure({
      code: "bad-model",
      what: `Images of ${size} x ${size} cannot be cut into patches of ${patchSize}.`,
      where: answers.imageSize === undefined ? where : "imageSize",
      remedy: `Give a multiple of ${patchSize} up to ${MAX_IMAGE}.`,
    });
  }
  if (answers.imageSize === undefined && (size > LARGE_IMAGE || (anySize && !fits && size !== grid))) {
    questions.push({
      key: "imageSize",
      question:
        size > LARGE_IMAGE
          ? `The network was trained on ${size} x ${size}, which is ${(size / patchSize) ** 2} patches an image and slow. At what size should images enter? Any multiple of ${patchSize} will do.`
          : `At what size do images enter the network? Any multiple of ${patchSize} will do; ${grid === null ? "the files do not say" : `its positions are for ${grid} x ${grid}, and its library resizes them`}.`,
      usual: String(size),
    });
  }
  return size;
}

/** The whole architecture: what shapes say, what config.json says, what was answered, and else the family's usual. */
function settle(
  match: Match,
  said: ModelConfig | null,
  answers: ModelAnswers,
  imageSize: number,
  configPath: string,
  table: TensorRow[],
  questions: OpenQuestion[],
): Architecture {
  const { usual, family, title } = match.table;
  const { shapes, classes } = match;
  const choose = <K extends "heads" | "activation" | "layerNormEps">(
    key: K,
    fallback: NonNullable<ModelAnswers[K]>,
    question: string,
    choices?: string[],
  ): NonNullable<ModelAnswers[K]> => {
    const known = answers[key] ?? said?.[key];
    if (known !== undefined) return known as NonNullable<ModelAnswers[K]>;
    questions.push({ key, question, usual: String(fallback), ...(choices ? { choices } : {}) });
    return fallback;
  };
  const heads = choose(
    "heads",
    usual.heads?.(shapes.hiddenSize) ?? usualHeads(shapes.hiddenSize),
    "How many attention heads? The files do not say; most ViTs have one for every 64 of the width.",
  );
  checkHeads(heads, shapes.hiddenSize, answers.heads === undefined ? configPath : "heads");
  if (shapes.gatedMlp ? said?.activation && family === "hf-dinov3" : said?.silu) {
    throw new Failure({
      code: "bad-model",
      what: `The MLP ${shapes.gatedMlp ? "is gated but not by silu" : "uses silu without a gate"}, which no ViT here is known to do.`,
      where: configPath,
      remedy: "Check that config.json belongs to these tensors.",
    });
  }
  // A gated MLP has silu, whatever a config says of other MLPs.
  const activation = shapes.gatedMlp
    ? usual.activation
    : choose(
        "activation",
        usual.activation,
        `Which activation does the MLP use? The files do not say; ${usual.activationBy ?? `${title} usually has ${usual.activation}`}.`,
        ["gelu", "gelu_tanh", "quick_gelu"],
      );
  const layerNormEps = choose(
    "layerNormEps",
    usual.layerNormEps,
    `Which epsilon do the layer norms use? The files do not say; ${usual.layerNormEpsBy}.`,
  );
  return {
    family,
    imageSize,
    ...shapes,
    heads,
    activation,
    layerNormEps,
    ...(usual.ropeBase === undefined ? {} : { ropeBase: said?.ropeBase ?? usual.ropeBase }),
    pooling: poolingOf(match, said),
    distillationHead: match.roles.has("head_dist.weight"),
    labels: classes === null ? null : nameClasses(classes, said?.labels, table),
  };
}

/** timm's config says what a classifier reads; a final norm called `fc_norm` comes after the mean. */
function poolingOf({ table, features, roles }: Match, said: ModelConfig | null): Pooling {
  if (features.has("fcNorm")) return "mean-norm";
  if (said?.globalPool === "token") return "cls";
  if (said?.globalPool === "avg") return "mean";
  return typeof table.pooling === "function" ? table.pooling((role) => roles.has(role)) : table.pooling;
}

const headMetadata = z.object({
  pooling: z.enum(poolings).optional(),
  labels: z.array(z.string().max(10_000)).max(100_000).optional(),
});

/** Adds a classifier that is a file of its own; its metadata says what it reads and what its rows are called. */
function attachClassifier(
  match: Match,
  { tensors, metadata, where }: Weights,
): { pooling: Pooling; labels: string[] | undefined } {
  const refuse = (what: string): never => {
    throw new Failure({
      code: "bad-model",
      what,
      where,
      remedy: "Use the classifier that was exported with this model, or leave it out.",
    });
  };
  if (match.classes !== null) refuse("The model has a classifier already, and this file holds another one.");
  const stated = metadata.selora === undefined ? {} : parseJsonObject(metadata.selora, where);
  const { pooling, labels } = parseWith(headMetadata, stated, where);
  const reads = pooling ?? poolingOf(match, null);
  if (!poolingsOf(match.shapes).includes(reads)) refuse(`It reads "${reads}", which this model cannot give.`);
  const weight = tensors.find(({ name }) => name === "classifier.weight");
  const bias = tensors.find(({ name }) => name === "classifier.bias");
  const classes = weight?.shape[0] ?? 0;
  const features = featureSize(match.shapes, reads);
  const fits = (tensor: TensorHead | undefined, shape: number[]) =>
    tensor?.shape.join() === shape.join() && isWeightDtype(tensor.dtype);
  if (classes === 0 || !fits(weight, [classes, features]) || !fits(bias, [classes]) || tensors.length !== 2) {
    refuse(
      `It must hold classifier.weight [classes, ${features}] and classifier.bias [classes], and nothing else.`,
    );
  }
  if (labels && labels.length !== classes) refuse(`It names ${labels.length} classes and has ${classes}.`);
  match.classes = classes;
  for (const [part, shape] of [
    ["weight", [classes, features]],
    ["bias", [classes]],
  ] as const) {
    const count = shape.reduce((a, b) => a * b, 1);
    match.roles.set(`head.${part}`, [...shape]);
    match.uses.set(`classifier.${part}`, [{ role: `head.${part}`, at: 0, into: 0, count }]);
  }
  return { pooling: reads, labels };
}

/** A piece, and the tensor that holds it. */
type Part = Omit<Piece, "role"> & { tensor: NamedTensor };

/** [rows, columns] -> [columns, rows] */
function transposed(values: Float32Array<ArrayBuffer>, rows: number): Float32Array<ArrayBuffer> {
  const columns = values.length / rows;
  return values.map((_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!);
}

/** What is not finite in f32, for a sentence: an F64 may have been finite. */
function overflowed(dtype: string, value: number): string {
  return dtype === "F64" && !Number.isNaN(value) ? "a number too large for F32" : String(value);
}

/** Reads roles out of the tensors that hold their pieces. */
function reader(
  match: Match,
  tensors: readonly NamedTensor[],
  where: string,
  side: number,
): Pick<Checkpoint, "roles" | "read"> {
  const parts = new Map<Role, Part[]>();
  for (const tensor of tensors) {
    for (const { role, ...range } of match.uses.get(tensor.name) ?? []) {
      const list = parts.get(role) ?? [];
      list.push({ tensor, ...range });
      parts.set(role, list);
    }
  }
  const piece = async ({ tensor, at, count, rows }: Part) => {
    const { name, dtype, bytes, shape } = tensor;
    if (count === 0) return new Float32Array(0);
    const total = shape.reduce((a, b) => a * b, 1);
    const size = bytes.size / total;
    const values = toF32(
      await readBytes(bytes.slice(at * size, (at + count) * size), where),
      requireWeightDtype(dtype, name),
    );
    const bad = firstNonFinite(values);
    if (bad >= 0) {
      throw new Failure({
        code: "bad-model",
        what: `The tensor ${quoted(name)} holds ${overflowed(dtype, values[bad]!)} at index ${at + bad} of ${total}.`,
        where,
        remedy: "The file is damaged, or training that made it diverged; use another copy.",
      });
    }
    return rows === undefined ? values : transposed(values, rows);
  };
  return {
    roles: new Map(
      [...match.roles].map(([role, shape]) => [
        role,
        { shape, source: (parts.get(role) ?? []).map(({ tensor }) => tensor.name).join(" + ") },
      ]),
    ),
    async read(role) {
      const shape = match.roles.get(role);
      if (!shape) {
        throw new Failure({
          code: "state",
          what: `This model has no ${quoted(role)}.`,
          where,
          remedy: "Load a model that has it.",
        });
      }
      const held = parts.get(role) ?? [];
      const [first] = held;
      const size = held.reduce((sum, { count }) => sum + count, 0) || shape.reduce((a, b) => a * b, 1);
      const values = held.length === 1 && first ? await piece(first) : new Float32Array(size);
      if (held.length > 1) for (const part of held) values.set(await piece(part), part.into);
      if (role !== "pos_embed" || !match.positions || !match.table.positions) return values;
      const { hiddenSize, prefixTokens } = match.shapes;
      const { resize } = match.table.positions;
      const resized = resizePositions(values, match.positions, side, hiddenSize, resize);
      return placePositions(resized, match.positions.covered, prefixTokens, hiddenSize);
    },
  };
}

/** What shows of a model that may have to be refused. @param tensors as far as they are the model's, by its own names */
function shownOf(
  { config, openClipConfig, adapterConfig }: ModelFiles,
  tensors: readonly TensorHead[],
): Shown {
  return {
    tensors,
    config: (config ?? openClipConfig)?.json ?? null,
    adapterConfig: adapterConfig?.json ?? null,
  };
}

function refused(
  { what, remedy = KNOWN }: Recognised,
  table: TensorRow[],
  where: string,
  why = "",
): BadCheckpoint {
  return new BadCheckpoint(table, `This is ${what}${why}; it cannot be used here.`, where, remedy);
}

// Adapters show in their names, other kinds of model in config.json; both before any shape is looked at.
function refuseOthers(found: ModelFiles): void {
  const { weights } = found;
  const table = weights.tensors.map((tensor) => rowOf(tensor, null));
  const shown = shownOf(found, weights.tensors);
  const first = recogniseFirst(shown);
  if (first) throw refused(first, table, weights.where);
  const type = found.config?.json.model_type;
  if (typeof type !== "string" || families.some(({ modelTypes }) => modelTypes.includes(type))) return;
  const kind = recognise(shown) ?? { what: "a model of another kind" };
  throw refused(kind, table, found.config?.path ?? "config.json", ` (its config.json says ${quoted(type)})`);
}

function unknownModel(found: ModelFiles): Failure {
  const { tensors, where, modules } = found.weights;
  if (modules?.[0] !== undefined) return wholeModule(modules[0], where);
  const table = tensors.map((tensor) => rowOf(tensor, null));
  const kind = recognise(shownOf(found, tensors)) ?? recognise(shownOf(found, unwrapped(tensors)));
  if (kind) return refused(kind, table, where);
  const some = tensors.slice(0, 2).map(({ name }) => quoted(name));
  return new BadCheckpoint(
    table,
    `These tensors belong to no network that is known here (the first: ${some.join(", ") || "none"}).`,
    where,
    KNOWN,
  );
}

function refuseUnfit({ match, inside }: Fit, found: ModelFiles, table: TensorRow[]): void {
  const lines = problemsOf(match);
  if (lines.length === 0) return;
  const rows = [...table, ...match.missing];
  const { where } = found.weights;
  const other = recogniseOther(
    shownOf(
      found,
      [...inside].map(([name, tensor]) => ({ ...tensor, name })),
    ),
  );
  if (other) throw refused(other, rows, where);
  const shown = lines.slice(0, 3).join(" ");
  const more = lines.length > 3 ? ` And ${lines.length - 3} more.` : "";
  throw new BadCheckpoint(
    rows,
    `The tensors do not make up ${match.table.title}. ${shown}${more}`,
    where,
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
