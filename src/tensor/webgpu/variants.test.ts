// Every form that the table of variants may choose computes the same as float64 does, on shapes that fit no tile:
// products in each layout with each ending.
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import "../allclose.ts";
import {
  attention,
  attentionInputGradient,
  attentionInputGradientReference,
  attentionReference,
} from "../attention.ts";
import { type Backend, openBackend } from "../backend.ts";
import { softmaxCrossEntropy, softmaxCrossEntropyReference } from "../cross_entropy.ts";
import { throwIfFaulty } from "../faults.ts";
import { gelu, geluInputGradient } from "../gelu.ts";
import { layerNorm, layerNormReference } from "../layer_norm.ts";
import { linear, linearGelu, linearGeluInputGradient, linearInputGradient } from "../linear.ts";
import {
  adapterU,
  adapterUReference,
  adapterV,
  adapterVReference,
  formWeight,
  formWeightReference,
  outerSum,
  projectDown,
  projectDownReference,
} from "../low_rank.ts";
import { normal, take } from "../testing/numbers.ts";
import { provideSoftwareGpu } from "../testing/software_gpu.ts";
import { formName } from "./product.ts";
import { attentionForms, forceVariant, productCandidates } from "./variants.ts";

let opened: Backend;
let tensors = 0;
beforeAll(async () => {
  provideSoftwareGpu();
  opened = await openBackend("webgpu");
});
beforeEach(() => {
  tensors = tf.memory().numTensors;
});
afterEach(() => {
  throwIfFaulty();
  expect(tf.memory().numTensors, "tensors left behind by the test").toBe(tensors);
});
afterAll(() => opened?.close());

const make = (shape: [number, number], seed: number, scale = 1) =>
  tf.tensor2d(normal(shape[0] * shape[1], seed, scale), shape);

/** Σ_k a(i, k)·b(k, j) in float64. */
function plain([rows, columns, depth]: [number, number, number], a: At, b: At): Float64Array {
  const c = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      let sum = 0;
      for (let k = 0; k < depth; k++) sum += a(i, k) * b(k, j);
      c[i * columns + j] = sum;
    }
  }
  return c;
}
type At = (i: number, j: number) => number;

const all = [
  ...new Map(
    Object.values(productCandidates)
      .flat()
      .map((form) => [formName(form), form]),
  ).values(),
];

// tokens, in, out: none fits a tile, and there is more than one tile each way; by fours and not
const sizes: [number, number, number][] = [
  [65, 36, 144],
  [197, 70, 37],
];

describe.each(all.map((form, at) => [formName(form), form, at] as const))("%s", (_, form, at) => {
  beforeAll(() => forceVariant(opened.device as GPUDevice, { product: () => form }));

  const [tokens, width, out] = sizes[at % sizes.length]!;

  it("x Wᵀ with bias and residual", async () => {
    const [x, w, r] = [make([tokens, width], 1), make([out, width], 2), make([tokens, out], 4)];
    const b = tf.tensor1d(normal(out, 3));
    const [xs, ws, bs, rs] = await Promise.all([x, w, b, r].map((t) => t.data()));
    const y = plain(
      [tokens, out, width],
      (t, i) => xs![t * width + i]!,
      (i, o) => ws![o * width + i]!,
    );
    const whole = y.map((v, i) => v + bs![i % out]! + rs![i]!);
    expect(await take(linear(x, w, b, r))).toBeAllClose(whole, { atol: 3e-5 });
    tf.dispose([x, w, b, r]);
  });

  it("dy W with a residual", async () => {
    const [dy, w, add] = [make([tokens, out], 5), make([out, width], 2), make([tokens, width], 6)];
    const [dys, ws, adds] = await Promise.all([dy, w, add].map((t) => t.data()));
    const dx = plain(
      [tokens, width, out],
      (t, o) => dys![t * out + o]!,
      (o, i) => ws![o * width + i]!,
    );
    const sum = dx.map((v, i) => v + adds![i]!);
    expect(await take(linearInputGradient(dy, w, add))).toBeAllClose(sum, { atol: 5e-5 });
    tf.dispose([dy, w, add]);
  });

  it("dyᵀ x", async () => {
    const [dy, x] = [make([tokens, out], 5), make([tokens, width], 1)];
    const [dys, xs] = await Promise.all([dy, x].map((t) => t.data()));
    const dw = plain(
      [out, width, tokens],
      (o, t) => dys![t * out + o]!,
      (t, i) => xs![t * width + i]!,
    );
    expect(await take(outerSum(dy, x))).toBeAllClose(dw, { atol: 1e-4 });
    tf.dispose([dy, x]);
  });
});

