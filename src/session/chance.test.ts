import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Compared, moreThanChance } from "./chance.ts";

const pairs = (fixed: number, broken: number, count = 100): Compared => ({
  before: 0.5,
  after: 0.5 + (fixed - broken) / count,
  count,
  pairs: { fixed, broken },
});
const apart = (before: number, after: number, count: number): Compared => ({
  ...{ before, after, count },
  pairs: null,
});

describe("moreThanChance", () => {
  it("is McNemar's exact test of one set", () => {
    // Two-sided binomial: 6 of 6 is 0.031, 5 of 5 is 0.0625, 8 of 9 is 0.039, 8 of 10 is 0.109.
    expect(moreThanChance([pairs(6, 0)])).toBe(true);
    expect(moreThanChance([pairs(5, 0)])).toBe(false);
    expect(moreThanChance([pairs(1, 8)])).toBe(true);
    expect(moreThanChance([pairs(8, 2)])).toBe(false);
  });

  it("is Newcombe's interval where answers are not known image by image", () => {
    expect(moreThanChance([apart(0.6, 0.8, 75)])).toBe(true);
    expect(moreThanChance([apart(0.6, 0.7, 75)])).toBe(false);
    expect(moreThanChance([apart(0.6, 0.7, 400)])).toBe(true);
  });

  it("is surer of several sets that agree, and of none that do not", () => {
    expect(moreThanChance([pairs(8, 2)])).toBe(false);
    expect(moreThanChance([pairs(8, 2), pairs(8, 2), pairs(8, 2)])).toBe(true);
    expect(moreThanChance([pairs(8, 2), pairs(2, 8)])).toBe(false);
    expect(moreThanChance([])).toBe(false);
  });

  it("counts a picture once, however often it was corrupted", () => {
    const often = { ...pairs(24, 10, 400), repeated: 4 };
    expect(moreThanChance([pairs(24, 10, 400)])).toBe(true);
    expect(moreThanChance([often])).toBe(false);
  });

  it("sees nothing in no change, and loses nothing by turning the moments round", () => {
    const one = fc.record({
      fixed: fc.nat(60),
      broken: fc.nat(60),
      count: fc.integer({ min: 120, max: 2000 }),
      known: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(one, { minLength: 1, maxLength: 4 }), (all) => {
        const forward = all.map(({ fixed, broken, count, known }) => ({
          ...pairs(fixed, broken, count),
          ...(known ? {} : { pairs: null }),
        }));
        const back = forward.map((set) => ({
          ...set,
          before: set.after,
          after: set.before,
          pairs: set.pairs && { fixed: set.pairs.broken, broken: set.pairs.fixed },
        }));
        expect(moreThanChance(back)).toBe(moreThanChance(forward));
        expect(moreThanChance(forward.map((set) => ({ ...set, after: set.before, pairs: null })))).toBe(
          false,
        );
      }),
    );
  });
});
