// What is being read into a panel right now: words, a bar, and a way out; and what was wrong with what came last.
import { Button, Progress } from "@mantine/core";
import { FailureAt } from "../shared/Failures.tsx";
import { formatCount, plural } from "../shared/format.ts";
import type { Reading } from "../state/session_store.ts";
import { useSession, useStudio } from "../state/studio.ts";

export function ReadingBar({ what }: { what: Exclude<Reading["what"], "demo"> }) {
  const { session } = useStudio();
  const queue = useSession((state) => state.reading);
  const progress = useSession((state) => state.progress);
  const stopping = useSession((state) => state.stopping);
  const mine = queue.filter((one) => one.what === what);
  const [first] = mine;
  if (!first) return <FailureAt at={what} />;

  const looking = first.found !== undefined;
  const waits = (one: Reading) => one.what !== "demo" && one.found === undefined;
  const active = looking || queue.find(waits) === first;
  const known =
    !looking && active && progress !== null && (progress.task === "model" || progress.task === "data");
  /** While folders are looked through nobody knows how many files there will be. */
  const counts = known && progress.total > 0;
  const share = counts ? (100 * progress.done) / progress.total : 0;
  const words = !active
    ? "Waits for the one before it"
    : looking
      ? "Looking through the folders"
      : known
        ? progress.label
        : "Reading";
  return (
    <div className="reading">
      <div className="row">
        <strong className="grow clip">{first.name}</strong>
        {active && (
          <Button
            size="compact-xs"
            variant="subtle"
            disabled={stopping}
            onClick={() => session.stopReading(first.id)}
            aria-label={`Cancel reading ${first.name}`}
          >
            Cancel
          </Button>
        )}
      </div>
      <Progress
        value={counts ? share : 100}
        animated={!counts}
        striped={!counts}
        size={4}
        aria-label={`Reading ${first.name}`}
      />
      <div className="row dim">
        <span className="grow clip" title={words}>
          {words}
        </span>
        {looking && <span>{plural(first.found ?? 0, "file")}</span>}
        {known && !counts && <span>{plural(progress.done, "file")}</span>}
        {counts && progress.total > 1 && (
          <span>
            {formatCount(progress.done)} of {formatCount(progress.total)}
          </span>
        )}
      </div>
      {mine.length > 1 && <span className="dim">{mine.length - 1} more after it</span>}
    </div>
  );
}
