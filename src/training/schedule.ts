// When what happens in a run: learning rate, penalty, gates left open by a budget, freezing of the gates. All of it a
// function of the step.
import { traitsOf } from "../adaptation/methods.ts";
import type { Phase, TrainingRecipe } from "./types.ts";

/** Share of the steps over which learning rates rise. */
export const rateWarmup = 0.05;

export interface Schedule {
  steps: number;
  /** Steps of an epoch; the last batch may be short. */
  stepsPerEpoch: number;
  /** Images in a step: the recipe's batch, or the whole set where that is smaller. */
  batch: number;
  /** First step with the penalty. */
  penaltyFrom: number;
  /** First step with frozen gates; `steps` when they never freeze. */
  settleFrom: number;
}

/** @param images training images, at least 1 */
export function createSchedule(
  images: number,
  recipe: Pick<TrainingRecipe, "epochs" | "batch" | "warmup" | "settle">,
): Schedule {
  const batch = Math.min(recipe.batch, images);
  const stepsPerEpoch = Math.ceil(images / batch);
  const steps = stepsPerEpoch * recipe.epochs;
  return {
    steps,
    stepsPerEpoch,
    batch,
    penaltyFrom: Math.round(recipe.warmup * steps),
    settleFrom: steps - Math.round(recipe.settle * steps),
  };
}

/** Factor on A's, B's and the classifier's learning rate at a 0-based step: linear rise, then a cosine to 0. */
export function rateFactor(step: number, steps: number): number {
  const rise = Math.max(1, Math.round(rateWarmup * steps));
  if (step < rise) return (step + 1) / rise;
  return 0.5 * (1 + Math.cos((Math.PI * (step - rise)) / Math.max(1, steps - rise)));
}

/**
 * How many gates are open in a 0-based step on the way to a budget: all of them until the warm-up ends, then fewer and
 * fewer on a cubic curve (Zhu & Gupta 2017, arXiv 1710.01878), `budget` from the last step before the gates freeze.
 */
export function gatesLeftOpen(step: number, schedule: Schedule, gates: number, budget: number): number {
  const { penaltyFrom, settleFrom } = schedule;
  if (step >= settleFrom) return budget;
  const progress = Math.min(1, Math.max(0, (step - penaltyFrom + 1) / Math.max(1, settleFrom - penaltyFrom)));
  return Math.round(budget + (gates - budget) * (1 - progress) ** 3);
}

/** What a 0-based step is part of. Gates that are always open never move, so all of such a run is settling. */
export function phaseOf(step: number, schedule: Schedule, method: TrainingRecipe["method"]): Phase {
  if (traitsOf(method).gates === "open" || step >= schedule.settleFrom) return "settling";
  return step < schedule.penaltyFrom ? "warm-up" : "selecting";
}

/** The learning rate of what a method learns beside the classifier: whole matrices move by much smaller steps. */
export function adapterRate(
  recipe: Pick<TrainingRecipe, "method" | "learningRate" | "fullLearningRate">,
): number {
  const whole = traitsOf(recipe.method).change === "residual";
  return whole ? (recipe.fullLearningRate ?? recipe.learningRate) : recipe.learningRate;
}
