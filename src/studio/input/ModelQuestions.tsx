// What a model's files do not say is asked for here, the usual value filled in; nothing is guessed silently.
import { Button, NativeSelect, TextInput } from "@mantine/core";
import { useState } from "react";
import type { ModelAnswers, ModelReport, OpenQuestion } from "../../session/protocol.ts";
import { Icon } from "../shared/Icon.tsx";
import { useSession, useStudio } from "../state/studio.ts";

/** The answer to a question as the engine takes it; null when the text cannot be one. */
export function readAnswer(key: keyof ModelAnswers, text: string): ModelAnswers[keyof ModelAnswers] | null {
  if (key === "activation") return text as ModelAnswers["activation"];
  const numbers = text
    .split(/[\s,;]+/)
    .filter(Boolean)
    .map(Number);
  const [first] = numbers;
  if (first === undefined || !numbers.every(Number.isFinite)) return null;
  if (key === "mean" || key === "std") {
    const [r, g = r, b = r] = numbers;
    if (numbers.length !== 1 && numbers.length !== 3) return null;
    if (key === "std" && numbers.some((value) => value <= 0)) return null;
    return [r, g, b] as [number, number, number];
  }
  if (numbers.length !== 1 || first <= 0) return null;
  if ((key === "heads" || key === "resize") && !Number.isInteger(first)) return null;
  return first;
}

export function ModelQuestions({ model }: { model: ModelReport }) {
  const { session } = useStudio();
  const files = useSession((state) => state.modelFiles);
  const answered = useSession((state) => state.answered);
  const locked = useSession((state) => state.running || state.reading.length > 0);
  const [texts, setTexts] = useState<Record<string, string>>({});
  const textOf = (question: OpenQuestion) => texts[question.key] ?? question.usual;
  if (model.questions.length === 0 || answered) return null;

  const answers = model.questions.map((question) => ({
    question,
    value: readAnswer(question.key, textOf(question)),
  }));
  const apply = () =>
    session.loadModel(files, Object.fromEntries(answers.map(({ question, value }) => [question.key, value])));

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
        return question.choices ? (
          <NativeSelect
            key={question.key}
            size="xs"
            label={question.question}
            data={question.choices}
            value={textOf(question)}
            onChange={(event) => put(event.currentTarget.value)}
          />
        ) : (
          <TextInput
            key={question.key}
            label={question.question}
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
