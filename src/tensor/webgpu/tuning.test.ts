// What is made of measurements, and of what was kept of them.
import { expect, it } from "vitest";
import { formName } from "./product.ts";
import { fastest, formsOf } from "./tuning.ts";
import { productCandidates } from "./variants.ts";

it("the fastest form of a class is chosen, the earlier one where chance might decide", () => {
  const chosen = fastest([
    { of: "x Wᵀ, large", form: "a", milliseconds: 1 },
    { of: "x Wᵀ, large", form: "b", milliseconds: 0.98 },
    { of: "x Wᵀ, large", form: "c", milliseconds: 0.9 },
    { of: "x Wᵀ, large", form: "d", milliseconds: 0.89 },
    { of: "attention", form: "staged", milliseconds: 2 },
    { of: "attention", form: "workgroup", milliseconds: 1.5 },
  ]);
  expect(chosen).toEqual({ "x Wᵀ, large": "c", attention: "workgroup" });
});

it("of what was kept only forms count that there are", () => {
  const form = productCandidates.largest[2]!;
  const kept = {
    "x Wᵀ, largest": formName(form),
    "dy W, largest": "7x7x7 of 1x1",
    "dy W, small": 12,
    attention: { rows: 1 },
    __proto__: null,
  };
  expect(formsOf(kept)).toEqual({ products: { "x Wᵀ, largest": form }, attention: undefined });
  expect(formsOf({ attention: "workgroup" }).attention).toBe("workgroup");
});
