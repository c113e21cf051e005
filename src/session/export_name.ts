// What an export or a report of a run is called, in the studio and in the terminal.
import { traitsOf } from "../adaptation/methods.ts";
import { exportName } from "../export/name.ts";
import type { Recipe } from "./recipe.ts";

/**
 * A name such as `deit-tiny-clothing-selective-2of24`, without an ending.
 * @param open blocks that are applied, [gates]; they are named where the method or the person chose among them
 */
export function nameOfRun(model: string, data: string, recipe: Recipe, open: Uint8Array): string {
  const { change, gates } = traitsOf(recipe.method);
  const count = open.reduce((sum, one) => sum + one, 0);
  const chosen = change !== "nothing" && (gates !== "open" || count < open.length);
  return exportName({ model, data, method: recipe.method, open: count, gates: chosen ? open.length : 0 });
}
