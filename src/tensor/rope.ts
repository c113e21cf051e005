// Rotary position embeddings (Su et al. 2021, arXiv 2104.09864) in the axial form of DINOv3: in every head, the pair
// (i, i + half) of q and of k turns by an angle that depends on the patch's row or column. Prefix tokens stay as they
// are, and so does v.
import * as tf from "@tensorflow/tfjs-core";
import type { AttentionShape } from "./attention.ts";
import { runBody } from "./body.ts";

/**
 * Turns q and k of every patch: (a, b) -> (a cos - b sin, b cos + a sin).
 * @param qkv [batch·tokens, 3D], packed as for `attention`
 * @param turns [patches, head size]: cosines of the head's pairs, then their sines; tokens - patches come before
 * @returns the same packing, turned
 */
export function rotate(qkv: tf.Tensor2D, turns: tf.Tensor2D, shape: AttentionShape): tf.Tensor2D {
  return runBody("Rotate", { qkv, turns }, { ...shape, direction: 1 }, () =>
    rotateReference(qkv, turns, shape, 1),
  );
}

/**
 * The gradient of `rotate` towards its input: the turn back.
 * @param dturned [batch·tokens, 3D], the gradient of what `rotate` gave
 */
export function rotateInputGradient(
  dturned: tf.Tensor2D,
  turns: tf.Tensor2D,
  shape: AttentionShape,
): tf.Tensor2D {
  return runBody("Rotate", { qkv: dturned, turns }, { ...shape, direction: -1 }, () =>
    rotateReference(dturned, turns, shape, -1),
  );
}

/** The composed body of both; `direction` -1 turns back. */
export function rotateReference(
  qkv: tf.Tensor2D,
  turns: tf.Tensor2D,
  { batch, tokens, heads }: AttentionShape,
  direction: 1 | -1,
): tf.Tensor2D {
  const [patches, size] = turns.shape;
  const half = size / 2;
  const width = heads * size;
  const ahead = tokens - patches;
  const whole: tf.Tensor3D = tf.reshape(qkv, [batch, tokens, 3 * width]);
  const pairs: tf.Tensor = tf.reshape(tf.slice3d(whole, [0, ahead, 0], [batch, patches, 2 * width]), [
    batch,
    patches,
    2 * heads,
    2,
    half,
  ]);
  const part = (which: 0 | 1) =>
    tf.reshape(tf.slice(pairs, [0, 0, 0, which, 0], [batch, patches, 2 * heads, 1, half]), [
      batch,
      patches,
      2 * heads,
      half,
    ]);
  const table = (from: number) =>
    tf.reshape(tf.slice2d(turns, [0, from], [patches, half]), [1, patches, 1, half]);
  const [a, b, cos, sin] = [part(0), part(1), table(0), tf.mul(table(half), direction)];
  const turned = tf.stack(
    [tf.sub(tf.mul(a, cos), tf.mul(b, sin)), tf.add(tf.mul(b, cos), tf.mul(a, sin))],
    3,
  );
  const qk: tf.Tensor3D = tf.reshape(turned, [batch, patches, 2 * width]);
  const v = tf.slice3d(whole, [0, ahead, 2 * width], [batch, patches, width]);
  const rows = tf.concat([qk, v], 2);
  const all =
    ahead === 0 ? rows : tf.concat([tf.slice3d(whole, [0, 0, 0], [batch, ahead, 3 * width]), rows], 1);
  return tf.reshape(all, [batch * tokens, 3 * width]);
}

/**
 * The table of `rotate` for a grid of patches: angle = 2π · coordinate · frequency, where a patch's centre lies at
 * (j + 0.5) / side · 2 - 1 on each axis; the first half of the pairs turns by the row, the second by the column
 * (DINOv3, arXiv 2508.10104).
 * @param periods of the pairs on one axis, head size / 4 of them; frequency = 1 / period
 * @returns row-major [side², head size]
 */
export function axialTurns(side: number, periods: ArrayLike<number>): Float32Array {
  const quarter = periods.length;
  const values = new Float32Array(side * side * 4 * quarter);
  for (let patch = 0; patch < side * side; patch++) {
    const centre = [Math.floor(patch / side), patch % side].map((j) => ((j + 0.5) / side) * 2 - 1);
    for (let pair = 0; pair < 2 * quarter; pair++) {
      const angle = (2 * Math.PI * centre[pair < quarter ? 0 : 1]!) / periods[pair % quarter]!;
      values[patch * 4 * quarter + pair] = Math.cos(angle);
      values[patch * 4 * quarter + 2 * quarter + pair] = Math.sin(angle);
    }
  }
  return values;
}
