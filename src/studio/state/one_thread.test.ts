import fc from "fast-check";
import { expect, test } from "vitest";
import { asksOneThread, hashOf, recipePart } from "./one_thread.ts";
import { readRecipe } from "./recipe_store.ts";

test("one thread stands beside a recipe, and neither is lost for the other", () => {
  const recipes = fc.constantFrom("", "rank=8", "rank=8&method=lora");
  fc.assert(
    fc.property(recipes, fc.boolean(), (recipe, oneThread) => {
      const hash = hashOf(recipe, oneThread);
      expect([recipePart(hash), asksOneThread(hash)]).toEqual([recipe, oneThread]);
      expect(readRecipe(recipePart(hash)).problems).toEqual([]);
    }),
  );
  expect([hashOf("", false), hashOf("", true)]).toEqual(["", "#one-thread"]);
});
