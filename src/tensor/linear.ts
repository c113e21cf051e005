// y = x Wᵀ + b, the product a ViT is made of, and its gradient towards x. There is no gradient towards W: frozen
// weights need none, and the adapters' are in low_rank.ts.
import * as tf from "@tensorflow/tfjs-core";
import { runBody } from "./body.ts";
import { type GeluKind, gelu, geluInputGradient } from "./gelu.ts";

/**
 * y = x Wᵀ (+ bias) (+ residual).
 * @param x [T, in]
 * @param weight [out, in]
 * @param bias [out] or null
 * @param residual [T, out], added to the result
 * @returns [T, out]
 */
export function linear(
  x: tf.Tensor2D,
  weight: tf.Tensor2D,
  bias: tf.Tensor1D | null,
  residual?: tf.Tensor2D | null,
): tf.Tensor2D {
  return runBody("Linear", { x, weight, bias, residual }, {}, () =>
    linearReference(x, weight, bias, residual),
  );
}

/** The composed body of `linear`. */
export function linearReference(
  x: tf.Tensor2D,
  weight: tf.Tensor2D,
  bias: tf.Tensor1D | null,
  residual?: tf.Tensor2D | null,
): tf.Tensor2D {
  let y: tf.Tensor2D = tf.matMul(x, weight, false, true);
  if (bias) y = tf.add(y, bias);
  if (residual) y = tf.add(y, residual);
  return y;
}

/**
 * dx = dy W (+ add): the gradient of `linear` towards x.
 * @param dy [T, out]
 * @param weight [out, in]
 * @param add [T, in], another gradient that reaches the same x
 * @returns [T, in]
 */
export function linearInputGradient(
  dy: tf.Tensor2D,
  weight: tf.Tensor2D,
  add?: tf.Tensor2D | null,
): tf.Tensor2D {
  return runBody("LinearInputGradient", { dy, weight, add }, {}, () =>
    linearInputGradientReference(dy, weight, add),
  );
}

/** The composed body of `linearInputGradient`. */
export function linearInputGradientReference(
  dy: tf.Tensor2D,
  weight: tf.Tensor2D,
  add?: tf.Tensor2D | null,
): tf.Tensor2D {
  const dx: tf.Tensor2D = tf.matMul(dy, weight);
  return add ? tf.add(dx, add) : dx;
}

/**
 * gelu(x Wᵀ (+ bias)), for where nobody wants what enters the GELU.
 * @param x [T, in]
 * @param weight [out, in]
 * @param bias [out] or null
 * @returns [T, out]
 */
export function linearGelu(
  x: tf.Tensor2D,
  weight: tf.Tensor2D,
  bias: tf.Tensor1D | null,
  kind: GeluKind,
): tf.Tensor2D {
  return runBody("LinearGelu", { x, weight, bias }, { kind }, () => gelu(linear(x, weight, bias), kind));
}

/**
 * du = (dy W) · gelu'(u): the gradient of a linear map over gelu(u), towards u.
 * @param dy [T, out]
 * @param weight [out, in]
 * @param u [T, in], what entered the GELU
 * @returns [T, in]
 */
export function linearGeluInputGradient(
  dy: tf.Tensor2D,
  weight: tf.Tensor2D,
  u: tf.Tensor2D,
  kind: GeluKind,
): tf.Tensor2D {
  return runBody("LinearGeluInputGradient", { dy, weight, u }, { kind }, () =>
    geluInputGradient(linearInputGradient(dy, weight), u, kind),
  );
}
