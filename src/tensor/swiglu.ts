// SwiGLU (Shazeer 2020, arXiv 2002.05202): the gated MLP's h = silu(gate)·up, and its gradient. Gate and up are the two
// halves of one product's rows, as `w12` of DINOv2 lays them out.
import * as tf from "@tensorflow/tfjs-core";
import { runBody } from "./body.ts";

/**
 * h = silu(u[:, :H]) · u[:, H:], with silu(x) = x·σ(x).
 * @param u [T, 2H]
 * @returns [T, H]
 */
export function swiglu(u: tf.Tensor2D): tf.Tensor2D {
  return runBody("Swiglu", { u }, {}, () => swigluReference(u));
}

/** The composed body of `swiglu`. */
export function swigluReference(u: tf.Tensor2D): tf.Tensor2D {
  const { gate, up } = halves(u);
  return tf.mul(tf.mul(gate, tf.sigmoid(gate)), up);
}

/**
 * du of `swiglu`.
 * @param dh [T, H]
 * @param u [T, 2H], the input of the forward
 * @returns [T, 2H]
 */
export function swigluInputGradient(dh: tf.Tensor2D, u: tf.Tensor2D): tf.Tensor2D {
  return runBody("SwigluInputGradient", { dh, u }, {}, () => swigluInputGradientReference(dh, u));
}

/** The composed body of `swigluInputGradient`. */
export function swigluInputGradientReference(dh: tf.Tensor2D, u: tf.Tensor2D): tf.Tensor2D {
  const { gate, up } = halves(u);
  const s = tf.sigmoid(gate);
  const slope = tf.mul(s, tf.add(tf.mul(gate, tf.sub(1, s)), 1));
  return tf.concat2d([tf.mul(tf.mul(dh, up), slope), tf.mul(dh, tf.mul(gate, s))], 1);
}

function halves(u: tf.Tensor2D): { gate: tf.Tensor2D; up: tf.Tensor2D } {
  const [rows, columns] = u.shape;
  const half = columns / 2;
  return { gate: tf.slice2d(u, [0, 0], [rows, half]), up: tf.slice2d(u, [0, half], [rows, half]) };
}
