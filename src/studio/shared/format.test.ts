import { expect, test } from "vitest";
import { formatBytes, formatDuration, formatRate, formatShort, plural } from "./format.ts";

test.each([
  [950, "950"],
  [1000, "1 k"],
  [86_400, "86.4 k"],
  [999_600, "1.00 M"],
  [2_734_218, "2.73 M"],
  [304_351_720, "304 M"],
])("%d parameters are %s", (n, text) => expect(formatShort(n)).toBe(text));

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1000, "1.0 KB"],
  [240_000_000, "229 MB"],
  [6 * 1024 ** 3, "6.0 GB"],
])("%d bytes are %s", (n, text) => expect(formatBytes(n)).toBe(text));

test.each([
  [0, "0 s"],
  [7.2, "8 s"],
  [59.5, "1 min 00 s"],
  [200, "3 min 20 s"],
  [3541, "59 min 01 s"],
  [3600, "1 h 00 min"],
  [3905, "1 h 06 min"],
  [Number.POSITIVE_INFINITY, ""],
  [Number.NaN, ""],
])("%d seconds are %s", (n, text) => expect(formatDuration(n)).toBe(text));

test("small rates keep a decimal", () => {
  expect(formatRate(0.62)).toBe("0.6");
  expect(formatRate(41.9)).toBe("42");
});

test("one is one", () => {
  expect(plural(1, "class", "classes")).toBe("1 class");
  expect(plural(1200, "image")).toBe("1,200 images");
});
