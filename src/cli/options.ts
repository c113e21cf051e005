// The terminal's options: what may be given, and how a word becomes a setting, a set or a folder.
import { parseArgs } from "node:util";
import { Failure } from "../failure.ts";
import { type CorruptionChoice, corruptions, defaultCorruptions } from "../session/corruption_choice.ts";
import { modelSettings, readSetting } from "../session/model_settings.ts";
import type { BackendChoice, ModelAnswers, ModelReport } from "../session/protocol.ts";
import { applies, type Recipe, recipeSchema, recipeWords } from "../session/recipe.ts";

export function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

export function badArgument(what: string): Failure {
  return new Failure({ code: "bad-recipe", what, remedy: "Run `selora --help` for the options." });
}

const stringOption = { type: "string" } as const;

export function parse(argv: string[]) {
  const settings = [...Object.keys(recipeWords), ...Object.keys(modelSettings)];
  const settingOptions = Object.fromEntries(settings.map((key) => [kebab(key), stringOption]));
  try {
    return parseArgs({
      args: argv,
      allowPositionals: true,
      options: {
        ...settingOptions,
        model: stringOption,
        target: stringOption,
        data: stringOption,
        out: stringOption,
        seeds: stringOption,
        backend: stringOption,
        ood: { type: "string", multiple: true },
        retention: { type: "string", multiple: true },
        "zip-encoding": stringOption,
        layout: { type: "string", multiple: true },
        domain: stringOption,
        "ood-domains": { type: "boolean" },
        "keep-data": { type: "string", multiple: true },
        overwrite: { type: "boolean" },
        map: { type: "string", multiple: true },
        "map-file": stringOption,
        "trade-off": { type: "boolean" },
        corruptions: stringOption,
        severity: stringOption,
        port: stringOption,
        open: { type: "boolean" },
        json: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    // Node's second sentence is advice for options that begin with a dash, of which there are none.
    throw badArgument(`${(error instanceof Error ? error.message : String(error)).split(". ")[0]}.`);
  }
}

export type Values = Record<string, string | boolean | string[] | undefined>;

export function required(values: Values, name: string): string {
  const value = values[name];
  if (typeof value !== "string") throw badArgument(`--${name} is missing.`);
  return value;
}

/** The recipe out of the options; numbers are numbers, words are words, bounds are the recipe's own. */
export function recipeFrom(values: Values) {
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

/** What is set about the model above what its files say. */
export function modelAnswersFrom(values: Values): ModelAnswers {
  const answers: Record<string, unknown> = {};
  for (const key of Object.keys(modelSettings) as (keyof ModelAnswers)[]) {
    const text = values[kebab(key)];
    if (typeof text !== "string") continue;
    const value = readSetting(key, text);
    if (value === null)
      throw badArgument(`--${kebab(key)} cannot be "${text}". ${modelSettings[key].explanation}`);
    answers[key] = value;
  }
  return answers;
}

/** Throws where the model's files leave open what no usual value can be taken for. */
export function requireAnswers({ questions, name }: Pick<ModelReport, "questions" | "name">): void {
  const asked = questions.find(({ open }) => open);
  if (!asked) return;
  throw new Failure({
    code: "bad-model",
    what: asked.question,
    where: name,
    remedy: `Choose with --${kebab(asked.key)}: ${(asked.choices ?? []).join(", ")}.`,
  });
}

/** Recipe options that were given and that the recipe they are part of has no use for. */
export function idleOptions(values: Values, recipe: Recipe): string[] {
  return (Object.keys(recipeWords) as (keyof Recipe)[])
    .filter((key) => values[kebab(key)] !== undefined && !applies(key, recipe))
    .map((key) => `--${kebab(key)}`);
}

export function named(entry: string, option: string): [name: string, path: string] {
  const at = entry.indexOf("=");
  if (at < 1) throw badArgument(`--${option} takes NAME=DIR, got "${entry}".`);
  return [entry.slice(0, at), entry.slice(at + 1)];
}

export function backendFrom(values: Values): BackendChoice {
  const choice = values.backend ?? "auto";
  if (choice === "auto" || choice === "webgpu" || choice === "wasm") return choice;
  throw badArgument(`--backend is auto, webgpu or wasm, got "${choice}".`);
}

/** Corruptions of the target that are measured; null where none are asked for. */
export function corruptionsFrom(values: Values): CorruptionChoice | null {
  const { corruptions: list, severity = String(defaultCorruptions.severity) } = values;
  if (list === undefined && values.severity === undefined) return null;
  if (list === undefined) throw badArgument("--severity is that of --corruptions, which is missing.");
  if (!/^[1-5]$/.test(String(severity))) throw badArgument(`--severity is 1 to 5, got "${severity}".`);
  const known = corruptions.map(({ name }) => name);
  const families: readonly string[] = corruptions.map(({ family }) => family);
  const names = String(list)
    .split(",")
    .flatMap((word) => {
      if (word === "default") return defaultCorruptions.names;
      if (word === "all") return known;
      if (families.includes(word))
        return corruptions.filter((one) => one.family === word).map(({ name }) => name);
      if (known.includes(word)) return [word];
      throw badArgument(
        `--corruptions takes default, all, ${[...new Set(families)].join(", ")} or names between commas ` +
          `(${known.join(", ")}), got "${word}".`,
      );
    });
  return { names: [...new Set(names)], severity: Number(severity) };
}

/** How many seeds each recipe is run with. */
export function seedsFrom(values: Values): number {
  const text = values.seeds ?? "1";
  const count = typeof text === "string" && /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (count < 1 || count > 100) throw badArgument(`--seeds is a number from 1 to 100, got "${text}".`);
  return count;
}
