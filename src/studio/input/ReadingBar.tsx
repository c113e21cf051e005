// What is being read into a panel right now: words, a bar, and a way out.
import { Button, Progress } from "@mantine/core";
import type { Reading } from "../state/session_store.ts";
import { useSession, useStudio } from "../state/studio.ts";

export function ReadingBar({ what }: { what: Reading["what"] }) {
  const { session } = useStudio();
  const queue = useSession((state) => state.reading);
  const progress = useSession((state) => state.progress);
  const stopping = useSession((state) => state.stopping);
  const mine = queue.filter((one) => one.what === what);
  const [first] = mine;
  if (!first) return null;

  const active = queue[0] === first;
  const known = active && progress !== null && (progress.task === "model" || progress.task === "data");
  const share = known && progress.total > 0 ? (100 * progress.done) / progress.total : 0;
  const words = !active
    ? "waits for the one before it"
    : known
      ? `${progress.label}${progress.total > 1 ? ` ${progress.done} of ${progress.total}` : ""}`
      : "reading";
  return (
    <div className="reading">
      <div className="row">
        <strong className="grow clip">{first.name}</strong>
        {active && what !== "demo" && (
          <Button
            size="compact-xs"
            variant="subtle"
            disabled={stopping}
            onClick={() => session.stop()}
            aria-label={`Cancel reading ${first.name}`}
          >
            Cancel
          </Button>
        )}
      </div>
      <Progress
        value={known ? share : 100}
        animated={!known}
        striped={!known}
        size={4}
        aria-label={`Reading ${first.name}`}
      />
      <span className="dim clip">
        {words}
        {mine.length > 1 && `; ${mine.length - 1} more after it`}
      </span>
    </div>
  );
}
