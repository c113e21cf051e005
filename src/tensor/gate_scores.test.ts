// What scores open, as the device itself decides it: the same by threshold and by rank on every backend.
import * as tf from "@tensorflow/tfjs-core";
import { expect, it } from "vitest";
import { createPieceScales, type Opening } from "./gate_scores.ts";
import { onEveryBackend } from "./testing/backends.ts";

const scores = [0.3, -0.2, 0.1, 0.3, 0.05, 0.3];

onEveryBackend(() => {
  it.each<{ opening: Opening; open: number[] }>([
    { opening: { tau: 0.1 }, open: [1, 0, 1, 1, 0, 1] },
    { opening: { count: 0 }, open: [0, 0, 0, 0, 0, 0] },
    { opening: { count: 1 }, open: [1, 0, 0, 0, 0, 0] },
    { opening: { count: 2 }, open: [1, 0, 0, 1, 0, 0] },
    { opening: { count: 4 }, open: [1, 0, 1, 1, 0, 1] },
    { opening: { count: 6 }, open: [1, 1, 1, 1, 1, 1] },
  ])("opens by $opening", async ({ opening, open }) => {
    const values = tf.tensor1d(scores);
    // One site of three pieces and three sites of one, in another order than the gates'.
    const sites = [[5, 1, 0], [2], [4], [3]];
    const scales = createPieceScales(sites);
    scales.fromScores(values, opening, 2);
    for (const [site, gates] of sites.entries()) {
      expect(await scales.of(site).data()).toEqual(
        Float32Array.from(gates, (gate) => 2 * (open[gate] as number)),
      );
    }
    scales.dispose();
    values.dispose();
  });

  // The paper's indicator is 1[s >= tau]. Some of these taus are rounded up in f32, some down.
  it.each([0.05, 0.1, 0.15, 0.2, 0.3, 0.7, 1])(
    "a score of exactly tau %f opens, and the next one below does not",
    async (tau) => {
      const at = Math.fround(tau);
      const bits = new Uint32Array(Float32Array.of(at).buffer);
      const below = new Float32Array(Uint32Array.of((bits[0] as number) - 1).buffer)[0] as number;
      const values = tf.tensor1d([below, at, below, at]);
      const scales = createPieceScales([[0, 1], [2], [3]]);
      scales.fromScores(values, { tau }, 2);
      expect([...(await scales.of(0).data())]).toEqual([0, 2]);
      expect([...(await scales.of(1).data())]).toEqual([0]);
      expect([...(await scales.of(2).data())]).toEqual([2]);
      scales.dispose();
      values.dispose();
    },
  );
});
