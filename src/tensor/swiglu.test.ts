// SwiGLU against float64, its gradient against finite differences.
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import "./allclose.ts";
import { swiglu, swigluInputGradient } from "./swiglu.ts";
import { onEveryBackend } from "./testing/backends.ts";
import { finiteDifferences, normal, take } from "./testing/numbers.ts";

function plain(u: ArrayLike<number>, half: number): Float64Array {
  return Float64Array.from({ length: u.length / 2 }, (_, i) => {
    const at = Math.floor(i / half) * 2 * half + (i % half);
    const gate = u[at] as number;
    return (gate / (1 + Math.exp(-gate))) * (u[at + half] as number);
  });
}

onEveryBackend(() => {
  it.each([
    [5, 16],
    [3, 7],
    [33, 20],
  ])("%i rows of 2 x %i, far arguments included", async (rows, half) => {
    const values = normal(rows * 2 * half, 1, 3);
    for (const [i, far] of [0, 30, -30, 90, -90, 300, -300].entries()) values[i] = far;
    const u = tf.tensor2d(values, [rows, 2 * half]);
    const h = swiglu(u);
    expect(h.shape).toEqual([rows, half]);
    expect(await take(h)).toBeAllClose(plain(values, half), { atol: 1e-5, rtol: 1e-6 });

    const dh = normal(rows * half, 2);
    const gradient = tf.tensor2d(dh, [rows, half]);
    const du = await take(swigluInputGradient(gradient, u));
    const at = Array.from(values, (_, i) => i);
    const slopes = finiteDifferences((x) => plain(x, half), values, dh, at, 1e-5);
    expect(du).toBeAllClose(slopes, { atol: 1e-4, rtol: 1e-5 });
    tf.dispose([u, gradient]);
  });
});
