import { expect, test } from "vitest";
import { readSetting } from "../../session/model_settings.ts";
import type { TensorRow } from "../../session/protocol.ts";
import { findTensors } from "./TensorTable.tsx";

test("answers are read as the engine takes them", () => {
  expect(readSetting("heads", "12")).toBe(12);
  expect(readSetting("layerNormEps", "1e-12")).toBe(1e-12);
  expect(readSetting("activation", "gelu_tanh")).toBe("gelu_tanh");
  expect(readSetting("interpolation", "bicubic")).toBe("bicubic");
  expect(readSetting("mean", "0.485, 0.456 0.406")).toEqual([0.485, 0.456, 0.406]);
  expect(readSetting("std", "0.5")).toEqual([0.5, 0.5, 0.5]);
  expect(readSetting("mean", "0")).toEqual([0, 0, 0]);
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
  ["imageSize", "224.5"],
  ["activation", "relu"],
] as const)("%s cannot be %j", (key, text) => expect(readSetting(key, text)).toBeNull());

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
