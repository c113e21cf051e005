// The same session from a terminal: finetune and inspect. Progress goes to stderr, results to stdout; exit codes are
// 0 done, 1 the run failed, 2 bad input or arguments.
import { mkdir, stat, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { Failure, type FailureCode } from "../failure.ts";
import { BadCheckpoint, createNodeSession, walk } from "../session/node.ts";
import type {
  BackendChoice,
  Evaluation,
  Session,
  SessionEvent,
  SourceFile,
  TensorRow,
} from "../session/protocol.ts";
import { recipeSchema, recipeWords } from "../session/recipe.ts";
import { table } from "./table.ts";

const usage = `selora: adapt a Vision Transformer to new images and keep what it knew.

  selora finetune --model DIR|FILE --target DIR --out DIR [--ood NAME=DIR]... [--retention NAME=DIR]...
                  [--backend auto|webgpu|wasm] [--json] [recipe options]
  selora inspect  --model DIR|FILE [--json]

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

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function badArgument(what: string): Failure {
  return new Failure({ code: "bad-recipe", what, remedy: "Run `selora --help` for the options." });
}

const stringOption = { type: "string" } as const;

function parse(argv: string[]) {
  const recipeOptions = Object.fromEntries(Object.keys(recipeWords).map((key) => [kebab(key), stringOption]));
  try {
    return parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        ...recipeOptions,
        model: stringOption,
        target: stringOption,
        out: stringOption,
        backend: stringOption,
        ood: { type: "string", multiple: true },
        retention: { type: "string", multiple: true },
        json: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    throw badArgument(error instanceof Error ? error.message : String(error));
  }
}

type Values = Record<string, string | boolean | string[] | undefined>;

function required(values: Values, name: string): string {
  const value = values[name];
  if (typeof value !== "string") throw badArgument(`--${name} is missing.`);
  return value;
}

/** The recipe out of the options; numbers are numbers, words are words, bounds are the recipe's own. */
function recipeFrom(values: Values) {
  const given: Record<string, unknown> = {};
  for (const key of Object.keys(recipeWords) as (keyof typeof recipeWords)[]) {
    const text = values[kebab(key)];
    if (typeof text !== "string") continue;
    given[key] =
      typeof recipeSchema.parse({})[key] === "number"
        ? text.trim() === ""
          ? Number.NaN
          : Number(text)
        : text;
  }
  const result = recipeSchema.safeParse(given);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw badArgument(`--${kebab(String(issue?.path[0] ?? "option"))}: ${issue?.message}.`);
}

function named(entry: string, option: string): [name: string, path: string] {
  const at = entry.indexOf("=");
  if (at < 1) throw badArgument(`--${option} takes NAME=DIR, got "${entry}".`);
  return [entry.slice(0, at), entry.slice(at + 1)];
}

/** A model's files: a folder, or one file and the two that belong beside it. */
async function modelFiles(path: string): Promise<SourceFile[]> {
  const files = await walk(path);
  if (!(await stat(path)).isFile()) return files;
  for (const name of ["config.json", "preprocessor_config.json"]) {
    const beside = join(dirname(path), name);
    if (await stat(beside).catch(() => null)) files.push(...(await walk(beside)));
  }
  return files;
}

/** Makes the folder for the results before the long work, not after it. */
async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true }).catch((cause: NodeJS.ErrnoException) => {
    throw badArgument(`--out cannot be made a folder (${cause.code ?? cause.message}).`);
  });
}

function backendFrom(values: Values): BackendChoice {
  const choice = values.backend ?? "auto";
  if (choice === "auto" || choice === "webgpu" || choice === "wasm") return choice;
  throw badArgument(`--backend is auto, webgpu or wasm, got "${choice}".`);
}

const say = (text: string) => process.stderr.write(`${text}\n`);

/** A remark on stderr that comes from no event. */
function remark(text: string, json: boolean): void {
  say(json ? JSON.stringify({ kind: "notice", text } satisfies SessionEvent) : text);
}

/** What happens, a line each on stderr; with --json one object a line. */
function report(session: Session, json: boolean) {
  const started = performance.now();
  let lastLine = 0;
  session.subscribe((event: SessionEvent) => {
    if (json) {
      // Typed arrays print as objects; as plain lists they are readable by anything.
      const plain = (_: string, value: unknown) =>
        ArrayBuffer.isView(value) ? Array.from(value as unknown as ArrayLike<number>) : value;
      if (event.kind !== "before") say(JSON.stringify(event, plain));
      return;
    }
    const now = performance.now();
    const seconds = ((now - started) / 1000).toFixed(0).padStart(5);
    if (event.kind === "step") {
      const r = event.report;
      say(
        `${seconds} s  step ${r.step}/${r.steps}  ${r.phase.padEnd(9)}  loss ${r.loss.toFixed(4)}  open ${r.open}  ` +
          `${r.imagesPerSecond.toFixed(1)} images/s  ${Math.round(r.secondsLeft)} s left`,
      );
    } else if (event.kind === "accuracy") {
      const sets = event.point.sets.map((s) => `${s.name} ${(100 * s.accuracy).toFixed(1)} %`).join("  ");
      say(`${seconds} s  epoch ${event.point.epoch}  ${sets}`);
    } else if (event.kind === "progress" && (event.done === event.total || now - lastLine > 5000)) {
      lastLine = now;
      say(`${seconds} s  ${event.label} ${event.done}/${event.total}`);
    } else if (event.kind === "notice") {
      say(`${seconds} s  ${event.text}`);
    }
  });
}

function metrics(evaluation: Evaluation) {
  return evaluation.sets.map((s) => ({
    role: s.role,
    name: s.name,
    count: s.count,
    correct: s.correct,
    accuracy: s.accuracy,
    interval: s.interval,
    perClass: s.perClass,
  }));
}

async function finetune(values: Values): Promise<void> {
  const recipe = recipeFrom(values);
  const out = resolve(required(values, "out"));
  const target = required(values, "target");
  const model = required(values, "model");
  const extra = (["ood", "retention"] as const).flatMap((role) =>
    ((values[role] as string[] | undefined) ?? []).map((entry) => [role, ...named(entry, role)] as const),
  );
  const twice = extra.find(([role, name], i) => extra.findIndex(([r, n]) => r === role && n === name) < i);
  if (twice) throw badArgument(`--${twice[0]} ${twice[1]} is given twice; every set needs its own name.`);
  const backend = backendFrom(values);
  const json = values.json === true;
  const session = createNodeSession();
  report(session, json);
  // The first Ctrl-C ends the run after its step and keeps what was learned; the second one ends the program.
  process.once("SIGINT", () => void session.stop());

  const device = await session.open(backend);
  const loaded = await session.loadModel(await modelFiles(model), {});
  for (const { question, usual } of loaded.questions)
    remark(`${question} Using the usual value: ${usual}.`, json);
  const reports = [await session.loadData("target", "target", await walk(target), recipe.seed)];
  for (const [role, name, path] of extra)
    reports.push(await session.loadData(role, name, await walk(path), recipe.seed));
  for (const { name, issues } of reports)
    for (const issue of issues) if (issue.severity !== "note") remark(`${name}: ${issue.text}`, json);

  await makeFolder(out);
  const result = await session.train(recipe);
  const exported = await session.exportMerged();

  for (const file of exported.files)
    await writeFile(join(out, file.path), file.blob.stream() as unknown as AsyncIterable<Uint8Array>);
  const write = (name: string, value: unknown) =>
    writeFile(join(out, name), `${JSON.stringify(value, null, 2)}\n`);
  const before = metrics(result.before);
  const after = metrics(result.after);
  await write("recipe.json", { selora: 1, recipe, device, model: loaded.name });
  await write(
    "gates.json",
    result.gates.map((gate, i) => ({
      ...gate,
      open: result.final.open[i] === 1,
      score: result.final.scores[i],
      sensitivity: result.final.sensitivity[i],
      deltaNorm: result.final.deltaNorm[i],
    })),
  );
  const open = result.final.open.reduce((sum, o) => sum + o, 0);
  const summary = {
    before,
    after,
    open,
    gates: result.gates.length,
    complete: result.complete,
    steps: result.steps,
    seconds: result.seconds,
    device,
    exported: { accuracy: exported.check.accuracy, changed: exported.changed, total: exported.total },
  };
  await write("metrics.json", summary);

  if (json) process.stdout.write(`${JSON.stringify({ kind: "done", ...summary })}\n`);
  else {
    const percent = (x: number) => `${(100 * x).toFixed(1)} %`;
    process.stdout.write(
      table(
        ["set", "images", "before", "after", "change", "95 % interval"],
        after.map((set, i) => [
          set.name,
          String(set.count),
          percent(before[i]?.accuracy ?? 0),
          percent(set.accuracy),
          `${set.accuracy >= (before[i]?.accuracy ?? 0) ? "+" : ""}${(100 * (set.accuracy - (before[i]?.accuracy ?? 0))).toFixed(1)}`,
          `${percent(set.interval[0])} to ${percent(set.interval[1])}`,
        ]),
      ),
    );
    process.stdout.write(
      `${open} of ${result.gates.length} blocks open. Merged model in ${out}, read back: target ${percent(exported.check.accuracy)}.\n`,
    );
  }
}

function tensorTable(rows: readonly TensorRow[]): string {
  return table(
    ["tensor", "shape", "dtype", "role", "problem"],
    rows.map((row) => [row.name, row.shape.join("x"), row.dtype, row.role ?? "", row.problem ?? ""]),
  );
}

async function inspect(values: Values): Promise<void> {
  const session = createNodeSession();
  const files = await modelFiles(required(values, "model"));
  const report = await session.loadModel(files, {}).catch((error: unknown) => {
    // The tensors of a model that cannot be used are what someone who inspects it came for.
    if (error instanceof BadCheckpoint) {
      process.stdout.write(
        values.json ? `${JSON.stringify({ table: error.table })}\n` : tensorTable(error.table),
      );
    }
    throw error;
  });
  if (values.json) {
    process.stdout.write(`${JSON.stringify(report)}\n`);
    return;
  }
  const a = report.architecture;
  process.stdout.write(
    `${report.name}: ${a.family}, ${a.layers} layers, ${a.hiddenSize} wide, ${a.heads} heads, ` +
      `patch ${a.patchSize}, image ${a.imageSize}, ${(report.parameters / 1e6).toFixed(2)} M parameters, ` +
      `${a.labels ? `${a.labels.length} labels` : "no classifier"}\n\n`,
  );
  process.stdout.write(tensorTable(report.table));
  for (const { question, usual } of report.questions) process.stdout.write(`${question} Usual: ${usual}\n`);
}

/** Runs one command line; returns the exit code. */
export async function main(argv: string[]): Promise<number> {
  try {
    const { values, positionals } = parse(argv);
    if (values.help || positionals.length === 0) {
      process.stdout.write(usage);
      return values.help ? 0 : 2;
    }
    const [command, ...rest] = positionals;
    if (rest.length > 0) throw badArgument(`"${rest[0]}" is one word too many.`);
    if (command === "finetune") await finetune(values as Values);
    else if (command === "inspect") await inspect(values as Values);
    else throw badArgument(`There is no command "${command}".`);
    return 0;
  } catch (error) {
    const failure = Failure.from(error);
    // An error in the arguments is thrown before they are known, so the word itself is looked for.
    if (argv.includes("--json"))
      say(JSON.stringify({ kind: "failure", failure: failure.parts } satisfies SessionEvent));
    else say(failure.message);
    if (!argv.includes("--json") && failure.parts.code === "state" && failure.cause instanceof Error)
      say(failure.cause.stack ?? "");
    return badInput.has(failure.parts.code) ? 2 : 1;
  }
}
