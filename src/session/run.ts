// One run from start to end: the classifier it starts from, which is the "before", the training, and the "after".
import { traitsOf } from "../adaptation/methods.ts";
import type { Checkpoint, Role } from "../checkpoint/types.ts";
import { changeOf } from "../evaluation/change.ts";
import { auroc } from "../evaluation/detection.ts";
import { Entries, type Standing as LayerWords, layersToKeep } from "../evaluation/entries.ts";
import type { FrozenFeatures } from "../evaluation/frozen.ts";
import { predict } from "../evaluation/predict.ts";
import { score } from "../evaluation/score.ts";
import type { Answers } from "../evaluation/types.ts";
import { Failure } from "../failure.ts";
import type { OpenedText } from "../text/tower.ts";
import { readSnapshot, writeSnapshot } from "../training/snapshot_file.ts";
import { createTrainer } from "../training/trainer.ts";
import type { HeadArrays, Trainer, TrainerSnapshot } from "../training/types.ts";
import { ownClassifier } from "../vit/classifier.ts";
import { tokensPerImage } from "../vit/forward.ts";
import type { VitWeights } from "../vit/types.ts";
import type { RunControl } from "./control.ts";
import { choosePooling, freshHead, probedPart, startHead } from "./heads.ts";
import { cancelled, type Job } from "./job.ts";
import {
  answer,
  answerTwice,
  basisOf,
  batchFor,
  judgeOf,
  type Network,
  namesOf,
  type Question,
  questionOf,
  type Standing,
  strangers,
} from "./judges.ts";
import { liveAccuracy, liveQuestions, sampleBefore, savedSample, startPoint, unlessStopped } from "./live.ts";
import type { Detection, Evaluation, PathPoint, RunResult, SavedRun, SetAccuracy } from "./protocol.ts";
import type { Recipe } from "./recipe.ts";
import { rejoin } from "./saved_run.ts";
import { type KeptSet, keptSource, type LoadedSet, measured, ofSplit, pixelSource } from "./sets.ts";

/** Memory, in bytes, for what entered some layers at the last measurement, so that a toggled block is judged at once. */
const ENTRIES = 512 * 2 ** 20;
/** How many measurements are remembered: of gates and strengths that a person comes back to. */
const REMEMBERED = 16;

/** A finished (or stopped) run that can still be adjusted, measured and exported. */
export interface Run {
  id: string;
  result: RunResult;
  trainer: Trainer;
  /** What is applied of the change now; an export writes just this. */
  applied: Applied;
  network: Network;
  sets: readonly LoadedSet[];
  /** The run as it ended, to be taken up again later. */
  save(): Promise<SavedRun>;
  /** What is kept of each set, by its id. */
  entries: ReadonlyMap<string, Entries>;
  /** Measurements by what was applied, the last one last. */
  measured: Map<string, SetAccuracy[]>;
  dispose(): void;
}

interface Applied {
  open: Uint8Array;
  strength: number;
}

/** A starting classifier and what was measured with it of the frozen network. */
interface Start {
  head: HeadArrays;
  validation: number | null;
  /** On the images that live accuracy is measured on; null until it is measured. */
  sample: SetAccuracy[] | null;
  /** On all held-out images; null until it is measured. */
  before: SetAccuracy[] | null;
}

/** Starts by what the recipe says of them. */
export type Starts = Map<string, Start>;

interface RunInput {
  /** Under which all that is saved of the run is kept. */
  id: string;
  weights: VitWeights;
  checkpoint: Checkpoint;
  /** Of the model's files. */
  fingerprint: string | null;
  text: OpenedText;
  target: LoadedSet;
  sets: readonly LoadedSet[];
  /** Images without classes, on which the network is to stay as it was. */
  kept: readonly KeptSet[];
  recipe: Recipe;
  job: Job;
  /** Is asked before a start is made, and given it. */
  starts: Starts;
  /** What the network made of images before. */
  frozen: FrozenFeatures;
  control: RunControl;
  /** A run that was saved under way, to go on with. */
  from?: SavedRun | undefined;
  /** Is given the run as of its last good step when it fails after that. */
  keep: (saved: SavedRun) => void;
}

