// WASM bodies of LayerNorm and its gradient (../layer_norm.ts).
import type { Body } from "./bodies.ts";
import { bits } from "./machine.ts";

/** As in assembly/rows.ts. */
const ROWS_PER_CHUNK = 32;

export const rowBodies: Record<string, Body> = {
  LayerNorm(machine, { x, gamma, beta }, attributes) {
    const [rows, width] = x!.shape as [number, number];
    const out = machine.output([rows, width]);
    machine.run({
      kernel: "layerNorm",
      chunks: Math.ceil(rows / ROWS_PER_CHUNK),
      args: [
        ...[x!, gamma!, beta!, out].map((t) => machine.address(t)),
        ...[rows, width, bits(attributes.eps as number)],
      ],
    });
    return out;
  },

  LayerNormInputGradient(machine, { dy, x, gamma, add }, attributes) {
    const [rows, width] = x!.shape as [number, number];
    const out = machine.output([rows, width]);
    machine.run({
      kernel: "layerNormInputGradient",
      chunks: Math.ceil(rows / ROWS_PER_CHUNK),
      args: [
        ...[x!, gamma!, dy!, out].map((t) => machine.address(t)),
        ...[rows, width, bits(attributes.eps as number), add ? machine.address(add) : 0],
      ],
    });
    return out;
  },
};
