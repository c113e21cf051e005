// What is in use of a model that its files say, or cannot say, and that the person may set otherwise.
import { Button, NativeSelect, TextInput } from "@mantine/core";
import { useState } from "react";
import { modelSettings, readSetting, settingsOf } from "../../session/model_settings.ts";
import type { ModelAnswers, ModelReport } from "../../session/protocol.ts";
import { Help } from "../shared/Help.tsx";
import { Icon } from "../shared/Icon.tsx";
import { useSession, useStudio } from "../state/studio.ts";

type Key = Exclude<keyof ModelAnswers, "weights">;
const keys = Object.keys(modelSettings).filter((key) => key !== "weights") as Key[];

export function ModelSettings({ model }: { model: ModelReport }) {
  const { session } = useStudio();
  const files = useSession((state) => state.modelFiles);
  const given = useSession((state) => state.modelAnswers);
  const locked = useSession((state) => state.running || state.reading.length > 0);
  const [shown, setShown] = useState(false);
  const [drafts, setDrafts] = useState<Partial<Record<Key, string>>>({});
  const standing = settingsOf(model);
  // A question asks for these already.
  const asked = new Set(model.questions.map(({ key }) => key));
  // A gated MLP has silu, and nothing else.
  const offered = keys.filter(
    (key) => !asked.has(key) && !(key === "activation" && model.architecture.gatedMlp),
  );
  const changed = offered.filter((key) => drafts[key] !== undefined && drafts[key] !== standing[key]);
  const problem = (key: Key) => {
    const text = drafts[key];
    if (text === undefined || readSetting(key, text) !== null) return undefined;
    return "Not a value this can have.";
  };

  async function load(answers: ModelAnswers) {
    if ((await session.mayDropRun()) && (await session.loadModel(files, answers))) setDrafts({});
  }
  const apply = () =>
    load({
      ...given,
      ...Object.fromEntries(changed.map((key) => [key, readSetting(key, drafts[key] as string)])),
    });

  return (
    <div>
      <button type="button" className="linkish" aria-expanded={shown} onClick={() => setShown(!shown)}>
        <Icon name="right" />
        Image size, preparation and what files cannot tell
      </button>
      {shown && (
        <form
          aria-label="Settings of the model"
          className="settings"
          onSubmit={(event) => {
            event.preventDefault();
            void apply();
          }}
        >
          <div className="fields">
            {offered.map((key) => (
              <Field
                key={key}
                name={key}
                text={drafts[key] ?? standing[key]}
                yours={given[key] !== undefined}
                locked={locked}
                problem={problem(key)}
                onChange={(text) => setDrafts({ ...drafts, [key]: text })}
              />
            ))}
          </div>
          <div className="row">
            <Button
              type="submit"
              disabled={locked || changed.length === 0 || changed.some((key) => problem(key) !== undefined)}
            >
              Apply
            </Button>
            <Button
              variant="subtle"
              disabled={locked || (Object.keys(given).length === 0 && changed.length === 0)}
              onClick={() => (Object.keys(given).length > 0 ? load({}) : setDrafts({}))}
            >
              As the files have it
            </Button>
          </div>
        </form>
      )}
    </div>
  );
}

interface FieldProps {
  name: Key;
  text: string;
  /** Whether the person set it. */
  yours: boolean;
  locked: boolean;
  problem: string | undefined;
  onChange: (text: string) => void;
}

function Field({ name, text, yours, locked, problem, onChange }: FieldProps) {
  const { label, explanation, choices } = modelSettings[name];
  const id = `model-${name}`;
  return (
    <div className="field">
      <div className="field-head">
        <label htmlFor={id}>{label}</label>
        <Help
          term={label}
          text={`${explanation} ${yours ? "Set by you." : "As the files or the family have it."}`}
        />
        {yours && <span className="changed" />}
      </div>
      {choices ? (
        <NativeSelect
          id={id}
          size="xs"
          data={[...choices]}
          value={text}
          disabled={locked}
          onChange={(event) => onChange(event.currentTarget.value)}
        />
      ) : (
        <TextInput
          id={id}
          value={text}
          error={problem}
          disabled={locked}
          onChange={(event) => onChange(event.currentTarget.value)}
        />
      )}
    </div>
  );
}
