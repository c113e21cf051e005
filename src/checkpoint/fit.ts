// Finds the network among a file's tensors. Tools and training scripts put any keys and prefixes before a network's names
// (`state_dict.module._orig_mod.`), so none is known here: wherever a family's patch embedding stands, what is before it
// is taken off, and the family's table says whether the rest is that network. Where several readings fit, as with a
// student beside its teacher or averaged weights beside raw ones, one is chosen by what the field takes, or asked for.

import { Failure } from "../failure.ts";
import type { ModelConfig } from "./config.ts";
import { gathered } from "./families/hf_vit.ts";
import { families } from "./families/index.ts";
import type { FamilyTable, TensorEntry } from "./families/table.ts";
import { quoted } from "./json.ts";
import { type Match, matchTable, problemsOf } from "./match.ts";
import type { OpenQuestion, TensorHead } from "./types.ts";

/** More networks than this in one file are not told apart. */
const MAX_READINGS = 64;

/** One way to read a file: a family, and what stands before its names. */
export interface Reading {
  match: Match;
  /** Keys and wrappers' prefixes before the network's names, with the last dot; often nothing. */
  outer: string;
  /** What stands under `outer`, by the name it has without it, and the file's own tensor. */
  inside: Map<string, TensorHead>;
  /** The file's other tensors. */
  beside: TensorHead[];
}

/** The chosen reading, and what the person should know or decide. */
export interface Fit extends Reading {
  notes: string[];
  questions: OpenQuestion[];
}

interface Context {
  config: ModelConfig | null;
  /** The model's name and path, which may tell a family. */
  origin: string;
  where: string;
  /** Which of several readings somebody chose. */
  chosen: string | undefined;
}

/** Finds the network among `tensors`; null where no family recognises any. A match with problems is given back where
 *  nothing fits better. Throws Failure where `chosen` names none of the readings. */
export function fitNetwork(tensors: readonly TensorHead[], context: Context): Fit | null {
  const readings = readingsOf(tensors, context);
  const [first] = readings;
  if (!first) return null;
  const fitting = readings.filter(fits);
  if (fitting.length === 0) {
    const fewest = (a: Reading, b: Reading) =>
      problemsOf(b.match).length < problemsOf(a.match).length ? b : a;
    return { ...readings.reduce(fewest), notes: [], questions: [] };
  }
  const { reading, notes, questions } = choose(fitting, context);
  const broken = readings.filter((one) => !fitting.includes(one));
  return { ...reading, notes: [...notes, ...passedOver(reading, broken), ...leftOut(reading)], questions };
}

// --- What may be read -----------------------------------------------------------------------------------------------

/** Modules that tools put around others at any depth, and that hold nothing of their own. */
const transparent =
  /(^|\.)(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|base_layer|modules_to_save\.[^.]+)(?=\.)/g;

/** The tensors by their names without such modules; by their own where two would be called the same. */
function plainNames(tensors: readonly TensorHead[]): Map<string, TensorHead> {
  const plain = (name: string) => name.replace(transparent, "").replace(/^\./, "");
  const times = new Map<string, number>();
  for (const { name } of tensors) times.set(plain(name), (times.get(plain(name)) ?? 0) + 1);
  const named = (name: string) => (times.get(plain(name)) === 1 ? plain(name) : name);
  return new Map(tensors.map((tensor) => [named(tensor.name), tensor]));
}

/** The tensors by the names they have without such modules and without a prefix that all of them share. */
export function unwrapped(tensors: readonly TensorHead[]): TensorHead[] {
  const named = [...plainNames(tensors)].map(([name, tensor]) => ({ ...tensor, name }));
  for (let cut = 0; ; ) {
    const dot = named[0]?.name.indexOf(".", cut) ?? -1;
    const prefix = named[0]?.name.slice(0, dot + 1);
    // A family's own prefix is a sign of it.
    const own = families.some((table) => table.prefix.test(prefix?.slice(cut) ?? ""));
    if (dot < 0 || own || !named.every(({ name }) => name.startsWith(prefix as string)))
      return named.map((tensor) => ({ ...tensor, name: tensor.name.slice(cut) }));
    cut = dot + 1;
  }
}

