// The loop around the step: batches in, reports and gate frames out, held and ended from outside between steps. The
// device is read every few steps, one reading behind, so that a GPU always has work queued.
import * as tf from "@tensorflow/tfjs-core";
import { createAdaptation, requireFit, restoreTensors } from "../adaptation/adaptation.ts";
import type { Adaptation } from "../adaptation/types.ts";
import { Failure } from "../failure.ts";
import { checkFinite } from "../tensor/faults.ts";
import type { PixelSource, VitWeights } from "../vit/types.ts";
import { chooseImages, EntryCache, fetchPixels, labelsOf, uploadPixels } from "./batches.ts";
import { createAdamW, createSgd, readTensors } from "./optimiser.ts";
import { createSchedule, phaseOf, rateFactor, type Schedule } from "./schedule.ts";
import { type Learner, trainStep } from "./step.ts";
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

class Loop implements Trainer {
  readonly adaptation: Adaptation;
  step = 0;
  readonly #weights: VitWeights;
  readonly #recipe: TrainingRecipe;
  readonly #source: PixelSource;
  readonly #hooks: TrainingHooks;
  readonly #schedule: Schedule;
  readonly #learner: Learner;
  readonly #reportEvery: number;
  #probe: HeadArrays;
  #cache: EntryCache | null = null;
  /** Σ loss since the last report, on the device. */
  readonly #lossSum: tf.Variable;
  #lossSteps = 0;
  /** The report that is on its way back from the device. */
  #reporting: Promise<void> = Promise.resolve();
  readonly #clock = new Stopwatch();

