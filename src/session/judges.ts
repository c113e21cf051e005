// What answers for a set: the new classifier, the model's own, its text tower, or the nearest of labelled images. Every
// set is measured by the same one before and after, so that the two compare.
import type { Pooling } from "../checkpoint/pooling.ts";
import { textSpacePooling } from "../checkpoint/pooling.ts";
import { matchClasses } from "../dataset/match.ts";
import type { FrozenFeatures } from "../evaluation/frozen.ts";
import { type Bank, nearestNeighbours } from "../evaluation/knn.ts";
import { extractFeatures, predictAll, type SetOptions } from "../evaluation/predict.ts";
import { score, wilsonInterval } from "../evaluation/score.ts";
import type { Answers } from "../evaluation/types.ts";
import { zeroShotHead } from "../evaluation/zero_shot.ts";
import { Failure } from "../failure.ts";
import type { TextTower } from "../text/types.ts";
import type { HeadArrays } from "../training/types.ts";
import { linearClassifier, ownClassifier, uploadHead } from "../vit/classifier.ts";
import type { Classifier, EffectiveWeights, VitWeights } from "../vit/types.ts";
import { partsOf } from "./corruptions.ts";
import type { Tick } from "./job.ts";
import type { Basis, SetAccuracy, SetRole } from "./protocol.ts";
import { type Head, type Recipe, readTemplates } from "./recipe.ts";
import { type Chosen, type LoadedSet, measured, ofSplit, ownRows, pixelSource, thin } from "./sets.ts";

/** Most images in one forward pass of an evaluation: wide enough to fill a GPU, small enough for any. */
const EVALUATION_BATCH = 32;
/** The batch is padded to this, so that a small set does not pay for a wide one. */
export const batchFor = ({ indices }: Chosen) => Math.max(1, Math.min(EVALUATION_BATCH, indices.length));

/** How chosen images of a set go through a network. */
export const passOptions = ({ frozen }: Pick<Network, "frozen">, set: LoadedSet, chosen: Chosen) => ({
  batch: batchFor(chosen),
  frozen: frozen && { features: frozen, images: { set: set.id, indices: chosen.indices } },
});

/** Everything that answers are made of, but for the weights that stand. */
export interface Network {
  weights: VitWeights;
  /** The model's text tower; null without one. */
  text: TextTower | null;
  recipe: Pick<Recipe, "head" | "prompts" | "neighbours" | "classWeights">;
  /** What the new classifier and k-NN read. */
  pooling: Pooling;
  /** Labels of the model's own classifier; empty without one. */
  ownLabels: string[];
  target: LoadedSet;
  /** What `weights` made of images before, where that is kept. */
  frozen: FrozenFeatures | null;
}

/** The weights that stand, and the classifier that goes with them. */
export interface Standing {
  /** null: the frozen network. */
  effective: EffectiveWeights | null;
  head: HeadArrays;
  /** Features of images that vote, by set, as they are found; good for these weights only. */
  banks: Map<string, Bank>;
}

/** What is asked of one set, and of what. */
export interface Question {
  set: LoadedSet;
  judge: Head;
  /** What answers and labels index. */
  names: readonly string[];
  chosen: Chosen;
  /** For k-NN, the images that vote; null: the measured ones themselves, each judged by all others. */
  bank: { set: LoadedSet; chosen: Chosen } | null;
}

/** What answers for a role: the recipe's head for target and OOD; for retention what the model knew of itself. */
export function judgeOf({ recipe, ownLabels, text }: Network, role: SetRole): Head {
  if (role !== "retention" || recipe.head === "knn") return recipe.head;
  if (ownLabels.length > 0) return "own";
  return text ? "zero-shot" : "knn";
}

/** What the classes of a set count as. Without labels of the model's own, retention's classes stand for themselves. */
export function namesOf(network: Network, set: LoadedSet): readonly string[] {
  if (set.role !== "retention") return network.target.images.classes;
  return judgeOf(network, set.role) === "own" ? network.ownLabels : set.images.classes;
}

