// The rotary turn against complex numbers in float64; the turn back as its inverse and its adjoint.
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import "./allclose.ts";
import { axialTurns, rotate, rotateInputGradient } from "./rope.ts";
import { onEveryBackend } from "./testing/backends.ts";
import { dot, normal, take } from "./testing/numbers.ts";

/** Each pair as a complex number times e^(i·angle), from the formula. */
function plain(
  qkv: Float32Array,
  batch: number,
  side: number,
  ahead: number,
  heads: number,
  periods: number[],
) {
  const half = 2 * periods.length;
  const width = heads * 2 * half;
  const tokens = side * side + ahead;
  const result = Float64Array.from(qkv);
  for (let row = 0; row < batch * tokens; row++) {
    const patch = (row % tokens) - ahead;
    if (patch < 0) continue;
    for (let vector = 0; vector < 2 * heads; vector++) {
      for (let i = 0; i < half; i++) {
        const j = i < periods.length ? Math.floor(patch / side) : patch % side;
        const angle = 2 * Math.PI * (((j + 0.5) / side) * 2 - 1) * (1 / periods[i % periods.length]!);
        const at = row * 3 * width + vector * 2 * half + i;
        const [a, b] = [qkv[at]!, qkv[at + half]!];
        result[at] = a * Math.cos(angle) - b * Math.sin(angle);
        result[at + half] = b * Math.cos(angle) + a * Math.sin(angle);
      }
    }
  }
  return result;
}

onEveryBackend(() => {
  // batch, side, tokens ahead, heads, quarter of the head size
  it.each([
    [2, 3, 5, 2, 4],
    [1, 2, 0, 3, 2],
    [2, 2, 1, 1, 3],
  ])(
    "batch %i, side %i, %i tokens ahead, %i heads, quarter %i",
    async (batch, side, ahead, heads, quarter) => {
      const periods = Array.from({ length: quarter }, (_, k) => 100 ** (k / quarter));
      const tokens = side * side + ahead;
      const shape = { batch, tokens, heads };
      const size = [batch * tokens, 12 * heads * quarter] as [number, number];
      const turns = tf.tensor2d(axialTurns(side, periods), [side * side, 4 * quarter]);
      const values = normal(size[0] * size[1], 1);
      const qkv = tf.tensor2d(values, size);
      const turned = rotate(qkv, turns, shape);
      expect(turned.shape).toEqual(size);
      const got = await turned.data();
      expect(got).toBeAllClose(plain(values, batch, side, ahead, heads, periods), { atol: 1e-5 });

      const back = rotateInputGradient(turned, turns, shape);
      expect(await take(back)).toBeAllClose(values, { atol: 1e-5 });
      // <rotate(x), y> = <x, gradient(y)>
      const y = tf.tensor2d(normal(values.length, 2), size);
      const dx = await take(rotateInputGradient(y, turns, shape));
      expect(dot(dx, values)).toBeCloseTo(dot(await y.data(), got), 3);
      tf.dispose([turns, qkv, turned, y]);
    },
  );
});
