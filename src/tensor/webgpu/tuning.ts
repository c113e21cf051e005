// Measures once on a GPU which form of the product is fastest for each class of shapes, and which of attention, and
// keeps that for the adapter: the same machine then always computes in the same forms, and the same seed gives the same
// run. Where it cannot be kept nothing is measured, and the table's own choices stand.
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import { releaseFreeBuffers } from "./adopt.ts";
import { stagedAttention, stagedAttentionGradient } from "./attention_staged.ts";
import { blocksFor, tiledAttention, tiledAttentionGradient } from "./attention_tiled.ts";
import { formName, type GpuProduct, productProgram } from "./product.ts";
import { dispatch, flush, prepare } from "./program.ts";
import { keepTuned, readTuned } from "./tuning_store.ts";
import {
  type AttentionForm,
  attentionForms,
  chooseVariant,
  classOf,
  fitted,
  type ProductClass,
  type ProductLayout,
  type ProductSize,
  type ProductVariant,
  productCandidates,
  type Tuned,
} from "./variants.ts";

/**
 * Rows, columns and summed numbers of a product that stands for its class: those of a ViT's step over a batch of 16. What
 * a step spends its time on comes first.
 */
const examples: readonly [ProductLayout, number, number, number][] = [
  ["x Wᵀ", 3152, 2304, 768],
  ["dy W", 3152, 2304, 768],
  ["x Wᵀ", 3152, 768, 768],
  ["dy W", 3152, 768, 768],
  ["x Wᵀ", 3152, 192, 384],
  ["dy W", 3152, 192, 384],
  ["x Wᵀ", 1040, 128, 256],
  ["dy W", 1040, 128, 256],
  ["x Wᵀ", 3152, 12, 768],
  ["dy W", 3152, 12, 768],
  ["dyᵀ x", 768, 12, 320],
  ["dyᵀ x", 12, 768, 320],
  ["x Wᵀ", 3152, 48, 768],
  ["dy W", 3152, 48, 768],
  ["dyᵀ x", 768, 48, 320],
  ["dyᵀ x", 768, 768, 3152],
];
const attentionExample = { batch: 16, tokens: 197, heads: 4 };
const numbers = 3152 * 2304;

/** Milliseconds after which what has not been measured keeps the table's choice. */
const patience = 2500;
/** Milliseconds of work before anything is measured, so that clocks are up. */
const warmUp = 100;
/** Milliseconds a measurement should take: what starting it takes, and how roughly a browser tells the time, are little beside. */
const enough = 4;
/** What a form has to win over an earlier one, so that chance does not choose. */
const margin = 1.03;

/** How long one of the forms that do the same takes, by its name. */
export interface Measured {
  of: ProductClass | "attention";
  form: string;
  milliseconds: number;
}

/**
 * Makes a GPU compute in the forms that are fastest on it, measured now or before. Where they cannot be measured, for
 * want of memory say, the table's own choices stand.
 * @returns what the person should know of it, a sentence, or null
 */
export async function chooseTunedForms(
  backend: WebGPUBackend,
  adapter: GPUAdapterInfo,
): Promise<string | null> {
  const { vendor, architecture, device, description } = adapter;
  const forms = Object.values(productCandidates).map((all) => all.map(formName));
  const key = JSON.stringify([vendor, architecture, device, description, forms, examples, attentionForms]);
  let { kept, damaged } = await readTuned(key);
  if (!kept) {
    const measured = await measureForms(backend).catch(() => []);
    if (measured.length > 0) kept = await keepTuned(key, fastest(measured));
  }
  chooseVariant(backend.device, formsOf(kept ?? {}));
  return damaged
    ? "What was measured on this GPU before cannot be read any more and was measured anew, so that a run may differ from earlier ones in its last digits."
    : null;
}

/** The name of the fastest form of each class; forms that take as long give way to the one measured first. */
export function fastest(measured: readonly Measured[]): Record<string, string> {
  const best = new Map<string, Measured>();
  for (const one of measured) {
    const other = best.get(one.of);
    if (!other || one.milliseconds * margin < other.milliseconds) best.set(one.of, one);
  }
  return Object.fromEntries([...best].map(([of, { form }]) => [of, form]));
}

/** What was kept may be anything; only forms that there are count. */
export function formsOf(kept: Readonly<Record<string, unknown>>): Tuned {
  const tuned: Tuned = { products: {}, attention: attentionForms.find((form) => form === kept.attention) };
  for (const [layout, rows, columns, depth] of examples) {
    const of = classOf({ rows, columns, depth, pieces: 1, layout, byFour: true });
    const form = candidatesOf(of).find((candidate) => formName(candidate) === kept[of]);
    if (form) tuned.products[of] = form;
  }
  return tuned;
}

function candidatesOf(of: ProductClass): readonly ProductVariant[] {
  return productCandidates[of.slice(of.indexOf(", ") + 2) as ProductSize];
}

