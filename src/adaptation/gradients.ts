// Gradients of one step, collected as backward passes the sites. With Z = xAᵀ, U = dyᵀZ and V = dy·B (tensor/low_rank):
// dB = g·c·U, dA = g·c·Vᵀx, dL/dg = c·<U, B>. What a gate's state makes needless is not computed:
//   open: all of it · closed, may re-open: Z and U, for dL/dg · shut for good: nothing, the site is not even visited.
import * as tf from "@tensorflow/tfjs-core";
import { adapterU, adapterV, outerSum, projectDown } from "../tensor/low_rank.ts";
import type { Adapter } from "./adapters.ts";

/** What a gate costs now: `open` null means that only the device knows. */
export interface GateKnowledge {
  open: Uint8Array | null;
  /** Whether scores still move. */
  moving: boolean;
}

/** Gradients of A and B, [pieces·r, in] and [out, r]. */
export interface AdapterGradients {
  A: tf.Tensor2D;
  B: tf.Tensor2D;
}

/**
 * The gradients at one site.
 * @param scale g·alpha/r of each piece, [pieces]
 * @returns gradients of A and B (null: they are exactly 0), and <U, B> of each piece, [pieces] (null when gates rest)
 */
export function siteGradients(
  adapter: Adapter,
  x: tf.Tensor2D,
  dy: tf.Tensor2D,
  scale: tf.Tensor1D,
  { open, moving }: GateKnowledge,
): { adapter: AdapterGradients | null; product: tf.Tensor1D | null } {
  const { A, B, pieces } = adapter;
  const mayBeOpen = open === null || adapter.gates.some((gate) => open[gate] === 1);
  if (!mayBeOpen && !moving) return { adapter: null, product: null };
  const z = projectDown(x, A);
  const u = adapterU(dy, z, pieces);
  z.dispose();
  const product = moving
    ? (tf.tidy(() => tf.sum(tf.reshape(tf.mul(u, B), [pieces, -1]), 1)) as tf.Tensor1D)
    : null;
  if (!mayBeOpen) {
    u.dispose();
    return { adapter: null, product };
  }
  const dB = scaled(u, scale, pieces);
  u.dispose();
  const v = adapterV(dy, B, pieces);
  const outer = outerSum(v, x);
  v.dispose();
  const dA = scaled(outer, scale, pieces);
  outer.dispose();
  return { adapter: { A: dA, B: dB }, product };
}

/** Each piece's rows times its scale. */
function scaled(x: tf.Tensor2D, scale: tf.Tensor1D, pieces: number): tf.Tensor2D {
  return tf.tidy(() => {
    const byPiece = tf.reshape(x, [pieces, x.size / pieces]);
    return tf.reshape(tf.mul(byPiece, tf.reshape(scale, [pieces, 1])), x.shape);
  });
}
