// The network backwards: forward's ops in reverse, from the gradient of the CLS features down to the lowest place that
// still learns. No gradient of a frozen weight is ever formed; sites get their input and output gradient to look at.
import type * as tf from "@tensorflow/tfjs-core";
import { attentionInputGradient } from "../tensor/attention.ts";
import { geluInputGradient } from "../tensor/gelu.ts";
import { layerNormInputGradient } from "../tensor/layer_norm.ts";
import { linearInputGradient } from "../tensor/linear.ts";
import { takeTokenGradient } from "../tensor/patch_embed.ts";
import { comparePositions, releaseLayer, tokensPerImage } from "./forward.ts";
import type {
  EffectiveWeights,
  Kept,
  KeptLayer,
  LayerWeights,
  Site,
  SiteVisitor,
  VitWeights,
} from "./types.ts";
import { frozenWeights } from "./weights.ts";

/**
 * Walks down to `kept.from`, disposing activations as it passes them; `kept` is spent afterwards.
 * @param dcls gradient of `features.cls`, [batch, D]; stays the caller's
 * @param visit sees every site from the top down to `kept.from` (x is null where forward was told not to keep it:
 *   such a site is not visited)
 * @returns the gradient of the activation entering `kept.from.layer` when `kept.from.site` is "entry" (the caller
 *   disposes it), else null
 */
export function backward(
  weights: VitWeights,
  kept: Kept,
  dcls: tf.Tensor2D,
  effective: EffectiveWeights | null,
  visit: SiteVisitor,
): tf.Tensor2D | null {
  const standing = effective ?? frozenWeights(weights);
  const { layers: depth, layerNormEps: eps, activation, heads } = weights.architecture;
  const shape = { batch: kept.batch, tokens: tokensPerImage(weights), heads };
  const { from } = kept;
  let dy = layerNormInputGradient(dcls, kept.last, weights.norm.gamma, eps);

  for (let index = depth - 1; index >= from.layer; index--) {
    const layer = weights.layers[index] as LayerWeights;
    const keep = kept.layers[index] as KeptLayer;
    const inLast = index === depth - 1;
    const endsAbove = (site: Site | "entry") => comparePositions({ layer: index, site }, from) < 0;
    const show = (site: Site, x: tf.Tensor2D | null, gradient: tf.Tensor2D) => {
      if (x) visit(index, site, x, gradient);
    };
    const end = () => {
      dy.dispose();
      kept.dispose();
      return null;
    };

    show("fc2", keep.h, dy);
    if (endsAbove("fc1")) return end();
    const dh = linearInputGradient(dy, standing.weight(index, "fc2"));
    const du = geluInputGradient(dh, keep.u as tf.Tensor2D, activation);
    dh.dispose();
    show("fc1", keep.norm2, du);
    if (endsAbove("o")) {
      du.dispose();
      return end();
    }
    const dnorm2 = linearInputGradient(du, standing.weight(index, "fc1"));
    du.dispose();
    const dmiddle = layerNormInputGradient(dnorm2, keep.middle as tf.Tensor2D, layer.norm2.gamma, eps, dy);
    dnorm2.dispose();
    dy.dispose();
    dy = dmiddle;
    show("o", keep.oInput, dy);
    if (endsAbove("qkv")) return end();
    let dattended = linearInputGradient(dy, standing.weight(index, "o"));
    if (inLast) {
      // Only the CLS rows went on; every other row of attention's output has gradient 0.
      const rows = dattended;
      dattended = takeTokenGradient(rows, shape.tokens, 0);
      rows.dispose();
      const residual = dy;
      dy = takeTokenGradient(residual, shape.tokens, 0);
      residual.dispose();
    }
    const dqkv = attentionInputGradient(
      dattended,
      keep.qkv as tf.Tensor2D,
      keep.attended as tf.Tensor2D,
      shape,
    );
    dattended.dispose();
    show("qkv", keep.norm1, dqkv);
    if (endsAbove("entry")) {
      dqkv.dispose();
      return end();
    }
    const dnorm1 = linearInputGradient(dqkv, standing.weight(index, "qkv"));
    dqkv.dispose();
    const dx = layerNormInputGradient(dnorm1, keep.x as tf.Tensor2D, layer.norm1.gamma, eps, dy);
    dnorm1.dispose();
    dy.dispose();
    dy = dx;
    releaseLayer(keep);
  }
  kept.dispose();
  return dy;
}
