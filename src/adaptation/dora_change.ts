// DoRA (Liu et al. 2024, arXiv 2402.09353), gated as a whole: with V = W + c·B·A and n = m/‖V‖ of each row,
//   W' = W + g·(n·V - W)
// so that g = 0 gives back W. m starts as W's own row norms, and ‖V‖ counts as a constant in backward, as the paper and
// PEFT have it. With G = dyᵀx, which is never formed: dB = g·c·(n·dy)ᵀZ, dA = g·c·((n·dy)B)ᵀx, dm = g·q where
// q = <G, V/‖V‖> by row = Σ dy·(x (V/‖V‖)ᵀ), and dL/dg = Σ m·q - <G, W> with <G, W> = ‖V‖·q - c·<dyᵀZ, B> by row.
import * as tf from "@tensorflow/tfjs-core";
import { linear } from "../tensor/linear.ts";
import { adapterV, formWeight, projectDown } from "../tensor/low_rank.ts";
import type { SiteChange } from "./change.ts";
import { startLowRank } from "./low_rank_change.ts";
import type { GatedSite } from "./sites.ts";
import type { AdaptationOptions } from "./types.ts";

/** @param weight W, whose row norms the magnitudes start from */
export function doraChange(site: GatedSite, options: AdaptationOptions, weight: tf.Tensor2D): SiteChange {
  const { pieces, out } = site;
  const { A, B } = startLowRank(site, options);
  const factor = options.alpha / options.rank;
  const magnitude = tf.tidy(() => tf.variable(rowNorms(weight), false)) as tf.Variable<tf.Rank.R1>;

  /** V, its row norms [out] and n [out]. */
  const directions = (frozen: tf.Tensor2D) => {
    const V = formWeight(frozen, A, B, tf.fill([pieces], factor));
    const norms = rowNorms(V);
    return { V, norms, n: tf.divNoNan(magnitude, norms) as tf.Tensor1D };
  };
  const asColumn = (rows: tf.Tensor1D) => tf.reshape(rows, [out, 1]);
  const change = (frozen: tf.Tensor2D): tf.Tensor2D => {
    const { V, n } = directions(frozen);
    return tf.sub(tf.mul(V, asColumn(n)), frozen);
  };
  const byPiece = (rows: tf.Tensor) => tf.sum(tf.reshape(rows, [pieces, -1]), 1) as tf.Tensor1D;

  return {
    ...site,
    variables: { lora_A: A, lora_B: B, lora_magnitude_vector: magnitude },
    factor,
    form: (frozen, scale) =>
      tf.tidy(() => {
        const gate = tf.reshape(tf.div(scale, factor), [pieces, 1]);
        const scaled = tf.mul(tf.reshape(change(frozen), [pieces, -1]), gate);
        return tf.add(frozen, tf.reshape(scaled, frozen.shape)) as tf.Tensor2D;
      }),
    collect(trainables, first, frozen, x, dy, mayBeOpen) {
      const { turned, z, v, ones, seen } = tf.tidy(() => {
        const { V, norms, n } = directions(frozen);
        const turned = tf.mul(dy, n) as tf.Tensor2D;
        return {
          turned,
          z: projectDown(x, A),
          v: mayBeOpen ? [adapterV(turned, B, pieces)] : [],
          // The scale that the update applies has alpha/r in it, which is none of m's.
          ones: tf.fill([dy.shape[0], 1], 1 / factor) as tf.Tensor2D,
          seen: tf.mul(dy, tf.divNoNan(linear(x, V, null), norms)) as tf.Tensor2D,
        };
      });
      trainables.collect(first + 1, turned, z, pieces);
      for (const one of v) trainables.collect(first, one, x);
      trainables.collect(first + 2, ones, seen);
      tf.dispose([turned, z, ones, seen, ...v]);
    },
    gateGradient: (trainables, first, frozen) =>
      tf.tidy(() => {
        const { norms, n } = directions(frozen);
        const q = tf.mul(trainables.gradient(first + 2), factor);
        const turned = tf.sum(tf.mul(trainables.gradient(first + 1), B), 1);
        const lowRank = tf.mul(tf.divNoNan(turned, n), factor);
        return byPiece(tf.add(tf.mul(q, tf.sub(magnitude, norms)), lowRank));
      }),
    squared: (frozen) => tf.tidy(() => byPiece(tf.square(change(frozen)))),
  };
}

function rowNorms(weight: tf.Tensor2D): tf.Tensor1D {
  return tf.sqrt(tf.sum(tf.square(weight), 1)) as tf.Tensor1D;
}
