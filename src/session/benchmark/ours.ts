// Our engine doing the work: the very step that a run makes (training/step.ts), in every mode that is measured.
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import { createAdaptation } from "../../adaptation/adaptation.ts";
import { siteMatrices } from "../../adaptation/sites.ts";
import type { AdaptationSnapshot } from "../../adaptation/types.ts";
import type { Architecture } from "../../checkpoint/types.ts";
import { type Backend, openBackend } from "../../tensor/backend.ts";
import { softmaxCrossEntropy } from "../../tensor/cross_entropy.ts";
import { checkFinite, withErrorScopes } from "../../tensor/faults.ts";
import { linear, linearInputGradient } from "../../tensor/linear.ts";
import type { Trainables } from "../../tensor/trainables.ts";
import { EntryCache } from "../../training/batches.ts";
import { createAdamW } from "../../training/optimiser.ts";
import { type HeadVariables, type StepPhase, trainStep } from "../../training/step.ts";
import type { TrainingRecipe } from "../../training/types.ts";
import { atOnce } from "../../turn.ts";
import { backward } from "../../vit/backward.ts";
import { linearClassifier } from "../../vit/classifier.ts";
import { forward } from "../../vit/forward.ts";
import type { ForwardInput, VitWeights } from "../../vit/types.ts";
import { loadVit } from "../../vit/weights.ts";
import { type Meter, meterDevice, meterWasm } from "./meter.ts";
import type { Library, Mode, Task } from "./protocol.ts";
import {
  adapterOf,
  alpha,
  batchOf,
  classes,
  crossEntropy,
  learningRate,
  mean,
  rank,
  std,
  weightDecay,
  weightOf,
  workOf,
} from "./work.ts";

/** One device for everything in this host; weights are shared by the steps of one network. */
interface Place {
  backend: Backend;
  meter: Meter;
  networks: Map<string, { weights: VitWeights; users: number }>;
}

/** @param find the network of a task; a test hands in a smaller one */
export function createOurs(find: (task: Task) => Architecture = workOf): Library {
  let place: Promise<Place> | null = null;
  const openPlace = async (task: Task): Promise<Place> => {
    const backend = await openBackend(task.compute);
    const meter = backend.device ? meterDevice(backend.device) : meterWasm();
    return { backend, meter, networks: new Map() };
  };
  return {
    async open(task) {
      place ??= openPlace(task);
      const { backend, meter, networks } = await place;
      if (backend.name !== task.compute) throw new Error("a host computes on one device only");
      const architecture = find(task);
      const key = JSON.stringify(architecture);
      const network = networks.get(key) ?? { weights: await randomVit(architecture), users: 0 };
      network.users += 1;
      networks.set(key, network);
      const made = await createStep(network.weights, task);
      const step = async (onPhase?: (phase: StepPhase) => void) => {
        const loss = made.step(onPhase);
        const values = await loss.data();
        loss.dispose();
        return values;
      };
      let first = true;
      return {
        adapter: backend.adapter,
        async step() {
          const run = () => step();
          // The first one makes the pipelines: a shader that does not compile is named by it.
          const values = first ? await withErrorScopes(backend.device, "the bench's step", run) : await run();
          first = false;
          return checkFinite(made.lossOf(values as Float32Array), "loss");
        },
        inspect: () =>
          meter.inspect(async (onPhase) => {
            await step(onPhase);
          }),
        peak: () => measurePeak(backend),
        close() {
          made.dispose();
          network.users -= 1;
          if (network.users > 0) return;
          networks.delete(key);
          network.weights.dispose();
        },
      };
    },
  };
}

function randomVit(architecture: Architecture): Promise<VitWeights> {
  const three = (value: number): [number, number, number] => [value, value, value];
  return loadVit(architecture, { mean: three(mean), std: three(std) }, async (role) =>
    weightOf(architecture, role),
  );
}

