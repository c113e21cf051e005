// Hard-concrete gates (Louizos, Welling, Kingma 2018, arXiv 1712.01312): a score is the logit a of a gate
//   z = clip(σ((log u - log(1-u) + a)/β)·(ζ-γ) + γ, 0, 1),   u ~ U(0, 1)
// which is exactly 0 or exactly 1 often enough to close a block while it still has a gradient. The chance that it is not 0,
// σ(a - β·log(-γ/ζ)), is a penalty whose weight prices an open block. Without noise the gate is clip(σ(a)(ζ-γ)+γ, 0, 1).
import * as tf from "@tensorflow/tfjs-core";
import { random, seedFor } from "../random.ts";

const beta = 2 / 3;
const gamma = -0.1;
const zeta = 1.1;
const logOdds = beta * Math.log(-gamma / zeta);
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

/**
 * Every logit's start: a dropout rate of 0.1 as the paper initialises by it, σ(a) = 1 - rate, with which a gate is 0 one
 * time in 45. Ours; TAPS has no such gate, and the paper's rates range from 0.2.
 */
export const logitStart = Math.log(0.9 / 0.1);
/** The logit at which the gate without noise comes to rest at 0. */
export const logitClosed = Math.log(-gamma / zeta);
/**
 * What takes a straight-through score 0.05 (from its start to TAPS's tau) takes a logit 4.6, so it steps this many times
 * as far, and one learning rate serves both.
 */
export const logitRate = 100;

/** log u - log(1-u) of every gate: a pure function of seed and step. */
export function gateNoise(seed: number, step: number, count: number): Float32Array {
  const stream = random(seedFor(seed, `gate noise ${step}`));
  return Float32Array.from({ length: count }, () => {
    const u = Math.min(1 - 1e-6, Math.max(1e-6, stream.next()));
    return Math.log(u) - Math.log(1 - u);
  });
}

/**
 * z of every gate, [gates]; the caller disposes it.
 * @param noise as `gateNoise` draws it; null: the gate of a test, without noise
 */
export function hardConcrete(logits: tf.Tensor1D, noise: tf.Tensor1D | null): tf.Tensor1D {
  return tf.tidy(() => {
    const s = noise ? tf.sigmoid(tf.div(tf.add(noise, logits), beta)) : tf.sigmoid(logits);
    return tf.clipByValue(tf.add(tf.mul(s, zeta - gamma), gamma), 0, 1) as tf.Tensor1D;
  });
}

/**
 * The gradient of the logits, [gates]; the caller disposes it.
 * @param noise null while the gates rest open: then what a gate without noise would say, which is never quite at rest
 * @param gradient dL/dz
 * @param lambda weight of the mean chance of being open
 */
export function logitGradient(
  logits: tf.Tensor1D,
  noise: tf.Tensor1D | null,
  gradient: tf.Tensor1D,
  lambda: number,
): tf.Tensor1D {
  return tf.tidy(() => {
    const sharp = noise ? beta : 1;
    const s = tf.sigmoid(noise ? tf.div(tf.add(noise, logits), beta) : logits);
    const stretched = tf.add(tf.mul(s, zeta - gamma), gamma);
    const inside = tf.cast(tf.logicalAnd(tf.greater(stretched, 0), tf.less(stretched, 1)), "float32");
    const slope = tf.mul(tf.mul(s, tf.sub(1, s)), (zeta - gamma) / sharp);
    const open = tf.sigmoid(tf.sub(logits, logOdds));
    const pull = tf.mul(tf.mul(open, tf.sub(1, open)), lambda / logits.size);
    return tf.add(tf.mul(gradient, tf.mul(inside, slope)), pull) as tf.Tensor1D;
  });
}

/** The gate without noise before it is clipped, in -0.1 .. 1.1: open above 0. What is shown for a score. */
export function stretchedGate(logit: number): number {
  return sigmoid(logit) * (zeta - gamma) + gamma;
}

/** The chance that a gate is not 0, from what is shown for its score. */
export function chanceOpen(stretched: number): number {
  const share = Math.min(1 - 1e-9, Math.max(1e-9, (stretched - gamma) / (zeta - gamma)));
  return sigmoid(Math.log(share / (1 - share)) - logOdds);
}
