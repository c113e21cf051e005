// Where a run's classifier starts: a linear probe, rows of the model's own, or the class names through its text tower.
import { type Pooling, poolingsOf, textSpacePooling } from "../checkpoint/pooling.ts";
import type { Checkpoint } from "../checkpoint/types.ts";
import type { Bank } from "../evaluation/knn.ts";
import { extractFeatures } from "../evaluation/predict.ts";
import { Failure } from "../failure.ts";
import { random, seedFor } from "../random.ts";
import { linearProbe } from "../training/probe.ts";
import type { HeadArrays } from "../training/types.ts";
import type { VitWeights } from "../vit/types.ts";
import type { Job } from "./job.ts";
import { batchFor, type Network, wordsHead } from "./judges.ts";
import { type Recipe, startsFresh } from "./recipe.ts";
import { type Chosen, ofSplit, ownRows, pixelSource } from "./sets.ts";

export interface StartingHead {
  head: HeadArrays;
  /** Features of the training images by the frozen network, where the start needed them. */
  bank: Bank | null;
  /** Its accuracy on the validation images, where the start found that; else null. */
  validation: number | null;
  /** Which of those it answers right, 1 each; null where that was not found. */
  right: Uint8Array | null;
}

/**
 * What the new classifier reads. The model's own rows and the text tower only fit what they were made for.
 * @throws Failure "bad-recipe" where the recipe asks for what the head or the network cannot give
 */
export function choosePooling(
  { architecture }: VitWeights,
  { head, pooling: wanted }: Pick<Recipe, "head" | "pooling">,
): Pooling {
  const fixed =
    head === "own" ? architecture.pooling : head === "zero-shot" ? textSpacePooling(architecture) : null;
  if (fixed && wanted !== "model" && wanted !== fixed) {
    throw new Failure({
      code: "bad-recipe",
      what: `The ${head === "own" ? "model's own classifier" : "text tower"} cannot be read against "${wanted}".`,
      where: "pooling",
      remedy: `Leave the pooling to the model (${fixed}), or choose another head.`,
    });
  }
  if (fixed) return fixed;
  if (wanted === "model") return architecture.pooling;
  const possible = poolingsOf(architecture);
  if (possible.includes(wanted)) return wanted;
  throw new Failure({
    code: "bad-recipe",
    what: `This model cannot give the pooling "${wanted}".`,
    where: "pooling",
    remedy: `It can give ${possible.join(", ")}; "model" takes ${architecture.pooling}, as its own classifier does.`,
  });
}

/**
 * Where full fine-tuning starts: a classifier that knows nothing yet, as torch.nn.Linear does, weights and bias
 * U(±1/sqrt(F)) (the FT of Kumar et al. 2022, arXiv 2202.10054, to which LP-FT, from the fitted one, is the answer).
 * null for every other method, for a head that comes with the model, and where the classifier is not to learn.
 */
export function freshHead(
  recipe: Pick<Recipe, "method" | "head" | "headTrains" | "seed">,
  fitted: HeadArrays,
): HeadArrays | null {
  if (!startsFresh(recipe)) return null;
  const stream = random(seedFor(recipe.seed, "head"));
  const bound = 1 / Math.sqrt(fitted.weight.length / fitted.classes);
  const draw = () => (stream.next() * 2 - 1) * bound;
  return { ...fitted, weight: fitted.weight.map(draw), bias: fitted.bias.map(draw) };
}

const unknown = { bank: null, validation: null, right: null };

/** Makes the classifier of the recipe's head, for the frozen network. Under a k-NN head it is the probe's. */
export async function startHead(
  network: Network,
  checkpoint: Checkpoint,
  problem: string | null,
  job: Job,
): Promise<StartingHead> {
  const { head } = network.recipe;
  if (head === "own") return { head: await ownHead(network, checkpoint), ...unknown };
  if (head === "zero-shot") {
    if (!network.text) throw noTextTower(problem);
    const names = network.target.images.classes;
    const tick = job.progress("probe", "Reading the class names");
    return { head: await wordsHead(network, names, tick), ...unknown };
  }
  return fitProbe(network, job);
}

/** What is said where class names were to be read and nothing can read them. */
export const noTextTower = (problem: string | null) =>
  new Failure({
    code: "bad-recipe",
    what: problem ?? "The model has no text tower, so it cannot read class names.",
    where: "head",
    remedy: "Load a whole CLIP or SigLIP with its tokenizer, or choose another head.",
  });

/** The rows of the model's own classifier that are the target's classes. A distilled DeiT's are its class token's. */
async function ownHead({ ownLabels, target, weights }: Network, checkpoint: Checkpoint): Promise<HeadArrays> {
  const names = target.images.classes;
  const rows = ownRows(target, ownLabels);
  const without = names.filter((_, i) => rows[i] === null);
  if (ownLabels.length === 0 || without.length > 0) {
    const some = without.slice(0, 5).join(", ") + (without.length > 5 ? ", ..." : "");
    throw new Failure({
      code: "bad-recipe",
      what:
        ownLabels.length === 0
          ? "The model has no classifier of its own."
          : `${without.length} of ${names.length} classes are no label of the model's own classifier: ${some}.`,
      where: "head",
      remedy: "Choose a linear head, or name the folders as the model's labels.",
    });
  }
  const weight = await checkpoint.read("head.weight");
  const bias = await checkpoint.read("head.bias");
  const width = weight.length / ownLabels.length;
  const chosen = new Float32Array(names.length * width);
  rows.forEach((row, i) => {
    chosen.set(weight.subarray((row as number) * width, ((row as number) + 1) * width), i * width);
  });
  return {
    weight: chosen,
    bias: Float32Array.from(rows, (row) => (weights.head?.bias ? (bias[row as number] as number) : 0)),
    classes: names.length,
  };
}

async function fitProbe(network: Network, job: Job): Promise<StartingHead> {
  const { target } = network;
  const features = async (chosen: Chosen, label: string): Promise<Bank> => ({
    features: await extractFeatures(network.weights, null, pixelSource(target, chosen), {
      batch: batchFor(chosen),
      pooling: network.pooling,
      onProgress: job.progress("probe", label),
    }),
    labels: chosen.labels,
  });
  const trained = await features(ofSplit(target, "train"), "Looking at the training images");
  const held = await features(ofSplit(target, "val"), "Looking at the validation images");
  const tick = job.progress("probe", "Fitting the linear probe");
  const classes = target.images.classes.length;
  const { classWeights } = network.recipe;
  const { head, validation, right } = await linearProbe(trained, classes, held, tick, classWeights);
  return { head, bank: trained, validation, right };
}
