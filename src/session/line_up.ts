// Several runs in one go: the standard line-up of methods, each over seeds, and what they came to, mean and spread.
import { balancedTells } from "./balanced.ts";
import type { RunResult, SetRole } from "./protocol.ts";
import { applies, methodWords, type Recipe, selectionWords } from "./recipe.ts";

/** One run of several. Entries of one name differ in nothing but their seed. */
export interface Entry {
  name: string;
  recipe: Recipe;
}

/** Methods in the order in which they are run, the cheapest first. */
const order = ["linear", "lora", "full", "taps", "selective"] as const;
/** Budgets of the selective runs. */
const budgets = ["5%", "10%", "25%"];

/** A short name for what a recipe does: its method, its budget, and what chooses the blocks where that is not learned. */
export function recipeName(recipe: Recipe): string {
  const { method, budget, select } = recipe;
  return [
    methodWords[method].label,
    ...(applies("budget", recipe) && budget !== "auto" ? [budget] : []),
    ...(applies("select", recipe) && select !== "learned" ? [selectionWords[select]] : []),
  ].join(", ");
}

/** The standard line-up: every method once, selective at three budgets; all else as `recipe` has it. */
export function standardLineUp(recipe: Recipe): Entry[] {
  return order.flatMap((method) => {
    const chosen = { ...recipe, method };
    const all = method === "selective" ? budgets.map((budget) => ({ ...chosen, budget })) : [chosen];
    return all.map((one) => ({ name: recipeName(one), recipe: one }));
  });
}

/** Each entry over `count` seeds, from the recipe's own upwards; the seeds of an entry follow each other. */
export function overSeeds(entries: readonly Entry[], count: number): Entry[] {
  return entries.flatMap(({ name, recipe }) =>
    Array.from({ length: count }, (_, i) => ({
      name,
      recipe: { ...recipe, seed: (recipe.seed + i) % 2 ** 32 },
    })),
  );
}

export interface Spread {
  mean: number;
  /** Sample standard deviation; null of fewer than two values. */
  deviation: number | null;
  count: number;
}

/** Mean and sample standard deviation; null of no values. */
export function spreadOf(values: readonly number[]): Spread | null {
  const count = values.length;
  if (count === 0) return null;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: count > 1 ? Math.sqrt(squares / (count - 1)) : null, count };
}

/** The part of a run's outcome that is averaged. */
export interface Outcome {
  sets: {
    role: SetRole;
    name: string;
    before: number;
    after: number;
    /** Balanced accuracy after, and whether it says what the accuracy does not (balanced.ts). */
    balanced: number;
    balancedTells: boolean;
  }[];
  open: number;
  gates: number;
  seconds: number;
}

export function outcomeOf({ before, after, gates, final, seconds }: RunResult): Outcome {
  return {
    sets: after.sets.map((set) => ({
      role: set.role,
      name: set.name,
      before: before.sets.find(({ id }) => id === set.id)?.accuracy ?? 0,
      after: set.accuracy,
      balanced: set.balanced,
      balancedTells: balancedTells(set),
    })),
    open: final.open.reduce((sum, one) => sum + one, 0),
    gates: gates.length,
    seconds,
  };
}

/** What runs of one entry came to. */
export interface Summary {
  runs: number;
  sets: {
    role: SetRole;
    name: string;
    before: Spread;
    after: Spread;
    change: Spread;
    /** Balanced accuracy after, and whether it says in any run what the accuracy does not. */
    balanced: Spread;
    balancedTells: boolean;
  }[];
  open: Spread;
  gates: number;
  seconds: Spread;
}

/** Mean and spread over runs on the same sets; null of no runs. A set that not every run has is left out. */
export function summarise(outcomes: readonly Outcome[]): Summary | null {
  const [first] = outcomes;
  if (!first) return null;
  const spread = (read: (outcome: Outcome) => number) => spreadOf(outcomes.map(read)) as Spread;
  const find = (outcome: Outcome, role: SetRole, name: string) =>
    outcome.sets.find((set) => set.role === role && set.name === name);
  return {
    runs: outcomes.length,
    sets: first.sets.flatMap(({ role, name }) => {
      const each = outcomes.map((outcome) => find(outcome, role, name));
      if (!each.every((set) => set !== undefined)) return [];
      return [
        {
          role,
          name,
          before: spreadOf(each.map(({ before }) => before)) as Spread,
          after: spreadOf(each.map(({ after }) => after)) as Spread,
          change: spreadOf(each.map(({ before, after }) => after - before)) as Spread,
          balanced: spreadOf(each.map(({ balanced }) => balanced)) as Spread,
          balancedTells: each.some((set) => set.balancedTells),
        },
      ];
    }),
    open: spread(({ open }) => open),
    gates: first.gates,
    seconds: spread(({ seconds }) => seconds),
  };
}
