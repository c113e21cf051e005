// What goes in: model, images, recipe.
import { Icon } from "../shared/Icon.tsx";
import { DataPanel } from "./DataPanel.tsx";
import { ModelPanel } from "./ModelPanel.tsx";
import { RecipePanel } from "./RecipePanel.tsx";

export function Input() {
  return (
    <>
      <ModelPanel />
      <DataPanel of="target" />
      <DataPanel of="ood" />
      <DataPanel of="retention" />
      <RecipePanel />
      <p className="privacy">
        <Icon name="lock" />
        Images and weights never leave this machine.
      </p>
    </>
  );
}
