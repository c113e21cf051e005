// What will not come of the recipe on the model and images that are loaded, as it stands now.
import { useMemo } from "react";
import { recipeWarnings } from "../../session/recipe_warnings.ts";
import { useRecipe, useSession } from "../state/studio.ts";

/** A sentence for each; none while something is missing. */
export function useWarnings(): readonly string[] {
  const recipe = useRecipe((state) => state.recipe);
  const model = useSession((state) => state.model);
  const images = useSession(({ data }) =>
    data
      .filter(({ role }) => role === "target")
      .reduce((sum, { classes }) => sum + classes.reduce((all, { counts }) => all + counts.train, 0), 0),
  );
  return useMemo(() => {
    if (!model) return [];
    const { layers, hiddenSize } = model.architecture;
    return recipeWarnings(recipe, { images, layers, hiddenSize });
  }, [recipe, model, images]);
}
