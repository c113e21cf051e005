// What answers for the target: the choice of a head, what it will do with this model and these classes, and the settings
// that belong to it alone.

import type { DataReport, ModelReport } from "../../session/protocol.ts";
import { applies, type Head, type Recipe, startsFresh } from "../../session/recipe.ts";
import { plural } from "../shared/format.ts";
import { Icon } from "../shared/Icon.tsx";
import { useRecipe, useSession, useStudio } from "../state/studio.ts";
import { PromptEditor } from "./PromptEditor.tsx";
import { RecipeField } from "./RecipeField.tsx";

const does: Record<Head, string> = {
  linear: "A linear classifier, fitted to your images before the run.",
  own: "The model's own rows for your classes, so nothing is fitted first.",
  "zero-shot": "Your class names in sentences, read by the model's text tower.",
  knn: "The nearest training images vote. A linear classifier trains along, and is what an export holds.",
};

/** Why a head cannot answer here, in a sentence; null while it can, or nothing is known yet. */
function obstacle(head: Head, model: ModelReport | null, target: DataReport | undefined): string | null {
  if (!model) return null;
  if (head === "zero-shot" && !model.text.available)
    return model.text.problem ?? "This model has no text tower that reads class names.";
  if (head !== "own") return null;
  if (!model.architecture.labels) return "This model has no classifier of its own.";
  if (!target || target.ownLabels === target.classes.length) return null;
  return `Only ${target.ownLabels} of ${plural(target.classes.length, "class", "classes")} are labels of the model.`;
}

/** What judges retention, which follows from the model and the head. */
function retentionJudge({ head }: Recipe, model: ModelReport): Head {
  if (head === "knn") return "knn";
  if (model.architecture.labels) return "own";
  return model.text.available ? "zero-shot" : "knn";
}

export function HeadFields({ recipe, locked }: { recipe: Recipe; locked: boolean }) {
  const { recipe: store } = useStudio();
  const model = useSession((state) => state.model);
  const data = useSession((state) => state.data);
  const pooling = useRecipe((state) => state.recipe.pooling);
  const target = data.find(({ role }) => role === "target");
  const retains = data.some(({ role }) => role === "retention");
  const judges = model && retains ? retentionJudge(recipe, model) : null;
  const problem = obstacle(recipe.head, model, target);
  const offered =
    recipe.head === "linear" &&
    model?.architecture.labels &&
    target !== undefined &&
    target.ownLabels === target.classes.length &&
    pooling === "model";
  return (
    <div className="fields">
      <RecipeField name="head" recipe={recipe} locked={locked} />
      <div className="field wide">
        {problem ? (
          <span className="head-note tone-warning" role="status">
            <Icon name="warning" /> {problem}
          </span>
        ) : (
          <span className="head-note dim">
            {does[recipe.head]}
            {startsFresh(recipe) && " Full fine-tuning starts from a new one; LP-FT from this."}
          </span>
        )}
        {offered && (
          <span className="head-note dim">
            All {plural(target.classes.length, "class", "classes")} are labels of the model.{" "}
            <button
              type="button"
              className="linkish"
              disabled={locked}
              onClick={() => store.change({ head: "own" })}
            >
              Start from its own rows
            </button>
          </span>
        )}
      </div>
      {recipe.head !== "knn" && applies("headTrains", recipe) && (
        <RecipeField name="headTrains" recipe={recipe} locked={locked} />
      )}
      {(recipe.head === "zero-shot" || judges === "zero-shot") && (
        <PromptEditor value={recipe.prompts} locked={locked} />
      )}
      {(recipe.head === "knn" || judges === "knn") && (
        <RecipeField name="neighbours" recipe={recipe} locked={locked} />
      )}
    </div>
  );
}
