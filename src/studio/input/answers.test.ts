import { expect, test } from "vitest";
import type { TensorRow } from "../../session/protocol.ts";
import { readAnswer } from "./ModelQuestions.tsx";
import { findTensors } from "./TensorTable.tsx";

test("answers are read as the engine takes them", () => {
  expect(readAnswer("heads", "12")).toBe(12);
  expect(readAnswer("layerNormEps", "1e-12")).toBe(1e-12);
  expect(readAnswer("activation", "gelu_tanh")).toBe("gelu_tanh");
  expect(readAnswer("mean", "0.485, 0.456 0.406")).toEqual([0.485, 0.456, 0.406]);
  expect(readAnswer("std", "0.5")).toEqual([0.5, 0.5, 0.5]);
  expect(readAnswer("mean", "0")).toEqual([0, 0, 0]);
});

test.each([
  ["heads", ""],
  ["heads", "three"],
  ["heads", "2.5"],
  ["heads", "0"],
  ["heads", "3, 4"],
  ["resize", "-1"],
  ["mean", "0.1, 0.2"],
  ["mean", "0.1, x, 0.2"],
  ["std", "0, 1, 1"],
] as const)("%s cannot be %j", (key, text) => expect(readAnswer(key, text)).toBeNull());

test("the tensor table finds by every word and puts problems first", () => {
  const row = (name: string, problem: string | null = null): TensorRow => ({
    name,
    shape: [2],
    dtype: "F16",
    bytes: 4,
    role: name === "extra" ? null : `role.${name}`,
    problem,
  });
  const rows = [row("layer.0.q"), row("layer.1.q", "Shape is [2, 3]."), row("layer.1.k"), row("extra")];
  expect(findTensors(rows, "").map((one) => one.name)).toEqual([
    "layer.1.q",
    "layer.0.q",
    "layer.1.k",
    "extra",
  ]);
  expect(findTensors(rows, "LAYER.1 q").map((one) => one.name)).toEqual(["layer.1.q"]);
  expect(findTensors(rows, "shape").map((one) => one.name)).toEqual(["layer.1.q"]);
  expect(findTensors(rows, "unused").map((one) => one.name)).toEqual(["extra"]);
});
