// What will not come of a recipe, said before it is run: a run that is too short for a gate to close is long enough to be
// waited for. Nothing here keeps a run from starting.
import { budgetOf } from "../adaptation/budget.ts";
import { scoreMomentum, scoreStart, traitsOf } from "../adaptation/methods.ts";
import { createSchedule } from "../training/schedule.ts";
import { applies, type Recipe } from "./recipe.ts";

/** What is known of what a recipe is to be run on. */
export interface RunSize {
  /** Training images. */
  images: number;
  /** Layers and width of the network. */
  layers: number;
  hiddenSize: number;
}

const steps = (n: number) => `${n.toLocaleString("en")} ${n === 1 ? "step" : "steps"}`;

/** A sentence for each; none where nothing stands out. */
export function recipeWarnings(recipe: Recipe, { images, layers, hiddenSize }: RunSize): string[] {
  if (images === 0) return [];
  const found: string[] = [];
  const schedule = createSchedule(images, recipe);
  const gates = gatesOf(recipe, layers);
  const selecting = Math.max(0, schedule.settleFrom - schedule.penaltyFrom);
  if (applies("budget", recipe)) {
    const budget = budgetOf({ ...recipe, budget: countWithin(recipe.budget, gates) }, gates);
    if (Number(recipe.budget) > gates)
      found.push(`Budget ${recipe.budget}: there are ${gates} gates. Choose at most that many.`);
    else if (budget === 0) found.push("Budget 0: no block stays open, so only the classifier is new.");
    if (selecting === 0)
      found.push(
        "Warm-up and settling take up all steps: none is left in which gates close. Make one of them shorter.",
      );
    else if (applies("tau", recipe)) found.push(...closing(recipe, gates, schedule.steps, selecting));
  }
  if (recipe.batch > images)
    found.push(
      `Batch ${recipe.batch}: there are ${images} training images, so that every step takes all of them.`,
    );
  if (applies("rank", recipe) && recipe.rank > hiddenSize)
    found.push(
      `Rank ${recipe.rank}: the network is ${hiddenSize} wide, so that this is no low rank, and learns no more than ${hiddenSize} would.`,
    );
  return found;
}

/** How many gates there will be. Full fine-tuning, which has one a matrix, has none that move. */
function gatesOf({ granularity, targetModules }: Recipe, layers: number): number {
  if (granularity === "layer") return layers;
  const each = granularity === "block" ? { attention: 1, mlp: 1 } : { attention: 4, mlp: 2 };
  return layers * (targetModules === "both" ? each.attention + each.mlp : each[targetModules]);
}

const countWithin = (budget: string, gates: number) =>
  /^\d+$/.test(budget) && Number(budget) > gates ? String(gates) : budget;

/** Whether threshold and pressure leave a gate the time to close. */
function closing(recipe: Recipe, gates: number, all: number, selecting: number): string[] {
  if (traitsOf(recipe.method).gates !== "indicator") return [];
  if (recipe.tau > scoreStart)
    return [
      `Threshold ${recipe.tau}: scores start at ${scoreStart}, so that every block begins closed, and learns only once its score has risen.`,
    ];
  if (recipe.lambda === 0) return ["Closing pressure 0: nothing pushes a gate to close."];
  const needed = stepsToClose(recipe, gates);
  if (needed <= selecting) return [];
  const more = Math.ceil((recipe.epochs * needed) / selecting);
  const remedy = Number.isFinite(more) && more <= 1000 ? `${more} epochs, ` : "";
  return [
    `${steps(all)}: too few for a gate to close. ${steps(selecting)} select, and a block that adds nothing takes ${needed.toLocaleString("en")} to close. Try ${remedy}more closing pressure, or a budget.`,
  ];
}

/** Steps in which the pull alone takes a score from its start below tau. */
export function stepsToClose(
  { tau, lambda, scoreLearningRate }: Pick<Recipe, "tau" | "lambda" | "scoreLearningRate">,
  gates: number,
): number {
  const pull = lambda / gates;
  let score = scoreStart;
  let speed = 0;
  for (let step = 1; step <= 1_000_000; step++) {
    speed = scoreMomentum * speed + pull;
    score -= scoreLearningRate * speed;
    if (score < tau) return step;
    // From here on it falls by the same in every step.
    if (speed > 0.999 * (pull / (1 - scoreMomentum)))
      return step + Math.ceil((score - tau) / (scoreLearningRate * speed));
  }
  return Number.POSITIVE_INFINITY;
}
