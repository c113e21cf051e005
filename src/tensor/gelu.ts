// GELU in the three forms that checkpoints use (Hendrycks & Gimpel 2016, arXiv 1606.08415), and their gradients.
// "gelu" is u·Φ(u) by erf, "gelu_tanh" its tanh approximation, "quick_gelu" CLIP's u·σ(1.702 u).
import * as tf from "@tensorflow/tfjs-core";
import { runBody } from "./body.ts";

export type GeluKind = "gelu" | "gelu_tanh" | "quick_gelu";

const SQRT_2_OVER_PI = Math.sqrt(2 / Math.PI);
const CUBIC = 0.044715;
const QUICK = 1.702;

/**
 * h = gelu(u), element by element; absolute error below 1e-6·max(1, |u|).
 * @param u any shape
 */
export function gelu<T extends tf.Tensor>(u: T, kind: GeluKind): T {
  return runBody("Gelu", { u }, { kind }, () => geluReference(u, kind));
}

/** The composed body of `gelu`. */
export function geluReference<T extends tf.Tensor>(u: T, kind: GeluKind): T {
  switch (kind) {
    case "gelu":
      return tf.mul(u, normalCdf(u));
    case "gelu_tanh":
      return tf.mul(tf.mul(u, 0.5), tf.add(tf.tanh(tanhArgument(u)), 1));
    case "quick_gelu":
      return tf.mul(u, tf.sigmoid(tf.mul(u, QUICK)));
  }
}

/**
 * du = dh · gelu'(u).
 * @param dh same shape as u
 * @param u input of the forward
 */
export function geluInputGradient<T extends tf.Tensor>(dh: T, u: T, kind: GeluKind): T {
  return runBody("GeluInputGradient", { dh, u }, { kind }, () => geluInputGradientReference(dh, u, kind));
}

/** The composed body of `geluInputGradient`. */
export function geluInputGradientReference<T extends tf.Tensor>(dh: T, u: T, kind: GeluKind): T {
  switch (kind) {
    case "gelu": {
      const density = tf.mul(tf.exp(tf.mul(tf.square(u), -0.5)), 1 / Math.sqrt(2 * Math.PI));
      return tf.mul(dh, tf.add(normalCdf(u), tf.mul(u, density)));
    }
    case "gelu_tanh": {
      const t = tf.tanh(tanhArgument(u));
      const slope = tf.mul(tf.add(tf.mul(tf.square(u), 3 * CUBIC), 1), SQRT_2_OVER_PI);
      const bell = tf.mul(tf.mul(u, 0.5), tf.mul(tf.sub(1, tf.square(t)), slope));
      return tf.mul(dh, tf.add(tf.mul(tf.add(t, 1), 0.5), bell));
    }
    case "quick_gelu": {
      const s = tf.sigmoid(tf.mul(u, QUICK));
      return tf.mul(dh, tf.mul(s, tf.add(tf.mul(tf.mul(u, QUICK), tf.sub(1, s)), 1)));
    }
  }
}

function normalCdf<T extends tf.Tensor>(u: T): T {
  return tf.mul(tf.add(tf.erf(tf.mul(u, Math.SQRT1_2)), 1), 0.5);
}

function tanhArgument<T extends tf.Tensor>(u: T): T {
  return tf.mul(tf.mul(u, SQRT_2_OVER_PI), tf.add(tf.mul(tf.square(u), CUBIC), 1));
}
