// How big the learned change is against the frozen weights, without ever forming it: ‖BA‖² = <BᵀB, AAᵀ>, two r x r
// matrices a piece.
import * as tf from "@tensorflow/tfjs-core";
import type { VitWeights } from "../vit/types.ts";
import type { Adapter } from "./adapters.ts";

/** ‖BA‖_F² of each piece of a site, [pieces]; the caller disposes it. */
export function changeSquared({ A, B, pieces }: Adapter): tf.Tensor1D {
  return tf.tidy(() => {
    const a = tf.reshape(A, [pieces, -1, A.shape[1]]) as tf.Tensor3D;
    const b = tf.reshape(B, [pieces, -1, B.shape[1]]) as tf.Tensor3D;
    const overlap = tf.mul(tf.matMul(a, a, false, true), tf.matMul(b, b, true, false));
    return tf.sum(tf.reshape(overlap, [pieces, -1]), 1) as tf.Tensor1D;
  });
}

/** ‖W‖_F² of each piece of a site's frozen weight, [pieces]; the caller disposes it. */
export function frozenSquared(weights: VitWeights, { layer, site, pieces }: Adapter): tf.Tensor1D {
  const { weight } = weights.layers[layer]![site];
  return tf.tidy(() => tf.sum(tf.reshape(tf.square(weight), [pieces, -1]), 1) as tf.Tensor1D);
}
