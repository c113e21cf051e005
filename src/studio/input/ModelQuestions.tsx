// What a model's files do not say is asked for here, the usual value filled in; nothing is guessed silently.
import { Button, NativeSelect, TextInput } from "@mantine/core";
import { useState } from "react";
import { readSetting } from "../../session/model_settings.ts";
import type { ModelReport, OpenQuestion } from "../../session/protocol.ts";
import { Icon } from "../shared/Icon.tsx";
import { useSession, useStudio } from "../state/studio.ts";

export function ModelQuestions({ model }: { model: ModelReport }) {
  const { session } = useStudio();
  const files = useSession((state) => state.modelFiles);
  const given = useSession((state) => state.modelAnswers);
  const locked = useSession((state) => state.running || state.reading.length > 0);
  const [texts, setTexts] = useState<Record<string, string>>({});
  const textOf = (question: OpenQuestion) => texts[question.key] ?? question.usual;
  if (model.questions.length === 0) return null;

  const answers = model.questions.map((question) => ({
    question,
    value: readSetting(question.key, textOf(question)),
  }));
  const apply = () =>
    session.loadModel(files, {
      ...given,
      ...Object.fromEntries(answers.map(({ question, value }) => [question.key, value])),
    });

  return (
    <form
      className="questions"
      aria-label="What the model's files leave open"
      onSubmit={(event) => {
        event.preventDefault();
        void apply();
      }}
    >
      <div className="row">
        <Icon name="warning" className="tone-warning" />
        <strong>The files leave something open</strong>
      </div>
      {answers.map(({ question, value }) => {
        const put = (text: string) => setTexts({ ...texts, [question.key]: text });
        // The question itself, and what is usual.
        const [, asked, why] = /^(.*?\?)(?: (.*))?$/s.exec(question.question) ?? [null, question.question];
        return question.choices ? (
          <NativeSelect
            key={question.key}
            size="xs"
            label={asked}
            description={why}
            data={question.choices}
            value={textOf(question)}
            onChange={(event) => put(event.currentTarget.value)}
          />
        ) : (
          <TextInput
            key={question.key}
            label={asked}
            description={why}
            value={textOf(question)}
            error={value === null ? `Not a value this can have; usual is ${question.usual}.` : undefined}
            onChange={(event) => put(event.currentTarget.value)}
          />
        );
      })}
      <Button type="submit" disabled={locked || answers.some(({ value }) => value === null)}>
        Apply
      </Button>
    </form>
  );
}
