// From the tokens that the last layer leaves to the row that a classifier reads, and back. What is cheap beside a layer
// (a norm, the scores of an attention pool) is computed again on the way back instead of being kept.
import * as tf from "@tensorflow/tfjs-core";
import type { Pooling } from "../checkpoint/pooling.ts";
import { attentionPool, attentionPoolGradient } from "../tensor/attention_pool.ts";
import { gelu, geluInputGradient } from "../tensor/gelu.ts";
import { layerNorm, layerNormInputGradient } from "../tensor/layer_norm.ts";
import { linear, linearInputGradient } from "../tensor/linear.ts";
import { meanTokens, meanTokensGradient } from "../tensor/mean_tokens.ts";
import { takeToken, takeTokenGradient } from "../tensor/patch_embed.ts";
import type { AttentionPoolWeights, RestVisitor, VitWeights } from "./types.ts";

/** Whether only the class token's row of the last layer is read, so that its other rows need not be computed. */
export function readsClassTokenOnly(pooling: Pooling): boolean {
  return pooling === "cls" || pooling === "projection";
}

/**
 * @param last what the last layer left: [batch, D] where only the class token is read, else [T, D]; stays the caller's
 * @returns [batch, F]; the caller disposes it
 */
export function pool(weights: VitWeights, pooling: Pooling, last: tf.Tensor2D, batch: number): tf.Tensor2D {
  const { layerNormEps: eps, prefixTokens } = weights.architecture;
  const norm = (x: tf.Tensor2D) => layerNorm(x, weights.norm.gamma, weights.norm.beta, eps);
  return tf.tidy(() => {
    switch (pooling) {
      case "cls":
        return norm(last);
      case "projection":
        return linear(norm(last), weights.projection as tf.Tensor2D, null);
      case "mean":
        return meanTokens(norm(last), batch, prefixTokens);
      case "cls-mean": {
        const normed = norm(last);
        return tf.concat2d([takeToken(normed, batch, 0), meanTokens(normed, batch, prefixTokens)], 1);
      }
      case "mean-norm":
        return norm(meanTokens(last, batch, prefixTokens));
      case "raw-mean":
        return meanTokens(last, batch, prefixTokens);
      case "attention": {
        const head = weights.attentionPool as AttentionPoolWeights;
        const { y, u } = attend(weights, head, norm(last), batch);
        return linear(gelu(u, weights.architecture.activation), head.fc2.weight, head.fc2.bias, y);
      }
    }
  });
}

/**
 * The gradient of `last`.
 * @param dpooled [batch, F]; stays the caller's, as does `last`
 * @param rest sees the final norm and the map into a text tower's space, where they learn too
 * @returns as many rows as `last`; the caller disposes it
 */
export function poolGradient(
  weights: VitWeights,
  pooling: Pooling,
  dpooled: tf.Tensor2D,
  last: tf.Tensor2D,
  batch: number,
  rest?: RestVisitor,
): tf.Tensor2D {
  const { layerNormEps: eps, prefixTokens, activation } = weights.architecture;
  const { gamma, beta } = weights.norm;
  const tokens = last.shape[0] / batch;
  const throughNorm = (dy: tf.Tensor2D) => {
    rest?.norm("norm", last, dy);
    return layerNormInputGradient(dy, last, gamma, eps);
  };
  return tf.tidy(() => {
    switch (pooling) {
      case "cls":
        return throughNorm(dpooled);
      case "projection":
        rest?.projection(layerNorm(last, gamma, beta, eps), dpooled);
        return throughNorm(linearInputGradient(dpooled, weights.projection as tf.Tensor2D));
      case "mean":
        return throughNorm(meanTokensGradient(dpooled, tokens, prefixTokens));
      case "cls-mean": {
        const [dcls, dmean] = tf.split(dpooled, 2, 1) as [tf.Tensor2D, tf.Tensor2D];
        const dnormed: tf.Tensor2D = tf.add(
          takeTokenGradient(dcls, tokens, 0),
          meanTokensGradient(dmean, tokens, prefixTokens),
        );
        return throughNorm(dnormed);
      }
      case "mean-norm": {
        const mean = meanTokens(last, batch, prefixTokens);
        rest?.norm("norm", mean, dpooled);
        const dmean = layerNormInputGradient(dpooled, mean, gamma, eps);
        return meanTokensGradient(dmean, tokens, prefixTokens);
      }
      case "raw-mean":
        return meanTokensGradient(dpooled, tokens, prefixTokens);
      case "attention": {
        const head = weights.attentionPool as AttentionPoolWeights;
        const normed = layerNorm(last, gamma, beta, eps);
        const { y, u } = attend(weights, head, normed, batch);
        const du = geluInputGradient(linearInputGradient(dpooled, head.fc2.weight), u, activation);
        const dinner = linearInputGradient(du, head.fc1.weight);
        const dy = layerNormInputGradient(dinner, y, head.norm.gamma, eps, dpooled);
        const dout = linearInputGradient(dy, head.o.weight);
        return throughNorm(attentionPoolGradient(dout, normed, head.maps, batch));
      }
    }
  });
}

/** SigLIP's head up to its MLP's activation: y [batch, D] before the MLP, u [batch, M] inside it. */
function attend(weights: VitWeights, head: AttentionPoolWeights, normed: tf.Tensor2D, batch: number) {
  const y = linear(attentionPool(normed, head.maps, batch), head.o.weight, head.o.bias);
  const inner = layerNorm(y, head.norm.gamma, head.norm.beta, weights.architecture.layerNormEps);
  return { y, u: linear(inner, head.fc1.weight, head.fc1.bias) };
}
