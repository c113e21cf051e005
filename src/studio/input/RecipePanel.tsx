// The settings of a run: a handful in sight, the rest folded away, each with its line on what it does.
import { ActionIcon, Collapse, NumberInput, SegmentedControl, Tooltip } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useId, useState } from "react";
import { defaultRecipe, type Recipe, recipeWords } from "../../session/recipe.ts";
import { Help } from "../shared/Help.tsx";
import { Icon } from "../shared/Icon.tsx";
import { Panel } from "../shared/Panel.tsx";
import { boundsOf, type RecipeKey, recipeKeys } from "../state/recipe_store.ts";
import { useRecipe, useSession, useStudio } from "../state/studio.ts";

const basics: RecipeKey[] = ["method", "granularity", "rank", "lambda", "epochs", "batch"];
const others = recipeKeys.filter((key) => !basics.includes(key));

/** Plain LoRA has no gates that close, so these do nothing for it. */
const gateSettings: RecipeKey[] = ["tau", "lambda", "warmup", "settle", "scoreLearningRate"];

const steps: Partial<Record<RecipeKey, number>> = {
  rank: 4,
  alpha: 4,
  tau: 0.01,
  lambda: 0.1,
  warmup: 0.05,
  settle: 0.05,
  batch: 4,
  learningRate: 1e-4,
  headLearningRate: 1e-4,
  scoreLearningRate: 1e-3,
  weightDecay: 1e-3,
};

const optionWords: Record<string, string> = {
  selective: "Selective",
  lora: "LoRA",
  block: "Block",
  layer: "Layer",
  matrix: "Matrix",
  both: "Both",
  attention: "Attention",
  mlp: "MLP",
  none: "None",
  flip: "Mirror",
  "crop-flip": "Mirror, crop",
};

export function RecipePanel() {
  const { recipe: store } = useStudio();
  const recipe = useRecipe((state) => state.recipe);
  const running = useSession((state) => state.running);
  const [more, setMore] = useState(() => others.some((key) => recipe[key] !== defaultRecipe[key]));
  const changed = recipeKeys.some((key) => recipe[key] !== defaultRecipe[key]);

  async function copyLink() {
    await navigator.clipboard.writeText(location.href);
    notifications.show({ message: "Link copied. It holds the recipe, never the data.", autoClose: 4000 });
  }

  return (
    <Panel
      title="Recipe"
      help="The settings of a run. The defaults are good to start with; the page's address holds them, so that a link reproduces the run on the same data."
      actions={
        <>
          <Tooltip label="Copy a link to this recipe">
            <ActionIcon size="sm" variant="subtle" aria-label="Copy a link to this recipe" onClick={copyLink}>
              <Icon name="link" />
            </ActionIcon>
          </Tooltip>
          <Tooltip label="All settings to their defaults">
            <ActionIcon
              size="sm"
              variant="subtle"
              aria-label="All settings to their defaults"
              disabled={!changed || running}
              onClick={() => store.reset()}
            >
              <Icon name="reset" />
            </ActionIcon>
          </Tooltip>
        </>
      }
    >
      <div className="fields">
        {basics.map((key) => (
          <Field key={key} name={key} recipe={recipe} locked={running} />
        ))}
      </div>
      <div>
        <button type="button" className="linkish" aria-expanded={more} onClick={() => setMore(!more)}>
          <Icon name="right" />
          More settings
        </button>
      </div>
      <Collapse expanded={more}>
        <div className="fields">
          {others.map((key) => (
            <Field key={key} name={key} recipe={recipe} locked={running} />
          ))}
        </div>
      </Collapse>
    </Panel>
  );
}

function Field({ name, recipe, locked }: { name: RecipeKey; recipe: Recipe; locked: boolean }) {
  const { recipe: store } = useStudio();
  const id = useId();
  const bounds = boundsOf(name);
  const { label: words, explanation } = recipeWords[name];
  const label = words.replace("(lambda)", "λ").replace("(tau)", "τ");
  const idle = recipe.method === "lora" && gateSettings.includes(name);
  const put = (value: unknown) => store.change({ [name]: value });

  return (
    <div className={bounds.kind === "choice" ? "field wide" : "field"}>
      <div className="field-head">
        {bounds.kind === "choice" ? (
          <span className="label" id={id}>
            {label}
          </span>
        ) : (
          <label htmlFor={id}>{label}</label>
        )}
        <Help term={label} text={idle ? `${explanation} Plain LoRA does not use it.` : explanation} />
        {recipe[name] !== defaultRecipe[name] && (
          <Tooltip label={`Default: ${optionWords[String(defaultRecipe[name])] ?? defaultRecipe[name]}`}>
            <span className="changed" />
          </Tooltip>
        )}
      </div>
      {bounds.kind === "choice" ? (
        <SegmentedControl
          fullWidth
          aria-labelledby={id}
          data={bounds.options.map((value) => ({ value, label: optionWords[value] ?? value }))}
          value={String(recipe[name])}
          disabled={locked}
          onChange={put}
        />
      ) : (
        <NumberInput
          id={id}
          value={recipe[name] as number}
          min={bounds.min}
          max={bounds.max}
          step={steps[name] ?? 1}
          allowDecimal={!bounds.whole}
          allowNegative={false}
          disabled={locked || idle}
          onChange={(value) => typeof value === "number" && put(value)}
        />
      )}
    </div>
  );
}
