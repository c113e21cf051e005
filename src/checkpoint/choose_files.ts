// Which of the files in a drop or a repository are the model. What each library and tool calls its files is a table here; of several
// models the one is taken that from_pretrained would take, and where nothing tells, somebody is asked.
import { Failure } from "../failure.ts";
import { noWeights } from "./file_kinds.ts";
import { noSuch } from "./fit.ts";
import { quoted } from "./json.ts";
import { weightsEnding } from "./model_store.ts";
import type { OpenQuestion } from "./types.ts";

/** Name of a classifier that stands beside its backbone. */
export const classifierFile = "classifier.safetensors";

/** What is read beside weights, where a model has it; a classifier comes as weights. */
export const companions = [
  "config.json",
  "preprocessor_config.json",
  "processor_config.json",
  "open_clip_config.json",
  "adapter_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "vocab.json",
  "merges.txt",
] as const;

/** A file of whose contents nothing is known yet. */
interface Named {
  path: string;
}

/** One model's weights: a file, or shards with or without the index that names them. */
export interface WeightFiles<F extends Named> {
  /** The file, the index, or the first shard: what the model is called by. */
  main: F;
  index: F | null;
  /** The file, or the shards; of those an index names, the ones that are here by their names. */
  parts: F[];
}

export interface ChosenFiles<F extends Named> extends WeightFiles<F> {
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
  /^open_clip_model\.safetensors$/,
  /^pytorch_model\.bin$/,
  /^pytorch_model\.bin\.index\.json$/,
  /^open_clip_(pytorch_)?model\.\w+$/,
  /^(model|pytorch_model)\.\w+$/,
];
/** Second copies: of another precision, of an adapter, the second model of a script. */
const secondary =
  /^(adapter_model|adapter)\.|^(pytorch_)?model_\d+\.|\.(fp16|bf16|fp32|int8|non_ema|ema|flax|tf|onnx)\.(safetensors|bin)(\.index\.json)?$|\.index\.(fp16|bf16|non_ema)\.json$/;

const indexEnding = /\.(safetensors|bin|pth?)\.index(\.\w+)?\.json$/i;
/** What an index is called: of which model, in which format, in which precision. */
const indexName = /^(.*)\.(safetensors|bin|pth?)\.index(?:\.(\w+))?\.json$/;
const shardCount = /-\d{5}-of-\d{5}/;
const shardEnding = /-(\d{5})-of-(\d{5})(\.\w+)?\.\w+$/;

export function split(path: string): { folder: string; base: string } {
  const cut = path.lastIndexOf("/");
  return { folder: path.slice(0, Math.max(cut, 0)), base: path.slice(cut + 1) };
}

/** A file's name without what a second download or copy put into it, in small letters. */
export const plainName = (base: string): string =>
  base.replace(/( \(\d+\)| ?- ?(copy|kopie|copie)( \(\d+\))?| copy( \d+)?)(?=(\.\w+)+$)/i, "").toLowerCase();

const rankOf = ({ main }: WeightFiles<Named>): number => {
  const name = plainName(split(main.path).base);
  const rank = usual.findIndex((pattern) => pattern.test(name));
  return secondary.test(name) ? usual.length + 1 : rank < 0 ? usual.length : rank;
};

/**
 * Finds the one model among `files`.
 * @param chosen its path, or the path with a colon and more, where somebody chose
 * @throws Failure `bad-model` where there are no weights, or none of the name that was chosen
 */
export function chooseFiles<F extends Named>(
  files: readonly F[],
  chosen: string | undefined,
): ChosenFiles<F> {
  const models = modelsIn(files);
  if (models.length === 0) throw noWeights(files.map(({ path }) => path));
  const named = models.filter(({ main }) => chosen === main.path || chosen?.startsWith(`${main.path}:`));
  if (named[0])
    return { ...named[0], notes: [`The weights are those of ${quoted(named[0].main.path)}.`], questions: [] };

  // What lies nearest to the top is the model; folders within it hold other states and formats of it.
  const depthOf = ({ main }: WeightFiles<F>) => main.path.split("/").length;
  const depth = Math.min(...models.map(depthOf));
  const nearest = models.filter((model) => depthOf(model) === depth);
  const rank = Math.min(...nearest.map(rankOf));
  const best = nearest.filter((model) => rankOf(model) === rank && !isCopy(model, nearest)).sort(byPath);
  const first = best[0] as WeightFiles<F>;
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
  const last = open.at(-1) as WeightFiles<F>;
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

const byPath = (a: WeightFiles<Named>, b: WeightFiles<Named>) =>
  a.main.path.localeCompare(b.main.path, "en", { numeric: true });

const isBestOfFolder = (models: readonly WeightFiles<Named>[]) => (model: WeightFiles<Named>) => {
  const { folder } = split(model.main.path);
  const here = models.filter(({ main }) => split(main.path).folder === folder);
  return rankOf(model) === Math.min(...here.map(rankOf)) && !isCopy(model, here);
};

/** Whether the same model lies beside it as safetensors, by its name. */
function isCopy({ main }: WeightFiles<Named>, models: readonly WeightFiles<Named>[]): boolean {
  const twin = main.path.replace(weightsEnding, ".safetensors");
  return twin !== main.path && models.some((other) => other.main.path === twin);
}

/** Whether a file's name is one that a model's weights have. */
export function isWeights(path: string): boolean {
  const base = plainName(split(path).base);
  return weightsEnding.test(path) && !notWeights.test(base) && base !== classifierFile;
}

/** Every file of weights, shards together as one model. */
function modelsIn<F extends Named>(files: readonly F[]): WeightFiles<F>[] {
  const weights = files.filter(({ path }) => isWeights(path));
  const indexed = files
    .filter(({ path }) => indexEnding.test(path))
    .map((index) => ({ main: index, index, parts: shardsOf(index, weights) }));
  const owned = new Set(indexed.flatMap(({ parts }) => parts));
  const groups = new Map<string, F[]>();
  for (const file of weights) {
    if (owned.has(file)) continue;
    const key = file.path.replace(shardEnding, (_, __, count: string) => `-of-${count}`);
    groups.set(key, [...(groups.get(key) ?? []), file]);
  }
  const models: WeightFiles<F>[] = [...indexed];
  for (const parts of groups.values()) {
    parts.sort((a, b) => (a.path < b.path ? -1 : 1));
    const main = parts[0] as F;
    if (shardEnding.test(main.path)) requireAll(parts, main);
    models.push({ main, index: null, parts });
  }
  // An index whose shards are not here is of no use beside weights that are.
  const here = models.filter(({ parts }) => parts.length > 0);
  return here.length > 0 ? here : models;
}

/** The shards that go with an index: those of its own name, else any beside it in its format. */
function shardsOf<F extends Named>({ path }: Named, weights: readonly F[]): F[] {
  const { folder, base } = split(path);
  const [, stem, ending, variant] = indexName.exec(plainName(base)) ?? [];
  const beside = weights.filter(
    (file) =>
      split(file.path).folder === folder &&
      shardEnding.test(file.path) &&
      plainName(file.path).endsWith(`.${ending}`),
  );
  const whole = [stem, variant, ending].filter((part) => part !== undefined).join(".");
  const own = beside.filter((file) => plainName(split(file.path).base).replace(shardCount, "") === whole);
  return own.length > 0 ? own : beside;
}

/** Without an index, the names say how many shards there should be. */
function requireAll(parts: readonly Named[], main: Named): void {
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
