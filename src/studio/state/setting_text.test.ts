import * as fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { defaultRecipe } from "../../session/recipe.ts";
import { boundsOf, type RecipeKey, readNumber, readSetting } from "./setting_text.ts";

describe("readNumber", () => {
  it.each([
    ["1e-4", 1e-4],
    ["1E−4", 1e-4],
    ["1×10^-4", 1e-4],
    ["2.5 x 10-3", 2.5e-3],
    ["1,5", 1.5],
    ["0,001", 0.001],
    [".5", 0.5],
    ["5.", 5],
    [" 0.001 ", 0.001],
    ["20 %", 0.2],
    ["12,5%", 0.125],
    ["1 000", 1000],
    ["1'000.5", 1000.5],
    ["1,234,567.8", 1234567.8],
    ["+3", 3],
    ["-2", -2],
  ])("reads %s", (text, value) => {
    expect(readNumber(text)).toBeCloseTo(value, 12);
  });

  it.each([
    "",
    " ",
    "e",
    "1e",
    "--1",
    "1.2.3",
    "1,2,3",
    "0x10",
    "1 2",
    "ten",
    "NaN",
    "Infinity",
    "1e999",
    "1,5.2",
  ])("does not read %j", (text) => {
    expect(readNumber(text)).toBeNull();
  });

  it("does not guess what a comma before three digits is", () => {
    expect(readNumber("1,000")).toBe("ambiguous");
    expect(readNumber("12,345,678")).toBe("ambiguous");
    expect(readNumber("0,125")).toBe(0.125);
  });

  it("reads back whatever is shown, and with a comma in place of the point", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const shown = String(value);
        expect(readNumber(shown)).toBe(value === 0 ? 0 : value);
        const comma = readNumber(shown.replace(".", ","));
        if (comma !== "ambiguous") expect(comma).toBe(value === 0 ? 0 : value);
        expect(readNumber(shown.replace("-", "−"))).toBe(value === 0 ? 0 : value);
      }),
    );
  });

  it("never fails, and gives numbers that are numbers", () => {
    const likely = fc.string({
      unit: fc.constantFrom(..."0123456789.,eE+-−%x×10^ '’".split("")),
      maxLength: 12,
    });
    fc.assert(
      fc.property(fc.oneof(likely, fc.string()), (text) => {
        const value = readNumber(text);
        if (typeof value === "number") expect(Number.isFinite(value)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});

const numbers = (Object.keys(defaultRecipe) as RecipeKey[]).flatMap((key) => {
  const bounds = boundsOf(key);
  return bounds.kind === "number" ? [{ key, bounds }] : [];
});

test.each(numbers)(
  "what $key takes is within its bounds, and what it does not is told with them",
  ({ key, bounds }) => {
    const tried = fc.oneof(
      fc.double({ noNaN: true, min: -2 * bounds.max, max: 2 * bounds.max }),
      fc.integer({ min: -10, max: 2000 }),
      fc.constantFrom(bounds.min, bounds.max),
    );
    fc.assert(
      fc.property(tried, (value) => {
        const found = readSetting(key, String(value));
        const low = bounds.above ? value > bounds.min : value >= bounds.min;
        const fits = low && value <= bounds.max && (!bounds.whole || Number.isInteger(value));
        if (fits) expect(found).toEqual({ value: value === 0 ? 0 : value });
        else
          expect(found).toMatchObject({
            problem: expect.stringMatching(/^Give a (whole )?number (from|above)/),
          });
      }),
    );
  },
);

test("what is wrong is said with what would do", () => {
  expect(readSetting("rank", "5000")).toEqual({ problem: "Give a whole number from 1 to 128." });
  expect(readSetting("epochs", "0")).toEqual({ problem: "Give a whole number from 1 to 1,000." });
  expect(readSetting("learningRate", "ten")).toEqual({ problem: "Give a number above 0, at most 1." });
  expect(readSetting("epochs", "1,000")).toEqual({
    problem: "1,000 can be read in two ways: write it without a comma.",
  });
  expect(readSetting("warmup", "20%")).toEqual({ value: 0.2 });
  expect(readSetting("budget", " 3 ")).toEqual({ value: "3" });
  expect(readSetting("budget", "few")).toMatchObject({
    problem: expect.stringContaining('a share of the gates ("5%")'),
  });
  expect(readSetting("prompts", "no place")).toEqual({ problem: '"no place" has no {} for the class name.' });
});
