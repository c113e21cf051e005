// Patches against plain loops and against a convolution; tokens put on and taken off again.
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import "./allclose.ts";
import { addTokens, patchify, takeToken, takeTokenGradient } from "./patch_embed.ts";
import { onEveryBackend } from "./testing/backends.ts";
import { dot, normal, take } from "./testing/numbers.ts";

const mean = [0.485, 0.456, 0.406] as const;
const std = [0.229, 0.224, 0.225] as const;

function bytes(count: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => (i * 7919 + (i >> 3)) % 256);
}

onEveryBackend(() => {
  it.each([
    [1, 4, 4, 4],
    [2, 8, 12, 4],
    [3, 14, 28, 7],
    [1, 32, 32, 16],
  ])("patchify batch %i, %i x %i, patches of %i", async (batch, height, width, patch) => {
    const values = bytes(batch * height * width * 3);
    const columns = width / patch;
    const expected: number[] = [];
    for (let b = 0; b < batch; b++) {
      for (let n = 0; n < (height / patch) * columns; n++) {
        for (let c = 0; c < 3; c++) {
          for (let y = 0; y < patch; y++) {
            for (let x = 0; x < patch; x++) {
              const row = Math.floor(n / columns) * patch + y;
              const column = (n % columns) * patch + x;
              const value = values[((b * height + row) * width + column) * 3 + c]!;
              expected.push((value / 255 - mean[c]!) / std[c]!);
            }
          }
        }
      }
    }
    for (const dtype of ["int32", "float32"] as const) {
      const pixels = tf.tensor4d(values, [batch, height, width, 3], dtype);
      const patches = patchify(pixels, mean, std, patch);
      expect(patches.shape).toEqual([(batch * height * width) / patch ** 2, 3 * patch * patch]);
      expect(await take(patches)).toBeAllClose(expected, { atol: 2e-6 });
      pixels.dispose();
    }
  });

  it("agrees with the convolution a checkpoint stores", async () => {
    const pixels = tf.tensor4d(bytes(2 * 8 * 8 * 3), [2, 8, 8, 3], "float32");
    const kernel = tf.tensor4d(normal(5 * 3 * 4 * 4, 1), [5, 3, 4, 4]);
    const expected = tf.tidy(() => {
      const scaled = tf.div(tf.sub(tf.div(pixels, 255), tf.tensor1d([...mean])), tf.tensor1d([...std]));
      return tf.conv2d(scaled as tf.Tensor4D, tf.transpose(kernel, [2, 3, 1, 0]) as tf.Tensor4D, 4, "valid");
    });
    const ours = tf.tidy(() =>
      tf.matMul(patchify(pixels, mean, std, 4), tf.reshape(kernel, [5, 48]), false, true),
    );
    expect(await take(ours)).toBeAllClose(await take(expected), { atol: 2e-5 });
    tf.dispose([pixels, kernel]);
  });

  it("refuses images that are no multiple of the patch", () => {
    const pixels = tf.zeros<tf.Rank.R4>([1, 9, 8, 3]);
    expect(() => patchify(pixels, mean, std, 4)).toThrow(/8 x 9/);
    pixels.dispose();
  });

  it.each([
    [1, 4, 1, 8],
    [3, 6, 2, 5],
    [2, 9, 5, 16],
    [2, 3, 0, 4],
  ])("addTokens batch %i, patches %i, prefix %i, width %i", async (batch, count, ahead, width) => {
    const patches = tf.tensor2d(normal(batch * count * width, 1), [batch * count, width]);
    const prefix = tf.tensor2d(normal(ahead * width, 2), [ahead, width]);
    const pos = tf.tensor2d(normal((ahead + count) * width, 3), [ahead + count, width]);
    const [ps, fs, os] = [await patches.data(), await prefix.data(), await pos.data()];
    const expected: number[] = [];
    for (let b = 0; b < batch; b++) {
      for (let t = 0; t < ahead + count; t++) {
        for (let i = 0; i < width; i++) {
          const token = t < ahead ? fs[t * width + i]! : ps[(b * count + t - ahead) * width + i]!;
          expected.push(token + os[t * width + i]!);
        }
      }
    }
    expect(await take(addTokens(patches, prefix, pos, batch))).toBeAllClose(expected, { atol: 1e-6 });
    tf.dispose([patches, prefix, pos]);
  });

  it.each([
    [1, 1, 4, 0],
    [3, 7, 5, 0],
    [2, 65, 16, 1],
    [4, 5, 3, 4],
  ])("takeToken and back, batch %i, tokens %i, width %i, index %i", async (batch, tokens, width, index) => {
    const x = tf.tensor2d(normal(batch * tokens * width, 1), [batch * tokens, width]);
    const xs = await x.data();
    const taken = await take(takeToken(x, batch, index));
    for (let b = 0; b < batch; b++) {
      const row = (b * tokens + index) * width;
      expect(taken.subarray(b * width, (b + 1) * width)).toEqual(xs.subarray(row, row + width));
    }
    // the gradient is the transpose: <take(x), dy> = <x, takeGradient(dy)>
    const dy = tf.tensor2d(normal(batch * width, 2), [batch, width]);
    const dx = takeTokenGradient(dy, tokens, index);
    expect(dx.shape).toEqual([batch * tokens, width]);
    const dxs = await take(dx);
    expect(dot(dxs, xs)).toBeCloseTo(dot(taken, await dy.data()), 5);
    expect(dxs.filter((v) => v !== 0).length).toBe(batch * width);
    tf.dispose([x, dy]);
  });
});
