// The sentences a text tower reads class names in: a set that is known by name, or one's own, one a line.
import { SegmentedControl, Textarea } from "@mantine/core";
import { useEffect, useId } from "react";
import { promptSets, readTemplates, recipeWords } from "../../session/recipe.ts";
import { Help } from "../shared/Help.tsx";
import { useRecipe, useStudio } from "../state/studio.ts";

const { label, explanation } = recipeWords.prompts;

export function PromptEditor({ value, locked }: { value: string; locked: boolean }) {
  const { recipe: store } = useStudio();
  const id = useId();
  const written = readTemplates(value).join("\n");
  const draft = useRecipe((state) => state.drafts.prompts);
  const known = value in promptSets;
  useEffect(() => () => store.forget("prompts"), [store]);

  return (
    <div className="field wide">
      <div className="field-head">
        <label htmlFor={id}>{label}</label>
        <Help term={label} text={explanation} />
      </div>
      <SegmentedControl
        fullWidth
        aria-label="Which prompts"
        data={[
          { value: "ensemble", label: `Ensemble of ${promptSets.ensemble.length}` },
          { value: "single", label: "Single" },
          { value: "own", label: "Your own" },
        ]}
        value={known && !draft ? value : "own"}
        disabled={locked}
        onChange={(next) => store.change({ prompts: next === "own" ? written : next })}
      />
      <Textarea
        id={id}
        autosize
        minRows={1}
        maxRows={8}
        size="xs"
        spellCheck={false}
        value={draft?.text ?? written}
        disabled={locked}
        error={draft?.problem ?? undefined}
        description="One sentence a line, {} where the class name goes."
        inputWrapperOrder={["input", "description", "error"]}
        onChange={(event) => store.type("prompts", event.currentTarget.value)}
        onBlur={() => store.settle("prompts")}
      />
    </div>
  );
}
