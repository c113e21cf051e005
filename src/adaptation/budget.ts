// A budget: how many gates are open when a run ends. Written as a person says it: "3", "5%", or "auto", where the
// threshold and the penalty decide.
import { Failure } from "../failure.ts";
import { traitsOf } from "./methods.ts";
import type { AdaptationOptions } from "./types.ts";

/** What a budget may look like. */
export const budgetPattern = /^(auto|\d{1,6}|\d{1,3}(\.\d+)?%)$/;

/**
 * How many gates a budget leaves open; null for "auto". A share is rounded to the nearest count, a share above 0 opens
 * at least one; 0 opens none, so that only the classifier learns.
 * @param gates how many there are
 * @throws Failure "bad-recipe" when it is not a budget, or opens more gates than there are
 */
export function gatesInBudget(budget: string, gates: number): number | null {
  if (!budgetPattern.test(budget)) {
    throw new Failure({
      code: "bad-recipe",
      what: `"${budget.slice(0, 40)}" is not a budget.`,
      where: "budget",
      remedy: 'Give a count ("3"), a share of the gates ("5%"), or "auto".',
    });
  }
  if (budget === "auto") return null;
  const value = Number.parseFloat(budget);
  const share = (value / 100) * gates;
  const count = budget.endsWith("%") ? Math.max(value > 0 ? 1 : 0, Math.round(share)) : value;
  if (count <= gates) return count;
  throw new Failure({
    code: "bad-recipe",
    what: `A budget of ${budget} asks for ${count} open gates, and this model has ${gates} with this granularity.`,
    where: "budget",
    remedy: `Choose at most ${gates}, or a finer granularity.`,
  });
}

/** What "auto" means where no score is learned, and so nothing but a count can end the selection. */
export const unlearnedBudget = "10%";

/**
 * The budget of a recipe: how many gates are open at its end; null where tau and the penalty decide, and for methods
 * whose gates are always open.
 * @throws Failure "bad-recipe" as `gatesInBudget`
 */
export function budgetOf(
  {
    method,
    select = "learned",
    budget = "auto",
  }: Pick<AdaptationOptions, "method" | "select"> & {
    budget?: string;
  },
  gates: number,
): number | null {
  const traits = traitsOf(method);
  if (traits.gates === "open") return null;
  const learned = traits.gates === "hard-concrete" || select === "learned";
  return gatesInBudget(budget === "auto" && !learned ? unlearnedBudget : budget, gates);
}
