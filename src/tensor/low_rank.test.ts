// The low-rank products against float64, and as a whole: dA, dB, dx and dL/dgate of an adapted site against tf.grads.
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import "./allclose.ts";
import "./testing/tape.ts";
import { linearInputGradient, linearReference } from "./linear.ts";
import { adapterU, adapterV, formWeight, formWeightReference, outerSum, projectDown } from "./low_rank.ts";
import { onEveryBackend } from "./testing/backends.ts";
import { dot, normal, take } from "./testing/numbers.ts";

// tokens, in, out, rank, pieces
const sizes: [number, number, number, number, number][] = [
  [1, 8, 8, 1, 1],
  [7, 6, 15, 2, 3],
  [65, 48, 144, 4, 3],
  [197, 37, 70, 16, 1],
  [260, 128, 96, 8, 3],
  [130, 96, 130, 128, 1],
  [1040, 32, 36, 3, 3],
];

onEveryBackend(() => {
  it.each(sizes)("tokens %i, in %i, out %i, rank %i, pieces %i", async (tokens, width, out, rank, pieces) => {
    const rows = out / pieces;
    const make = (shape: [number, number], seed: number, scale = 1) =>
      tf.tensor2d(normal(shape[0] * shape[1], seed, scale), shape);
    const x = make([tokens, width], 1);
    const dy = make([tokens, out], 2);
    const weight = make([out, width], 3);
    const A = make([pieces * rank, width], 4, 0.3);
    const B = make([out, rank], 5, 0.3);
    const scale = tf.tensor1d([0.5, -1.5, 0].slice(0, pieces));
    const [xs, dys, ws, As, Bs, ss] = await Promise.all([x, dy, weight, A, B, scale].map((t) => t.data()));

    const W = new Float64Array(out * width);
    for (let o = 0; o < out; o++) {
      const piece = Math.floor(o / rows);
      for (let i = 0; i < width; i++) {
        let sum = 0;
        for (let k = 0; k < rank; k++) sum += Bs![o * rank + k]! * As![(piece * rank + k) * width + i]!;
        W[o * width + i] = ws![o * width + i]! + ss![piece]! * sum;
      }
    }
    expect(await take(formWeight(weight, A, B, scale))).toBeAllClose(W, { atol: 1e-5 });

    const Z = new Float64Array(tokens * pieces * rank);
    const V = new Float64Array(tokens * pieces * rank);
    for (let t = 0; t < tokens; t++) {
      for (let k = 0; k < pieces * rank; k++) {
        const piece = Math.floor(k / rank);
        for (let i = 0; i < width; i++)
          Z[t * pieces * rank + k]! += xs![t * width + i]! * As![k * width + i]!;
        for (let o = piece * rows; o < (piece + 1) * rows; o++) {
          V[t * pieces * rank + k]! += dys![t * out + o]! * Bs![o * rank + (k % rank)]!;
        }
      }
    }
    const z = projectDown(x, A);
    expect(await z.data()).toBeAllClose(Z, { atol: 2e-5 });
    const v = adapterV(dy, B, pieces);
    expect(await v.data()).toBeAllClose(V, { atol: 2e-5 });

    const U = new Float64Array(out * rank);
    const VX = new Float64Array(pieces * rank * width);
    for (let t = 0; t < tokens; t++) {
      for (let o = 0; o < out; o++) {
        const piece = Math.floor(o / rows);
        for (let k = 0; k < rank; k++) {
          U[o * rank + k]! += dys![t * out + o]! * Z[t * pieces * rank + piece * rank + k]!;
        }
      }
      for (let k = 0; k < pieces * rank; k++) {
        for (let i = 0; i < width; i++) {
          VX[k * width + i]! += V[t * pieces * rank + k]! * xs![t * width + i]!;
        }
      }
    }
    const u = await take(adapterU(dy, z, pieces));
    expect(u).toBeAllClose(U, { atol: 2e-4, rtol: 1e-5 });
    const vx = await take(outerSum(v, x));
    expect(vx).toBeAllClose(VX, { atol: 2e-4, rtol: 1e-5 });

    // the identities the network relies on, against the tape
    const gradients = tf.grads((x, A, B, scale) =>
      linearReference(
        x as tf.Tensor2D,
        formWeightReference(weight, A as tf.Tensor2D, B as tf.Tensor2D, scale as tf.Tensor1D),
        null,
      ),
    );
    const [dx, dA, dB, dScale] = gradients([x, A, B, scale], dy) as tf.Tensor[];
    const adapted = formWeight(weight, A, B, scale);
    expect(await take(linearInputGradient(dy, adapted))).toBeAllClose(await take(dx!), { atol: 1e-4 });
    const close = { atol: 3e-4, rtol: 1e-5 };
    const timesScale = (values: Float32Array, perPiece: number) =>
      values.map((value, i) => value * ss![Math.floor(i / perPiece)]!);
    expect(timesScale(vx, rank * width)).toBeAllClose(await take(dA!), close);
    expect(timesScale(u, rank * rows)).toBeAllClose(await take(dB!), close);
    const inner = Array.from({ length: pieces }, (_, p) => {
      const part = u.subarray(p * rows * rank, (p + 1) * rows * rank);
      return dot(part, Bs!.subarray(p * rows * rank));
    });
    expect(inner).toBeAllClose(await take(dScale!), { atol: 3e-3, rtol: 1e-4 });
    adapted.dispose();
    tf.dispose([x, dy, weight, A, B, scale, z, v]);
  });
});
