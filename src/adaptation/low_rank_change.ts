// The low-rank change c·B·A (LoRA). A ~ U(±1/sqrt(in)), B = 0, as PEFT's, so that the network starts as it was. A fused
// qkv is three pieces stacked; each matrix draws from a stream of its own, so that neither granularity nor target changes
// anyone's start. With Z = xAᵀ and V = dy·B (tensor/low_rank): dB = g·c·dyᵀZ, dA = g·c·Vᵀx, dL/dg = c·<dyᵀZ, B>. What a
// gate's state makes needless is not computed:
//   open: all of it · closed, may re-open: Z and dyᵀZ, for dL/dg · shut for good: nothing, the site is not even visited.
import * as tf from "@tensorflow/tfjs-core";
import { random, seedFor } from "../random.ts";
import { adapterV, formWeight, projectDown } from "../tensor/low_rank.ts";
import type { SiteChange } from "./change.ts";
import { type GatedSite, siteMatrices } from "./sites.ts";
import type { AdaptationOptions } from "./types.ts";

export interface LowRankPair {
  /** [pieces·r, in] */
  A: tf.Variable<tf.Rank.R2>;
  /** [out, r] */
  B: tf.Variable<tf.Rank.R2>;
}

export function startLowRank(
  { layer, site, pieces, out, in: input }: GatedSite,
  { rank, seed }: Pick<AdaptationOptions, "rank" | "seed">,
): LowRankPair {
  const start = new Float32Array(pieces * rank * input);
  const bound = 1 / Math.sqrt(input);
  siteMatrices[site].forEach((matrix, piece) => {
    const stream = random(seedFor(seed, `lora_A layer.${layer}.${matrix}`));
    const from = piece * rank * input;
    for (let i = 0; i < rank * input; i++) start[from + i] = (stream.next() * 2 - 1) * bound;
  });
  return tf.tidy(() => ({
    A: tf.variable(tf.tensor2d(start, [pieces * rank, input]), false),
    B: tf.variable(tf.zeros([out, rank]) as tf.Tensor2D, false),
  }));
}

export function lowRankChange(site: GatedSite, options: AdaptationOptions): SiteChange {
  const { pieces } = site;
  const { A, B } = startLowRank(site, options);
  const factor = options.alpha / options.rank;
  return {
    ...site,
    variables: { lora_A: A, lora_B: B },
    factor,
    form: (weight, scale) => formWeight(weight, A, B, scale),
    collect(trainables, first, _, x, dy, mayBeOpen) {
      const z = projectDown(x, A);
      trainables.collect(first + 1, dy, z, pieces);
      z.dispose();
      if (!mayBeOpen) return;
      const v = adapterV(dy, B, pieces);
      trainables.collect(first, v, x);
      v.dispose();
    },
    gateGradient: 1,
    // Without ever forming it: ‖BA‖² = <BᵀB, AAᵀ>, two r x r matrices a piece.
    squared: () =>
      tf.tidy(() => {
        const a = tf.reshape(A, [pieces, -1, A.shape[1]]) as tf.Tensor3D;
        const b = tf.reshape(B, [pieces, -1, B.shape[1]]) as tf.Tensor3D;
        const overlap = tf.mul(tf.matMul(a, a, false, true), tf.matMul(b, b, true, false));
        return tf.mul(tf.sum(tf.reshape(overlap, [pieces, -1]), 1), factor ** 2) as tf.Tensor1D;
      }),
  };
}
