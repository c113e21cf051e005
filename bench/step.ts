// One training step, ours beside the same work composed of stock tfjs ops with its tape: a small ViT (128 wide, 6
// layers, 4 heads, 65 tokens), batch 16, LoRA r=4 on every matrix.
//   npx tsx bench/step.ts [webgpu|wasm]... [--runs N] [--json] [--profile] [--alone] [--quick]
// Wall time says what a person waits. CPU time, divided by the cores, says the same of software backends on a machine
// that others use too.
import { cpus } from "node:os";
import * as tf from "@tensorflow/tfjs-core";
import { require as load } from "tsx/cjs/api";
import { createAdaptation } from "../src/adaptation/adaptation.ts";
import type { Architecture } from "../src/checkpoint/types.ts";
import { random } from "../src/random.ts";
import { openBackend } from "../src/tensor/backend.ts";
import { checkFinite } from "../src/tensor/faults.ts";
import { provideSoftwareGpu } from "../src/tensor/testing/software_gpu.ts";
import { createAdamW } from "../src/training/optimiser.ts";
import { createSchedule } from "../src/training/schedule.ts";
import { trainStep } from "../src/training/step.ts";
import type { TrainingRecipe } from "../src/training/types.ts";
import type { VitWeights } from "../src/vit/types.ts";
import { loadVit } from "../src/vit/weights.ts";

load("@tensorflow/tfjs-core/dist/register_all_gradients.js", import.meta.url);

const architecture: Architecture = {
  family: "hf-vit",
  imageSize: 64,
  patchSize: 8,
  hiddenSize: 128,
  layers: 6,
  heads: 4,
  mlpSize: 512,
  activation: "gelu",
  layerNormEps: 1e-6,
  qkvBias: true,
  prefixTokens: 1,
  labels: null,
};
const batch = 16;
const classes = 10;
const rank = 4;
const recipe: TrainingRecipe = {
  method: "lora",
  granularity: "matrix",
  targetModules: "both",
  rank,
  alpha: 8,
  tau: 0.1,
  seed: 1,
  lambda: 0,
  warmup: 0,
  settle: 0,
  epochs: 100,
  batch,
  learningRate: 1e-3,
  headLearningRate: 1e-3,
  scoreLearningRate: 0.05,
  weightDecay: 0.01,
  augmentation: "none",
};

interface Measured {
  wall: number;
  cpu: number;
}

/** Medians over `runs` of a step that has been warmed up, in ms. */
async function measure(runs: number, step: () => tf.Scalar, warmUps = 2): Promise<Measured> {
  const once = async () => {
    const [from, used] = [performance.now(), process.cpuUsage()];
    const loss = step();
    checkFinite((await loss.data())[0]!, "loss");
    loss.dispose();
    const { user, system } = process.cpuUsage(used);
    return { wall: performance.now() - from, cpu: (user + system) / 1000 / cpus().length };
  };
  for (let i = 0; i < warmUps; i++) await once();
  const all: Measured[] = [];
  for (let i = 0; i < runs; i++) all.push(await once());
  const median = (key: keyof Measured) => all.map((m) => m[key]).sort((a, b) => a - b)[runs >> 1]!;
  return { wall: median("wall"), cpu: median("cpu") };
}

function ourStep(weights: VitWeights, pixels: tf.Tensor4D): () => tf.Scalar {
  const adaptation = createAdaptation(weights, recipe);
  const head = {
    weight: tf.variable(tf.randomNormal<tf.Rank.R2>([classes, architecture.hiddenSize], 0, 0.02)),
    bias: tf.variable(tf.zeros<tf.Rank.R1>([classes])),
  };
  const optimiser = createAdamW([...adaptation.parameters, head.weight, head.bias], recipe.weightDecay);
  const schedule = createSchedule(batch * 4, recipe);
  const learner = { weights, adaptation, head, optimiser, recipe, schedule };
  const labels = Int32Array.from({ length: batch }, (_, i) => i % classes);
  const mask = new Float32Array(batch).fill(1);
  let at = 0;
  return () => trainStep(learner, { input: { pixels }, labels, mask }, at++);
}