function networkOf({
  weights,
  checkpoint,
  text,
  target,
  recipe,
  frozen,
}: Omit<RunInput, "id" | "control" | "keep" | "starts">): Network {
  return {
    weights,
    text: text.tower,
    recipe,
    pooling: choosePooling(weights, recipe),
    ownLabels: checkpoint.architecture.labels ?? [],
    target,
    frozen,
  };
}

/**
 * Runs a recipe, or goes on with a run. Everything before the first step can be cancelled; from then on a stop keeps
 * what was learned and still measures it.
 */
export async function trainRun(input: RunInput): Promise<Run> {
  const { weights, checkpoint, target, sets, recipe, job, control } = input;
  const network = networkOf(input);
  refuseUselessSets(network, sets);
  const began = performance.now();

  const from = input.from ? rejoinRun(input.from, input.fingerprint, network, sets, input.kept) : null;
  const snapshot = from ? await readSnapshot(from.snapshot) : null;
  const live = liveQuestions(network, sets);
  const start: Start =
    from && snapshot
      ? {
          head: snapshot.probe,
          validation: from.validation,
          sample: savedSample(network, live, from.sample?.sets ?? []),
          before: from.before?.sets ?? null,
        }
      : await startOf(input, network);
  const { head, validation } = start;
  const unchanged = (sets: SetAccuracy[]) => ({ sets, open: new Uint8Array(0), strength: 0 });
  // A probe has seen the target's validation images; what it says of them waits for nothing.
  const sampling = job.progress("evaluate", "Measuring before, on a sample");
  const seen = !from && validation !== null ? live.filter(isTarget) : [];
  const first = start.sample ?? (await sampleBefore(network, seen, head, sampling));
  if (first.length > 0) job.emit({ kind: "before", evaluation: unchanged(first) });

  const probed = probedPart(network);
  const stopping = () => control.stopping;
  // One that is gone on with has told of it, if it knew.
  const begins = !from || (from.sample === null && from.before === null);
  const tellStart = (sets: readonly SetAccuracy[]) => {
    if (begins) job.emit({ kind: "accuracy", point: startPoint(sets) });
  };
  /** Between two steps, once the first have been made; gives nothing where a stop comes first. */
  const sampled = async () => {
    if (start.sample) return start.sample;
    const unseen = live.filter((question) => !seen.includes(question));
    const asked = await unlessStopped(stopping, (orStop) =>
      sampleBefore(network, unseen, head, (done, total) => {
        orStop();
        sampling(done, total);
      }),
    );
    if (asked) {
      const known = [...first, ...asked];
      start.sample = live.map(({ set }) => known.find(({ id }) => id === set.id) as SetAccuracy);
      job.emit({ kind: "before", evaluation: unchanged(start.sample) });
      tellStart(start.sample);
    }
    return start.sample;
  };
  let moves = false;
  const trainer = createTrainer({
    weights,
    pooling: network.pooling,
    recipe: { ...recipe, stored: storedRoles(checkpoint) },
    source: pixelSource(target, ofSplit(target, "train")),
    head,
    start: freshHead(recipe, head) ?? head,
    keepSource: keptSource(input.kept),
    hooks: {
      onReport: (report) => {
        moves = true;
        job.emit({ kind: "step", report });
      },
      onNotice: (text) => job.emit({ kind: "notice", text }),
      onFrame: (frame) => job.emit({ kind: "gates", frame }),
      onEpoch: async (epoch, step) => {
        const before = await sampled();
        const point =
          before && (await liveAccuracy(network, live, before, trainer, { epoch, step }, stopping));
        if (point) job.emit({ kind: "accuracy", point });
      },
      stopping,
      between: async () => {
        if (moves) await sampled();
        return control.between((held) => job.emit({ kind: "status", status: held ? "paused" : "training" }));
      },
    },
  });
  const seconds = () => (from?.seconds ?? 0) + (performance.now() - began) / 1000;
  const saved = (snapshot: TrainerSnapshot, result: RunResult | null): SavedRun => ({
    version: 1,
    id: input.id,
    recipe,
    model: input.fingerprint,
    sets: [...sets, ...input.kept].map(({ role, name, fingerprint }) => ({ role, name, fingerprint })),
    step: snapshot.step,
    steps: trainer.steps,
    seconds: result?.seconds ?? seconds(),
    before: start.before && unchanged(start.before),
    sample: start.sample && unchanged(start.sample),
    validation,
    result,
    snapshot: writeSnapshot(snapshot),
  });
  const save = async (result: RunResult | null) => saved(await trainer.snapshot(), result);
  try {
    if (snapshot) trainer.restore(snapshot);
    // A stop that came while nothing was counting ends the run here; later ones keep what was learned.
    if (job.signal.aborted) throw cancelled("The run");
    job.emit({ kind: "started", recipe, gates: [...trainer.adaptation.gates], steps: trainer.steps });
    if (start.sample) tellStart(start.sample);
    control.start(() => save(null));
    const { complete, failure } = await trainUntilItEnds(trainer);
    if (!complete && !failure) await control.stopped();
    control.end();
    // A run that was stopped half way, too, ends with exactly its budget open.
    await trainer.harden();
    job.emit({ kind: "status", status: "evaluating" });
    const reading = await trainer.adaptation.read();
    const applied = { open: reading.open, strength: 1 };
    const entries = keepEntries(
      network,
      sets.map((set) => questionOf(network, set)),
    );
    // The rest of "before" is measured when nobody waits for a step: what enters the layers below the lowest open block
    // is then known to "after".
    start.before ??= await evaluate(
      network,
      sets,
      { effective: null, head, banks: new Map() },
      "Measuring before",
      job,
      {
        keep: { entries, words: network.weights.layers.map(() => "") },
      },
    );
    const { before } = start;
    const after = await evaluateApplied(
      network,
      sets,
      trainer,
      applied,
      { before, entries },
      "Measuring after",
      job,
    );
    const result: RunResult = {
      recipe,
      gates: [...trainer.adaptation.gates],
      final: { step: trainer.step, ...reading },
      before: { sets: before, open: new Uint8Array(reading.open.length), strength: 0 },
      after,
      complete,
      steps: trainer.step,
      seconds: seconds(),
      ...(failure ? { failure } : {}),
      ...(probed ? { probed } : {}),
    };
    return {
      id: input.id,
      result,
      trainer,
      applied,
      network,
      sets,
      save: () => save(result),
      entries,
      measured: new Map([[keyOf(applied), after.sets]]),
      dispose: () => trainer.dispose(),
    };
  } catch (error) {
    const good = trainer.lastGood;
    if (good && good.step > 0) input.keep(saved(good, null));
    trainer.dispose();
    throw error;
  } finally {
    control.end();
  }
}

