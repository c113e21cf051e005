import { expect, it } from "vitest";
import type { GateFrame, GateInfo } from "../../session/protocol.ts";
import {
  blockHistory,
  countOpen,
  gateName,
  heldSince,
  layoutGates,
  metricScale,
  neighbour,
} from "./gates.ts";

function gate(id: number, layer: number, column: GateInfo["column"]): GateInfo {
  return { id, layer, column, matrices: ["fc1"], parameters: 10 };
}

function frame(step: number, scores: number[], open: number[]): GateFrame {
  return {
    step,
    scores: Float32Array.from(scores),
    open: Uint8Array.from(open),
    sensitivity: Float32Array.from(scores.map((score) => score * 100)),
    deltaNorm: Float32Array.from(scores.map(() => 0)),
  };
}

const matrices = [gate(0, 0, "q"), gate(1, 0, "v"), gate(2, 1, "v"), gate(3, 2, "q"), gate(4, 2, "v")];

it("lays gates out by layer and column, with gaps where there is no gate", () => {
  const layout = layoutGates([matrices[4]!, ...matrices.slice(0, 4)]);
  expect(layout.columns).toEqual(["q", "v"]);
  expect(layout.rows.map((row) => row.cells.map((cell) => cell?.id ?? null))).toEqual([
    [0, 1],
    [null, 2],
    [3, 4],
  ]);
  expect(layoutGates([])).toEqual({ columns: [], rows: [] });
});

it("names gates as people count", () => {
  expect(gateName(gate(0, 6, "mlp"))).toBe("Layer 7, MLP");
  expect(gateName(gate(0, 6, "layer"))).toBe("Layer 7");
});

it("moves by arrow keys over gaps and stops at the edge", () => {
  const layout = layoutGates(matrices);
  expect(neighbour(layout, 0, "ArrowDown")).toBe(3);
  expect(neighbour(layout, 3, "ArrowUp")).toBe(0);
  expect(neighbour(layout, 0, "ArrowLeft")).toBe(0);
  expect(neighbour(layout, 0, "ArrowRight")).toBe(1);
  expect(neighbour(layout, 4, "ArrowDown")).toBe(4);
  expect(neighbour(layout, 2, "Home")).toBe(2);
  expect(neighbour(layout, 3, "End")).toBe(4);
  expect(neighbour(layout, 99, "ArrowUp")).toBe(99);
});

it("says since when a gate has been as it is", () => {
  const frames = [frame(1, [0.2], [1]), frame(5, [0], [0]), frame(9, [0.2], [1]), frame(12, [0.3], [1])];
  expect(heldSince(frames, 0, 3)).toBe(9);
  expect(heldSince(frames, 0, 1)).toBe(5);
  expect(heldSince(frames, 0, 0)).toBe(1);
  expect(heldSince(frames, 7, 3)).toBeNull();
  expect(heldSince([], 0, 0)).toBeNull();
});

it("thins a history but keeps both ends", () => {
  const frames = Array.from({ length: 1000 }, (_, i) => frame(i, [i / 1000], [i % 2]));
  const history = blockHistory(frames, 0, "score", 50);
  expect(history).toHaveLength(50);
  expect(history[0]).toEqual({ step: 0, value: 0 });
  expect(history.at(-1)!.step).toBe(999);
  expect(blockHistory(frames.slice(0, 1), 0, "change", 50)).toHaveLength(1);
});

it("gives one scale for the whole run, with room for the threshold", () => {
  const frames = [frame(0, [0.05], [0]), frame(1, [0.34], [1]), frame(2, [Number.POSITIVE_INFINITY], [1])];
  expect(metricScale(frames, "score", 0.1).max).toBeCloseTo(0.4);
  expect(metricScale(frames.slice(0, 1), "score", 0.1).max).toBeCloseTo(0.2);
  expect(metricScale(frames, "sensitivity", 0.1)).toEqual({ max: 40, curve: "sqrt" });
  expect(metricScale([], "change", 0.1).max).toBe(1);
});

it("counts what is open", () => {
  expect(countOpen(Uint8Array.of(1, 0, 1, 1))).toBe(3);
});
