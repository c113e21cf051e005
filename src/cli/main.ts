// The same session from a terminal: finetune, suite, evaluate and inspect. Progress goes to stderr, results to stdout; exit
// codes are in the usage below.
import { debuglog } from "node:util";
import { Failure, type FailureCode } from "../failure.ts";
import { defaultCorruptions } from "../session/corruption_choice.ts";
import { modelSettings } from "../session/model_settings.ts";
import { BadCheckpoint, createNodeSession } from "../session/node.ts";
import type { SessionEvent, TensorRow } from "../session/protocol.ts";
import { recipeSchema, recipeWords } from "../session/recipe.ts";
import { choiceLines } from "./data_sets.ts";
import { evaluate } from "./evaluate.ts";
import { finetune, suite } from "./finetune.ts";
import { inspectData } from "./inspect_data.ts";
import { modelFiles } from "./model_files.ts";
import {
  badArgument,
  kebab,
  modelAnswersFrom,
  parse,
  requireAnswers,
  required,
  type Values,
} from "./options.ts";
import { reporter } from "./reporter.ts";
import { listenForStops, type Stops } from "./stops.ts";
import { print, say } from "./streams.ts";
import { studio } from "./studio.ts";
import { table } from "./table.ts";

const usage = `selora: adapt a Vision Transformer to new images and keep what it knew.

  selora finetune --model MODEL --target DIR --out DIR [--ood NAME=DIR]... [--retention NAME=DIR]...
                  [--keep WEIGHT [--keep-data DIR]...]
                  [--map SET:FOLDER=LABEL]... [--map-file FILE]
                  [--layout [SET=]KIND]... [--domain NAME [--ood-domains]]
                  [--corruptions LIST [--severity N]] [--seeds N] [--trade-off] [--overwrite]
                  [--backend auto|webgpu|wasm] [--json] [model settings] [recipe options]
  selora suite    the same: the standard line-up of methods on one model and data
  selora evaluate --model MODEL --data DIR [--head own|probe|knn|zero-shot] [--backend ...] [--json]
                  [--pooling ...] [--neighbours K] [--prompts ...] [--seed N]
  selora inspect  --model MODEL [--json]
  selora inspect  --data DIR [--layout KIND] [--domain NAME] [--json]
  selora studio   [--port N] [--open]

MODEL is a folder, a file (.safetensors, its index, .pth, .pt, .bin), hf:org/name[@revision] on the Hugging Face Hub,
or the https:// address of a file or folder. What is fetched is kept under ~/.cache/selora/models; HF_TOKEN is the
token for private and gated models, HF_ENDPOINT another server with the Hub's interface.

evaluate scores a model on the folder's test images (validation where there are none, or else all): by its own classifier
(own: class folders named as its labels), a linear probe fitted to the training images (probe), the nearest training
images (knn), or class names through its text tower (zero-shot). Without --head: own where the model has a classifier,
or else zero-shot where it has a text tower, or else knn. A folder without train, val and test folders is all measured
by own and zero-shot; for probe and knn a fifth of each class is drawn to be measured.

--zip-encoding NAME (of finetune, suite and evaluate) says in which encoding names in zips are that do not say it
themselves, e.g. shift_jis, gbk, cp437; without it, it is guessed from all names of a zip, and told.

Folders of images are read as they are laid out: class folders, split folders of any common name around or inside them,
a table of labels (labels.csv, metadata.csv), domains. inspect --data says how a folder is read, without training. Where
only you can know, it is refused with the choices, and answered with --layout KIND (of the target; --layout SET=KIND of
another set) or, where each top folder holds the same classes, --domain NAME: that one is learned. --ood-domains makes
every other domain of the target an OOD set.

--map counts a class of an OOD set as another of the target's, or a class of a retention set as a label of the model's own: its
label, one of its names, or its row's number from 0; no label leaves the class out. SET is the NAME of --ood or --retention, with
evaluate the folder's own. --map-file gives many: lines of set,folder,label (CSV, quotes around fields with commas), or JSON as
{ "set": { "folder": "label" } }. What neither names is matched by itself: by names, retention also by WordNet ids
(n01440764) of ImageNet-1k, and by numbers of rows where folders can be nothing else.

--corruptions adds an OOD set made of the target's held-out images, its accuracy the mean over corruptions: default, all,
a family (noise, blur, weather, digital, style) or names between commas, e.g. gaussian-noise,fog,jpeg. --severity is 1 to
5 [${defaultCorruptions.severity}]. They are ImageNet-C's, and shifts of style, which have no severity.

--trade-off measures the finished run with every number of open blocks, by score, and writes tradeoff.json: accuracy on
at most 256 images a set (of the target validation images), the knee (fewest blocks within one standard error of the
best target accuracy), and the robustness of the run on every OOD set. Not with suite.

--keep WEIGHT holds the network to what it made of the target images before the run, and of every picture in the
folders of --keep-data, which need no classes; what it costs in turning away from that is reported as keep.

studio serves the studio in the browser from this machine, to this machine alone; --open opens a browser on it.

--seeds N runs each recipe with N seeds, from --seed upwards, a folder each; summary.json holds mean and spread.

--out is checked before anything is computed: never a place that is read from, and empty or an earlier export, whose files
the new ones replace as one set (selora.json lists them). --overwrite takes any other folder too: files in the way are moved
into a hidden folder inside, .replaced-DATE, and none is deleted. What --out does not take after all (a full disk) goes into
a folder under TMPDIR, and is told. A run under way is kept there every five minutes (saved_run.json, saved_run.state).

Ctrl-C, SIGTERM and SIGHUP end a run after its step: what it has learned is kept at once, then measured and written.
A second one ends the program.

Exit codes: 0 done; 1 it failed, or its results had to go elsewhere; 2 bad input or arguments, nothing was computed;
130, 143, 129 it was stopped by Ctrl-C, SIGTERM or SIGHUP, and what a run had learned by then is written.
NODE_DEBUG=selora says where in the program something unexpected happened.

Settings of the model, above what its files say:
${Object.entries(modelSettings)
  .map(([key, { explanation, choices }]) => {
    return `  --${kebab(key)} ${choices?.join("|") ?? "VALUE"}\n      ${explanation}`;
  })
  .join("\n")}

Recipe options (defaults in brackets):
${Object.entries(recipeWords)
  .map(([key, { explanation }]) => {
    const value = recipeSchema.parse({})[key as keyof typeof recipeWords];
    return `  --${kebab(key)} [${value}]\n      ${explanation}`;
  })
  .join("\n")}
`;