/** The classifier that the recipe starts from, and the "before" it gives as far as runs before have found it. */
async function startOf(
  { starts, checkpoint, text, recipe, job }: RunInput,
  network: Network,
): Promise<Start> {
  const { head: kind, prompts, neighbours, classWeights } = recipe;
  const key = JSON.stringify([kind, prompts, neighbours, classWeights, network.pooling]);
  const known = starts.get(key);
  if (known) return known;
  const found = await startHead(network, checkpoint, text.problem, job);
  const start: Start = { ...found, sample: null, before: null };
  // Few recipes start alike; a person who tries prompts all day starts anew each time.
  if (starts.size >= 8) starts.clear();
  starts.set(key, start);
  return start;
}

/**
 * Trains to the last step, to a stop, or until the numbers run away; then the trainer is back at its last good step,
 * and what it had learned there is worth as much as that of a run which was stopped.
 */
async function trainUntilItEnds(trainer: Trainer): Promise<Pick<RunResult, "complete" | "failure">> {
  try {
    return { complete: await trainer.run() };
  } catch (error) {
    const { parts } = Failure.from(error);
    if (parts.code !== "numeric" || trainer.step === 0) throw error;
    return { complete: false, failure: parts };
  }
}

const isTarget = ({ set }: Question) => set.role === "target";