describe("a form whose invocations share the summed axis", () => {
  beforeAll(() => forceVariant(opened.device as GPUDevice, { product: () => productCandidates.small[0]! }));

  it("ends with a GELU or its slope", async () => {
    const [tokens, width, out] = [7, 36, 20];
    const [x, w, dy] = [make([tokens, width], 1), make([out, width], 2), make([tokens, out], 3)];
    const b = tf.tensor1d(normal(out, 4));
    const u = linear(x, w, b);
    const h = gelu(u, "gelu");
    // |gelu'| stays below 1.13
    expect(await take(linearGelu(x, w, b, "gelu"))).toBeAllClose(await h.data(), { atol: 5e-5 });
    const dh = linearInputGradient(dy, w);
    const du = geluInputGradient(dh, x, "gelu");
    expect(await take(linearGeluInputGradient(dy, w, x, "gelu"))).toBeAllClose(await du.data(), {
      atol: 5e-5,
    });
    tf.dispose([x, w, b, dy, u, h, dh, du]);
  });

  // tokens, in, out, rank, pieces
  it.each([
    [7, 6, 15, 1, 3],
    [257, 20, 36, 4, 3],
    [65, 48, 20, 128, 1],
  ])("low rank, tokens %i, in %i, out %i, rank %i, pieces %i", async (tokens, width, out, rank, pieces) => {
    const x = make([tokens, width], 1);
    const dy = make([tokens, out], 2);
    const weight = make([out, width], 3);
    const A = make([pieces * rank, width], 4, 0.3);
    const B = make([out, rank], 5, 0.3);
    const scale = tf.tensor1d([0.5, -1.5, 0].slice(0, pieces));
    const z = make([tokens, pieces * rank], 6);
    const pairs: [tf.Tensor, () => tf.Tensor, number][] = [
      [formWeight(weight, A, B, scale), () => formWeightReference(weight, A, B, scale), 2e-5],
      [projectDown(x, A), () => projectDownReference(x, A), 2e-5],
      [adapterV(dy, B, pieces), () => adapterVReference(dy, B, pieces), 2e-5],
      [adapterU(dy, z, pieces), () => adapterUReference(dy, z, pieces), 1e-4],
    ];
    for (const [found, reference, atol] of pairs) {
      expect(await take(found)).toBeAllClose(await take(tf.tidy(reference)), { atol });
    }
    tf.dispose([x, dy, weight, A, B, scale, z]);
  });
});

describe.each(attentionForms)("attention, %s", (form) => {
  beforeAll(() => forceVariant(opened.device as GPUDevice, { attention: form }));

  // batch, tokens, heads, head size; heads of other sizes in limits.test.ts
  it.each([
    [2, 1, 3, 20],
    [2, 70, 3, 20],
  ])("batch %i, tokens %i, heads %i, head size %i", async (batch, tokens, heads, size) => {
    const shape = { batch, tokens, heads };
    const qkv = make([batch * tokens, 3 * heads * size], 1);
    const dout = make([batch * tokens, heads * size], 2);
    const out = attention(qkv, shape);
    const expected = tf.tidy(() => attentionReference(qkv, shape));
    expect(await out.data()).toBeAllClose(await take(expected), { atol: 1e-5 });
    const slopes = tf.tidy(() => attentionInputGradientReference(dout, qkv, out, shape));
    const dqkv = await take(attentionInputGradient(dout, qkv, out, shape));
    expect(dqkv).toBeAllClose(await take(slopes), { atol: 3e-5 });
    tf.dispose([qkv, dout, out]);
  });
});

describe.each([false, true])("rows summed by a workgroup, with subgroups: %s", (subgroups) => {
  beforeAll(() => {
    const device = opened.device as GPUDevice;
    // SwiftShader offers them; where nobody does, that has to work as well
    forceVariant(device, { lanesPerRow: 64, subgroups: subgroups && device.features.has("subgroups") });
  });
  afterAll(() => forceVariant(opened.device as GPUDevice, { lanesPerRow: 1, subgroups: false }));

  it.each([
    [3, 33],
    [7, 300],
  ])("%i rows of %i numbers", async (rows, width) => {
    const x = make([rows, width], 1);
    const [gamma, beta] = [tf.tensor1d(normal(width, 2)), tf.tensor1d(normal(width, 3))];
    const expected = await take(tf.tidy(() => layerNormReference(x, gamma, beta, 1e-6)));
    expect(await take(layerNorm(x, gamma, beta, 1e-6))).toBeAllClose(expected, { atol: 1e-5 });
    // all far below 0: the largest must not be what lanes without a number have
    const logits = tf.tidy(() => tf.sub<tf.Tensor2D>(x, 1000));
    const labels = tf.tensor1d(new Int32Array(rows).fill(2), "int32");
    const weights = tf.ones<tf.Rank.R1>([rows]);
    const { gradient, loss } = softmaxCrossEntropy(logits, labels, weights, 0.1);
    const whole = await take(tf.tidy(() => softmaxCrossEntropyReference(logits, labels, weights, 0.1)));
    const slopes = Array.from({ length: rows }, (_, r) =>
      whole.slice(r * (width + 1), r * (width + 1) + width),
    ).flatMap((row) => [...row]);
    expect(await take(gradient)).toBeAllClose(slopes, { atol: 1e-5 });
    tf.dispose([x, gamma, beta, logits, labels, weights, loss]);
  });
});
