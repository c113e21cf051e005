// What is being measured because it was asked for: words, a bar, the time left and a way out.
import { Button, Progress } from "@mantine/core";
import { formatCount, formatDuration } from "../shared/format.ts";
import { useSession, useStudio } from "../state/studio.ts";

export function Measuring({ what }: { what: string }) {
  const { session } = useStudio();
  const progress = useSession((state) => state.progress);
  const stopping = useSession((state) => state.stopping);
  const left = progress?.secondsLeft;
  return (
    <div className="reading">
      <div className="row">
        <span className="grow clip">{progress?.label ?? `Measuring ${what}`}</span>
        <Button
          size="compact-xs"
          variant="subtle"
          disabled={stopping}
          onClick={() => session.stop()}
          aria-label={`Stop measuring ${what}`}
        >
          Stop
        </Button>
      </div>
      <Progress
        value={progress && progress.total > 0 ? (100 * progress.done) / progress.total : 0}
        size={4}
        aria-label={`Measuring ${what}`}
      />
      <div className="row dim">
        <span className="grow">
          {progress ? `${formatCount(progress.done)} of ${formatCount(progress.total)} images` : "Starting"}
        </span>
        {typeof left === "number" && <span>{formatDuration(left)} left</span>}
      </div>
    </div>
  );
}
