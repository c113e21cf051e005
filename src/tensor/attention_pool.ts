// Attention with one learned query for all images (Lee et al. 2019, arXiv 1810.00825: pooling by multihead attention),
// as SigLIP's head has it. The query is frozen, so q·k(n) is linear in the token: scores are n·keysᵀ with one row of keys
// a head, and the values are taken after the weighted mean. That costs T·D·heads where mapping every token to k and v
// costs 2·T·D².
import * as tf from "@tensorflow/tfjs-core";

export interface PoolMaps {
  /** [heads, D]: each head's query through its key map, over sqrt(head size). A key bias moves all scores of a head
   *  alike, which the softmax takes out again. */
  keys: tf.Tensor2D;
  /** [D, D], rows head by head. */
  value: tf.Tensor2D;
  /** [D] */
  valueBias: tf.Tensor1D;
}

/**
 * out = Σ_t softmax_t(n_t·keys_h)·(value_h n_t + bias_h), the heads side by side.
 * @param n [batch·tokens, D]
 * @returns [batch, D], before the output map
 */
export function attentionPool(n: tf.Tensor2D, maps: PoolMaps, batch: number): tf.Tensor2D {
  return tf.tidy(() => {
    const { images, probabilities, values } = prepare(n, maps, batch);
    const heads = probabilities.shape[1];
    const context = tf.transpose(tf.matMul(probabilities, images), [1, 0, 2]);
    const out = tf.transpose(tf.matMul(context, values, false, true), [1, 0, 2]);
    return tf.add<tf.Tensor2D>(tf.reshape(out, [batch, heads * values.shape[1]]), maps.valueBias);
  });
}

/**
 * dn of `attentionPool`. With c_h = Σ_t p_t n_t: dc = valueᵀ dout, dp_t = n_t·dc, ds = p∘(dp - Σ p·dp),
 * dn = Σ_h p·dc + ds·keys.
 * @param dout [batch, D]
 * @param n [batch·tokens, D], the input of the forward
 * @returns [batch·tokens, D]
 */
export function attentionPoolGradient(
  dout: tf.Tensor2D,
  n: tf.Tensor2D,
  maps: PoolMaps,
  batch: number,
): tf.Tensor2D {
  return tf.tidy(() => {
    const { images, probabilities, values } = prepare(n, maps, batch);
    const [heads, size] = values.shape;
    const perHead = tf.transpose(tf.reshape(dout, [batch, heads, size]), [1, 0, 2]);
    const dcontext = tf.transpose(tf.matMul(perHead, values), [1, 0, 2]);
    const dp = tf.matMul(dcontext, images, false, true);
    const mean = tf.sum(tf.mul(probabilities, dp), -1, true);
    const ds = tf.mul(probabilities, tf.sub(dp, mean)) as tf.Tensor3D;
    const throughScores = tf.matMul(
      tf.reshape(tf.transpose(ds, [0, 2, 1]), [n.shape[0], heads]),
      maps.keys,
    ) as tf.Tensor2D;
    const throughMean = tf.matMul(probabilities, dcontext, true, false);
    return tf.add<tf.Tensor2D>(tf.reshape(throughMean, n.shape), throughScores);
  });
}

/** Tokens [batch, tokens, D], probabilities [batch, heads, tokens], value maps [heads, head size, D]. */
function prepare(n: tf.Tensor2D, { keys, value }: PoolMaps, batch: number) {
  const [rows, width] = n.shape;
  const heads = keys.shape[0];
  const scores = tf.reshape(tf.matMul(n, keys, false, true), [batch, rows / batch, heads]);
  return {
    images: tf.reshape(n, [batch, rows / batch, width]) as tf.Tensor3D,
    probabilities: tf.softmax(tf.transpose(scores, [0, 2, 1])) as tf.Tensor3D,
    values: tf.reshape(value, [heads, width / heads, width]) as tf.Tensor3D,
  };
}
