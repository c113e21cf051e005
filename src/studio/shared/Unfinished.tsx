// After a reload in the middle of a run, or a failure of it: how far it was, and whether to go on. Nothing else waits for
// the answer.
import { Button } from "@mantine/core";
import type { Unfinished as Offer } from "../state/runner.ts";
import { useSession, useSitting, useStudio } from "../state/studio.ts";
import { formatCount, plural } from "./format.ts";

export function Unfinished({ unfinished }: { unfinished: Offer }) {
  const { sitting } = useStudio();
  const restoring = useSitting((state) => state.status === "restoring");
  const busy = useSession((state) => state.reading.length > 0 || state.running);
  const { run, row, failed } = unfinished;
  const kept = run?.kept?.saved;
  const left = row ? row.entries.length - row.at - (run ? 1 : 0) : 0;
  const inRow = row ? `run ${row.at + 1} of ${row.entries.length} of ${row.name}` : "";
  return (
    <section className="unfinished" aria-label="Unfinished run">
      <p>
        {run && kept && failed ? (
          <>
            <strong>{run.name}</strong>
            {row && `, ${inRow},`} failed; what it had learned by step {formatCount(kept.step)} of{" "}
            {formatCount(kept.steps)} is kept.{failed.code !== "lost" && " Going on opens the device anew."}
          </>
        ) : run && kept ? (
          <>
            You were at step {formatCount(kept.step)} of {formatCount(kept.steps)} of{" "}
            <strong>{run.name}</strong>
            {row && `, ${inRow}`}.
          </>
        ) : run ? (
          <>
            <strong>{run.name}</strong>
            {row && `, ${inRow},`} had been started{" "}
            {failed ? "when the device was lost" : "when the page was closed"}, and nothing of it was kept
            yet.
          </>
        ) : (
          <>
            You were at {inRow}; {plural(left, "run")} of it {left === 1 ? "is" : "are"} left.
          </>
        )}
      </p>
      <Button disabled={busy || restoring} onClick={() => sitting.goOn()}>
        {kept && failed
          ? `Go on from step ${formatCount(kept.step)}`
          : run && !kept
            ? "Start it again"
            : "Go on"}
      </Button>
      <Button variant="default" disabled={restoring} onClick={() => sitting.startAnew()}>
        {failed || (run && !kept) ? "Let it go" : run ? "Start anew" : "Leave the rest"}
      </Button>
    </section>
  );
}
