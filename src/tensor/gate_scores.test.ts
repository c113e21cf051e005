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
});
