// What learns, packed in blocks and apart, against float64: gradients as sums over tokens (long ones in parts), several
// batches an update, AdamW and SGD with a scale for each piece, gates' gradients, and memory that comes and goes.
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import "./allclose.ts";
import { createPieceScales } from "./gate_scores.ts";
import { onEveryBackend } from "./testing/backends.ts";
import { normal, take } from "./testing/numbers.ts";
import { createTrainables, overwrite, type UpdateRule } from "./trainables.ts";

const adamw: UpdateRule = { kind: "adamw", weightDecay: 0.02, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
const sgd: UpdateRule = { kind: "sgd", momentum: 0.9 };

interface Parameter {
  rows: number;
  columns: number;
  pieces: number;
  /** Gate of each piece; none: not the adaptation's. */
  gates: number[];
}

/** A site of three pieces (A shared by none, B), one of one piece, and a classifier. */
const parameters: Parameter[] = [
  { rows: 6, columns: 37, pieces: 1, gates: [0, 1, 2] },
  { rows: 15, columns: 2, pieces: 3, gates: [0, 1, 2] },
  { rows: 3, columns: 129, pieces: 1, gates: [1] },
  { rows: 70, columns: 3, pieces: 1, gates: [1] },
  { rows: 5, columns: 64, pieces: 1, gates: [] },
  { rows: 1, columns: 5, pieces: 1, gates: [] },
];
const factor = 2.5;
const open = Uint8Array.from([1, 0, 1]);

/** Σ aᵀb over the tokens, piece by piece, in float64. */
function sumOf({ rows, columns, pieces }: Parameter, a: Float32Array, b: Float32Array): Float64Array {
  const sum = new Float64Array(rows * columns);
  const wide = columns * pieces;
  for (let t = 0; t < a.length / rows; t++)
    for (let i = 0; i < rows; i++) {
      const piece = Math.floor((i * pieces) / rows);
      for (let j = 0; j < columns; j++)
        sum[i * columns + j]! += a[t * rows + i]! * b[t * wide + piece * columns + j]!;
    }
  return sum;
}

const start = (index: number) => normal(parameters[index]!.rows * parameters[index]!.columns, index + 1);
const operands = (index: number, tokens: number, seed: number): [Float32Array, Float32Array] => {
  const { rows, columns, pieces } = parameters[index]!;
  return [
    normal(tokens * rows, 100 * seed + index, 0.2),
    normal(tokens * columns * pieces, 100 * seed + 50 + index, 0.2),
  ];
};

function variables(): tf.Variable[] {
  return parameters.map(({ rows, columns }, i) =>
    tf.tidy(() => tf.variable(tf.tensor2d(start(i), [rows, columns]), false)),
  );
}

onEveryBackend(() => {
  it.each([
    ["AdamW", adamw, 1],
    ["AdamW, three batches an update", adamw, 3],
    ["SGD with momentum", sgd, 1],
  ] as const)("%s follows the recurrence in float64", async (_, rule, batches) => {
    const made = variables();
    const trainables = createTrainables(made, rule);
    const scales = createPieceScales(parameters.slice(0, 4).map(({ gates }) => gates));
    scales.fromOpen(open, factor);
    const scaleOf = (index: number) => (index < 4 ? scales.of(index) : null);
    const expected = parameters.map((_, i) => Float64Array.from(start(i)));
    const first = expected.map((p) => new Float64Array(p.length));
    const second = expected.map((p) => new Float64Array(p.length));

    const tokens = [1, 7, 65, 1, 900, 33];
    for (let step = 1; step <= 6; step++) {
      // Later only some still learn.
      const indices = step < 5 ? [0, 1, 2, 3] : [2, 3];
      const gradients = expected.map((p) => new Float64Array(p.length));
      for (let batch = 0; batch < batches; batch++) {
        for (const index of [...indices, 4, 5]) {
          // Index 2 collects nothing in the second step, as a closed gate's A.
          if (index === 2 && step === 2) continue;
          const [a, b] = operands(index, tokens[step - 1]!, 10 * step + batch);
          const { rows, columns, pieces } = parameters[index]!;
          const x = tf.tensor2d(a, [a.length / rows, rows]);
          const y = tf.tensor2d(b, [a.length / rows, columns * pieces]);
          trainables.collect(index, x, y, pieces);
          tf.dispose([x, y]);
          sumOf(parameters[index]!, a, b).forEach((value, i) => {
            gradients[index]![i]! += value;
          });
        }
        trainables.endBatch();
      }
      for (const index of [...indices, 4, 5]) {
        expect(await take(trainables.gradient(index)), `gradient ${index}`).toBeAllClose(gradients[index]!, {
          atol: 2e-5,
        });
      }
      const gated = indices.filter((index) => index % 2 === 1);
      const gateGradient = await take(
        trainables.gateGradient(
          gated.map((index) => ({ index, gates: parameters[index]!.gates })),
          3,
          0.5,
        ),
      );
      const wanted = [0, 0, 0];
      for (const index of gated) {
        const { gates } = parameters[index]!;
        gradients[index]!.forEach((g, i) => {
          const gate = gates[Math.floor((i * gates.length) / gradients[index]!.length)]!;
          wanted[gate]! += 0.5 * g * expected[index]![i]!;
        });
      }
      expect(gateGradient).toBeAllClose(wanted, { atol: 2e-4, rtol: 1e-5 });

      const [rate, headRate] = [0.01 / step, 0.02];
      trainables.update(
        [
          { indices, learningRate: rate },
          { indices: [4, 5], learningRate: headRate },
        ],
        scaleOf,
      );
      for (const index of [...indices, 4, 5]) {
        const { gates } = parameters[index]!;
        const lr = index < 4 ? rate : headRate;
        const [p, m, v] = [expected[index]!, first[index]!, second[index]!];
        gradients[index]!.forEach((sum, i) => {
          const gate = gates[Math.floor((i * gates.length) / p.length)];
          const g = gate === undefined ? sum : sum * (open[gate] ? factor : 0);
          if (rule.kind === "sgd") {
            m[i] = rule.momentum * m[i]! + g;
            p[i]! -= lr * m[i]!;
            return;
          }
          m[i] = rule.beta1 * m[i]! + (1 - rule.beta1) * g;
          v[i] = rule.beta2 * v[i]! + (1 - rule.beta2) * g * g;
          const mean = m[i]! / (1 - rule.beta1 ** step);
          const square = v[i]! / (1 - rule.beta2 ** step);
          p[i] = p[i]! * (1 - lr * rule.weightDecay) - (lr * mean) / (Math.sqrt(square) + rule.epsilon);
        });
      }
    }
    for (const [i, variable] of made.entries()) {
      expect(await variable.data(), `parameter ${i}`).toBeAllClose(expected[i]!, { atol: 1e-4, rtol: 1e-5 });
      const name = rule.kind === "sgd" ? "velocity" : "m";
      expect(await trainables.moments[`${name}.${i}`]!.data()).toBeAllClose(first[i]!, { atol: 2e-5 });
    }
    expect(trainables.steps).toBe(6);
    trainables.dispose();
    // What was learned stays when training ends.
    expect(await made[0]!.data()).toBeAllClose(expected[0]!, { atol: 1e-4, rtol: 1e-5 });
    scales.dispose();
    tf.dispose(made);
  });

  it("sums the same way every time, to the bit", async () => {
    const made = variables();
    const trainables = createTrainables(made, sgd);
    const results: Float32Array[] = [];
    for (let run = 0; run < 2; run++) {
      const [a, b] = operands(3, 1040, 1);
      const x = tf.tensor2d(a, [1040, 70]);
      const y = tf.tensor2d(b, [1040, 3]);
      trainables.collect(3, x, y);
      trainables.endBatch();
      results.push(await take(trainables.gradient(3)));
      trainables.update([{ indices: [], learningRate: 0 }], () => null);
      tf.dispose([x, y]);
    }
    expect(results[1]).toEqual(results[0]);
    trainables.dispose();
    tf.dispose(made);
  });

  it("overwrites parameters and moments where they lie, and leaves what a parameter was made from alone", async () => {
    const origin = tf.tensor1d([1, 2, 3]);
    const parameter = tf.variable(origin, false);
    const trainables = createTrainables([parameter], sgd);
    const ones = tf.ones([1, 1]) as tf.Tensor2D;
    const gradient = tf.tensor2d([[1, -1, 1]]);
    const step = () => {
      trainables.collect(0, ones, gradient);
      trainables.endBatch();
      trainables.update([{ indices: [0], learningRate: 0.1 }], () => null);
    };
    step();
    expect(await parameter.data()).toBeAllClose([0.9, 2.1, 2.9], { atol: 1e-6 });
    overwrite(parameter, Float32Array.of(5, 6, 7));
    overwrite(trainables.moments["velocity.0"]!, Float32Array.of(0, 0, 10));
    step();
    expect(await parameter.data()).toBeAllClose([4.9, 6.1, 6], { atol: 1e-6 });
    expect([...(await origin.data())]).toEqual([1, 2, 3]);
    trainables.dispose();
    tf.dispose([origin, parameter, ones, gradient]);
  });
});