/** Takes up a run that had ended. Nothing is trained or measured anew. */
export async function restoreRun(
  input: Omit<RunInput, "id" | "control" | "from" | "keep" | "starts">,
  saved: SavedRun,
): Promise<Run> {
  const { weights, target, sets, recipe } = input;
  const network = networkOf(input);
  const { result, ...rest } = rejoinRun(saved, input.fingerprint, network, sets, input.kept);
  if (!result) {
    throw new Failure({
      code: "state",
      what: `This run had not ended: it was at step ${saved.step} of ${saved.steps}.`,
      remedy: "Go on with it, or start anew.",
    });
  }
  const snapshot = await readSnapshot(saved.snapshot);
  const trainer = createTrainer({
    weights,
    pooling: network.pooling,
    recipe: { ...recipe, stored: storedRoles(input.checkpoint) },
    source: pixelSource(target, ofSplit(target, "train")),
    head: snapshot.probe,
  });
  try {
    trainer.restore(snapshot);
    if (trainer.adaptation.gates.length !== result.gates.length) throw new Error("other gates");
  } catch (error) {
    trainer.dispose();
    throw error;
  }
  return {
    id: saved.id,
    result,
    trainer,
    applied: { open: result.final.open, strength: 1 },
    network,
    sets,
    entries: keepEntries(
      network,
      sets.map((set) => questionOf(network, set)),
    ),
    measured: new Map([[keyOf({ open: result.final.open, strength: 1 }), result.after.sets]]),
    save: async () => ({ ...rest, before: result.before, result, snapshot: saved.snapshot }),
    dispose: () => trainer.dispose(),
  };
}

/** A saved run over what is loaded now. */
function rejoinRun(
  saved: SavedRun,
  fingerprint: string | null,
  network: Network,
  sets: readonly LoadedSet[],
  kept: readonly KeptSet[],
): SavedRun {
  const counts = sets.map((set) => questionOf(network, set).chosen.indices.length);
  return rejoin(saved, fingerprint, sets, counts, kept);
}

/** Accuracies of a run at shares of its change, on the same part of each set. */
export async function measurePath(
  { network, sets, trainer, applied: { open } }: Run,
  strengths: readonly number[],
  limit: number,
  job: Job,
): Promise<PathPoint[]> {
  const questions = sets.map((set) => questionOf(network, set, { measured: limit, bank: limit }));
  const each = questions.reduce((sum, { chosen }) => sum + chosen.indices.length, 0);
  const tick = job.progress("evaluate", "Measuring between before and after");
  const path: PathPoint[] = [];
  let done = 0;
  for (const strength of strengths) {
    const head = await trainer.head(strength);
    const effective = trainer.adaptation.effective({ open, strength });
    const point: PathPoint = { strength, sets: [] };
    try {
      const standing = { effective, head, banks: new Map() };
      for (const question of questions) {
        const offset = done;
        const onProgress = (n: number) => tick(offset + n, each * strengths.length);
        const { role, name, accuracy } = await answer(network, question, standing, onProgress);
        point.sets.push({ role, name, accuracy });
        done += question.chosen.indices.length;
      }
    } finally {
      effective.dispose();
    }
    path.push(point);
  }
  return path;
}