/** Times every form that a class of products, or attention, may run as. */
export async function measureForms(backend: WebGPUBackend): Promise<Measured[]> {
  const random = tf.keep(tf.randomUniform<tf.Rank.R1>([3152 * 768], -1, 1));
  const result = backend.makeTensorInfo([numbers], "float32");
  const measured: Measured[] = [];
  const into = { tensor: result, start: 0, distance: 0, count: 1 };
  try {
    const jobs = examples.map(([layout, rows, columns, depth]) => {
      const product = exampleOf(layout, rows, columns, depth, random);
      const of = classOf({ rows, columns, depth, pieces: 1, layout, byFour: true });
      const programs = candidatesOf(of)
        .filter((form) => fitted(backend.device, form) === form)
        .map((form) => ({ form: formName(form), program: productProgram(backend, product, into, form) }));
      return { of, programs };
    });
    const programs = jobs.flatMap((job) => job.programs);
    await Promise.all(programs.map(({ program }) => prepare(backend, program)));
    const began = performance.now();
    const late = () => performance.now() - began > patience;

    const milliseconds = async (work: (times: number) => void, times: number) => {
      const start = performance.now();
      work(times);
      flush(backend);
      await backend.device.queue.onSubmittedWorkDone();
      return performance.now() - start;
    };
    // Hearing that work is done may come milliseconds late, never early.
    const least = async (work: (times: number) => void, times: number) => {
      let all = Number.POSITIVE_INFINITY;
      for (let i = 0; i < 3; i++) all = Math.min(all, await milliseconds(work, times));
      return all;
    };
    const time = async (work: (times: number) => void) => {
      // the first time carries what happens once, such as compiling
      await milliseconds(work, 1);
      const once = await milliseconds(work, 1);
      // a slow GPU tells at once
      if (once > 10 * enough) return once;
      const one = await least(work, 1);
      let times = 8;
      let all = await least(work, times);
      while (all - one < enough && times < 512) {
        times *= 4;
        all = await least(work, times);
      }
      // what it takes to send work and hear that it is done falls out
      return Math.max(all - one, 1e-3) / (times - 1);
    };

    const first = programs[0]!.program;
    while (performance.now() - began < warmUp) await milliseconds((n) => dispatch(backend, first, n), 8);
    for (const [at, { of, programs }] of jobs.entries()) {
      for (const { form, program } of programs) {
        if (late()) return measured;
        const took = await time((times) => dispatch(backend, program, times));
        measured.push({ of, form, milliseconds: took });
      }
      // after the large products attention takes most of a step
      if (at === 1 && !late()) measured.push(...(await measureAttention(backend, random, time)));
    }
  } finally {
    random.dispose();
    backend.disposeData(result.dataId);
    flush(backend);
    releaseFreeBuffers(backend);
  }
  return measured;
}

/** Times attention with its gradient in each form. */
async function measureAttention(
  backend: WebGPUBackend,
  random: tf.Tensor1D,
  time: (work: (times: number) => void) => Promise<number>,
): Promise<Measured[]> {
  const sizes = attentionExample;
  const qkv = tf.reshape<tf.Rank.R2>(random, [sizes.batch * sizes.tokens, -1]);
  const dout = tf.slice2d(qkv, [0, 0], [-1, qkv.shape[1] / 3]);
  const blocks = blocksFor(backend, dout.shape[1] / sizes.heads);
  const once: Record<AttentionForm, (() => tf.TensorInfo[]) | null> = {
    staged: () => {
      const out = stagedAttention(backend, qkv, sizes);
      return [out, stagedAttentionGradient(backend, { qkv, out, dout }, sizes)];
    },
    workgroup:
      blocks &&
      (() => {
        const out = tiledAttention(backend, qkv, sizes, blocks);
        return [out, tiledAttentionGradient(backend, { qkv, out, dout }, sizes, blocks)];
      }),
  };
  const measured: Measured[] = [];
  for (const form of attentionForms) {
    const work = once[form];
    if (!work) continue;
    const milliseconds = await time((times) => {
      for (let i = 0; i < times; i++) for (const { dataId } of work()) backend.disposeData(dataId);
    });
    measured.push({ of: "attention", form, milliseconds });
  }
  tf.dispose([qkv, dout]);
  return measured;
}

function exampleOf(
  layout: ProductLayout,
  rows: number,
  columns: number,
  depth: number,
  tensor: tf.TensorInfo,
): GpuProduct {
  const inner = (stride: number) => ({ tensor, layout: "k inner" as const, stride, piece: 0 });
  const outer = (stride: number) => ({ tensor, layout: "k outer" as const, stride, piece: 0 });
  return {
    rows,
    columns,
    depth,
    pieces: 1,
    a: layout === "dyᵀ x" ? outer(rows) : inner(depth),
    b: layout === "x Wᵀ" ? inner(depth) : outer(columns),
    shape: [rows, columns],
    stride: columns,
    piece: 0,
  };
}
