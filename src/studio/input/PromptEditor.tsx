// The sentences a text tower reads class names in: a set that is known by name, or one's own, one a line.
import { SegmentedControl, Textarea } from "@mantine/core";
import { useId, useState } from "react";
import { promptSets, readTemplates, recipeWords, templateProblem } from "../../session/recipe.ts";
import { Help } from "../shared/Help.tsx";

interface PromptEditorProps {
  value: string;
  locked: boolean;
  onChange: (prompts: string) => void;
}

const { label, explanation } = recipeWords.prompts;

export function PromptEditor({ value, locked, onChange }: PromptEditorProps) {
  const id = useId();
  const written = readTemplates(value).join("\n");
  // What is being typed; the recipe takes it whenever it can be used.
  const [draft, setDraft] = useState<string | null>(null);
  const known = value in promptSets;
  const text = draft ?? written;
  const problem = templateProblem(text);

  function choose(next: string) {
    setDraft(null);
    onChange(next === "own" ? written : next);
  }

  function type(next: string) {
    setDraft(next);
    if (templateProblem(next) === null) onChange(next);
  }

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
        value={known && draft === null ? value : "own"}
        disabled={locked}
        onChange={choose}
      />
      <Textarea
        id={id}
        autosize
        minRows={1}
        maxRows={8}
        size="xs"
        spellCheck={false}
        value={text}
        disabled={locked}
        error={problem ? `${problem}.` : undefined}
        description="One sentence a line, {} where the class name goes."
        inputWrapperOrder={["input", "description", "error"]}
        onChange={(event) => type(event.currentTarget.value)}
        onBlur={() => problem === null && setDraft(null)}
      />
    </div>
  );
}
