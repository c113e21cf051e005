// A change of W's own shape, from 0 (TAPS's residual, and what full fine-tuning moves): W' = W + g·R, dR = g·dyᵀx,
// dL/dg = <dyᵀx, R>. A closed gate that may re-open costs dyᵀx as well; one that is shut for good costs nothing.
import * as tf from "@tensorflow/tfjs-core";
import { formResidual } from "../tensor/residual.ts";
import type { SiteChange } from "./change.ts";
import type { GatedSite } from "./sites.ts";

export function residualChange(site: GatedSite): SiteChange {
  const { pieces, out, in: input } = site;
  const R = tf.tidy(() => tf.variable(tf.zeros([out, input]) as tf.Tensor2D, false));
  return {
    ...site,
    variables: { residual: R },
    factor: 1,
    form: (weight, scale) => formResidual(weight, R, scale),
    collect: (trainables, first, _, x, dy) => trainables.collect(first, dy, x),
    gateGradient: 0,
    squared: () => tf.tidy(() => tf.sum(tf.reshape(tf.square(R), [pieces, -1]), 1) as tf.Tensor1D),
  };
}
