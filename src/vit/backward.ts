// The network backwards: forward's ops in reverse, from the gradient of the pooled features down to the lowest place that
// still learns. No gradient of a weight is formed here; sites get their input and output gradient to look at, and under
// full fine-tuning so do norms and LayerScale.
import type * as tf from "@tensorflow/tfjs-core";
import { attentionInputGradient } from "../tensor/attention.ts";
import { layerNormInputGradient } from "../tensor/layer_norm.ts";
import { layerScaleInputGradient } from "../tensor/layer_scale.ts";
import { linear, linearGeluInputGradient, linearInputGradient } from "../tensor/linear.ts";
import { takeTokenGradient } from "../tensor/patch_embed.ts";
import { rotateInputGradient } from "../tensor/rope.ts";
import { swigluInputGradient } from "../tensor/swiglu.ts";
import { atOnce, type InParts } from "../turn.ts";
import { comparePositions, releaseLayer, tokensPerImage } from "./forward.ts";
import { poolGradient, readsClassTokenOnly } from "./pooling.ts";
import type {
  EffectiveWeights,
  Kept,
  KeptLayer,
  LayerWeights,
  RestVisitor,
  Site,
  SiteVisitor,
  VitWeights,
} from "./types.ts";
import { frozenWeights } from "./weights.ts";

/**
 * Walks down to `kept.from`, disposing activations as it passes them; `kept` is spent afterwards.
 * @param dpooled gradient of `features.pooled`, [batch, F]; stays the caller's
 * @param visit sees every site from the top down to `kept.from` (x is null where forward was told not to keep it:
 *   such a site is not visited)
 * @param rest sees norms and LayerScale, where they learn too; then forward must have kept everything from the entry on
 * @returns the gradient of the activation entering `kept.from.layer` when `kept.from.site` is "entry" (the caller
 *   disposes it), else null
 */
export const backward = (...asked: Parameters<typeof backwardInParts>): tf.Tensor2D | null =>
  atOnce(backwardInParts(...asked));

/** `backward`, half a layer at a time; given up between, it frees what it holds, and `kept` is spent as well. */
export function* backwardInParts(
  frozen: VitWeights,
  kept: Kept,
  dpooled: tf.Tensor2D,
  effective: EffectiveWeights | null,
  visit: SiteVisitor,
  rest?: RestVisitor,
): InParts<tf.Tensor2D | null> {
  const weights = effective?.network ?? frozen;
  const standing = effective ?? frozenWeights(weights);
  const { layers: depth, layerNormEps: eps, activation, gatedMlp, heads } = weights.architecture;
  const shape = { batch: kept.batch, tokens: tokensPerImage(weights), heads };
  const { from } = kept;
  let dy = poolGradient(weights, kept.pooling, dpooled, kept.last, kept.batch, rest);

  function* pause(): InParts<void> {
    let goesOn = false;
    try {
      yield;
      goesOn = true;
    } finally {
      if (!goesOn) {
        dy.dispose();
        kept.dispose();
      }
    }
  }

  for (let index = depth - 1; index >= from.layer; index--) {
    const layer = weights.layers[index] as LayerWeights;
    const keep = kept.layers[index] as KeptLayer;
    const classTokenOnly = index === depth - 1 && readsClassTokenOnly(kept.pooling);
    const endsAbove = (site: Site | "entry") => comparePositions({ layer: index, site }, from) < 0;
    const show = (site: Site, x: tf.Tensor2D | null, gradient: tf.Tensor2D) => {
      if (x) visit(index, site, x, gradient);
    };
    const end = () => {
      dy.dispose();
      kept.dispose();
      return null;
    };

    /** Shows a LayerScale the branch as it was before it, which is cheaper computed again than kept. */
    const showScale = (name: string, x: tf.Tensor2D | null, site: "o" | "fc2") => {
      const branch = linear(x as tf.Tensor2D, standing.weight(index, site), layer[site].bias);
      rest?.scale(`layer.${index}.${name}`, branch, dy);
      branch.dispose();
    };

    if (rest && layer.scale2) showScale("scale2", keep.h, "fc2");
    const dfc2 = branchGradient(dy, layer.scale2);
    show("fc2", keep.h, dfc2);
    if (endsAbove("fc1")) {
      dfc2.dispose();
      return end();
    }
    const fc2 = standing.weight(index, "fc2");
    const u = keep.u as tf.Tensor2D;
    let du: tf.Tensor2D;
    if (gatedMlp) {
      const dh = linearInputGradient(dfc2, fc2);
      du = swigluInputGradient(dh, u);
      dh.dispose();
    } else du = linearGeluInputGradient(dfc2, fc2, u, activation);
    dfc2.dispose();
    show("fc1", keep.norm2, du);
    if (endsAbove("o")) {
      du.dispose();
      return end();
    }
    const dnorm2 = linearInputGradient(du, standing.weight(index, "fc1"));
    du.dispose();
    rest?.norm(`layer.${index}.norm2`, keep.middle as tf.Tensor2D, dnorm2);
    const dmiddle = layerNormInputGradient(dnorm2, keep.middle as tf.Tensor2D, layer.norm2.gamma, eps, dy);
    dnorm2.dispose();
    dy.dispose();
    dy = dmiddle;
    yield* pause();
    if (rest && layer.scale1) showScale("scale1", keep.oInput, "o");
    const dO = branchGradient(dy, layer.scale1);
    show("o", keep.oInput, dO);
    if (endsAbove("qkv")) {
      dO.dispose();
      return end();
    }
    let dattended = linearInputGradient(dO, standing.weight(index, "o"));
    dO.dispose();
    if (classTokenOnly) {
      // Only the CLS rows went on; every other row of attention's output has gradient 0.
      const rows = dattended;
      dattended = takeTokenGradient(rows, shape.tokens, 0);
      rows.dispose();
      const residual = dy;
      dy = takeTokenGradient(residual, shape.tokens, 0);
      residual.dispose();
    }
    let dqkv = attentionInputGradient(
      dattended,
      keep.qkv as tf.Tensor2D,
      keep.attended as tf.Tensor2D,
      shape,
    );
    dattended.dispose();
    if (weights.turns) {
      const turned = dqkv;
      dqkv = rotateInputGradient(turned, weights.turns, shape);
      turned.dispose();
    }
    show("qkv", keep.norm1, dqkv);
    if (endsAbove("entry")) {
      dqkv.dispose();
      return end();
    }
    const dnorm1 = linearInputGradient(dqkv, standing.weight(index, "qkv"));
    dqkv.dispose();
    rest?.norm(`layer.${index}.norm1`, keep.x as tf.Tensor2D, dnorm1);
    const dx = layerNormInputGradient(dnorm1, keep.x as tf.Tensor2D, layer.norm1.gamma, eps, dy);
    dnorm1.dispose();
    dy.dispose();
    dy = dx;
    releaseLayer(keep);
    yield* pause();
  }
  kept.dispose();
  return dy;
}

/** The gradient of a residual branch's linear map: dy, times LayerScale's gamma where there is one. */
function branchGradient(dy: tf.Tensor2D, gamma: tf.Tensor1D | null): tf.Tensor2D {
  return gamma ? layerScaleInputGradient(dy, gamma) : dy.clone();
}
