// The gated whole-matrix change against float64, on every backend, with one piece and with three.
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import "./allclose.ts";
import { formResidual } from "./residual.ts";
import { onEveryBackend } from "./testing/backends.ts";
import { normal, take } from "./testing/numbers.ts";

onEveryBackend(() => {
  it.each([
    [8, 8, 1],
    [15, 7, 3],
    [144, 48, 3],
  ])("out %i, in %i, pieces %i", async (out, width, pieces) => {
    const [w, r] = [normal(out * width, 1), normal(out * width, 2)];
    const scales = [0.5, 0, -2].slice(0, pieces);
    const [weight, residual, scale] = [
      tf.tensor2d(w, [out, width]),
      tf.tensor2d(r, [out, width]),
      tf.tensor1d(scales),
    ];
    const expected = w.map((value, i) => value + scales[Math.floor((i * pieces) / w.length)]! * r[i]!);
    const formed = await take(formResidual(weight, residual, scale));
    expect(formed).toBeAllClose(expected, { atol: 1e-6 });
    const rows = (out / pieces) * width;
    if (pieces === 3) expect(formed.slice(rows, 2 * rows)).toEqual(w.slice(rows, 2 * rows));
    tf.dispose([weight, residual, scale]);
  });
});
