// Which of the files in a drop are the model. What each library and tool calls its files is a table here; of several
// models the one is taken that from_pretrained would take, and where nothing tells, somebody is asked.
import { Failure } from "../failure.ts";
import type { SourceFile } from "../source_file.ts";
import { noWeights } from "./file_kinds.ts";
import { noSuch } from "./fit.ts";
import { quoted } from "./json.ts";
import { weightsEnding } from "./model_store.ts";
import type { OpenQuestion } from "./types.ts";

/** Name of a classifier that stands beside its backbone. */
export const classifierFile = "classifier.safetensors";

/** One model's weights: a file, or shards with or without the index that names them. */
export interface WeightFiles {
  /** The file, the index, or the first shard: what the model is called by. */
  main: SourceFile;
  index: SourceFile | null;
  /** The file, or the shards where no index names them. */
  parts: SourceFile[];
}

export interface ChosenFiles extends WeightFiles {
  notes: string[];
  questions: OpenQuestion[];
}

/** What training and serving tools leave beside the weights under a weight's ending. */
const notWeights =
  /^(training_args|optimizer\w*|scheduler\w*|sampler\w*|scaler\w*|dl_state_dict\w*|rng_state\w*|random_states\w*|custom_checkpoint\w*|openvino\w*|\w*zero_pp_rank\w*|\w*optim_states|merges|events\..*|latest|pytorch_lora_weights|ip[-_]adapter\w*)\.(bin|pth?|ckpt|safetensors)$/i;

/** Names in the order in which they are taken; what no line knows comes between the last two. */
const usual: readonly RegExp[] = [
  /^model\.safetensors$/,
  /^model\.safetensors\.index\.json$/,
  /^pytorch_model\.bin$/,
  /^pytorch_model\.bin\.index\.json$/,
  /^open_clip_(pytorch_)?model\.(safetensors|bin)$/,
  /^(model|pytorch_model)\.\w+$/,
];
/** Second copies: of another precision, of an adapter, the second model of a script. */
const secondary =
  /^(adapter_model|adapter)\.|^(pytorch_)?model_\d+\.|\.(fp16|bf16|fp32|int8|non_ema|ema|flax|tf|onnx)\.(safetensors|bin)(\.index\.json)?$|\.index\.(fp16|bf16|non_ema)\.json$/;

const indexEnding = /\.(safetensors|bin|pth?)\.index(\.\w+)?\.json$/i;
const shardEnding = /-(\d{5})-of-(\d{5})(\.\w+)?\.\w+$/;

export function split(path: string): { folder: string; base: string } {
  const cut = path.lastIndexOf("/");
  return { folder: path.slice(0, Math.max(cut, 0)), base: path.slice(cut + 1) };
}

/** A file's name without what a second download or copy put into it, in small letters. */
export const plainName = (base: string): string =>
  base.replace(/( \(\d+\)| ?- ?(copy|kopie|copie)( \(\d+\))?| copy( \d+)?)(?=(\.\w+)+$)/i, "").toLowerCase();

const rankOf = ({ main }: WeightFiles): number => {
  const name = plainName(split(main.path).base);
  const rank = usual.findIndex((pattern) => pattern.test(name));
  return secondary.test(name) ? usual.length + 1 : rank < 0 ? usual.length : rank;
};

/**
 * Finds the one model among `files`.
 * @param chosen its path, or the path with a colon and more, where somebody chose
 * @throws Failure `bad-model` where there are no weights, or none of the name that was chosen
 */
