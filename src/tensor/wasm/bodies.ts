// Every body there is on WASM, under the names the doors ask for (../body.ts). They are registered once our module runs;
// where it cannot, the composed references do.
import * as tf from "@tensorflow/tfjs-core";
import type { Attributes } from "../body.ts";
import { attentionBodies } from "./attention.ts";
import { elementBodies } from "./elements.ts";
import { linearBodies } from "./linear.ts";
import type { Machine } from "./machine.ts";
import { matMul } from "./matmul.ts";
import { rowBodies } from "./rows.ts";

/** Computes an op's result; none for an op that changes its inputs. */
export type Body = (
  machine: Machine,
  inputs: Record<string, tf.TensorInfo>,
  attributes: Attributes,
) => tf.TensorInfo | tf.TensorInfo[];

/** Hands tfjs our kernels. */
export function registerBodies(machine: Machine): void {
  const bodies = { ...linearBodies, ...attentionBodies, ...rowBodies, ...elementBodies };
  for (const [name, body] of Object.entries<Body>(bodies)) {
    tf.registerKernel({
      kernelName: `Selora${name}`,
      backendName: "wasm",
      kernelFunc: ({ inputs, attrs }) =>
        body(machine, inputs as Record<string, tf.TensorInfo>, attrs as Attributes),
    });
  }
  matMul(machine);
}