interface MadeStep {
  /** The loss before the update, or the logits; the caller disposes it. */
  step(onPhase?: (phase: StepPhase) => void): tf.Tensor;
  lossOf(values: Float32Array): number;
  dispose(): void;
}

async function createStep(weights: VitWeights, { mode, batch }: Task): Promise<MadeStep> {
  const { architecture } = weights;
  const { pixels: bytes, labels } = batchOf(architecture, batch);
  const { imageSize } = architecture;
  const pixels = tf.tensor4d(Int32Array.from(bytes), [batch, imageSize, imageSize, 3], "int32");
  const head = createHead(architecture);
  if (mode === "inference") {
    const classify = linearClassifier(head, "cls");
    return {
      step() {
        const { features } = forward(weights, { pixels }, null);
        const logits = classify.logits(features);
        features.dispose();
        return logits;
      },
      lossOf: (logits) => crossEntropy(logits, labels),
      dispose: () => tf.dispose([pixels, head.weight, head.bias]),
    };
  }
  if (mode === "head") {
    const optimiser = createAdamW([head.weight, head.bias], weightDecay);
    return {
      step: () => headStep(weights, head, optimiser, pixels, labels),
      lossOf: (values) => values[0] as number,
      dispose() {
        optimiser.dispose();
        tf.dispose([pixels, head.weight, head.bias]);
      },
    };
  }

  const recipe = recipeFor(mode, batch);
  const adaptation = createAdaptation(weights, recipe);
  const snapshot = await adaptation.snapshot();
  putAdapters(architecture, snapshot);
  // Three times the threshold, or nothing: no score of these crosses it in a measurement.
  snapshot.tensors.scores?.data.fill(mode === "scores" ? 0 : 3 * recipe.tau);
  let input: ForwardInput = { pixels };
  let cache: EntryCache | null = null;
  const images = Array.from({ length: batch }, (_, i) => i);
  if (mode === "few" || mode === "lowest") {
    const open = new Uint8Array(adaptation.gates.length);
    const count = Math.max(1, Math.round(0.05 * open.length));
    const from = mode === "lowest" ? 0 : open.length >> 1;
    open.fill(1, from, from + (mode === "lowest" ? 1 : count));
    snapshot.frozen = open;
    const lowest = adaptation.lowest(open);
    // As the trainer does: what enters the lowest layer that learns is computed once.
    if (lowest && EntryCache.pays(weights, lowest.layer, batch)) {
      cache = new EntryCache(weights, lowest.layer);
      atOnce(cache.fill(images, pixels));
    }
  }
  adaptation.restore(snapshot);
  const optimiser = createAdamW([...adaptation.parameters, head.weight, head.bias], weightDecay);
  const schedule = { steps: 20, stepsPerEpoch: 1, batch, penaltyFrom: 20, settleFrom: 20 };
  const learner = { weights, adaptation, head, optimiser, recipe, schedule };
  const mask = new Float32Array(batch).fill(1);
  return {
    step(onPhase) {
      if (cache) input = cache.take(images, batch);
      // Always the first step of the schedule, at which the learning rate is the whole one.
      const loss = trainStep(learner, { input, labels, mask }, 0, onPhase);
      if ("entry" in input) input.entry.dispose();
      return loss;
    },
    lossOf: (values) => values[0] as number,
    dispose() {
      cache?.dispose();
      optimiser.dispose();
      adaptation.dispose();
      tf.dispose([pixels, head.weight, head.bias]);
    },
  };
}

function recipeFor(mode: Mode, batch: number): TrainingRecipe {
  return {
    method: mode === "lora" ? "lora" : "selective",
    granularity: "block",
    targetModules: "both",
    rank,
    alpha,
    tau: 0.1,
    seed: 1,
    lambda: 0,
    warmup: 0,
    settle: 0,
    epochs: 1,
    batch,
    learningRate,
    headLearningRate: learningRate,
    // Scores get their update; they must not cross the threshold while a mode is measured.
    scoreLearningRate: 1e-9,
    weightDecay,
    augmentation: "none",
  };
}