/** @param limits most images measured and most that vote; all by default */
export function questionOf(
  network: Network,
  set: LoadedSet,
  limits: { measured: number; bank: number } = { measured: Infinity, bank: Infinity },
): Question {
  const judge = judgeOf(network, set.role);
  const names = namesOf(network, set);
  const chosen = measured(set, names);
  if (judge !== "knn") return { set, judge, names, chosen: thin(chosen, limits.measured), bank: null };
  // The target's training images vote for the target and for OOD. A retention set votes for itself: its training
  // images where it has some beside those that are measured, or else every image but the one that is asked about.
  const voters = set.role === "retention" ? set : network.target;
  const apart = voters.images.items.some(({ split }) => split !== "train");
  const bank = ofSplit(voters, "train");
  if (!apart || bank.indices.length === 0)
    return { set, judge, names, chosen: thin(chosen, limits.bank), bank: null };
  return {
    set,
    judge,
    names,
    chosen: thin(chosen, limits.measured),
    bank: { set: voters, chosen: thin(bank, limits.bank) },
  };
}

/** Answers a question and counts how many answers are right. */
export async function answer(
  network: Network,
  question: Question,
  standing: Standing,
  onProgress?: (done: number) => void,
  kept?: SetOptions["kept"],
): Promise<SetAccuracy> {
  const [answers] = await answersOf(network, question, standing, { byTarget: false, onProgress, kept });
  return scored(network, question, answers as Answers);
}

/** The same, and what the target's classifier says of these images, whose answers need not mean anything. */
export async function answerTwice(
  network: Network,
  question: Question,
  standing: Standing,
  onProgress?: (done: number) => void,
  kept?: SetOptions["kept"],
): Promise<{ set: SetAccuracy; byTarget: Answers }> {
  const answers = await answersOf(network, question, standing, { byTarget: true, onProgress, kept });
  return { set: scored(network, question, answers[0] as Answers), byTarget: answers.at(-1) as Answers };
}

/** Which images a question asks of: all held-out ones, or which part of them. */
export function basisOf(network: Network, { set, chosen, bank }: Question): Basis {
  const all = questionOf(network, set);
  const { indices } = chosen;
  const count = indices.length;
  const sameVoters = (bank?.chosen.indices.length ?? 0) === (all.bank?.chosen.indices.length ?? 0);
  const held = all.chosen.indices;
  if (sameVoters && count === held.length && indices.every((at, i) => at === held[i]))
    return { images: "all", count, of: count };
  const validation = set.role === "target" && indices.every((at) => set.images.items[at]?.split === "val");
  return validation
    ? { images: "validation", count, of: ofSplit(set, "val").indices.length }
    : { images: "sample", count, of: held.length };
}

function scored(network: Network, question: Question, answers: Answers): SetAccuracy {
  const { set, judge, names, chosen } = question;
  const { id, role, name } = set;
  const basis = basisOf(network, question);
  const scores = score(answers, chosen.labels, [...names]);
  const parts = partsOf(set, chosen.indices, answers.predictions, chosen.labels);
  const corrupted = { interval: wilsonInterval(scores.correct / parts.length, scores.count / parts.length) };
  return {
    ...{ id, role, name, basis, judge, parts, change: null, detection: null },
    ...scores,
    ...(parts.length > 0 && corrupted),
  };
}

