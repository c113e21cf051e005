// A reader's groups from the bench's lines, and the lines back as they are copied.
import { expect, it } from "vitest";
import type { Line } from "../../session/benchmark/protocol.ts";
import { asJson, formatFigure, formatRatio, groupLines } from "./lines.ts";

const line = (what: string, unit: string, ours: number, rest: Partial<Line> = {}): Line => ({
  what,
  model: "ViT",
  batch: 4,
  backend: "webgpu",
  adapter: "An adapter",
  unit,
  ours,
  peer: null,
  theirs: null,
  ratio: null,
  runs: 5,
  ...rest,
});

const lines = [
  line("training step", "images/s", 40),
  line("training step", "images/s", 40, { peer: "stock tfjs", theirs: 10, ratio: 4 }),
  line("training step", "images/s of CPU", 40, { peer: "stock tfjs", theirs: 10, ratio: 4 }),
  line("training step", "images/s", 40, { peer: "jax-js", reason: "it does not start" }),
  line("training step: forward", "ms", 12),
  line("training step: memory held", "MB", 80, { peer: "computed", theirs: 78, ratio: 1.026 }),
  line("training step: arithmetic", "GFLOP/s", 3, { peer: "fastest", theirs: 12, ratio: 0.25 }),
  line("training step: all blocks open", "ms", 20, { peer: "only the head", theirs: 18, ratio: 1.11 }),
  line("dispatches of a layer, every matrix adapted", "dispatches", 30, { runs: 0 }),
  line("inference", "images/s", 90),
  line("inference: forward", "ms", 5),
  line("training step", "images/s", 7, { backend: "wasm" }),
];

it("groups by model and device; who is how fast, what a step is made of, what gates cost", () => {
  const [gpu, wasm] = groupLines(lines);
  expect(wasm?.rates[0]?.rows).toEqual([{ who: "Selora", rate: 7, ratio: null, runs: 5, reason: null }]);
  expect(gpu?.rates.map(({ what, rows }) => [what, ...rows.map(({ who, rate }) => [who, rate])])).toEqual([
    ["training step", ["Selora", 40], ["stock tfjs", 10], ["jax-js", null]],
    ["inference", ["Selora", 90]],
  ]);
  expect(gpu?.rates[0]?.rows[2]?.reason).toBe("it does not start");
  expect(gpu?.inside).toEqual([
    { name: "forward", unit: "ms", training: 12, inference: 5 },
    { name: "memory held", unit: "MB", training: 80, inference: null },
    { name: "memory computed before", unit: "MB", training: 78, inference: null },
    { name: "arithmetic", unit: "GFLOP/s", training: 3, inference: null },
    { name: "share of the fastest product", unit: "%", training: 25, inference: null },
  ]);
  expect(gpu?.gates.map(({ ours }) => ours)).toEqual([20, 30]);
});

it("copies every line as it came, one object a line", () => {
  const copied = asJson(lines).trimEnd().split("\n");
  expect(copied.map((text) => JSON.parse(text))).toEqual(lines);
});

it("writes figures as they can be read", () => {
  expect([1234.5, 56.78, 8.901, 0.1234, 12].map(formatFigure)).toEqual([
    "1,235",
    "56.8",
    "8.90",
    "0.123",
    "12",
  ]);
  expect([12.3, 3.44, 0.853].map(formatRatio)).toEqual(["12×", "3.4×", "0.85×"]);
});
