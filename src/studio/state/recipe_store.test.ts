import fc from "fast-check";
import { expect, test } from "vitest";
import { defaultRecipe, type Recipe } from "../../session/recipe.ts";
import {
  type AddressBar,
  blockedBy,
  boundsOf,
  createRecipeStore,
  linkTo,
  type RecipeKey,
  readRecipe,
  recipeKeys,
  writeRecipe,
} from "./recipe_store.ts";

/** Any recipe within its bounds. */
const anyRecipe = fc.record(
  Object.fromEntries(
    recipeKeys.map((key) => {
      const bounds = boundsOf(key);
      if (bounds.kind === "choice") return [key, fc.constantFrom(...bounds.options)];
      if (bounds.kind === "text")
        return [
          key,
          key === "prompts"
            ? fc.string().map((text) => `{} ${text.replace(/[|\n]/g, " ")}`)
            : fc.constantFrom("auto", "0", "3", "6.25%").filter(bounds.takes),
        ];
      if (bounds.whole) return [key, fc.integer({ min: bounds.min, max: bounds.max })];
      // Some lower bounds are exclusive.
      return [key, fc.double({ min: bounds.min + 1e-9, max: bounds.max, noNaN: true })];
    }),
  ) as { [K in RecipeKey]: fc.Arbitrary<Recipe[K]> },
);

function addressWith(hash: string): AddressBar & { hash: string; change(hash: string): void } {
  let listener = () => {};
  return {
    hash,
    read() {
      return this.hash;
    },
    write(next) {
      this.hash = next;
    },
    onChange(next) {
      listener = next;
    },
    change(next) {
      this.hash = next;
      listener();
    },
  };
}

test("a link reproduces the recipe it was made from", () => {
  fc.assert(
    fc.property(anyRecipe, (recipe) => {
      expect(readRecipe(`#${writeRecipe(recipe)}`)).toEqual({ recipe, problems: [] });
    }),
  );
});

test("the default recipe leaves the address empty", () => {
  expect(writeRecipe(defaultRecipe)).toBe("");
  expect(writeRecipe({ ...defaultRecipe, rank: 8 })).toBe("rank=8");
});

test.each([
  ["rank=0", "rank"],
  ["rank=4.5", "rank"],
  ["rank=", "rank"],
  ["rank=many", "rank"],
  ["rank=1e999", "rank"],
  ["method=magic", "method"],
  ["learningRate=-1", "learningRate"],
  ["seed=4294967296", "seed"],
])("%s falls back to the default and is said to", (hash, key) => {
  const { recipe, problems } = readRecipe(`#${hash}&epochs=3`);
  expect(recipe).toEqual({ ...defaultRecipe, epochs: 3 });
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(key);
  expect(problems[0]).toContain(String(defaultRecipe[key as RecipeKey]));
});

test("a setting that does not exist is named, whatever it is called", () => {
  for (const key of ["images", "__proto__", "constructor", "toString"]) {
    const { recipe, problems } = readRecipe(`#${key}=1`);
    expect(recipe).toEqual(defaultRecipe);
    expect(problems[0]).toContain(key);
  }
});

test("any address at all gives a recipe that can be run", () => {
  fc.assert(
    fc.property(fc.string(), (hash) => {
      const { recipe } = readRecipe(hash);
      expect(readRecipe(writeRecipe(recipe)).problems).toEqual([]);
    }),
  );
});

test("bounds come from the schema", () => {
  expect(boundsOf("rank")).toEqual({ kind: "number", min: 1, above: false, max: 128, whole: true });
  expect(boundsOf("tau")).toEqual({ kind: "number", min: 0, above: false, max: 1, whole: false });
  expect(boundsOf("alpha")).toMatchObject({ min: 0, above: true });
  expect(boundsOf("granularity")).toEqual({ kind: "choice", options: ["block", "layer", "matrix"] });
});

test("a suggestion moves what stands at its default and leaves what was set", () => {
  const store = createRecipeStore(addressWith("#rank=8"));
  store.suggest({ rank: 64, epochs: 30 });
  expect(store.getState().recipe).toEqual({ ...defaultRecipe, rank: 8, epochs: 30 });
});

test("the store writes every change to the address and follows it", () => {
  const address = addressWith("#rank=8");
  const store = createRecipeStore(address);
  expect(store.getState().recipe.rank).toBe(8);

  store.change({ lambda: 0.5 });
  expect(address.hash).toBe("rank=8&lambda=0.5");
  store.change({ rank: 0 });
  expect(store.getState().recipe.rank).toBe(8);

  address.change("#method=lora&batch=x");
  expect(store.getState().recipe).toEqual({ ...defaultRecipe, method: "lora" });
  expect(store.getState().problems).toHaveLength(1);

  store.reset();
  expect(address.hash).toBe("");
});

test("a link gives just its recipe on any table, and the defaults too", () => {
  fc.assert(
    fc.property(anyRecipe, anyRecipe, (linked, onTable) => {
      for (const recipe of [linked, defaultRecipe]) {
        const store = createRecipeStore(addressWith(`#${linkTo(recipe)}`));
        store.takeUp(onTable);
        expect(store.getState()).toEqual({ recipe, problems: [], drafts: {} });
      }
      const bare = createRecipeStore(addressWith(""));
      bare.takeUp(onTable);
      expect(bare.getState()).toEqual({ recipe: onTable, problems: [], drafts: {} });
    }),
  );
});

test("what is typed is the setting once it can be, and until then stays in sight and keeps a run from starting", () => {
  const address = addressWith("");
  const store = createRecipeStore(address);
  const shown = () => store.getState().drafts.learningRate;
  store.type("learningRate", "1e");
  expect(store.getState().recipe.learningRate).toBe(defaultRecipe.learningRate);
  expect(blockedBy(store.getState())).toBe("Learning rate: Give a number above 0, at most 1.");
  store.settle("learningRate");
  expect(shown()?.text).toBe("1e");
  store.type("learningRate", "1e-4");
  expect(store.getState().recipe.learningRate).toBe(1e-4);
  expect(blockedBy(store.getState())).toBeNull();
  // It is shown as it was typed until the field is left.
  expect(shown()?.text).toBe("1e-4");
  store.settle("learningRate");
  expect(shown()).toBeUndefined();
  expect(address.hash).toBe("learningRate=0.0001");
});

test("reset, a link, another's recipe and a field that goes away mend what was typed", () => {
  const address = addressWith("");
  const store = createRecipeStore(address);
  const wrong = () => {
    store.type("rank", "5000");
    expect(blockedBy(store.getState())).toBe("Rank: Give a whole number from 1 to 128.");
  };
  for (const mend of [
    () => store.reset(),
    () => address.change("#rank=4"),
    () => store.change({ ...defaultRecipe, rank: 8 }),
    () => store.forget("rank"),
  ]) {
    wrong();
    mend();
    expect(store.getState().drafts).toEqual({});
    expect(blockedBy(store.getState())).toBeNull();
  }
  // A setting that does nothing here is not asked for.
  wrong();
  store.change({ method: "linear" });
  expect(blockedBy(store.getState())).toBeNull();
});