/** The judge's answers, and where they are another's and `byTarget` asks for them, those of the target's classifier. */
async function answersOf(
  network: Network,
  { set, judge, names, chosen, bank }: Question,
  standing: Standing,
  {
    byTarget,
    onProgress,
    kept,
  }: Pick<SetOptions, "kept"> & {
    byTarget: boolean;
    onProgress?: ((done: number) => void) | undefined;
  },
): Promise<Answers[]> {
  const { weights, pooling, target } = network;
  const { effective } = standing;
  const options = { ...passOptions(network, set, chosen), onProgress, kept };
  const source = pixelSource(set, chosen);
  const retention = set.role === "retention";
  if (judge === "knn") {
    const features = await extractFeatures(weights, effective, source, { ...options, pooling });
    const vote = async (voters: Question["bank"], classes: number) => {
      const settings = { k: network.recipe.neighbours, classes };
      if (!voters) return nearestNeighbours({ features, labels: chosen.labels }, null, settings);
      const known = await bankOf(network, voters, standing, onProgress);
      return nearestNeighbours(known, features, settings);
    };
    const own = await vote(bank, names.length);
    if (!retention || !byTarget) return [own];
    if (network.recipe.head !== "knn")
      return [
        own,
        ...(await withHead(standing.head, pooling, (by) =>
          predictAll(weights, effective, [by], source, options),
        )),
      ];
    const voters = { set: target, chosen: ofSplit(target, "train") };
    return [own, await vote(voters, target.images.classes.length)];
  }
  const ask = (...classifiers: Classifier[]) => predictAll(weights, effective, classifiers, source, options);
  if (!retention) return withHead(standing.head, pooling, ask);
  const beside = (classifier: Classifier) =>
    byTarget ? withHead(standing.head, pooling, (byHead) => ask(classifier, byHead)) : ask(classifier);
  if (judge === "own") return beside(ownClassifier(weights));
  const said = await wordsHead(network, names, () => onProgress?.(0));
  return withHead(said, textPooling(weights), beside);
}

/** Which of a question's images are strange to the target, as places in `chosen`; see `Detection`. */
export function strangers(
  { target }: Network,
  { set, judge, names, chosen }: Question,
): {
  strange: "classes" | "style";
  places: number[];
} {
  const all = chosen.indices.map((_, place) => place);
  if (set.role !== "retention") return { strange: "style", places: all };
  const known = matchClasses(names, target.images.classes);
  // A target's folders may be WordNet ids or numbers of the model's own rows.
  const rows = new Set(judge === "own" ? ownRows(target, names) : []);
  const places = all.filter((place) => {
    const label = chosen.labels[place] as number;
    return !rows.has(label) && known.get(names[label] as string) === null;
  });
  return places.length > 0 ? { strange: "classes", places } : { strange: "style", places: all };
}

async function withHead<T>(
  head: HeadArrays,
  pooling: Pooling,
  use: (classifier: Classifier) => Promise<T>,
): Promise<T> {
  const uploaded = uploadHead(head);
  try {
    return await use(linearClassifier(uploaded, pooling, head.unit));
  } finally {
    uploaded.weight.dispose();
    uploaded.bias?.dispose();
  }
}

async function bankOf(
  network: Network,
  { set, chosen }: NonNullable<Question["bank"]>,
  { effective, banks }: Standing,
  onProgress?: (done: number) => void,
): Promise<Bank> {
  const known = banks.get(set.id);
  if (known) return known;
  const features = await extractFeatures(network.weights, effective, pixelSource(set, chosen), {
    ...passOptions(network, set, chosen),
    pooling: network.pooling,
    onProgress: () => onProgress?.(0),
  });
  const bank = { features, labels: chosen.labels };
  banks.set(set.id, bank);
  return bank;
}

/** The classifier that the text tower makes of class names. */
export async function wordsHead(
  { text, recipe }: Network,
  names: readonly string[],
  tick: Tick,
): Promise<HeadArrays> {
  if (!text) throw new Error("there is no text tower to ask");
  const head = await zeroShotHead(text, names, readTemplates(recipe.prompts), tick);
  return { ...head, unit: true };
}

/** What of the network is compared with its text tower. */
export function textPooling({ architecture }: VitWeights): Pooling {
  const pooling = textSpacePooling(architecture);
  if (pooling) return pooling;
  throw new Failure({
    code: "bad-model",
    what: "The vision tower has no features in the space of its text tower.",
    remedy: "Load the whole model, with its projection, or choose another head.",
  });
}
