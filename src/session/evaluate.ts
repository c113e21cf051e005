// A checkpoint as it is, on one folder: by its own classifier, its text tower, a linear probe or its neighbours.
import type { Checkpoint } from "../checkpoint/types.ts";
import type { FrozenFeatures } from "../evaluation/frozen.ts";
import { Failure } from "../failure.ts";
import type { OpenedText } from "../text/tower.ts";
import type { VitWeights } from "../vit/types.ts";
import { choosePooling, noTextTower, startHead } from "./heads.ts";
import type { Job } from "./job.ts";
import { answer, type Network, type Question, questionOf } from "./judges.ts";
import type { SetAccuracy } from "./protocol.ts";
import type { Head, Recipe } from "./recipe.ts";
import { type LoadedSet, measured } from "./sets.ts";

interface EvaluateInput {
  weights: VitWeights;
  checkpoint: Checkpoint;
  text: OpenedText;
  recipe: Recipe;
  frozen: FrozenFeatures;
  job: Job;
}

/**
 * Measures the frozen network on one set.
 * @param set the target for "linear" and "knn", whose training images teach or vote; a retention set for "own" and
 *   "zero-shot", which need none
 * @throws Failure "bad-recipe" where the model cannot answer so, "bad-data" where nothing of the set can be measured
 */
export async function evaluateSet(input: EvaluateInput, set: LoadedSet, head: Head): Promise<SetAccuracy> {
  const { weights, checkpoint, text, job } = input;
  const recipe: Recipe = { ...input.recipe, head };
  const ownLabels = checkpoint.architecture.labels ?? [];
  const network: Network = {
    weights,
    text: text.tower,
    recipe,
    pooling: choosePooling(weights, recipe),
    ownLabels,
    target: set,
    frozen: input.frozen,
  };
  const question = asked(network, set, text.problem);
  const { chosen } = question;
  const own = head === "own";
  if (chosen.indices.length === 0) {
    throw new Failure({
      code: "bad-data",
      what: own
        ? "No class of this folder is one of the model's own labels, so nothing of it can be measured."
        : "None of the held-out images can be read.",
      where: set.name,
      remedy: own
        ? "Name the folders as the model's labels, or choose another head: probe, knn or zero-shot."
        : "Load another folder.",
    });
  }
  const start =
    head === "linear"
      ? await startHead(network, checkpoint, text.problem, job)
      : { head: { weight: new Float32Array(0), bias: new Float32Array(0), classes: 0 } };
  const tick = job.progress("evaluate", "Measuring");
  const standing = { effective: null, head: start.head, banks: new Map() };
  return answer(network, question, standing, (done) => tick(done, chosen.indices.length));
}

function asked(network: Network, set: LoadedSet, problem: string | null): Question {
  const { head: judge } = network.recipe;
  if (judge === "linear" || judge === "knn") return questionOf(network, set);
  if (judge === "own" && network.ownLabels.length === 0) {
    throw new Failure({
      code: "bad-recipe",
      what: "The model has no classifier of its own.",
      where: "head",
      remedy: "Choose another head: probe, knn or zero-shot.",
    });
  }
  if (judge === "zero-shot" && !network.text) throw noTextTower(problem);
  const names = judge === "own" ? network.ownLabels : set.images.classes;
  return { set, judge, names, chosen: measured(set, names), bank: null };
}