/** Failures that are the caller's to mend before anything could run. */
const badInput: ReadonlySet<FailureCode> = new Set(["bad-file", "bad-model", "bad-data", "bad-recipe"]);

function tensorTable(rows: readonly TensorRow[]): string {
  return table(
    ["tensor", "shape", "dtype", "role", "problem"],
    rows.map((row) => [row.name, row.shape.join("x"), row.dtype, row.role ?? "", row.problem ?? ""]),
  );
}

async function inspect(values: Values, stops: Stops): Promise<number> {
  if (values.data !== undefined && values.model === undefined) return inspectData(values);
  const session = createNodeSession();
  const answers = modelAnswersFrom(values);
  const files = await modelFiles(required(values, "model"), reporter(values.json === true), stops);
  const report = await session.loadModel(files, answers).catch((error: unknown) => {
    // The tensors of a model that cannot be used are what someone who inspects it came for.
    if (error instanceof BadCheckpoint) {
      print(values.json ? `${JSON.stringify({ table: error.table })}\n` : tensorTable(error.table));
    }
    throw error;
  });
  requireAnswers(report);
  if (values.json) {
    print(`${JSON.stringify(report)}\n`);
    return 0;
  }
  const a = report.architecture;
  print(
    `${report.name}: ${a.family}, ${a.layers} layers, ${a.hiddenSize} wide, ${a.heads} heads, ` +
      `patch ${a.patchSize}, image ${a.imageSize}, ${(report.parameters / 1e6).toFixed(2)} M parameters, ` +
      `${a.labels ? `${a.labels.length} labels` : "no classifier"}\n\n`,
  );
  print(tensorTable(report.table));
  for (const note of report.notes) print(`${note}\n`);
  for (const { question, usual } of report.questions) print(`${question} Usual: ${usual}\n`);
  return 0;
}

/** With NODE_DEBUG=selora, where in the program something unexpected happened. */
const trace = debuglog("selora");

/** Gives the exit code. */
type Command = (values: Values, stops: Stops) => Promise<number>;
const commands = new Map<string, Command>(Object.entries({ finetune, suite, evaluate, inspect, studio }));

/** Runs one command line; returns the exit code. */
export async function main(argv: string[]): Promise<number> {
  const stops = listenForStops();
  try {
    const { values, positionals } = parse(argv);
    if (values.help || positionals.length === 0) {
      print(usage);
      return values.help ? 0 : 2;
    }
    const [name = "", ...rest] = positionals;
    if (rest.length > 0) throw badArgument(`"${rest[0]}" is one word too many.`);
    const command = commands.get(name);
    if (!command) throw badArgument(`There is no command "${name}".`);
    return await command(values as Values, stops);
  } catch (error) {
    const failure = Failure.from(error);
    const { inTerminal, ...parts } = failure.parts;
    // An error in the arguments is thrown before they are known, so the word itself is looked for.
    if (argv.includes("--json")) {
      const told = { ...parts, remedy: inTerminal ?? parts.remedy };
      say(JSON.stringify({ kind: "failure", failure: told } satisfies SessionEvent));
    } else {
      say(failure.terminalMessage);
      if (parts.question) for (const line of choiceLines(parts.question)) say(line);
    }
    const { cause } = failure;
    if (cause instanceof Error) trace("%s", cause.stack);
    if (parts.code === "cancelled" && stops.by) return stops.code;
    return badInput.has(parts.code) ? 2 : 1;
  } finally {
    stops.end();
  }
}
