import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { TradeOff } from "../../session/protocol.ts";
import { nearestRow, tradeOffDomain, tradeOffRows } from "./trade_off.ts";

const curve: TradeOff = {
  sets: [
    {
      id: "t",
      role: "target",
      name: "T",
      count: 8,
      basis: { images: "validation", count: 8, of: 8 },
      before: 0.5,
    },
    {
      id: "r",
      role: "retention",
      name: "R",
      count: 4,
      basis: { images: "sample", count: 4, of: 9 },
      before: 0.75,
    },
  ],
  points: [
    { open: Uint8Array.of(0, 0, 0), accuracies: [0.5, 0.75] },
    { open: Uint8Array.of(0, 1, 0), accuracies: [0.75, 0.5] },
    { open: Uint8Array.of(1, 1, 1), accuracies: [0.875, 0.25] },
  ],
  knee: 1,
  complete: true,
};

it("makes a row of each point, in per cent by set", () => {
  expect(tradeOffRows(curve).map(({ open, accuracy }) => [open, accuracy])).toEqual([
    [0, { t: 50, r: 75 }],
    [1, { t: 75, r: 50 }],
    [3, { t: 87.5, r: 25 }],
  ]);
});

describe("the nearest row", () => {
  it("is the one with as many blocks, or the fewer of two as near", () => {
    const rows = tradeOffRows(curve);
    expect([0, 1, 2, 3, 9].map((open) => nearestRow(rows, open))).toEqual([0, 1, 1, 2, 2]);
  });

  it("is never further than any other", () => {
    const counts = fc.uniqueArray(fc.nat(50), { minLength: 1 });
    fc.assert(
      fc.property(counts, fc.nat(60), (all, wanted) => {
        const rows = [...all].sort((a, b) => a - b).map((open) => ({ open }));
        const found = rows[nearestRow(rows, wanted)]!.open;
        for (const { open } of rows)
          expect(Math.abs(found - wanted)).toBeLessThanOrEqual(Math.abs(open - wanted));
      }),
    );
  });
});

it("the axis holds every accuracy and what was before, in tens", () => {
  const rows = tradeOffRows(curve);
  expect(tradeOffDomain(rows, [50, 75])).toEqual([20, 90]);
  expect(tradeOffDomain(rows, [5])).toEqual([0, 90]);
  expect(tradeOffDomain([], [])).toEqual([0, 100]);
  expect(tradeOffDomain([], [99.9])).toEqual([90, 100]);
});