const anchorOf = (table: FamilyTable) => (table.tensors[0] as TensorEntry).name;

/** The tables that share a patch embedding's name, in the order of the families. */
const byAnchor = new Map(
  families.map((table) => [anchorOf(table), families.filter((other) => anchorOf(other) === anchorOf(table))]),
);

function readingsOf(tensors: readonly TensorHead[], context: Context): Reading[] {
  const named = plainNames(tensors);
  const readings: Reading[] = [];
  for (const [anchor, tables] of byAnchor) {
    for (const name of named.keys()) {
      if (name !== anchor && !name.endsWith(`.${anchor}`)) continue;
      const found = recognised(tables, name.slice(0, -anchor.length), named, context).map((one) =>
        read(one, named, context.config),
      );
      const [first] = found;
      if (!first) continue;
      if (readings.length >= MAX_READINGS) return readings;
      // A shorter prefix of the family's own must not cost a tensor that the longer one makes use of.
      const uses = ({ match }: Reading) => match.uses.size;
      readings.push(found.find((one) => fits(one) && uses(one) >= uses(first)) ?? first);
    }
  }
  return readings;
}

interface Recognised {
  table: FamilyTable;
  prefix: string;
  outer: string;
}

/** The first family for every end of `before` that may be its own prefix, the longest end first. */
function recognised(
  tables: readonly FamilyTable[],
  before: string,
  named: ReadonlyMap<string, TensorHead>,
  { config, origin }: Context,
): Recognised[] {
  const has = (name: string) => named.has(before + name);
  const cuts = [0, ...[...before.matchAll(/\./g)].map(({ index }) => index + 1)];
  return cuts.flatMap((cut) => {
    const [outer, prefix] = [before.slice(0, cut), before.slice(cut)];
    const configured = config !== null;
    const file = { has, prefix, outer, configured, modelType: config?.modelType, origin };
    const table = tables.find((one) => one.prefix.test(prefix) && one.recognises(file));
    return table ? [{ table, prefix, outer }] : [];
  });
}

const fits = ({ match }: Reading) => problemsOf(match).length === 0;

function read(
  { table, prefix, outer }: Recognised,
  named: ReadonlyMap<string, TensorHead>,
  config: ModelConfig | null,
): Reading {
  const inside = new Map<string, TensorHead>();
  const beside: TensorHead[] = [];
  for (const [name, tensor] of named) {
    if (name.startsWith(outer)) inside.set(name.slice(outer.length), tensor);
    else beside.push(tensor);
  }
  const heads = gathered([...inside].map(([name, tensor]) => ({ ...tensor, name })));
  const tensors = [...inside.values()];
  const names = new Map(heads.map(({ name }, i) => [name, tensors[i] as TensorHead]));
  return { match: matchTable(table, prefix, heads, config), outer, inside: names, beside };
}

// --- Which of several is meant --------------------------------------------------------------------------------------

interface Kind {
  test: RegExp;
  /** For a note, after the name. */
  words: string;
  /** Whether people differ in which they take, so that it is asked. */
  asked: boolean;
}

/** What a key or prefix says of the weights under it, what the field takes first standing first. */
const kinds: readonly Kind[] = [
  {
    test: /(^|[._-])(ema|swa|averaged?|avg|polyak|shadow)([._-]|\d|$)/i,
    words: "averaged over the steps of training (EMA)",
    asked: true,
  },
  { test: /(^|[._-])online([._-]|$)/i, words: "the network that was trained", asked: false },
  { test: /teacher|target/i, words: "the running average of the network that was trained", asked: false },
  { test: /^(?!.*(student|momentum|_k(\.|$)|context))/i, words: "", asked: false },
  { test: /^/, words: "", asked: false },
];

const rankOf = (name: string) => kinds.findIndex(({ test }) => test.test(name));

