// One setting of the recipe: its name, its line on what it does, whether it was changed, and where it is chosen.
import { SegmentedControl, Select, TextInput, Tooltip } from "@mantine/core";
import { type KeyboardEvent, useEffect, useId } from "react";
import {
  defaultRecipe,
  methodWords,
  type Recipe,
  recipeWords,
  selectionWords,
} from "../../session/recipe.ts";
import { Help } from "../shared/Help.tsx";
import { boundsOf, type RecipeKey } from "../state/recipe_store.ts";
import { useRecipe, useStudio } from "../state/studio.ts";

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
  fullLearningRate: 1e-5,
  weightDecay: 1e-3,
  keep: 0.5,
};

const optionWords: Record<string, string> = {
  ...selectionWords,
  block: "Block",
  layer: "Layer",
  matrix: "Matrix",
  both: "Both",
  attention: "Attention",
  mlp: "MLP",
  none: "None",
  balanced: "Balanced",
  flip: "Mirror",
  "crop-flip": "Mirror, crop",
  linear: "Linear",
  own: "Own",
  "zero-shot": "Zero-shot",
  knn: "k-NN",
  yes: "Learns",
  no: "Stays",
};

/** What a value is called; a method and a head may share one. */
function wordOf(name: RecipeKey, value: string): string {
  if (name === "method") return methodWords[value as Recipe["method"]].label;
  return optionWords[value] ?? value;
}

/** What stands under an option of a long list. */
const optionLines: Record<string, string> = Object.fromEntries(
  Object.entries(methodWords).map(([method, { explanation }]) => [method, explanation]),
);
/** More options than this stand in a list to open, not side by side. */
const sideBySide = 4;

/** A setting that is one of a list, a short text, or a number. */
interface RecipeFieldProps {
  name: RecipeKey;
  recipe: Recipe;
  locked: boolean;
}

export function RecipeField({ name, recipe, locked }: RecipeFieldProps) {
  const { recipe: store } = useStudio();
  const id = useId();
  const bounds = boundsOf(name);
  const { label: words, explanation } = recipeWords[name];
  const label = words.replace("(lambda)", "λ").replace("(tau)", "τ");
  const put = (value: unknown) => store.change({ [name]: value });

  return (
    <div className={bounds.kind === "choice" ? "field wide" : "field"}>
      <div className="field-head">
        {bounds.kind === "choice" && bounds.options.length <= sideBySide ? (
          <span className="label" id={id}>
            {label}
          </span>
        ) : (
          <label htmlFor={id}>{label}</label>
        )}
        <Help term={label} text={explanation} />
        {recipe[name] !== defaultRecipe[name] && (
          <Tooltip label={`Default: ${wordOf(name, String(defaultRecipe[name]))}`}>
            <span className="changed" />
          </Tooltip>
        )}
      </div>
      {bounds.kind === "choice" && bounds.options.length > sideBySide ? (
        <>
          <Select
            id={id}
            data={bounds.options.map((value) => ({ value, label: wordOf(name, value) }))}
            value={String(recipe[name])}
            disabled={locked}
            allowDeselect={false}
            maxDropdownHeight={420}
            renderOption={({ option }) => (
              <div>
                {option.label}
                {name === "method" && <div className="dim">{optionLines[option.value]}</div>}
              </div>
            )}
            onChange={put}
          />
          {name === "method" && <span className="head-note dim">{optionLines[String(recipe[name])]}</span>}
        </>
      ) : bounds.kind === "choice" ? (
        <SegmentedControl
          fullWidth
          aria-labelledby={id}
          data={bounds.options.map((value) => ({ value, label: wordOf(name, value) }))}
          value={String(recipe[name])}
          disabled={locked}
          onChange={put}
        />
      ) : (
        <TypedSetting id={id} name={name} recipe={recipe} locked={locked} />
      )}
    </div>
  );
}

/**
 * A text or a number, as the person writes it: it is the setting as soon as it can be, and what cannot be stays in sight
 * with the reason. Arrow keys move a number by a step.
 */
function TypedSetting({ id, name, recipe, locked }: { id: string } & RecipeFieldProps) {
  const { recipe: store } = useStudio();
  const draft = useRecipe((state) => state.drafts[name]);
  const bounds = boundsOf(name);
  const text = draft?.text ?? String(recipe[name]);
  useEffect(() => () => store.forget(name), [store, name]);

  function onKeyDown(event: KeyboardEvent) {
    if (event.key === "Enter") store.settle(name);
    const by = { ArrowUp: 1, ArrowDown: -1 }[event.key];
    if (!by || bounds.kind !== "number") return;
    event.preventDefault();
    const step = steps[name] ?? 1;
    const next = Number(((recipe[name] as number) + by * step).toPrecision(10));
    if (next >= bounds.min && next <= bounds.max) store.type(name, String(next));
  }

  return (
    <TextInput
      id={id}
      value={text}
      error={draft?.problem ?? undefined}
      disabled={locked}
      inputMode={bounds.kind === "number" ? "decimal" : undefined}
      autoComplete="off"
      spellCheck={false}
      onChange={(event) => store.type(name, event.currentTarget.value)}
      onBlur={() => store.settle(name)}
      onKeyDown={onKeyDown}
    />
  );
}
