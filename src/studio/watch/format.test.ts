import { expect, it } from "vitest";
import { changeArrow, decimal, percent, pointsChange, quantity } from "./format.ts";

it("writes accuracies and their changes", () => {
  expect(percent(0.8321)).toBe("83.2%");
  expect([0.041, -0.0032, 0.0004, -0.0004, 0].map(pointsChange)).toEqual([
    "+4.1",
    "−0.3",
    "0.0",
    "0.0",
    "0.0",
  ]);
  expect([0.041, -0.0032, 0.0004, -0.0004, 0].map(changeArrow)).toEqual(["▲", "▼", "", "", ""]);
});

it("writes quantities of any size", () => {
  expect([0.12345, 12.345, 1234.5, -0.5, Number.NaN].map(decimal)).toEqual([
    "0.123",
    "12.35",
    "1234.5",
    "−0.500",
    "–",
  ]);
  expect([0, 0.01234, 0.0000123, 250000].map((value) => quantity(value))).toEqual([
    "0",
    "0.0123",
    "1.2e−5",
    "2.5e+5",
  ]);
  expect(quantity(0.01234, 2)).toBe("0.012");
});
