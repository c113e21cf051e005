// Rows of length 1, and the gradient towards what they were: features that are compared by their cosine. A handful of
// rows a step, so there is the composed body alone.
import * as tf from "@tensorflow/tfjs-core";

/** Below this a row counts as zeros, and stays. */
const TINY = 1e-12;

/**
 * y = x / ‖x‖, row by row.
 * @param x [T, D]
 */
export function unitRows(x: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => tf.div<tf.Tensor2D>(x, lengths(x)));
}

/**
 * dx of `unitRows`: (dy - y·<y, dy>) / ‖x‖.
 * @param dy [T, D]
 * @param x [T, D], the input of the forward
 */
export function unitRowsInputGradient(dy: tf.Tensor2D, x: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => {
    const length = lengths(x);
    const y = tf.div<tf.Tensor2D>(x, length);
    const along = tf.sum(tf.mul(y, dy), 1, true);
    return tf.div<tf.Tensor2D>(tf.sub(dy, tf.mul(y, along)), length);
  });
}

function lengths(x: tf.Tensor2D): tf.Tensor2D {
  return tf.maximum(tf.sqrt(tf.sum<tf.Tensor2D>(tf.square(x), 1, true)), TINY);
}

/** `unitRows` of numbers that are not on the device; row-major, `width` a row. */
export function unitRowsOf(values: Float32Array, width: number): Float32Array<ArrayBuffer> {
  const result = Float32Array.from(values);
  for (let first = 0; first < result.length; first += width) {
    const row = result.subarray(first, first + width);
    const length = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
    if (length > TINY) row.set(row.map((value) => value / length));
  }
  return result;
}