function choose(
  readings: readonly Reading[],
  { chosen, where }: Context,
): { reading: Reading; notes: string[]; questions: OpenQuestion[] } {
  const names = namesOf(readings);
  const choices = readings
    .map((reading, i) => ({ reading, name: names[i] as string, rank: rankOf(names[i] as string) }))
    .sort((a, b) => a.rank - b.rank);
  const [first, second] = choices as [(typeof choices)[0], (typeof choices)[0] | undefined];
  if (chosen !== undefined) {
    const is = ({ name, reading }: (typeof choices)[0]) =>
      chosen === name || chosen === reading.outer.replace(/\.$/, "");
    const wanted = choices.find(is);
    if (!wanted)
      throw noSuch(
        chosen,
        choices.map(({ name }) => name),
        where,
      );
    return { reading: wanted.reading, notes: [under(wanted.reading)], questions: [] };
  }
  if (!second)
    return {
      reading: first.reading,
      notes: first.reading.outer ? [under(first.reading)] : [],
      questions: [],
    };
  const kind = kinds[first.rank] as Kind;
  const open = first.rank === second.rank;
  const others = choices.slice(1).map(({ name }) => quoted(name));
  const words = kind.words ? `, ${kind.words}` : "";
  const note = `The weights are those under ${quoted(first.name)}${words}, not those under ${some(others)}.`;
  if (!open && !kind.asked) return { reading: first.reading, notes: [note], questions: [] };
  const question: OpenQuestion = {
    key: "weights",
    question: `Which weights are meant? The file holds ${choices.length} networks; ${
      open
        ? "nothing says which is the usual one"
        : `${quoted(first.name)} is ${kind.words}, which is what is mostly taken`
    }.`,
    usual: first.name,
    choices: choices.map(({ name }) => name),
    ...(open ? { open } : {}),
  };
  return { reading: first.reading, notes: [note], questions: [question] };
}

/** What tells readings apart: their keys without those that all share at the front and at the end. */
function namesOf(readings: readonly Reading[]): string[] {
  const paths = readings.map(({ outer, match }) => (outer + match.prefix).split(".").slice(0, -1));
  const [shortest = []] = [...paths].sort((a, b) => a.length - b.length);
  const shared = (at: (path: string[], i: number) => string | undefined, most: number) => {
    let count = 0;
    while (count < most && new Set(paths.map((path) => at(path, count))).size === 1) count++;
    return count;
  };
  const front = shared((path, i) => path[i], shortest.length);
  const back = shared((path, i) => path.at(-1 - i), shortest.length - front);
  const short = paths.map((path) => path.slice(front, path.length - back).join("."));
  return short.includes("") ? paths.map((path) => path.join(".") || "(top)") : short;
}

/** A Failure for a choice that is none. */
export function noSuch(chosen: string, choices: readonly string[], where: string): Failure {
  return new Failure({
    code: "bad-model",
    what: `There are no weights called ${quoted(chosen)} here.`,
    where,
    remedy: `Choose one of: ${choices.slice(0, 20).join(", ")}.`,
  });
}

const under = ({ outer }: Reading) =>
  outer
    ? `The weights are those under ${quoted(outer.slice(0, -1))}.`
    : "The weights are those under no other name.";

const some = (words: readonly string[]) =>
  words.length > 3 ? `${words.slice(0, 3).join(", ")} and ${words.length - 3} more` : words.join(", ");

/** Says which networks in the file could not be used, and the first reason for each. */
function passedOver(reading: Reading, broken: readonly Reading[]): string[] {
  return broken.slice(0, 3).map((other) => {
    const [mine = "", theirs = ""] = namesOf([reading, other]);
    const title = other.match.table.title.replace(/^an? /, "");
    return `The weights are those under ${quoted(mine)}, not those under ${quoted(theirs)}, which are no whole ${title}: ${problemsOf(other.match)[0]}`;
  });
}

/** Says what of the file is not part of the network. */
function leftOut({ match, inside, beside }: Reading): string[] {
  const names = [
    ...[...inside].flatMap(([name, { name: own }]) => (match.unused.has(name) ? [own] : [])),
    ...beside.map(({ name }) => name),
  ];
  if (names.length === 0) return [];
  const count =
    names.length === 1
      ? "One tensor beside the network is"
      : `${names.length} tensors beside the network are`;
  return [`${count} left out: ${some(names.map(quoted))}.`];
}
