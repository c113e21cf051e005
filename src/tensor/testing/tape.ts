// Stock gradients of the ops our references are composed of, so that `tf.grads` can be the oracle of the explicit
// backward. The core registers none by itself, and only exports all of them at once, in a form Node does not load.
import * as tf from "@tensorflow/tfjs-core";
import { require as load } from "tsx/cjs/api";

const kernels = [
  "Add",
  "BatchMatMul",
  "Mean",
  "Multiply",
  "Reshape",
  "Rsqrt",
  "Slice",
  "Softmax",
  "Square",
  "Sub",
  "Transpose",
];

for (const kernel of kernels) {
  const exports = load(`@tensorflow/tfjs-core/dist/gradients/${kernel}_grad.js`, import.meta.url);
  for (const config of Object.values(exports)) tf.registerGradient(config as tf.GradConfig);
}