/** The same step as someone would write it with tfjs alone. */
function stockStep(weights: VitWeights, pixels: tf.Tensor4D): () => tf.Scalar {
  const { hiddenSize: d, mlpSize: m, heads, layers } = architecture;
  const tokens = weights.pos.shape[0];
  const scale = recipe.alpha / rank;
  const adapter = (out: number, width: number) => ({
    A: tf.variable(tf.randomNormal<tf.Rank.R2>([rank, width], 0, 0.02)),
    B: tf.variable(tf.zeros<tf.Rank.R2>([out, rank])),
  });
  const adapters = Array.from({ length: layers }, () => ({
    qkv: [adapter(d, d), adapter(d, d), adapter(d, d)],
    o: [adapter(d, d)],
    fc1: [adapter(m, d)],
    fc2: [adapter(d, m)],
  }));
  const headWeight = tf.variable(tf.randomNormal<tf.Rank.R2>([classes, d], 0, 0.02));
  const headBias = tf.variable(tf.zeros<tf.Rank.R1>([classes]));
  const optimiser = tf.train.adam(1e-3);
  const labels = tf.oneHot(
    tf.tensor1d(
      Array.from({ length: batch }, (_, i) => i % classes),
      "int32",
    ),
    classes,
  );

  const norm = (x: tf.Tensor, { gamma, beta }: { gamma: tf.Tensor1D; beta: tf.Tensor1D }) => {
    const { mean, variance } = tf.moments(x, 1, true);
    return tf.add(tf.mul(tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-6))), gamma), beta);
  };
  const linear = (
    x: tf.Tensor,
    { weight, bias }: { weight: tf.Tensor2D; bias: tf.Tensor1D | null },
    low: { A: tf.Tensor2D; B: tf.Tensor2D }[],
  ) => {
    const changes = low.map(({ A, B }) =>
      tf.mul(tf.matMul(tf.matMul(x as tf.Tensor2D, A, false, true), B, false, true), scale),
    );
    const change = changes.length === 1 ? changes[0]! : tf.concat(changes, 1);
    return tf.add(tf.add(tf.matMul(x as tf.Tensor2D, weight, false, true), bias!), change);
  };
  const gelu = (x: tf.Tensor) => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));
  const attention = (qkv: tf.Tensor) => {
    const [q, k, v] = tf
      .split(qkv, 3, 1)
      .map((part) => tf.transpose(tf.reshape(part, [batch, tokens, heads, d / heads]), [0, 2, 1, 3])) as [
      tf.Tensor,
      tf.Tensor,
      tf.Tensor,
    ];
    const p = tf.softmax(tf.mul(tf.matMul(q, k, false, true), Math.sqrt(heads / d)));
    return tf.reshape(tf.transpose(tf.matMul(p, v), [0, 2, 1, 3]), [batch * tokens, d]);
  };
  return () =>
    tf.tidy(
      () =>
        optimiser.minimize(() => {
          const scaled = tf.div(tf.sub(tf.div(tf.cast(pixels, "float32"), 255), 0.5), 0.5);
          const cut = tf.transpose(tf.reshape(scaled, [batch, 8, 8, 8, 8, 3]), [0, 1, 3, 5, 2, 4]);
          const patches = tf.add(
            tf.matMul(tf.reshape(cut, [batch * 64, 192]), weights.patchEmbed.weight, false, true),
            weights.patchEmbed.bias!,
          );
          const prefix = tf.tile(tf.reshape(weights.prefix, [1, 1, d]), [batch, 1, 1]);
          const all = tf.concat([prefix, tf.reshape(patches, [batch, 64, d])], 1);
          let x = tf.reshape(tf.add(all, weights.pos), [batch * tokens, d]) as tf.Tensor;
          weights.layers.forEach((layer, i) => {
            const low = adapters[i]!;
            const attended = attention(linear(norm(x, layer.norm1), layer.qkv, low.qkv));
            x = tf.add(x, linear(attended, layer.o, low.o));
            x = tf.add(x, linear(gelu(linear(norm(x, layer.norm2), layer.fc1, low.fc1)), layer.fc2, low.fc2));
          });
          const cls = tf.reshape(tf.slice(tf.reshape(x, [batch, tokens, d]), [0, 0, 0], [batch, 1, d]), [
            batch,
            d,
          ]);
          const logits = tf.add(
            tf.matMul(norm(cls, weights.norm) as tf.Tensor2D, headWeight, false, true),
            headBias,
          );
          return tf.losses.softmaxCrossEntropy(labels, logits) as tf.Scalar;
        }, true)!,
    );
}

