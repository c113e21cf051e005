// What goes in: model, images, recipe.
import { applies } from "../../session/recipe.ts";
import { Icon } from "../shared/Icon.tsx";
import { Kept } from "../shared/Kept.tsx";
import { useRecipe, useSession } from "../state/studio.ts";
import { DataPanel } from "./DataPanel.tsx";
import { ModelPanel } from "./ModelPanel.tsx";
import { RecipePanel } from "./RecipePanel.tsx";

export function Input() {
  // Images to stay the same on are asked for where the recipe holds the network to them, or there are some already.
  const wanted = useRecipe(({ recipe }) => recipe.keep > 0 && applies("keep", recipe));
  const there = useSession(({ data }) => data.some(({ role }) => role === "keep"));
  const keeps = wanted || there;
  return (
    <>
      <Kept what="lost" />
      <Kept what="table" />
      <ModelPanel />
      <DataPanel of="target" />
      <DataPanel of="ood" />
      <DataPanel of="retention" />
      {keeps && <DataPanel of="keep" />}
      <RecipePanel />
      <p className="privacy">
        <Icon name="lock" />
        Images and weights never leave this machine.
      </p>
    </>
  );
}
