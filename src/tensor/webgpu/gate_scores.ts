// WebGPU bodies of ../gate_scores.ts: one program each, over all gates and over all pieces.
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import type { Opening, PieceScales, ScoreState, ScoreStep } from "../gate_scores.ts";
import { type Block, createBlock, writeInto } from "./block.ts";
import { dispatch } from "./program.ts";
import { variantOf } from "./variants.ts";

export function runScoreStep(
  { values, velocity, sensitivity }: ScoreState,
  gradient: tf.Tensor1D,
  { lambda, learningRate, momentum }: ScoreStep,
): void {
  const backend = tf.backend() as WebGPUBackend;
  const count = values.size;
  dispatch(backend, {
    key: "scoreStep",
    bindings: [
      { name: "scores", tensor: values, writes: true },
      { name: "velocity", tensor: velocity, writes: true },
      { name: "sensitivity", tensor: sensitivity, writes: true },
      { name: "gradient", tensor: gradient },
    ],
    invocations: count,
    workgroup: variantOf(backend).workgroup,
    integers: { count },
    floats: { pull: lambda / count, learningRate, momentum },
    code: () => `
      fn main(i : i32) {
        if (i >= uniforms.count) { return; }
        let g = gradient[i];
        let moved = uniforms.momentum * velocity[i] + (g + uniforms.pull * sign(scores[i]));
        velocity[i] = moved;
        scores[i] -= uniforms.learningRate * moved;
        sensitivity[i] += abs(g);
      }
    `,
  });
}

/** A gate is open while fewer than `open` scores stand before its own; there are at most a few hundred. */
const BY_RANK = `
          let own = scores[gate];
          var before = 0;
          for (var other = 0; other < uniforms.gates; other++) {
            if (scores[other] > own || (scores[other] == own && other < gate)) { before++; }
          }
          return before < uniforms.open;`;

export function createPackedScales(gates: readonly (readonly number[])[]): PieceScales {
  return new PackedScales(gates);
}

class PackedScales implements PieceScales {
  readonly #backend = tf.backend() as WebGPUBackend;
  readonly #block: Block;
  /** Gate of every number in the block, -1 between sites. */
  readonly #owners: Int32Array<ArrayBuffer>;
  readonly #owner: tf.Tensor1D;
  #standing = "";

  constructor(gates: readonly (readonly number[])[]) {
    this.#block = createBlock(
      this.#backend,
      gates.map((own) => [own.length]),
    );
    this.#owners = new Int32Array(this.#block.whole.size).fill(-1);
    gates.forEach((own, site) => {
      this.#owners.set(own, this.#block.starts[site]);
    });
    this.#owner = tf.tensor1d(this.#owners.slice(), "int32");
  }

  fromScores(scores: tf.Tensor1D, opening: Opening, factor: number): void {
    this.#standing = "";
    const count = this.#owners.length;
    const byTau = "tau" in opening;
    dispatch(this.#backend, {
      key: byTau ? "pieceScales" : "pieceScalesByRank",
      bindings: [
        { name: "scales", tensor: this.#block.whole, writes: true },
        { name: "owner", tensor: this.#owner },
        { name: "scores", tensor: scores },
      ],
      invocations: count,
      workgroup: variantOf(this.#backend).workgroup,
      integers: { count, ...(byTau ? {} : { gates: scores.size, open: opening.count }) },
      floats: { factor, ...(byTau ? { tau: opening.tau } : {}) },
      code: () => `
        fn opens(gate : i32) -> bool {
          ${byTau ? "return scores[gate] >= uniforms.tau;" : BY_RANK}
        }
        fn main(i : i32) {
          if (i >= uniforms.count) { return; }
          let gate = owner[i];
          scales[i] = select(0.0, uniforms.factor, gate >= 0 && opens(max(gate, 0)));
        }
      `,
    });
  }

  fromValues(values: tf.Tensor1D, factor: number): void {
    this.#standing = "";
    const count = this.#owners.length;
    dispatch(this.#backend, {
      key: "pieceScalesByValue",
      bindings: [
        { name: "scales", tensor: this.#block.whole, writes: true },
        { name: "owner", tensor: this.#owner },
        { name: "gates", tensor: values },
      ],
      invocations: count,
      workgroup: variantOf(this.#backend).workgroup,
      integers: { count },
      floats: { factor },
      code: () => `
        fn main(i : i32) {
          if (i >= uniforms.count) { return; }
          let gate = owner[i];
          scales[i] = select(0.0, uniforms.factor * gates[max(gate, 0)], gate >= 0);
        }
      `,
    });
  }

  fromOpen(open: Uint8Array, factor: number): void {
    const pattern = `${factor} ${open}`;
    if (pattern === this.#standing) return;
    this.#standing = pattern;
    writeInto(
      this.#backend,
      this.#block.whole,
      Float32Array.from(this.#owners, (gate) => (gate >= 0 && open[gate] === 1 ? factor : 0)),
    );
  }

  of(site: number): tf.Tensor1D {
    return this.#block.parts[site] as tf.Tensor1D;
  }

  dispose(): void {
    this.#block.dispose();
    this.#owner.dispose();
  }
}
