// Loss and gradient against float64, with smoothing, padding rows and logits that overflow a naive exponential.
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import "./allclose.ts";
import { softmaxCrossEntropy } from "./cross_entropy.ts";
import { onEveryBackend } from "./testing/backends.ts";
import { finiteDifferences, normal, take } from "./testing/numbers.ts";

function plain(
  logits: ArrayLike<number>,
  labels: readonly number[],
  weights: readonly number[],
  classes: number,
  smoothing: number,
): number {
  let loss = 0;
  for (let b = 0; b < labels.length; b++) {
    const row = Array.from({ length: classes }, (_, c) => logits[b * classes + c]!);
    const top = Math.max(...row);
    const logSum = top + Math.log(row.reduce((sum, value) => sum + Math.exp(value - top), 0));
    row.forEach((value, c) => {
      const target = (c === labels[b] ? 1 - smoothing : 0) + smoothing / classes;
      loss += weights[b]! * target * (logSum - value);
    });
  }
  return loss / weights.reduce((a, c) => a + c, 0);
}

const cases: [number, number, number, number][] = [
  [1, 2, 0, 1],
  [5, 7, 0, 3],
  [16, 10, 0.1, 1],
  [3, 1000, 0.2, 40],
  [33, 65, 0, 100],
];

onEveryBackend(() => {
  it.each(cases)(
    "batch %i, classes %i, smoothing %f, logits x %f",
    async (batch, classes, smoothing, spread) => {
      const logits = tf.tensor2d(normal(batch * classes, 1, spread), [batch, classes]);
      const labels = Array.from({ length: batch }, (_, b) => (b * 7) % classes);
      const weights = Array.from({ length: batch }, (_, b) => (b > 0 && b % 4 === 0 ? 0 : 1 + (b % 2)));
      const labelTensor = tf.tensor1d(labels, "int32");
      const weightTensor = tf.tensor1d(weights);
      const { loss, gradient } = softmaxCrossEntropy(logits, labelTensor, weightTensor, smoothing);
      expect(loss.shape).toEqual([]);
      expect(gradient.shape).toEqual([batch, classes]);
      const values = await logits.data();
      const f = (x: ArrayLike<number>) => [plain(x, labels, weights, classes, smoothing)];
      expect(await take(loss)).toBeAllClose(f(values), { atol: 1e-5, rtol: 1e-5 });
      const at = Array.from(
        { length: Math.min(batch * classes, 60) },
        (_, i) => (i * 37) % (batch * classes),
      );
      const slopes = finiteDifferences(f, values, [1], at);
      const all = await take(gradient);
      expect(at.map((i) => all[i]!)).toBeAllClose(slopes, { atol: 2e-6 });
      for (let b = 0; b < batch; b++) {
        if (weights[b] === 0)
          expect(all.subarray(b * classes, (b + 1) * classes).every((v) => v === 0)).toBe(true);
      }
      tf.dispose([logits, labelTensor, weightTensor]);
    },
  );
});