  constructor({ weights, recipe, source, head, hooks, reportEvery }: TrainerInput) {
    this.#weights = weights;
    this.#recipe = recipe;
    this.#source = source;
    this.#hooks = hooks ?? {};
    this.#probe = head;
    this.#schedule = createSchedule(source.count, recipe);
    this.#reportEvery = reportEvery ?? Math.min(10, Math.max(1, Math.round(this.#schedule.steps / 100)));
    this.adaptation = createAdaptation(weights, recipe);
    const variables = {
      weight: variable(tf.tensor2d(head.weight, [head.classes, head.weight.length / head.classes])),
      bias: variable(tf.tensor1d(head.bias)),
    };
    const parameters = [...this.adaptation.parameters, variables.weight, variables.bias];
    this.#lossSum = variable(tf.scalar(0));
    this.#learner = {
      weights,
      adaptation: this.adaptation,
      head: variables,
      optimiser:
        recipe.optimiser === "sgd" ? createSgd(parameters) : createAdamW(parameters, recipe.weightDecay),
      recipe,
      schedule: this.#schedule,
    };
  }

  get steps(): number {
    return this.#schedule.steps;
  }

  async run(): Promise<boolean> {
    const yielder = new Yielder();
    this.#clock.start();
    let next: Promise<Uint8Array> | null = null;
    try {
      if (this.step === 0) await this.#report();
      while (this.step < this.steps) {
        const verdict = await this.#clock.apart(async () => this.#hooks.between?.(this.step));
        if (verdict === "stop") break;
        if (!this.adaptation.frozen && this.step >= this.#schedule.settleFrom) await this.adaptation.freeze();
        const pixels: Promise<Uint8Array> | null = next ?? this.#fetch(this.step);
        next = this.step + 1 < this.steps ? this.#fetch(this.step + 1) : null;
        // A failed fetch is thrown when its turn comes, not reported as unhandled before.
        next?.catch(() => {});
        await this.#train(pixels);
        this.step += 1;
        const epochEnds = this.step % this.#schedule.stepsPerEpoch === 0;
        if (this.step % this.#reportEvery === 0 || this.step === this.steps) await this.#report();
        if (epochEnds && this.#hooks.onEpoch) {
          await this.#reporting;
          const epoch = this.step / this.#schedule.stepsPerEpoch - 1;
          await this.#clock.apart(async () => this.#hooks.onEpoch?.(epoch, this.step));
        }
        await yielder.yield();
      }
      if (this.step % this.#reportEvery !== 0 && this.step < this.steps) await this.#report();
      await this.#reporting;
    } finally {
      yielder.close();
      this.#cache?.dispose();
      this.#cache = null;
    }
    return this.step === this.steps;
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
    this.step = snapshot.step;
    this.#lossSteps = 0;
    tf.tidy(() => this.#lossSum.assign(tf.scalar(0)));
    this.#cache?.dispose();
    this.#cache = null;
  }

  dispose(): void {
    this.#cache?.dispose();
    this.adaptation.dispose();
    this.#learner.optimiser.dispose();
    tf.dispose([this.#learner.head.weight, this.#learner.head.bias, this.#lossSum]);
  }

  #headVariables(): Record<string, tf.Variable> {
    return { weight: this.#learner.head.weight, bias: this.#learner.head.bias };
  }

  #choose(step: number): number[] {
    return chooseImages(step, this.#source.count, this.#schedule, this.#recipe.seed);
  }

  /** Pixels of a step; empty where the cache will serve it. */
  #fetch(step: number): Promise<Uint8Array> {
    const chosen = this.#choose(step);
    if (this.#cache?.has(chosen)) return Promise.resolve(new Uint8Array(0));
    return fetchPixels(this.#source, chosen, Math.floor(step / this.#schedule.stepsPerEpoch), this.#recipe);
  }

  async #train(fetched: Promise<Uint8Array>): Promise<void> {
    const { batch } = this.#schedule;
    const size = this.#weights.architecture.imageSize;
    const chosen = this.#choose(this.step);
    const { labels, mask } = labelsOf(this.#source, chosen, batch);
    const bytes = await fetched;
    this.#cache ??= this.#openCache();
    const pixels = bytes.length > 0 ? uploadPixels(bytes, batch, size) : null;
    let input: Parameters<typeof trainStep>[1]["input"];
    if (this.#cache) {
      if (pixels) this.#cache.fill(chosen, pixels);
      input = this.#cache.take(chosen, batch);
    } else input = { pixels: pixels as tf.Tensor4D };
    const loss = trainStep(this.#learner, { input, labels, mask }, this.step);
    tf.dispose("entry" in input ? [input.entry] : []);
    pixels?.dispose();
    tf.tidy(() => this.#lossSum.assign(tf.add(this.#lossSum, loss)));
    this.#lossSteps += 1;
    loss.dispose();
  }

  #openCache(): EntryCache | null {
    if (!this.adaptation.frozen || this.#recipe.augmentation !== "none") return null;
    const lowest = this.adaptation.learning()[0];
    const layer =
      lowest === undefined
        ? this.#weights.architecture.layers - 1
        : (this.adaptation.sites[Math.floor(lowest / 2)]?.layer ?? 0);
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
    const { lambda, learningRate, method } = this.#recipe;
    const count = this.#lossSteps;
    const sum = this.#lossSum.clone();
    tf.tidy(() => this.#lossSum.assign(tf.scalar(0)));
    this.#lossSteps = 0;
    const frozen = this.adaptation.frozen;
    const reading = this.adaptation.read(true);
    const total = (await sum.data())[0] as number;
    sum.dispose();
    const gates = await reading;
    const last = Math.max(0, step - 1);
    if (count > 0) {
      const loss = checkFinite(total / count, `step ${step}`);
      const size = gates.scores.reduce((all, score) => all + Math.abs(score), 0) / gates.scores.length;
      const seconds = this.#clock.lap() / count;
      this.#hooks.onReport?.({
        step,
        steps,
        epoch: Math.floor(last / stepsPerEpoch),
        loss,
        penalty: frozen || last < penaltyFrom ? 0 : lambda * size,
        learningRate: learningRate * rateFactor(last, steps),
        open: gates.open.reduce((all, open) => all + open, 0),
        imagesPerSecond: batch / seconds,
        secondsLeft: (steps - step) * seconds,
        phase: phaseOf(last, this.#schedule, method),
      });
    }
    this.#hooks.onFrame?.({ step, ...gates });
  }
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

/** Lets messages in (pause, stop) between steps; a timer would cost 4 ms each time in a browser. */
class Yielder {
  readonly #channel = new MessageChannel();
  #resume: (() => void) | null = null;

  constructor() {
    this.#channel.port1.onmessage = () => this.#resume?.();
  }

  yield(): Promise<void> {
    return new Promise((resolve) => {
      this.#resume = resolve;
      this.#channel.port2.postMessage(null);
    });
  }

  close(): void {
    this.#channel.port1.close();
    this.#channel.port2.close();
  }
}

function variable<T extends tf.Tensor>(start: T): tf.Variable & T {
  const made = tf.variable(start, false);
  start.dispose();
  return made as unknown as tf.Variable & T;
}
