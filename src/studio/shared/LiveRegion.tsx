// For those who listen: what the run is doing, at once when that changes, and otherwise every so often.
import { useEffect, useState } from "react";
import type { StudioState } from "../state/session_store.ts";
import { useStudio } from "../state/studio.ts";
import { formatDuration } from "./format.ts";

const pause = 15_000;

const statusWords: Record<StudioState["status"], string> = {
  idle: "Idle",
  loading: "Loading",
  training: "Training",
  paused: "Paused",
  evaluating: "Measuring accuracy",
  exporting: "Writing the merged weights",
};

function inWords({ status, run }: StudioState, left: number | null): string {
  const step = run.steps.at(-1);
  if (status !== "training" || !step) {
    if (status === "idle" && run.result)
      return run.result.complete ? "The run is done" : "The run was stopped";
    return statusWords[status];
  }
  const target = run.points.at(-1)?.sets.find((set) => set.role === "target");
  const accuracy = target ? `, target accuracy ${(100 * target.accuracy).toFixed(0)} percent` : "";
  return `Training, step ${step.step} of ${step.steps}, ${step.open} gates open${accuracy}${left === null ? "" : `, ${formatDuration(left)} left`}`;
}

export function LiveRegion() {
  const { session, clock } = useStudio();
  const [words, setWords] = useState("");
  useEffect(() => {
    let last = session.getState();
    let spoken = 0;
    return session.subscribe((state) => {
      const turned = state.status !== last.status || state.run.result !== last.run.result;
      const asked = state.questions.length > last.questions.length ? state.questions.at(-1) : undefined;
      last = state;
      if (asked) {
        setWords(`It is asked how ${asked.name} is to be read`);
        return;
      }
      if (!turned && (state.status !== "training" || Date.now() - spoken < pause)) return;
      spoken = Date.now();
      setWords(inWords(state, clock.getState().left));
    });
  }, [session, clock]);
  return (
    <p className="unseen" role="status" aria-live="polite">
      {words}
    </p>
  );
}
