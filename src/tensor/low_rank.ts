// The products of low-rank adaptation (Hu et al. 2021, arXiv 2106.09685) at one site, arranged so that adapting costs
// no second product over the tokens: W' = W + c·B·A is formed once a step, and gradients reach A, B and the gate
// through thin matrices. A site has p pieces, each with its own A, B and gate: 3 for a fused qkv, 1 elsewhere.
//   A [p·r, in]   rows i·r .. (i+1)·r are piece i's
//   B [out, r]    rows i·out/p .. (i+1)·out/p are piece i's
//   scale [p]     gate · alpha / r of each piece; data, since gates move from step to step
// With Z = projectDown(x, A), U = adapterU(dy, Z, p), V = adapterV(dy, B, p):
//   dB = scale·U · dA = scale·outerSum(V, x) · dL/dgate = alpha/r · <U, B> over the piece's rows
import * as tf from "@tensorflow/tfjs-core";
import { runBody } from "./body.ts";

/**
 * W' = W + scale·B·A, piece by piece.
 * @param weight [out, in]
 * @param A [p·r, in]
 * @param B [out, r]
 * @param scale [p]
 * @returns [out, in]
 */
export function formWeight(
  weight: tf.Tensor2D,
  A: tf.Tensor2D,
  B: tf.Tensor2D,
  scale: tf.Tensor1D,
): tf.Tensor2D {
  return runBody("FormWeight", { weight, A, B, scale }, {}, () => formWeightReference(weight, A, B, scale));
}

/** The composed body of `formWeight`. */
export function formWeightReference(
  weight: tf.Tensor2D,
  A: tf.Tensor2D,
  B: tf.Tensor2D,
  scale: tf.Tensor1D,
): tf.Tensor2D {
  const [out, width] = weight.shape;
  const rank = B.shape[1];
  const pieces = scale.shape[0];
  const product = tf.matMul(
    tf.reshape(B, [pieces, out / pieces, rank]),
    tf.reshape(A, [pieces, rank, width]),
  );
  return tf.add(weight, tf.reshape(tf.mul(product, tf.reshape(scale, [pieces, 1, 1])), [out, width]));
}

/**
 * Z = x Aᵀ.
 * @param x [T, in]
 * @param A [p·r, in]
 * @returns [T, p·r]
 */
export function projectDown(x: tf.Tensor2D, A: tf.Tensor2D): tf.Tensor2D {
  return runBody("ProjectDown", { x, A }, {}, () => projectDownReference(x, A));
}

/** The composed body of `projectDown`. */
export function projectDownReference(x: tf.Tensor2D, A: tf.Tensor2D): tf.Tensor2D {
  return tf.matMul(x, A, false, true);
}

/**
 * U = dyᵀ Z, each piece's rows of U from its columns of dy and of Z.
 * @param dy [T, out]
 * @param z [T, p·r]
 * @param pieces p
 * @returns [out, r]
 */
export function adapterU(dy: tf.Tensor2D, z: tf.Tensor2D, pieces: number): tf.Tensor2D {
  return runBody("AdapterU", { dy, z }, { pieces }, () => adapterUReference(dy, z, pieces));
}

/** The composed body of `adapterU`. */
export function adapterUReference(dy: tf.Tensor2D, z: tf.Tensor2D, pieces: number): tf.Tensor2D {
  const [tokens, out] = dy.shape;
  const rank = z.shape[1] / pieces;
  const parts = indices(pieces).map((i) =>
    tf.matMul<tf.Tensor2D>(
      tf.slice2d(dy, [0, (i * out) / pieces], [tokens, out / pieces]),
      tf.slice2d(z, [0, i * rank], [tokens, rank]),
      true,
      false,
    ),
  );
  return parts.length === 1 ? parts[0]! : tf.concat2d(parts, 0);
}

/**
 * V = dy B, each piece's columns of V from its columns of dy and its rows of B.
 * @param dy [T, out]
 * @param B [out, r]
 * @param pieces p
 * @returns [T, p·r]
 */
export function adapterV(dy: tf.Tensor2D, B: tf.Tensor2D, pieces: number): tf.Tensor2D {
  return runBody("AdapterV", { dy, B }, { pieces }, () => adapterVReference(dy, B, pieces));
}

/** The composed body of `adapterV`. */
export function adapterVReference(dy: tf.Tensor2D, B: tf.Tensor2D, pieces: number): tf.Tensor2D {
  const [tokens, out] = dy.shape;
  const rank = B.shape[1];
  const rows = out / pieces;
  const parts = indices(pieces).map((i) =>
    tf.matMul<tf.Tensor2D>(
      tf.slice2d(dy, [0, i * rows], [tokens, rows]),
      tf.slice2d(B, [i * rows, 0], [rows, rank]),
    ),
  );
  return parts.length === 1 ? parts[0]! : tf.concat2d(parts, 1);
}

/**
 * vᵀ x: a small result summed over all tokens.
 * @param v [T, m]
 * @param x [T, n]
 * @returns [m, n]
 */
export function outerSum(v: tf.Tensor2D, x: tf.Tensor2D): tf.Tensor2D {
  return runBody("OuterSum", { v, x }, {}, () => outerSumReference(v, x));
}

/** The composed body of `outerSum`. */
export function outerSumReference(v: tf.Tensor2D, x: tf.Tensor2D): tf.Tensor2D {
  return tf.matMul(v, x, true, false);
}

function indices(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
