// Every kind of product on WASM against float64, and nothing left on its heap.
import * as tf from "@tensorflow/tfjs-core";
import fc from "fast-check";
import { beforeAll, expect, it } from "vitest";
import "../allclose.ts";
import { openBackend } from "../backend.ts";
import { normal, take } from "../testing/numbers.ts";

beforeAll(async () => {
  await openBackend("wasm");
});

/** a [batch, m, k] · b [batch, k, n], each perhaps stored transposed. */
function reference(
  a: Float32Array,
  b: Float32Array,
  [batch, m, k, n]: [number, number, number, number],
  transposeA: boolean,
  transposeB: boolean,
): number[] {
  const out: number[] = [];
  for (let i = 0; i < batch; i++)
    for (let row = 0; row < m; row++)
      for (let column = 0; column < n; column++) {
        let sum = 0;
        for (let l = 0; l < k; l++) {
          const x = a[i * m * k + (transposeA ? l * m + row : row * k + l)]!;
          const y = b[i * k * n + (transposeB ? column * k + l : l * n + column)]!;
          sum += x * y;
        }
        out.push(sum);
      }
  return out;
}

it("multiplies any shapes, transposed or not, one or many", () =>
  fc.assert(
    fc.asyncProperty(
      fc.tuple(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 9 }),
      ),
      fc.boolean(),
      fc.boolean(),
      fc.boolean(),
      fc.nat(1000),
      async (shape, transposeA, transposeB, fourDimensions, seed) => {
        const before = tf.memory();
        const [batch, m, k, n] = shape;
        const a = normal(batch * m * k, seed);
        const b = normal(batch * k * n, seed + 1);
        const lead = fourDimensions ? [1, batch] : batch === 1 ? [] : [batch];
        const x = tf.tensor(a, [...lead, ...(transposeA ? [k, m] : [m, k])]);
        const y = tf.tensor(b, [...lead, ...(transposeB ? [n, k] : [k, n])]);
        const product = tf.matMul(x, y, transposeA, transposeB);
        expect(product.shape).toEqual([...lead, m, n]);
        expect(await take(product)).toBeAllClose(reference(a, b, shape, transposeA, transposeB), {
          atol: 1e-5,
        });
        tf.dispose([x, y]);
        expect(tf.memory().numTensors).toBe(before.numTensors);
        expect(tf.memory().numDataBuffers).toBe(before.numDataBuffers);
      },
    ),
  ));

it("still broadcasts a batch", async () => {
  const a = tf.tensor3d([1, 2, 3, 4], [2, 1, 2]);
  const b = tf.tensor3d([1, 1, 1, -1], [1, 2, 2]);
  expect([...(await take(tf.matMul(a, b)))]).toEqual([3, -1, 7, -1]);
  tf.dispose([a, b]);
});
