// The mean over tokens against plain loops, and its gradient as the transpose.
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import "./allclose.ts";
import { meanTokens, meanTokensGradient } from "./mean_tokens.ts";
import { onEveryBackend } from "./testing/backends.ts";
import { dot, normal, take } from "./testing/numbers.ts";

onEveryBackend(() => {
  it.each([
    [1, 1, 4, 0],
    [3, 7, 5, 1],
    [2, 65, 16, 2],
    [4, 6, 3, 5],
  ])("batch %i, tokens %i, width %i, from %i on", async (batch, tokens, width, first) => {
    const x = tf.tensor2d(normal(batch * tokens * width, 1), [batch * tokens, width]);
    const xs = await x.data();
    const mean = meanTokens(x, batch, first);
    expect(mean.shape).toEqual([batch, width]);
    const means = await take(mean);
    const expected = Array.from({ length: batch * width }, (_, i) => {
      const [image, column] = [Math.floor(i / width), i % width];
      let sum = 0;
      for (let t = first; t < tokens; t++) sum += xs[(image * tokens + t) * width + column]!;
      return sum / (tokens - first);
    });
    expect(means).toBeAllClose(expected, { atol: 1e-6 });
    const dy = tf.tensor2d(normal(batch * width, 2), [batch, width]);
    const dx = meanTokensGradient(dy, tokens, first);
    expect(dx.shape).toEqual([batch * tokens, width]);
    const dxs = await take(dx);
    expect(dot(dxs, xs)).toBeCloseTo(dot(means, await dy.data()), 5);
    expect(dxs.filter((v) => v !== 0).length).toBe(batch * (tokens - first) * width);
    tf.dispose([x, dy]);
  });
});
