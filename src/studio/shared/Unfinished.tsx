// After a reload in the middle of a run, or a failure of it: how far it was, and whether to go on. Nothing else waits for
// the answer.
import { Button } from "@mantine/core";
import { useSession, useSitting, useStudio } from "../state/studio.ts";
import { formatCount, plural } from "./format.ts";

export function Unfinished() {
  const { sitting } = useStudio();
  const unfinished = useSitting((state) => state.unfinished);
  const restoring = useSitting((state) => state.status === "restoring");
  const busy = useSession((state) => state.reading.length > 0 || state.running);
  if (!unfinished) return null;
  const { run, row, failed } = unfinished;
  const left = row ? row.entries.length - row.at - (run ? 1 : 0) : 0;
  const inRow = row ? `run ${row.at + 1} of ${row.entries.length} of ${row.name}` : "";
  return (
    <section className="unfinished" aria-label="Unfinished run">
      <p>
        {run && failed ? (
          <>
            <strong>{run.name}</strong>
            {row && `, ${inRow},`} failed; what it had learned by step {formatCount(run.saved.step)} of{" "}
            {formatCount(run.saved.steps)} is kept. Going on opens the device anew.
          </>
        ) : run ? (
          <>
            You were at step {formatCount(run.saved.step)} of {formatCount(run.saved.steps)} of{" "}
            <strong>{run.name}</strong>
            {row && `, ${inRow}`}.
          </>
        ) : (
          <>
            You were at {inRow}; {plural(left, "run")} of it {left === 1 ? "is" : "are"} left.
          </>
        )}
      </p>
      <Button disabled={busy || restoring} onClick={() => sitting.goOn()}>
        {run && failed ? `Go on from step ${formatCount(run.saved.step)}` : "Go on"}
      </Button>
      <Button variant="default" disabled={restoring} onClick={() => sitting.startAnew()}>
        {failed ? "Let it go" : run ? "Start anew" : "Leave the rest"}
      </Button>
    </section>
  );
}
