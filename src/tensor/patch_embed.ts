// From pixels to tokens and back out of them: patches as rows for `linear`, class and register tokens in front,
// position embeddings on top, and the one token a classifier reads.
import * as tf from "@tensorflow/tfjs-core";
import { Failure } from "../failure.ts";
import { runBody } from "./body.ts";

/**
 * Cuts images into normalised patches, one row each, columns in the order (channel, y, x) of a convolution's weight.
 * @param pixels int32 or float32 [B, H, W, 3], values 0..255
 * @param mean per channel, of values scaled to 0..1
 * @param std per channel
 * @param patchSize P; divides H and W
 * @returns [B · H/P · W/P, 3·P·P], (x / 255 - mean) / std
 */
export function patchify(
  pixels: tf.Tensor4D,
  mean: readonly [number, number, number],
  std: readonly [number, number, number],
  patchSize: number,
): tf.Tensor2D {
  const [, height, width, channels] = pixels.shape;
  if (channels !== 3 || height % patchSize !== 0 || width % patchSize !== 0) {
    throw new Failure({
      code: "bad-model",
      what: `Images of ${width} x ${height} with ${channels} channels cannot be cut into patches of ${patchSize}.`,
      remedy: "Use an image size that is a multiple of the model's patch size.",
    });
  }
  const attributes = {
    patchSize,
    meanR: mean[0],
    meanG: mean[1],
    meanB: mean[2],
    stdR: std[0],
    stdG: std[1],
    stdB: std[2],
  };
  return runBody("Patchify", { pixels }, attributes, () => patchifyReference(pixels, mean, std, patchSize));
}

/** The composed body of `patchify`. */
export function patchifyReference(
  pixels: tf.Tensor4D,
  mean: readonly [number, number, number],
  std: readonly [number, number, number],
  patchSize: number,
): tf.Tensor2D {
  const [batch, height, width] = pixels.shape;
  const rows = height / patchSize;
  const columns = width / patchSize;
  const scale = tf.tensor1d(std.map((s) => 1 / (255 * s)));
  const shift = tf.tensor1d(std.map((s, c) => -mean[c]! / s));
  const normalised = tf.add(tf.mul(tf.cast(pixels, "float32"), scale), shift);
  const cut = tf.reshape(normalised, [batch, rows, patchSize, columns, patchSize, 3]);
  return tf.reshape(tf.transpose(cut, [0, 1, 3, 5, 2, 4]), [
    batch * rows * columns,
    3 * patchSize * patchSize,
  ]);
}

/**
 * Puts the prefix tokens (class, distillation, registers) in front of each image's patches and adds positions to all.
 * @param patches [B·N, D]
 * @param prefix [p, D]; p may be 0
 * @param pos [p + N, D]
 * @param batch B
 * @returns [B·(p + N), D]
 */
export function addTokens(
  patches: tf.Tensor2D,
  prefix: tf.Tensor2D,
  pos: tf.Tensor2D,
  batch: number,
): tf.Tensor2D {
  return runBody("AddTokens", { patches, prefix, pos }, { batch }, () =>
    addTokensReference(patches, prefix, pos, batch),
  );
}

/** The composed body of `addTokens`. */
export function addTokensReference(
  patches: tf.Tensor2D,
  prefix: tf.Tensor2D,
  pos: tf.Tensor2D,
  batch: number,
): tf.Tensor2D {
  const width = patches.shape[1];
  const count = patches.shape[0] / batch;
  const ahead = prefix.shape[0];
  const body = tf.reshape(patches, [batch, count, width]);
  if (ahead === 0) return tf.reshape(tf.add(body, pos), [batch * count, width]);
  const each = tf.tile(tf.reshape(prefix, [1, ahead, width]), [batch, 1, 1]);
  return tf.reshape(tf.add(tf.concat([each, body], 1), pos), [batch * (ahead + count), width]);
}

/**
 * One token of every image.
 * @param x [T, D], T = batch · tokens
 * @param index which token, 0 for the class token
 * @returns [batch, D]
 */
export function takeToken(x: tf.Tensor2D, batch: number, index: number): tf.Tensor2D {
  return runBody("TakeToken", { x }, { batch, index }, () => takeTokenReference(x, batch, index));
}

/** The composed body of `takeToken`. */
export function takeTokenReference(x: tf.Tensor2D, batch: number, index: number): tf.Tensor2D {
  const [rows, width] = x.shape;
  const image: tf.Tensor3D = tf.reshape(x, [batch, rows / batch, width]);
  return tf.reshape(tf.slice3d(image, [0, index, 0], [batch, 1, width]), [batch, width]);
}

/**
 * dx of `takeToken`: dy in the rows that were taken, 0 elsewhere.
 * @param dy [batch, D]
 * @param tokens tokens per image
 * @param index which token was taken
 * @returns [batch · tokens, D]
 */
export function takeTokenGradient(dy: tf.Tensor2D, tokens: number, index: number): tf.Tensor2D {
  return runBody("TakeTokenGradient", { dy }, { tokens, index }, () =>
    takeTokenGradientReference(dy, tokens, index),
  );
}

/** The composed body of `takeTokenGradient`. */
export function takeTokenGradientReference(dy: tf.Tensor2D, tokens: number, index: number): tf.Tensor2D {
  const [batch, width] = dy.shape;
  const padded = tf.pad3d(tf.reshape(dy, [batch, 1, width]), [
    [0, 0],
    [index, tokens - index - 1],
    [0, 0],
  ]);
  return tf.reshape(padded, [batch * tokens, width]);
}