/** How often each tfjs kernel or program of ours runs in one step. */
function countKernels(step: () => tf.Scalar): Map<string, number> {
  const backend = tf.backend() as { runWebGPUProgram?: (...all: unknown[]) => unknown };
  const counts = new Map<string, number>();
  const original = backend.runWebGPUProgram;
  if (original) {
    backend.runWebGPUProgram = function (this: unknown, ...all: unknown[]) {
      const program = all[0] as { shaderKey: string };
      const name = program.shaderKey.split(/[_ ]/).slice(0, 4).join(" ");
      counts.set(name, (counts.get(name) ?? 0) + 1);
      return original.apply(backend, all as []);
    };
  }
  step().dispose();
  if (original) backend.runWebGPUProgram = original;
  return counts;
}

async function run(): Promise<void> {
  const words = process.argv.slice(2);
  const runs = words.includes("--runs") ? Number(words[words.indexOf("--runs") + 1]) : 5;
  const chosen = (["webgpu", "wasm"] as const).filter((name) => words.includes(name));
  provideSoftwareGpu();
  for (const name of chosen.length > 0 ? chosen : (["webgpu", "wasm"] as const)) {
    const backend = await openBackend(name);
    const stream = random(1);
    const weights = await loadVit(
      architecture,
      { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
      async (role) => valuesFor(role, stream.next),
    );
    const pixels = tf.randomUniformInt([batch, 64, 64, 3], 0, 255) as tf.Tensor4D;
    const mine = ourStep(weights, pixels);
    const ours = await measure(runs, mine);
    const dispatches = countKernels(mine);
    if (words.includes("--profile")) console.log(Object.fromEntries(dispatches));
    const perSecond = (ms: number) => Number(((1000 * batch) / ms).toFixed(2));
    if (words.includes("--alone")) {
      console.log(
        `${backend.adapter}: ours ${perSecond(ours.wall)} images/s, ${perSecond(ours.cpu)} by CPU time`,
      );
      continue;
    }
    // Where a stock step takes a minute, one after the one that compiles has to do.
    const theirs = await measure(words.includes("--quick") ? 1 : runs, stockStep(weights, pixels), 1);
    for (const by of ["wall", "cpu"] as const) {
      const line = {
        what: `training step (${by} time)`,
        model: "vit 128/6/4, 65 tokens, LoRA r=4 on all",
        batch,
        backend: name,
        adapter: backend.adapter,
        unit: "images/s",
        ours: perSecond(ours[by]),
        peer: "stock tfjs with tape",
        theirs: perSecond(theirs[by]),
        ratio: Number((theirs[by] / ours[by]).toFixed(2)),
        runs,
        dispatches: [...dispatches.values()].reduce((a, b) => a + b, 0),
      };
      console.log(
        words.includes("--json")
          ? JSON.stringify(line)
          : `${line.what.padEnd(26)} ${backend.adapter}: ours ${line.ours}, ${line.peer} ${line.theirs} images/s, ${line.ratio}x` +
              (by === "wall" ? `, ${line.dispatches} programs a step` : ""),
      );
    }
    await backend.close();
  }
}

/** Random weights of a trained network's size; the sizes follow from the role. */
function valuesFor(role: string, next: () => number): Float32Array {
  const { hiddenSize: d, mlpSize: m } = architecture;
  const fill = (size: number, scale: number, offset = 0) =>
    Float32Array.from({ length: size }, () => offset + scale * (next() - 0.5));
  if (/norm/.test(role)) return role.endsWith("weight") ? fill(d, 0.1, 1) : fill(d, 0.1);
  if (/pos/.test(role)) return fill(65 * d, 0.1);
  if (/cls|prefix|dist/.test(role)) return fill(d, 0.1);
  if (/patch/.test(role)) return role.endsWith("weight") ? fill(192 * d, 0.1) : fill(d, 0.1);
  const out = /fc1/.test(role) ? m : d;
  const width = /fc2/.test(role) ? m : d;
  return role.endsWith("weight") ? fill(out * width, 0.15) : fill(out, 0.1);
}

await run();
