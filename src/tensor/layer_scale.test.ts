// LayerScale and its gradient against plain loops.
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import "./allclose.ts";
import { layerScale, layerScaleInputGradient } from "./layer_scale.ts";
import { onEveryBackend } from "./testing/backends.ts";
import { normal, take } from "./testing/numbers.ts";

onEveryBackend(() => {
  it.each([
    [5, 24],
    [3, 7],
    [65, 33],
  ])("%i rows of %i", async (rows, width) => {
    const [x, gamma, residual] = [normal(rows * width, 1), normal(width, 2), normal(rows * width, 3)];
    const tensors = [tf.tensor2d(x, [rows, width]), tf.tensor2d(residual, [rows, width])] as const;
    const scale = tf.tensor1d(gamma);
    const y = layerScale(tensors[0], scale, tensors[1]);
    expect(y.shape).toEqual([rows, width]);
    expect(await take(y)).toBeAllClose(
      Array.from(x, (value, i) => residual[i]! + value * gamma[i % width]!),
      { atol: 1e-6 },
    );
    const dx = layerScaleInputGradient(tensors[0], scale);
    expect(await take(dx)).toBeAllClose(
      Array.from(x, (value, i) => value * gamma[i % width]!),
      { atol: 1e-6 },
    );
    tf.dispose([...tensors, scale]);
  });
});
