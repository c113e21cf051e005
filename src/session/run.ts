// One run from start to end: the linear probe, which is the "before", the training, and the "after".
import type { Checkpoint } from "../checkpoint/types.ts";
import { extractFeatures, predict } from "../evaluation/predict.ts";
import { score } from "../evaluation/score.ts";
import { Failure } from "../failure.ts";
import { linearProbe } from "../training/probe.ts";
import { createTrainer } from "../training/trainer.ts";
import type { HeadArrays, Trainer } from "../training/types.ts";
import { linearClassifier, ownClassifier, uploadHead } from "../vit/classifier.ts";
import type { EffectiveWeights, VitWeights } from "../vit/types.ts";
import type { RunControl } from "./control.ts";
import { cancelled, type Job } from "./job.ts";
import type { AccuracyPoint, Evaluation, RunResult, SetAccuracy } from "./protocol.ts";
import type { Recipe } from "./recipe.ts";
import { type Chosen, type LoadedSet, measured, ofSplit, pixelSource, thin } from "./sets.ts";

/** Most images of an OOD or retention set that are looked at after each epoch; the end looks at all. */
const LIVE_IMAGES = 64;
/** Most images in one forward pass of an evaluation: wide enough to fill a GPU, small enough for any. */
const EVALUATION_BATCH = 32;
/** The batch is padded to this, so that a small set does not pay for a wide one. */
const batchFor = ({ indices }: Chosen) => Math.max(1, Math.min(EVALUATION_BATCH, indices.length));

/** A finished (or stopped) run that can still be adjusted, measured and exported. */
export interface Run {
  result: RunResult;
  trainer: Trainer;
  /** What is applied of the change now; an export writes just this. */
  applied: { open: Uint8Array; strength: number };
  network: Network;
  sets: readonly LoadedSet[];
  dispose(): void;
}

interface Network {
  weights: VitWeights;
  /** Labels of the model's own classifier; empty without one. */
  ownLabels: string[];
  targetClasses: string[];
}

interface RunInput {
  weights: VitWeights;
  checkpoint: Checkpoint;
  target: LoadedSet;
  sets: readonly LoadedSet[];
  recipe: Recipe;
  job: Job;
  control: RunControl;
}

/**
 * Runs a recipe. The probe and everything before the first step can be cancelled; from then on a stop keeps what was
 * learned and still measures it.
 */
export async function trainRun(input: RunInput): Promise<Run> {
  const { weights, checkpoint, target, sets, recipe, job, control } = input;
  const network: Network = {
    weights,
    ownLabels: checkpoint.architecture.labels ?? [],
    targetClasses: target.images.classes,
  };
  refuseUselessSets(network, sets);
  const train = ofSplit(target, "train");
  const validation = ofSplit(target, "val");
  const began = performance.now();

  const probe = await fitProbe(network, target, train, validation, job);
  const before = await evaluate(network, sets, null, probe.head, "Measuring before", job);
  job.emit({ kind: "before", evaluation: { sets: before, open: new Uint8Array(0), strength: 0 } });

  const live = chooseLive(network, sets, { chosen: validation, accuracy: probe.validation ?? 0 }, before);
  const trainer = createTrainer({
    weights,
    recipe,
    source: pixelSource(target, train),
    head: probe.head,
    hooks: {
      onReport: (report) => job.emit({ kind: "step", report }),
      onFrame: (frame) => job.emit({ kind: "gates", frame }),
      onEpoch: async (epoch, step) => {
        const point = await liveAccuracy(network, live, trainer, epoch, step);
        job.emit({ kind: "accuracy", point });
      },
      between: () =>
        control.between((held) => job.emit({ kind: "status", status: held ? "paused" : "training" })),
    },
  });
  try {
    // A stop that came while nothing was counting ends the run here; later ones keep what was learned.
    if (job.signal.aborted) throw cancelled("The run");
    job.emit({ kind: "started", recipe, gates: [...trainer.adaptation.gates], steps: trainer.steps });
    control.started = true;
    const complete = await trainer.run();
    job.emit({ kind: "status", status: "evaluating" });
    const reading = await trainer.adaptation.read();
    const applied = { open: reading.open, strength: 1 };
    const after = await evaluateApplied(network, sets, trainer, applied, "Measuring after", job);
    return {
      result: {
        recipe,
        gates: [...trainer.adaptation.gates],
        final: { step: trainer.step, ...reading },
        before: { sets: before, open: new Uint8Array(reading.open.length), strength: 0 },
        after,
        complete,
        steps: trainer.step,
        seconds: (performance.now() - began) / 1000,
      },
      trainer,
      applied,
      network,
      sets,
      dispose: () => trainer.dispose(),
    };
  } catch (error) {
    trainer.dispose();
    throw error;
  }
}

/** Measures a run with other gates open, or with only a share of its change. */
export function evaluateRun(
  run: Run,
  applied: { open: Uint8Array; strength: number },
  job: Job,
): Promise<Evaluation> {
  return evaluateApplied(run.network, run.sets, run.trainer, applied, "Measuring", job);
}

/** Scores a whole network (the exported file, read back) on the target's held-out images by its own classifier. */
export async function measureTarget(weights: VitWeights, target: LoadedSet, job: Job): Promise<SetAccuracy> {
  const classes = target.images.classes;
  const chosen = measured(target, classes);
  const predictions = await predict(weights, null, ownClassifier(weights), pixelSource(target, chosen), {
    batch: batchFor(chosen),
    onProgress: job.progress("export", "Scoring the file"),
  });
  return { id: target.id, role: "target", name: target.name, ...score(predictions, chosen.labels, classes) };
}

