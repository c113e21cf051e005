// The loop around the step: batches in, reports and gate frames out, held and ended from outside between steps. The
// device is read every few steps, one reading behind, so that a GPU always has work queued.
import * as tf from "@tensorflow/tfjs-core";
import { createAdaptation, readTensors, requireFit, restoreTensors } from "../adaptation/adaptation.ts";
import { budgetOf } from "../adaptation/budget.ts";
import { listGates } from "../adaptation/gates.ts";
import { traitsOf } from "../adaptation/methods.ts";
import type { Adaptation } from "../adaptation/types.ts";
import { Failure } from "../failure.ts";
import { checkFinite, OutOfMemory } from "../tensor/faults.ts";
import { allocatedBytes, guardMemory } from "../tensor/memory.ts";
import { type InParts, inTurns, nextTurn } from "../turn.ts";
import type { PixelSource, VitWeights } from "../vit/types.ts";
import { chooseImages, EntryCache, fetchPixels, labelsOf, uploadPixels } from "./batches.ts";
import { classWeights } from "./class_weights.ts";
import { chooseKept, Teacher } from "./keep.ts";
import { findNonFinite } from "./non_finite.ts";
import { createAdamW, createSgd } from "./optimiser.ts";
import {
  adapterRate,
  createSchedule,
  gatesLeftOpen,
  phaseOf,
  rateFactor,
  type Schedule,
} from "./schedule.ts";
import { fixedRanks, measuredRanks } from "./selection.ts";
import { type Learner, type StepBatch, trainInParts } from "./step.ts";
import type {
  HeadArrays,
  Trainer,
  TrainerInput,
  TrainerSnapshot,
  TrainingHooks,
  TrainingRecipe,
} from "./types.ts";

/**
 * Prepares a run: fresh adapters over `weights`, the classifier at its start.
 * @throws Failure "bad-data" when there is no image
 */
export function createTrainer(input: TrainerInput): Trainer {
  if (input.source.count === 0) {
    throw new Failure({
      code: "bad-data",
      what: "There are no images to train on.",
      remedy: "Load a folder with training images.",
    });
  }
  return new Loop(input);
}

/** Milliseconds between snapshots that are taken along the way, at ends of epochs. */
const snapshotEvery = 30_000;

class Loop implements Trainer {
  readonly adaptation: Adaptation;
  step = 0;
  lastGood: TrainerSnapshot | null = null;
  #lastGoodAt = 0;
  /** Whether a step like the next one has found memory; the first of its kind is watched. */
  #trusted = false;
  /** Images that go through the network at once: the batch, or less where memory is short. */
  #atOnce: number;
  readonly #weights: VitWeights;
  readonly #recipe: TrainingRecipe;
  readonly #source: PixelSource;
  /** What each class weighs in the loss; null where all weigh alike. */
  readonly #classWeights: Float32Array | null;
  readonly #hooks: TrainingHooks;
  readonly #schedule: Schedule;
  readonly #learner: Learner;
  readonly #reportEvery: number;
  /** Gates open at the end; null where tau and the penalty decide. */
  readonly #budget: number | null;
  #probe: HeadArrays;
  #cache: EntryCache | null = null;
  /** What the frozen network says of the training images and of those without classes; null where nobody asks. */
  readonly #teacher: Teacher | null;
  readonly #keepTeacher: Teacher | null;
  readonly #keepSource: PixelSource | null;
  /** Gates open in the step at hand, where a budget says so. */
  #leftOpen: number;
  /** Σ loss since the last report, on the device. */
  readonly #lossSum: tf.Variable;
  /** Σ distance from the frozen network since the last report, on the device. */
  readonly #keepSum: tf.Variable;
  #lossSteps = 0;
  /** The report that is on its way back from the device. */
  #reporting: Promise<void> = Promise.resolve();
  readonly #clock = new Stopwatch();