/** Measures a run with other gates open, or with only a share of its change. Each set is told of as it is done. */
export async function evaluateRun(run: Run, applied: Applied, job: Job): Promise<Evaluation> {
  const { network, sets, trainer, entries, result, measured: remembered } = run;
  const before = result.before.sets;
  const key = keyOf(applied);
  const known = remembered.get(key);
  const soFar: SetAccuracy[] = [];
  const onSet = (set: SetAccuracy) => {
    soFar.push(set);
    job.emit({ kind: "measured", evaluation: { sets: [...soFar], ...applied } });
  };
  const evaluation: Evaluation = known
    ? { sets: known, ...applied }
    : await evaluateApplied(network, sets, trainer, applied, { before, entries }, "Measuring", job, onSet);
  remembered.delete(key);
  remembered.set(key, evaluation.sets);
  if (remembered.size > REMEMBERED) remembered.delete(remembered.keys().next().value as string);
  return evaluation;
}

const keyOf = ({ open, strength }: Applied) => `${open.join("")} ${strength}`;

/** Room for what enters the layers when sets are measured, as much of it as `budget` bytes hold; by the set's id. */
export function keepEntries(
  { weights }: Network,
  questions: readonly Question[],
  budget = ENTRIES,
): Map<string, Entries> {
  const { layers, hiddenSize } = weights.architecture;
  const images = questions.reduce((sum, { chosen }) => {
    const batch = batchFor(chosen);
    return sum + Math.ceil(chosen.indices.length / batch) * batch;
  }, 0);
  const bytes = images * tokensPerImage(weights) * hiddenSize * Float32Array.BYTES_PER_ELEMENT;
  const kept = layersToKeep(layers, bytes, budget);
  return new Map(questions.map(({ set }) => [set.id, new Entries(kept)]));
}

/** What stands in each layer: the frozen weights, or which gates' changes and how much of them. */
export function layerWords({ adaptation }: Trainer, depth: number, { open, strength }: Applied): LayerWords {
  return Array.from({ length: depth }, (_, layer) => {
    // What lies below the first layer may have changed with any of them (full fine-tuning).
    const changed = adaptation.gates.filter(
      (gate) => open[gate.id] === 1 && (gate.layer === layer || layer === 0),
    );
    const own = changed.filter((gate) => gate.layer === layer).map(({ id }) => id);
    const any = traitsOf(adaptation.options.method).everything && changed.length > 0;
    return (own.length > 0 || any) && strength > 0 ? `${own} x ${strength}` : "";
  });
}

/** Scores a whole network (the exported file, read back) on the target's held-out images, by what answers there. */
export async function measureTarget(weights: VitWeights, { network }: Run, job: Job): Promise<SetAccuracy> {
  const read = { ...network, weights, frozen: null };
  const question = questionOf(read, network.target);
  const { set, judge, names, chosen } = question;
  const onProgress = job.progress("export", "Scoring the file");
  if (judge === "knn") {
    const nobody = { weight: new Float32Array(0), bias: new Float32Array(0), classes: 0 };
    const standing = { effective: null, head: nobody, banks: new Map() };
    return answer(read, question, standing, (done) => onProgress(done, chosen.indices.length));
  }
  const answers = await predict(weights, null, ownClassifier(weights), pixelSource(set, chosen), {
    batch: batchFor(chosen),
    onProgress,
  });
  return {
    id: set.id,
    role: "target",
    name: set.name,
    basis: basisOf(read, question),
    judge,
    parts: [],
    change: null,
    detection: null,
    ...score(answers, chosen.labels, [...names]),
  };
}

/** Roles that the checkpoint's file holds in full, and so can take back changed. */
function storedRoles({ roles, source }: Checkpoint): Set<Role> {
  const held = new Map<Role, number>();
  for (const { pieces } of source.tensors)
    for (const { role, count } of pieces) held.set(role, (held.get(role) ?? 0) + count);
  const size = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
  return new Set([...roles].flatMap(([role, { shape }]) => (held.get(role) === size(shape) ? [role] : [])));
}