/** A set of which nothing can be measured is refused before the run, with the reason, rather than scored as 0 %. */
function refuseUselessSets(network: Network, sets: readonly LoadedSet[]): void {
  for (const set of sets) {
    if (measured(set, namesOf(network, set)).indices.length > 0) continue;
    if (set.role === "retention" && network.ownLabels.length === 0) {
      throw new Failure({
        code: "bad-data",
        what: "The model has no classifier of its own, so what it knew cannot be measured.",
        where: set.name,
        remedy: "Remove the set, or load a model with a classifier.",
      });
    }
    const counterpart = set.role === "retention" ? "the model's own labels" : "the target's classes";
    throw new Failure({
      code: "bad-data",
      what:
        set.role === "target"
          ? "None of the held-out images can be read."
          : `No image of this set counts as one of ${counterpart}, so nothing of it can be measured.`,
      where: set.name,
      remedy: set.role === "target" ? "Load another folder." : "Map its classes by hand, or remove the set.",
    });
  }
}

const namesOf = (network: Network, set: LoadedSet) =>
  set.role === "retention" ? network.ownLabels : network.targetClasses;

async function fitProbe(network: Network, target: LoadedSet, train: Chosen, validation: Chosen, job: Job) {
  const features = async (chosen: Chosen, label: string) => ({
    features: await extractFeatures(network.weights, null, pixelSource(target, chosen), {
      batch: batchFor(chosen),
      onProgress: job.progress("probe", label),
    }),
    labels: chosen.labels,
  });
  const trained = await features(train, "Looking at the training images");
  const held = await features(validation, "Looking at the validation images");
  return linearProbe(
    trained,
    network.targetClasses.length,
    held,
    job.progress("probe", "Fitting the linear probe"),
  );
}

/** All sets with the gates and strength given; the classifier is taken the same share of its way. */
async function evaluateApplied(
  network: Network,
  sets: readonly LoadedSet[],
  trainer: Trainer,
  applied: { open: Uint8Array; strength: number },
  label: string,
  job: Job,
): Promise<Evaluation> {
  const head = await trainer.head(applied.strength);
  const effective = trainer.adaptation.effective(applied);
  try {
    return { sets: await evaluate(network, sets, effective, head, label, job), ...applied };
  } finally {
    effective.dispose();
  }
}

async function evaluate(
  network: Network,
  sets: readonly LoadedSet[],
  effective: EffectiveWeights | null,
  head: HeadArrays,
  label: string,
  job: Job,
): Promise<SetAccuracy[]> {
  const chosen = sets.map((set) => measured(set, namesOf(network, set)));
  const total = chosen.reduce((sum, c) => sum + c.indices.length, 0);
  const tick = job.progress("evaluate", label);
  const results: SetAccuracy[] = [];
  let done = 0;
  for (const [i, set] of sets.entries()) {
    const part = chosen[i] as Chosen;
    const offset = done;
    results.push(await measureSet(network, set, part, effective, head, (n) => tick(offset + n, total)));
    done += part.indices.length;
  }
  return results;
}

/** One set: target and OOD by the new classifier, retention by the model's own. */
async function measureSet(
  network: Network,
  set: LoadedSet,
  chosen: Chosen,
  effective: EffectiveWeights | null,
  head: HeadArrays,
  onProgress?: (done: number) => void,
): Promise<SetAccuracy> {
  const uploaded = uploadHead(head);
  const classifier = set.role === "retention" ? ownClassifier(network.weights) : linearClassifier(uploaded);
  try {
    const predictions = await predict(network.weights, effective, classifier, pixelSource(set, chosen), {
      batch: batchFor(chosen),
      onProgress,
    });
    const names = namesOf(network, set);
    return { id: set.id, role: set.role, name: set.name, ...score(predictions, chosen.labels, [...names]) };
  } finally {
    uploaded.weight.dispose();
    uploaded.bias?.dispose();
  }
}

/** Images of one set that the live curves look at, and their accuracy before training. */
interface LiveSet {
  set: LoadedSet;
  chosen: Chosen;
  before: number;
}

/** The target's validation split (its accuracy is the probe's), and a part of every other set. */
function chooseLive(
  network: Network,
  sets: readonly LoadedSet[],
  validation: { chosen: Chosen; accuracy: number },
  before: readonly SetAccuracy[],
): LiveSet[] {
  return sets.map((set) => {
    if (set.role === "target") return { set, chosen: validation.chosen, before: validation.accuracy };
    const all = measured(set, namesOf(network, set));
    const chosen = thin(all, LIVE_IMAGES);
    const answers = before.find(({ id }) => id === set.id)?.predictions ?? new Int32Array(all.indices.length);
    // The same pictures are picked out of the answers as out of the images.
    const { labels: picked } = thin({ indices: all.indices, labels: answers }, LIVE_IMAGES);
    return { set, chosen, before: score(picked, chosen.labels, [...namesOf(network, set)]).accuracy };
  });
}

/** A point of the live curves. */
async function liveAccuracy(
  network: Network,
  live: readonly LiveSet[],
  trainer: Trainer,
  epoch: number,
  step: number,
): Promise<AccuracyPoint> {
  const head = await trainer.head();
  const effective = trainer.adaptation.effective();
  try {
    const points: AccuracyPoint["sets"] = [];
    for (const { set, chosen, before } of live) {
      const { id, role, name, accuracy } = await measureSet(network, set, chosen, effective, head);
      points.push({ id, role, name, accuracy, before });
    }
    return { epoch, step, sets: points };
  } finally {
    effective.dispose();
  }
}
