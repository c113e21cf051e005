// AdamW and SGD against their textbook recurrences in float64 over many steps, and through a saved state.
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import "./allclose.ts";
import {
  type AdamWSettings,
  adamw,
  createAdamWState,
  createSgdState,
  disposeAdamWState,
  disposeSgdState,
  saveAdamWState,
  saveSgdState,
  sgdMomentum,
} from "./optimiser.ts";
import { onEveryBackend } from "./testing/backends.ts";
import { normal } from "./testing/numbers.ts";

const shapes: [number, number][] = [
  [4, 37],
  [96, 8],
  [1, 1],
  [3, 5],
];
const settings: AdamWSettings = {
  learningRate: [3e-3, 1e-2, 3e-3, 1e-1],
  weightDecay: [0.01, 0, 0.1, 0.5],
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
};

const start = (i: number) => normal(shapes[i]![0] * shapes[i]![1], 10 + i);
const gradient = (i: number, step: number) =>
  normal(shapes[i]![0] * shapes[i]![1], 100 * step + i, 0.1 + 0.3 * i);

function variables(): tf.Variable[] {
  return shapes.map((shape, i) => tf.tidy(() => tf.variable(tf.tensor2d(start(i), shape), false)));
}

function plainAdamW(i: number, steps: number): Float64Array {
  const p = Float64Array.from(start(i));
  const m = new Float64Array(p.length);
  const v = new Float64Array(p.length);
  const lr = (settings.learningRate as number[])[i]!;
  const decay = (settings.weightDecay as number[])[i]!;
  for (let t = 1; t <= steps; t++) {
    const g = gradient(i, t);
    for (let k = 0; k < p.length; k++) {
      m[k] = settings.beta1 * m[k]! + (1 - settings.beta1) * g[k]!;
      v[k] = settings.beta2 * v[k]! + (1 - settings.beta2) * g[k]! ** 2;
      const mHat = m[k]! / (1 - settings.beta1 ** t);
      const vHat = v[k]! / (1 - settings.beta2 ** t);
      p[k] = p[k]! * (1 - lr * decay) - (lr * mHat) / (Math.sqrt(vHat) + settings.epsilon);
    }
  }
  return p;
}

onEveryBackend(() => {
  it("AdamW follows torch's recurrence for 20 steps, a snapshot in the middle", async () => {
    const parameters = variables();
    let state = createAdamWState(parameters);
    for (let step = 1; step <= 20; step++) {
      if (step === 11) {
        const saved = await saveAdamWState(state);
        disposeAdamWState(state);
        state = createAdamWState(parameters, saved);
        expect(state.step).toBe(10);
      }
      const gradients = shapes.map((shape, i) => tf.tensor2d(gradient(i, step), shape));
      const before = tf.memory().numTensors;
      adamw(parameters, gradients, state, settings);
      expect(tf.memory().numTensors).toBe(before);
      tf.dispose(gradients);
      // a value read between steps must not be served again after the next
      if (step === 5) await Promise.all(parameters.map((p) => p.data()));
    }
    for (const [i, parameter] of parameters.entries()) {
      expect(await parameter.data()).toBeAllClose(plainAdamW(i, 20), { atol: 2e-6, rtol: 2e-5 });
    }
    disposeAdamWState(state);
    tf.dispose(parameters);
  });

  it("AdamW leaves a tensor that a parameter was made from as it was", async () => {
    const origin = tf.tensor1d([1, 2, 3]);
    const parameter = tf.variable(origin, false);
    const gradient = tf.tensor1d([1, -1, 1]);
    const state = createAdamWState([parameter]);
    for (let step = 0; step < 3; step++)
      adamw([parameter], [gradient], state, { ...settings, learningRate: 0.1, weightDecay: 0 });
    expect(Array.from(await origin.data())).toEqual([1, 2, 3]);
    expect(await parameter.data()).toBeAllClose([0.7, 2.3, 2.7], { atol: 1e-5 });
    disposeAdamWState(state);
    tf.dispose([origin, parameter, gradient]);
  });

  it("AdamW stays finite where a gradient is 0 or tiny", async () => {
    const parameters = variables();
    const state = createAdamWState(parameters);
    const gradients = shapes.map((shape, i) => tf.fill(shape, i === 0 ? 0 : 1e-25));
    adamw(parameters, gradients, state, { ...settings, weightDecay: 0 });
    expect(await parameters[0]!.data()).toBeAllClose(start(0), { atol: 0 });
    for (const parameter of parameters) expect((await parameter.data()).every(Number.isFinite)).toBe(true);
    disposeAdamWState(state);
    tf.dispose([...parameters, ...gradients]);
  });

  it("SGD follows torch's recurrence for 20 steps, a snapshot in the middle", async () => {
    const parameters = variables();
    let state = createSgdState(parameters);
    const [lr, momentum] = [0.05, 0.9];
    const expected = shapes.map((_, i) => Float64Array.from(start(i)));
    const velocity = expected.map((p) => new Float64Array(p.length));
    for (let step = 1; step <= 20; step++) {
      if (step === 7) {
        const saved = await saveSgdState(state);
        disposeSgdState(state);
        state = createSgdState(parameters, saved);
      }
      const gradients = shapes.map((shape, i) => tf.tensor2d(gradient(i, step), shape));
      sgdMomentum(parameters, gradients, state, { learningRate: lr, momentum });
      tf.dispose(gradients);
      expected.forEach((p, i) => {
        const g = gradient(i, step);
        for (let k = 0; k < p.length; k++) {
          velocity[i]![k] = momentum * velocity[i]![k]! + g[k]!;
          p[k]! -= lr * velocity[i]![k]!;
        }
      });
    }
    for (const [i, parameter] of parameters.entries()) {
      expect(await parameter.data()).toBeAllClose(expected[i]!, { atol: 1e-5 });
    }
    disposeSgdState(state);
    tf.dispose(parameters);
  });
});