function createHead(architecture: Architecture): HeadVariables {
  const variable = <R extends tf.Rank>(start: tf.Tensor<R>) => {
    const made = tf.variable(start);
    start.dispose();
    return made;
  };
  return {
    weight: variable(tf.tensor2d(weightOf(architecture, "head.weight"), [classes, architecture.hiddenSize])),
    bias: variable(tf.tensor1d(weightOf(architecture, "head.bias"))),
  };
}

/** The adapters everybody starts from, in the form a snapshot has them: q, k and v stacked. */
function putAdapters(architecture: Architecture, { tensors }: AdaptationSnapshot): void {
  for (const [name, { data }] of Object.entries(tensors)) {
    const [, layer, site, part] = name.match(/^layer\.(\d+)\.(\w+)\.lora_([AB])$/) ?? [];
    if (!site) continue;
    let at = 0;
    for (const matrix of siteMatrices[site as keyof typeof siteMatrices]) {
      const values = adapterOf(architecture, Number(layer), matrix)[part as "A" | "B"];
      data.set(values, at);
      at += values.length;
    }
  }
}

/** The frozen network forwards and backwards through its whole depth, with nothing learning but the classifier. */
function headStep(
  weights: VitWeights,
  head: HeadVariables,
  optimiser: Trainables,
  pixels: tf.Tensor4D,
  labels: Int32Array,
): tf.Scalar {
  const { features, kept } = forward(weights, { pixels }, null, {
    keepFrom: { layer: 0, site: "entry" },
    keepInput: () => false,
  });
  const [target, mask] = [tf.tensor1d(labels, "int32"), tf.ones<tf.Rank.R1>([labels.length])];
  const logits = linear(features.pooled, head.weight, head.bias);
  const { loss, gradient } = softmaxCrossEntropy(logits, target, mask, 0);
  optimiser.collect(0, gradient, features.pooled);
  const ones = tf.ones<tf.Rank.R2>([labels.length, 1]);
  optimiser.collect(1, ones, gradient);
  const dpooled = linearInputGradient(gradient, head.weight);
  const entry = kept && backward(weights, kept, dpooled, null, () => {});
  optimiser.endBatch();
  optimiser.update([{ indices: [0, 1], learningRate }], () => null);
  features.dispose();
  tf.dispose([target, mask, ones, logits, gradient, dpooled]);
  entry?.dispose();
  return loss;
}

/**
 * FLOP/s of the fastest square f32 product this device can be brought to: by our kernels and by tfjs's, growing until
 * a product takes long enough to be timed. What a step reaches is told as a share of it.
 */
async function measurePeak(backend: Backend): Promise<number> {
  let best = 0;
  for (let size = 256; size <= 4096; size *= 2) {
    const [a, b] = [tf.randomUniform<tf.Rank.R2>([size, size]), tf.randomUniform<tf.Rank.R2>([size, size])];
    let slowest = 0;
    for (const product of [() => linear(a, b, null), () => tf.matMul(a, b)]) {
      for (let repeat = 0; repeat < 4; repeat++) {
        await settled(backend);
        const from = performance.now();
        const result = product();
        await settled(backend);
        const seconds = (performance.now() - from) / 1000;
        result.dispose();
        // The first one makes the pipeline.
        if (repeat === 0) continue;
        best = Math.max(best, (2 * size ** 3) / seconds);
        slowest = Math.max(slowest, seconds);
      }
    }
    tf.dispose([a, b]);
    if (slowest > 0.1) break;
  }
  return best;
}

/** Resolves when everything that was asked of the device has been done. */
async function settled({ device }: Backend): Promise<void> {
  if (!device) return;
  const backend = tf.backend() as WebGPUBackend;
  backend.ensureCommandEncoderReady();
  backend.endComputePassEncoder();
  backend.submitQueue();
  await device.queue.onSubmittedWorkDone();
}
