// One op, two bodies. Every door of this room ends here: where a kernel of ours is registered for the current
// backend it runs, else the reference composed of tfjs ops does. Tfjs's kernel registry is the one table.
import * as tf from "@tensorflow/tfjs-core";

/** Values a kernel needs besides tensors: shapes, eps, kinds. What changes from step to step is a tensor or a uniform. */
export type Attributes = Record<string, number | string | boolean>;

/**
 * Runs an op on the current backend.
 * @param name kernel name, without prefix
 * @param inputs tensors by name; null ones are left out
 * @param reference the body that runs on every backend; its intermediate tensors are freed
 */
export function runBody<T extends tf.Tensor>(
  name: string,
  inputs: Record<string, tf.Tensor | null | undefined>,
  attributes: Attributes,
  reference: () => T,
): T {
  const kernelName = `Selora${name}`;
  if (!tf.getKernel(kernelName, tf.getBackend())) return tf.tidy(reference);
  const given: Record<string, tf.Tensor> = {};
  for (const [key, tensor] of Object.entries(inputs)) if (tensor) given[key] = tensor;
  return tf.engine().runKernel(kernelName, given, attributes) as T;
}
