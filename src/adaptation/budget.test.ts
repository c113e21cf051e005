import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { budgetOf, gatesInBudget } from "./budget.ts";

describe("a budget", () => {
  it.each([
    ["auto", 24, null],
    ["0", 24, 0],
    ["0%", 24, 0],
    ["3", 24, 3],
    ["24", 24, 24],
    ["100%", 24, 24],
    ["5%", 24, 1],
    ["6.25%", 144, 9],
    ["0.1%", 24, 1],
  ])("%s of %i gates opens %s", (budget, gates, open) => {
    expect(gatesInBudget(budget, gates)).toBe(open);
  });

  it("refuses more gates than there are, and says how many there are", () => {
    expect(() => gatesInBudget("25", 24)).toThrow(/25 open gates.*24/);
    expect(() => gatesInBudget("101%", 100)).toThrow(/101 open gates/);
  });

  it("refuses whatever is no budget, and counts whatever is one", () => {
    expect(() => gatesInBudget("-1", 24)).toThrow(/not a budget/);
    expect(() => gatesInBudget("1e3", 24)).toThrow(/not a budget/);
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 100, noNaN: true }),
        fc.integer({ min: 1, max: 200 }),
        (share, gates) => {
          const count = gatesInBudget(`${share.toFixed(3)}%`, gates);
          expect(count).toBeGreaterThanOrEqual(Number(share.toFixed(3)) > 0 ? 1 : 0);
          expect(count).toBeLessThanOrEqual(gates);
        },
      ),
    );
  });
});

it("belongs to methods whose gates move, and has a count where no score is learned", () => {
  expect(budgetOf({ method: "selective" }, 24)).toBeNull();
  expect(budgetOf({ method: "taps", budget: "3" }, 24)).toBe(3);
  expect(budgetOf({ method: "lora", budget: "99" }, 24)).toBeNull();
  expect(budgetOf({ method: "selective", select: "random" }, 24)).toBe(2);
  expect(budgetOf({ method: "l0", select: "random" }, 24)).toBeNull();
  expect(() => budgetOf({ method: "dora", budget: "25" }, 24)).toThrow(/25 open gates/);
});