/** A set of which nothing can be measured is refused before the run, with the reason, rather than scored as 0 %. */
function refuseUselessSets(network: Network, sets: readonly LoadedSet[]): void {
  for (const set of sets) {
    if (measured(set, namesOf(network, set)).indices.length > 0) continue;
    const own = judgeOf(network, set.role) === "own";
    const counterpart = set.role === "retention" && own ? "the model's own labels" : "the target's classes";
    const unreadable = set.role === "target" || (set.role === "retention" && !own);
    throw new Failure({
      code: "bad-data",
      what: unreadable
        ? "None of the held-out images can be read."
        : `No image of this set counts as one of ${counterpart}, so nothing of it can be measured.`,
      where: set.name,
      remedy: unreadable
        ? "Load another folder."
        : "Rename its folders or map its classes by hand, or remove the set.",
    });
  }
}

/** All sets with the gates and strength given; the classifier is taken the same share of its way. */
async function evaluateApplied(
  network: Network,
  sets: readonly LoadedSet[],
  trainer: Trainer,
  applied: Applied,
  { before, entries }: { before: readonly SetAccuracy[]; entries: ReadonlyMap<string, Entries> },
  label: string,
  job: Job,
  onSet?: (set: SetAccuracy) => void,
): Promise<Evaluation> {
  const words = layerWords(trainer, network.weights.architecture.layers, applied);
  const keep = { entries, words };
  const head = await trainer.head(applied.strength);
  const effective = trainer.adaptation.effective(applied);
  try {
    const standing = { effective, head, banks: new Map() };
    const after = await evaluate(network, sets, standing, label, job, { keep, before, onSet });
    return { sets: after, ...applied };
  } finally {
    effective.dispose();
  }
}

async function evaluate(
  network: Network,
  sets: readonly LoadedSet[],
  standing: Standing,
  label: string,
  job: Job,
  more: {
    keep?: { entries: ReadonlyMap<string, Entries>; words: LayerWords };
    before?: readonly SetAccuracy[];
    onSet?: ((set: SetAccuracy) => void) | undefined;
  } = {},
): Promise<SetAccuracy[]> {
  const { keep, before, onSet } = more;
  // The target first: it is what a person waits for.
  const targetFirst = [...sets].sort((a, b) => Number(b.role === "target") - Number(a.role === "target"));
  const questions = targetFirst.map((set) => questionOf(network, set));
  const total = questions.reduce((sum, { chosen }) => sum + chosen.indices.length, 0);
  const tick = job.progress("evaluate", label);
  const results: SetAccuracy[] = [];
  let inside: Answers | null = null;
  let done = 0;
  for (const question of questions) {
    const offset = done;
    const entries = keep?.entries.get(question.set.id);
    const { set, byTarget } = await answerTwice(
      network,
      question,
      standing,
      (n) => tick(offset + n, total),
      keep && entries && { entries, standing: keep.words },
    );
    if (set.role === "target") inside = byTarget;
    const was = before?.find(({ id }) => id === set.id);
    const result: SetAccuracy = {
      ...set,
      change: was ? changeOf(was.predictions, set.predictions, set.labels) : null,
      detection: inside && set.role !== "target" ? detect(network, question, inside, byTarget) : null,
    };
    results.push(result);
    onSet?.(result);
    done += question.chosen.indices.length;
  }
  return sets.map(({ id }) => results.find((one) => one.id === id) as SetAccuracy);
}

/** How well certainty tells `inside`, the target, from the strangers among a question's images. */
function detect(network: Network, question: Question, inside: Answers, byTarget: Answers): Detection | null {
  const { strange, places } = strangers(network, question);
  const area = (within: Float32Array, outside: Float32Array) =>
    auroc(
      within,
      Float32Array.from(places, (place) => outside[place] as number),
    );
  const confidence = area(inside.confidence, byTarget.confidence);
  if (confidence === null) return null;
  const energy = inside.energy && byTarget.energy ? area(inside.energy, byTarget.energy) : null;
  return { strange, count: places.length, confidence, energy };
}
