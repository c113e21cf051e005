// What the new classifier reads of an image: as the model's own classifier does, or another pooling the model can give.
import { NativeSelect } from "@mantine/core";
import { useId } from "react";
import type { ModelReport } from "../../session/protocol.ts";
import { poolingWords, type Recipe, recipeWords } from "../../session/recipe.ts";
import { Help } from "../shared/Help.tsx";
import { useRecipe, useSession, useStudio } from "../state/studio.ts";

export function ClassifierReads({ model }: { model: ModelReport }) {
  const { recipe: store } = useStudio();
  const chosen = useRecipe((state) => state.recipe.pooling);
  const running = useSession((state) => state.running);
  const id = useId();
  const { label } = recipeWords.pooling;
  const own = model.architecture.pooling;
  const others = model.poolings.filter((pooling) => pooling !== own);
  const options = [
    { value: "model", label: `${poolingWords[own].label} (the model's own)` },
    ...others.map((pooling) => ({ value: pooling, label: poolingWords[pooling].label })),
  ];
  const current = chosen === own ? "model" : chosen;
  // A link may ask for what another model can give.
  const misfit = !options.some(({ value }) => value === current);
  if (misfit)
    options.push({
      value: current,
      label: `${poolingWords[chosen as typeof own].label} (not in this model)`,
    });
  return (
    <div className="field wide">
      <div className="field-head">
        <label htmlFor={id}>{label}</label>
        <Help
          term={label}
          text={`${poolingWords[chosen === "model" ? own : chosen].explanation} What the model already knew is always measured with its own.`}
        />
      </div>
      <NativeSelect
        id={id}
        size="xs"
        data={options}
        value={current}
        disabled={running}
        error={misfit ? "This model cannot give it; choose another." : undefined}
        onChange={(event) => store.change({ pooling: event.currentTarget.value as Recipe["pooling"] })}
      />
    </div>
  );
}
