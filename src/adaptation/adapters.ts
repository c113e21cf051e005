// The adapters: A and B of every adapted site, on the device. A ~ U(±1/sqrt(in)), B = 0, as PEFT's LoRA, so that the
// network starts as it was. A fused qkv is three pieces stacked; each matrix draws from a stream of its own, so that
// neither granularity nor target changes anyone's start.
import * as tf from "@tensorflow/tfjs-core";
import type { Architecture } from "../checkpoint/types.ts";
import { random, seedFor } from "../random.ts";
import type { Site } from "../vit/types.ts";
import { matrixShape } from "./gates.ts";
import type { AdaptationOptions, AdapterShape, Gate, Matrix } from "./types.ts";

/** The matrices of a site, in the order of its pieces. */
export const siteMatrices: Record<Site, readonly Matrix[]> = {
  qkv: ["q", "k", "v"],
  o: ["o"],
  fc1: ["fc1"],
  fc2: ["fc2"],
};

export interface Adapter extends AdapterShape {
  /** [pieces·r, in] */
  readonly A: tf.Variable<tf.Rank.R2>;
  /** [out, r] */
  readonly B: tf.Variable<tf.Rank.R2>;
  /** Gate of each piece. */
  readonly gates: readonly number[];
  /** The same on the device, int32 [pieces]. */
  readonly gateIndex: tf.Tensor1D;
}

/** Adapters of every site that has a gate, in the order of the forward pass. */
export function createAdapters(
  architecture: Architecture,
  gates: readonly Gate[],
  { rank, seed }: Pick<AdaptationOptions, "rank" | "seed">,
): Adapter[] {
  const adapters: Adapter[] = [];
  for (let layer = 0; layer < architecture.layers; layer++) {
    for (const site of ["qkv", "o", "fc1", "fc2"] as const) {
      const matrices = siteMatrices[site];
      const owners = matrices.map((matrix) =>
        gates.findIndex((gate) => gate.layer === layer && gate.matrices.includes(matrix)),
      );
      if (owners.includes(-1)) continue;
      const [out, input] = matrixShape(architecture, matrices[0] as Matrix);
      const start = new Float32Array(matrices.length * rank * input);
      const bound = 1 / Math.sqrt(input);
      matrices.forEach((matrix, piece) => {
        const stream = random(seedFor(seed, `lora_A layer.${layer}.${matrix}`));
        const from = piece * rank * input;
        for (let i = 0; i < rank * input; i++) start[from + i] = (stream.next() * 2 - 1) * bound;
      });
      adapters.push({
        layer,
        site,
        pieces: matrices.length,
        out: out * matrices.length,
        in: input,
        A: variable(tf.tensor2d(start, [matrices.length * rank, input])),
        B: variable(tf.zeros([out * matrices.length, rank])),
        gates: owners,
        gateIndex: tf.tensor1d(owners, "int32"),
      });
    }
  }
  return adapters;
}

export function disposeAdapters(adapters: readonly Adapter[]): void {
  for (const { A, B, gateIndex } of adapters) tf.dispose([A, B, gateIndex]);
}

function variable(start: tf.Tensor2D): tf.Variable<tf.Rank.R2> {
  const made = tf.variable(start, false);
  start.dispose();
  return made;
}
