// Drops that wait for an answer, in the panel that they were dropped on.
import { doubtWords } from "../../session/layout_words.ts";
import type { DataRole } from "../../session/protocol.ts";
import { useSession, useStudio } from "../state/studio.ts";
import { LayoutChoice } from "./LayoutChoice.tsx";

export function DataQuestions({ role }: { role: DataRole }) {
  const { session } = useStudio();
  const questions = useSession((state) => state.questions);
  const busy = useSession((state) => state.running || state.reading.length > 0);
  return questions
    .filter((one) => one.role === role)
    .map(({ id, name, question }) => (
      <LayoutChoice
        key={id}
        label={`How ${name} is to be read`}
        words={`${name}: ${doubtWords[question.doubt]} How is it to be read?`}
        role={role}
        readings={question.readings}
        disabled={busy}
        onChoose={(answers, others) => void session.answerQuestion(id, answers, others)}
        onCancel={() => session.dismissQuestion(id)}
      />
    ));
}