  constructor(input: TrainerInput) {
    const { weights, pooling, recipe, source, head, start = head, hooks, reportEvery } = input;
    this.#weights = weights;
    this.#budget = budgetOf(recipe, listGates(weights.architecture, recipe).length);
    // Under a budget the ranks decide, and a pull on every score would change none of them.
    this.#recipe = this.#budget === null ? recipe : { ...recipe, lambda: 0 };
    this.#source = source;
    this.#classWeights = classWeights(recipe.classWeights ?? "none", source.labels, start.classes);
    this.#hooks = hooks ?? {};
    this.#probe = head;
    this.#schedule = createSchedule(source.count, recipe);
    this.#atOnce = this.#schedule.batch;
    this.#reportEvery = reportEvery ?? Math.min(10, Math.max(1, Math.round(this.#schedule.steps / 100)));
    this.adaptation = createAdaptation(weights, recipe);
    this.#leftOpen = this.adaptation.gates.length;
    const fixed = fixedRanks(recipe, this.#leftOpen);
    if (fixed) this.adaptation.rank(fixed);
    this.#openGates();
    const keeps = (recipe.keep ?? 0) > 0;
    const teacher = () => new Teacher(weights, pooling, recipe.augmentation === "none");
    this.#teacher = keeps ? teacher() : null;
    this.#keepSource = (keeps && input.keepSource?.count && input.keepSource) || null;
    this.#keepTeacher = this.#keepSource && teacher();
    const variables = {
      weight: variable(tf.tensor2d(start.weight, [start.classes, start.weight.length / start.classes])),
      bias: variable(tf.tensor1d(start.bias)),
      unit: start.unit,
      // Of a probe nothing else learns, so that it always does.
      learns:
        recipe.headTrains === "no" && traitsOf(recipe.method).change !== "nothing"
          ? "nothing"
          : start.unit
            ? "weight"
            : "both",
    } as const;
    const parameters = [...this.adaptation.parameters, variables.weight, variables.bias];
    this.#lossSum = variable(tf.scalar(0));
    this.#keepSum = variable(tf.scalar(0));
    this.#learner = {
      weights,
      pooling,
      adaptation: this.adaptation,
      head: variables,
      optimiser:
        recipe.optimiser === "sgd" ? createSgd(parameters) : createAdamW(parameters, recipe.weightDecay),
      recipe: this.#recipe,
      schedule: this.#schedule,
      ...(keeps && { keep: { weight: recipe.keep as number, total: this.#keepSum } }),
    };
  }

  get steps(): number {
    return this.#schedule.steps;
  }

  async run(): Promise<boolean> {
    this.#clock.start();
    let next: { step: number; pixels: Promise<Pixels> } | null = null;
    try {
      if (this.step === 0) await this.#report();
      while (this.step < this.steps) {
        const verdict = await this.#clock.apart(async () => this.#hooks.between?.(this.step));
        if (verdict === "stop") break;
        if (!this.adaptation.frozen) await this.#select();
        if (!this.adaptation.frozen && this.step >= this.#schedule.settleFrom) {
          await this.adaptation.freeze();
          this.#trusted = false;
        }
        const pixels: Promise<Pixels> = next?.step === this.step ? next.pixels : this.#fetch(this.step);
        next =
          this.step + 1 < this.steps ? { step: this.step + 1, pixels: this.#fetch(this.step + 1) } : null;
        // A failed fetch is thrown when its turn comes, not reported as unhandled before.
        next?.pixels.catch(() => {});
        const outcome = await this.#train(pixels);
        if (outcome === "given-up") break;
        if (outcome === "again") continue;
        this.step += 1;
        const epochEnds = this.step % this.#schedule.stepsPerEpoch === 0;
        if (this.step % this.#reportEvery === 0 || this.step === this.steps) await this.#report();
        if (epochEnds && this.#hooks.onEpoch) {
          await this.#reporting;
          const epoch = this.step / this.#schedule.stepsPerEpoch - 1;
          await this.#clock.apart(async () => this.#hooks.onEpoch?.(epoch, this.step));
        }
        if (epochEnds && performance.now() - this.#lastGoodAt > snapshotEvery) await this.#remember();
        await nextTurn();
      }
      if (this.step % this.#reportEvery !== 0 && this.step < this.steps) await this.#report();
      await this.#reporting;
    } catch (error) {
      throw await this.#fallBack(error);
    } finally {
      this.#forget();
    }
    return this.step === this.steps;
  }

  async harden(): Promise<void> {
    if (this.adaptation.frozen) return;
    if (this.#budget !== null) {
      if (this.step < this.#schedule.settleFrom) await this.#rankAnew();
      this.adaptation.openHighest(this.#budget);
    }
    await this.adaptation.freeze();
    this.#trusted = false;
  }

  async head(strength = 1): Promise<HeadArrays> {
    const { weight, bias } = this.#learner.head;
    const [tunedWeight, tunedBias] = await Promise.all([weight.data(), bias.data()]);
    const mix = (from: Float32Array, to: ArrayLike<number>) =>
      strength === 1
        ? Float32Array.from(to)
        : from.map((value, i) => value + strength * ((to[i] as number) - value));
    return {
      weight: mix(this.#probe.weight, tunedWeight),
      bias: mix(this.#probe.bias, tunedBias),
      classes: this.#probe.classes,
      unit: this.#probe.unit,
    };
  }

  async snapshot(): Promise<TrainerSnapshot> {
    const { optimiser } = this.#learner;
    const step = this.step;
    const steps = optimiser.steps;
    const [adaptation, head, moments] = await Promise.all([
      this.adaptation.snapshot(),
      readTensors(this.#headVariables()),
      readTensors(optimiser.moments),
    ]);
    return { version: 1, step, adaptation, head, probe: this.#probe, optimiser: { steps, moments } };
  }

  restore(snapshot: TrainerSnapshot): void {
    const { optimiser } = this.#learner;
    const head = this.#headVariables();
    requireFit(head, snapshot.head);
    requireFit(optimiser.moments, snapshot.optimiser.moments);
    this.adaptation.restore(snapshot.adaptation);
    restoreTensors(head, snapshot.head);
    restoreTensors(optimiser.moments, snapshot.optimiser.moments);
    optimiser.steps = snapshot.optimiser.steps;
    this.#probe = snapshot.probe;
    optimiser.discard();
    this.step = snapshot.step;
    // As after the last step, so that the next one closes and ranks what it would have.
    this.#openGates(Math.max(0, this.step - 1));
    this.#trusted = false;
    this.#lossSteps = 0;
    for (const sum of [this.#lossSum, this.#keepSum]) tf.tidy(() => sum.assign(tf.scalar(0)));
    this.#forget();
  }

  dispose(): void {
    this.#forget();
    this.adaptation.dispose();
    this.#learner.optimiser.dispose();
    tf.dispose([this.#learner.head.weight, this.#learner.head.bias, this.#lossSum, this.#keepSum]);
  }

  /** Lets go of what was remembered of images. */
  #forget(): void {
    this.#cache?.dispose();
    this.#cache = null;
    this.#teacher?.dispose();
    this.#keepTeacher?.dispose();
  }

  /** Opens as many gates as the budget leaves open in a step, by default the one at hand. */
  #openGates(step = this.step): void {
    if (this.#budget === null) return;
    const gates = this.adaptation.gates.length;
    this.#leftOpen = gatesLeftOpen(step, this.#schedule, gates, this.#budget);
    this.adaptation.openHighest(this.#leftOpen);
  }

  /** Before a step: as many gates as the budget leaves, the ranks measured anew whenever one more has to close. */
  async #select(): Promise<void> {
    const before = this.#leftOpen;
    this.#openGates();
    if (this.#leftOpen < before) await this.#rankAnew();
  }

  async #rankAnew(): Promise<void> {
    const ranks = await measuredRanks(this.#learner, async (count) => {
      const images = spread(this.#source.count, Math.min(count, this.#atOnce));
      const bytes = await this.#source.pixels(images);
      return uploadPixels(bytes, images.length, this.#weights.architecture.imageSize);
    });
    if (ranks) this.adaptation.rank(ranks);
  }

  #headVariables(): Record<string, tf.Variable> {
    return { weight: this.#learner.head.weight, bias: this.#learner.head.bias };
  }

  #choose(step: number): number[] {
    return chooseImages(step, this.#source.count, this.#schedule, this.#recipe.seed);
  }

  #chooseKept(step: number): number[] {
    const { batch } = this.#schedule;
    return this.#keepSource ? chooseKept(step, this.#keepSource.count, batch, this.#recipe.seed) : [];
  }

  /** Pixels of a step; empty where what was remembered will serve it. */
  async #fetch(step: number): Promise<Pixels> {
    const chosen = this.#choose(step);
    const epoch = Math.floor(step / this.#schedule.stepsPerEpoch);
    const known = this.#cache?.has(chosen) && (this.#teacher?.has(chosen) ?? true);
    const kept = this.#chooseKept(step);
    const nothing = new Uint8Array(0);
    const [own, beside] = await Promise.all([
      known ? nothing : fetchPixels(this.#source, chosen, epoch, this.#recipe),
      this.#keepSource && kept.length > 0
        ? fetchPixels(this.#keepSource, kept, epoch, this.#recipe)
        : nothing,
    ]);
    return { own, beside };
  }

  /** One step; "again" where memory ran out and the run went back to try with less at once, "given-up" where a stop came
   *  in the middle of it. */
  async #train(fetched: Promise<Pixels>): Promise<"made" | "again" | "given-up"> {
    const chosen = this.#choose(this.step);
    const pixels = await fetched;
    this.#cache ??= this.#openCache();
    if (!this.#trusted) {
      await this.#remember();
      // Nobody else may make a tensor while a step is guarded.
      await this.#reporting;
    }
    try {
      if (this.#cache && pixels.own.length > 0)
        await inTurns(this.#fillCache(this.#cache, chosen, pixels.own), this.#goOn);
      const work = () => this.#runStep(chosen, pixels);
      const loss = this.#trusted ? await inTurns(work(), this.#goOn) : await guardMemory(work, this.#goOn);
      this.#trusted = true;
      tf.tidy(() => this.#lossSum.assign(tf.add(this.#lossSum, loss)));
      this.#lossSteps += 1;
      loss.dispose();
      return "made";
    } catch (error) {
      if (error instanceof GivenUp) return "given-up";
      if (!(error instanceof OutOfMemory) || !this.lastGood) throw error;
      this.#takeLess(error);
      return "again";
    }
  }

  /** Asked in the middle of a step; throws where nobody waits for the end of it. */
  readonly #goOn = () => {
    if (this.#hooks.stopping?.()) throw new GivenUp();
  };

  *#runStep(chosen: readonly number[], { own, beside }: Pixels): InParts<tf.Scalar> {
    const parts = this.#shares(chosen).map((share, i): StepBatch => {
      const rows = labelsOf(this.#source, share, this.#atOnce, this.#classWeights);
      const input = this.#cache
        ? this.#cache.take(share, this.#atOnce)
        : { pixels: this.#upload(own, i, share.length) };
      const pixels = "pixels" in input ? input.pixels : () => this.#upload(own, i, share.length);
      return { input, ...rows, teacher: this.#teach(this.#teacher, share, pixels) };
    });
    const kept = this.#shares(this.#chooseKept(this.step)).map((share, i): StepBatch => {
      const pixels = this.#upload(beside, i, share.length);
      const mask = Float32Array.from({ length: this.#atOnce }, (_, at) => (at < share.length ? 1 : 0));
      const teacher = this.#teach(this.#keepTeacher, share, pixels);
      return { input: { pixels }, labels: null, mask, teacher };
    });
    const all = [...parts, ...kept];
    try {
      return yield* trainInParts(this.#learner, all, this.step);
    } finally {
      for (const { input, teacher } of all) {
        tf.dispose("entry" in input ? input.entry : input.pixels);
        teacher?.dispose();
      }
    }
  }

  /** What the frozen network makes of a share of the step. @param pixels given, or made where they are needed */
  #teach(
    teacher: Teacher | null,
    share: readonly number[],
    pixels: tf.Tensor4D | (() => tf.Tensor4D),
  ): tf.Tensor2D | null {
    if (!teacher) return null;
    if (typeof pixels !== "function") return teacher.features(share, this.#atOnce, () => pixels);
    let made: tf.Tensor4D | null = null;
    const features = teacher.features(share, this.#atOnce, () => {
      made = pixels();
      return made;
    });
    tf.dispose(made ?? []);
    return features;
  }

  /** The step's images as they go through the network: all at once, or so many at a time. */
  #shares(chosen: readonly number[]): number[][] {
    const shares: number[][] = [];
    for (let at = 0; at < chosen.length; at += this.#atOnce) shares.push(chosen.slice(at, at + this.#atOnce));
    return shares;
  }

  /** Pixels of the i-th share. */
  #upload(bytes: Uint8Array, i: number, count: number): tf.Tensor4D {
    const size = this.#weights.architecture.imageSize;
    const each = size * size * 3;
    const from = i * this.#atOnce * each;
    return uploadPixels(bytes.subarray(from, from + count * each), this.#atOnce, size);
  }

  *#fillCache(cache: EntryCache, chosen: readonly number[], bytes: Uint8Array): InParts<void> {
    for (const [i, own] of this.#shares(chosen).entries()) {
      const pixels = this.#upload(bytes, i, own.length);
      try {
        yield* cache.fill(own, pixels);
      } finally {
        pixels.dispose();
      }
    }
  }

  /** Keeps the run as it is now, if it is sound. */
  async #remember(): Promise<void> {
    const snapshot = await this.snapshot();
    if (!isFiniteSnapshot(snapshot)) return;
    this.lastGood = snapshot;
    this.#lastGoodAt = performance.now();
  }

  /** After memory ran out: back to the last good step, with half as many images at once. */
  #takeLess(error: OutOfMemory): void {
    const bytes = allocatedBytes();
    if (this.#atOnce === 1) {
      throw new Failure(
        {
          code: "gpu",
          what: `A training step on one image does not fit into memory: ${bytes.toLocaleString("en")} bytes were in use when there was no more. ${error.parts.what}`,
          where: `step ${this.step + 1}`,
          remedy: "Choose a smaller model or a lower rank, or adapt fewer matrices.",
        },
        { cause: error },
      );
    }
    this.#atOnce = Math.ceil(this.#atOnce / 2);
    this.restore(this.lastGood as TrainerSnapshot);
    const images = this.#atOnce === 1 ? "one image goes" : `${this.#atOnce} images go`;
    this.#hooks.onNotice?.(
      `Memory ran out with ${bytes.toLocaleString("en")} bytes in use. From here on ${images} through the network at a time; a step still learns from ${this.#schedule.batch}, so the result is the same.`,
    );
  }

  /** After a failure: says which op the first wrong number came from, and sets the run back to its last good step. */
  async #fallBack(error: unknown): Promise<unknown> {
    const { parts } = Failure.from(error);
    if (parts.code !== "numeric" || !this.lastGood) return error;
    const failedAt = `step ${this.step}`;
    const { own: bytes } = await this.#fetch(Math.min(this.step, this.steps - 1));
    const found =
      bytes.length > 0
        ? await findNonFinite(this.#learner, () => this.#upload(bytes, 0, Math.min(this.#atOnce, 1)))
        : null;
    this.restore(this.lastGood);
    return new Failure({
      ...parts,
      where: found ? `${failedAt}, first in ${found}` : failedAt,
      remedy: this.step > 0 ? `${parts.remedy} What was learned by step ${this.step} is kept.` : parts.remedy,
    });
  }

  #openCache(): EntryCache | null {
    if (!this.adaptation.frozen || this.#recipe.augmentation !== "none") return null;
    const layer = this.adaptation.lowestLearning()?.layer ?? this.#weights.architecture.layers - 1;
    return EntryCache.pays(this.#weights, layer, this.#source.count)
      ? new EntryCache(this.#weights, layer)
      : null;
  }

  /** Starts a report and a frame of this very step; waits only for the one before it. */
  async #report(): Promise<void> {
    await this.#reporting;
    const report = this.#read();
    this.#reporting = report;
    report.catch(() => {});
  }

  async #read(): Promise<void> {
    const { step, steps } = this;
    const { stepsPerEpoch, batch, penaltyFrom } = this.#schedule;
    const { lambda, method } = this.#recipe;
    const count = this.#lossSteps;
    const sum = tf.tidy(() => tf.stack([this.#lossSum, this.#keepSum]));
    for (const one of [this.#lossSum, this.#keepSum]) tf.tidy(() => one.assign(tf.scalar(0)));
    this.#lossSteps = 0;
    const frozen = this.adaptation.frozen;
    // Waited for together: a reading that fails while the other is on its way must find somebody who waits for it.
    const [gates, totals] = await Promise.all([
      this.adaptation.read(true),
      sum.data().finally(() => sum.dispose()),
    ]);
    const [total, distance] = totals as unknown as [number, number];
    const last = Math.max(0, step - 1);
    if (count > 0) {
      const loss = checkFinite(total / count, `step ${step}`);
      const seconds = this.#clock.lap() / count;
      this.#hooks.onReport?.({
        step,
        steps,
        epoch: Math.floor(last / stepsPerEpoch),
        loss,
        penalty: frozen || last < penaltyFrom ? 0 : lambda * this.adaptation.penalty(gates.scores),
        ...(this.#teacher && { keep: distance / count }),
        learningRate: adapterRate(this.#recipe) * rateFactor(last, steps),
        open: gates.open.reduce((all, open) => all + open, 0),
        imagesPerSecond: batch / seconds,
        secondsLeft: (steps - step) * seconds,
        phase: phaseOf(last, this.#schedule, method),
      });
    }
    this.#hooks.onFrame?.({ step, ...gates });
  }
}

/** Thrown in the middle of a step whose end nobody waits for. */
class GivenUp extends Error {}

/** Pixels of a step: of its own images, and of those without classes. */
interface Pixels {
  own: Uint8Array;
  beside: Uint8Array;
}

/** `count` indices spread evenly over `of`. */
function spread(of: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.floor(((i + 0.5) * of) / count));
}

/** Time spent training: without what others did meanwhile (pauses, evaluations). */
class Stopwatch {
  #since = 0;
  #elsewhere = 0;

  start(): void {
    this.#since = performance.now();
    this.#elsewhere = 0;
  }

  async apart<T>(work: () => Promise<T>): Promise<T> {
    const from = performance.now();
    try {
      return await work();
    } finally {
      this.#elsewhere += performance.now() - from;
    }
  }

  /** Seconds since the start or the last lap. */
  lap(): number {
    const now = performance.now();
    const seconds = (now - this.#since - this.#elsewhere) / 1000;
    this.#since = now;
    this.#elsewhere = 0;
    return Math.max(seconds, 1e-6);
  }
}

function variable<T extends tf.Tensor>(start: T): tf.Variable & T {
  const made = tf.variable(start, false);
  start.dispose();
  return made as unknown as tf.Variable & T;
}

function isFiniteSnapshot({ adaptation, head, optimiser }: TrainerSnapshot): boolean {
  return [adaptation.tensors, head, optimiser.moments].every((tensors) =>
    Object.values(tensors).every(({ data }) => data.every(Number.isFinite)),
  );
}