export function chooseFiles(files: readonly SourceFile[], chosen: string | undefined): ChosenFiles {
  const models = modelsIn(files);
  if (models.length === 0) throw noWeights(files.map(({ path }) => path));
  const named = models.filter(({ main }) => chosen === main.path || chosen?.startsWith(`${main.path}:`));
  if (named[0])
    return { ...named[0], notes: [`The weights are those of ${quoted(named[0].main.path)}.`], questions: [] };

  // What lies nearest to the top is the model; folders within it hold other states and formats of it.
  const depthOf = ({ main }: WeightFiles) => main.path.split("/").length;
  const depth = Math.min(...models.map(depthOf));
  const nearest = models.filter((model) => depthOf(model) === depth);
  const rank = Math.min(...nearest.map(rankOf));
  const best = nearest.filter((model) => rankOf(model) === rank).sort(byPath);
  const first = best[0] as WeightFiles;
  // Files in folders side by side are models of their own, whatever they are called.
  const folders = new Set(nearest.map(({ main }) => split(main.path).folder));
  const open = folders.size > 1 ? nearest.filter(isBestOfFolder(nearest)).sort(byPath) : best;
  const others = models.filter((model) => model !== first).map(({ main }) => quoted(main.path));
  if (others.length === 0) return { ...first, notes: [], questions: [] };
  if (open.length === 1) {
    return {
      ...first,
      notes: [`The weights are those of ${quoted(first.main.path)}, not of ${some(others)}.`],
      questions: [],
    };
  }
  const choices = open.map(({ main }) => main.path);
  if (chosen !== undefined) throw noSuch(chosen, choices, split(first.main.path).folder || first.main.path);
  // The last of a training's states comes last.
  const last = open.at(-1) as WeightFiles;
  const question: OpenQuestion = {
    key: "weights",
    question: `Which model is meant? There are ${choices.length}: ${some(choices.map(quoted))}.`,
    usual: last.main.path,
    choices,
    open: true,
  };
  return { ...last, notes: [], questions: [question] };
}

const some = (words: readonly string[]) =>
  words.length > 4 ? `${words.slice(0, 4).join(", ")} and ${words.length - 4} more` : words.join(", ");

const byPath = (a: WeightFiles, b: WeightFiles) =>
  a.main.path.localeCompare(b.main.path, "en", { numeric: true });

const isBestOfFolder = (models: readonly WeightFiles[]) => (model: WeightFiles) => {
  const { folder } = split(model.main.path);
  const here = models.filter(({ main }) => split(main.path).folder === folder).sort(byPath);
  const rank = Math.min(...here.map(rankOf));
  return here.filter((other) => rankOf(other) === rank).includes(model);
};

/** Whether a file's name is one that a model's weights have. */
export function isWeights(path: string): boolean {
  const base = plainName(split(path).base);
  return weightsEnding.test(path) && !notWeights.test(base) && base !== classifierFile;
}

/** Every file of weights, shards together as one model. */
function modelsIn(files: readonly SourceFile[]): WeightFiles[] {
  const indexes = files.filter(({ path }) => indexEnding.test(path));
  const weights = files.filter(({ path }) => isWeights(path));
  const groups = new Map<string, SourceFile[]>();
  for (const file of weights) {
    const key = file.path.replace(shardEnding, (_, __, count: string) => `-of-${count}`);
    groups.set(key, [...(groups.get(key) ?? []), file]);
  }
  const models: WeightFiles[] = indexes.map((index) => ({ main: index, index, parts: [] }));
  for (const parts of groups.values()) {
    parts.sort((a, b) => (a.path < b.path ? -1 : 1));
    const main = parts[0] as SourceFile;
    const { folder } = split(main.path);
    const isShard = shardEnding.test(main.path);
    // Shards are their index's, where there is one.
    if (isShard && indexes.some(({ path }) => split(path).folder === folder)) continue;
    if (isShard) requireAll(parts, main);
    models.push({ main, index: null, parts });
  }
  // An index whose shards are not here is of no use beside a whole file.
  const whole = models.some(({ index }) => index === null);
  const shards = files.some(({ path }) => shardEnding.test(path));
  return whole && !shards ? models.filter(({ index }) => index === null) : models;
}

/** Without an index, the names say how many shards there should be. */
function requireAll(parts: readonly SourceFile[], main: SourceFile): void {
  const [, , count] = shardEnding.exec(main.path) as RegExpExecArray;
  const here = new Set(parts.map(({ path }) => Number(shardEnding.exec(path)?.[1])));
  const missing = Array.from({ length: Math.min(Number(count), 1000) }, (_, i) => i + 1).filter(
    (n) => !here.has(n),
  );
  if (missing.length === 0) return;
  throw new Failure({
    code: "bad-model",
    what: `The model is split over ${Number(count)} files, and ${missing.length} of them ${missing.length === 1 ? "is" : "are"} not here: number ${missing.slice(0, 5).join(", ")}.`,
    where: main.path,
    remedy: "Choose all of its files together, with their index, or their folder.",
  });
}
