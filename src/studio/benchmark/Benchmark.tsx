// The benchmark's page: what is measured on the left, what came out on the right. It measures in workers of its own and
// not while a run is training, because each would slow the other and no figure would be true.
import { Alert, Button, Progress } from "@mantine/core";
import { notifications } from "@mantine/notifications";
import { useEffect, useRef } from "react";
import { useStore } from "zustand";
import { connectWorker } from "../../session/benchmark/client.ts";
import { findPlaces } from "../../session/benchmark/places.ts";
import { formatDuration } from "../shared/format.ts";
import { Icon } from "../shared/Icon.tsx";
import { useRunner } from "../state/studio.ts";
import classes from "./Benchmark.module.css";
import { createBenchmarkStore } from "./benchmark_store.ts";
import { Figures } from "./Figures.tsx";
import { asJson, groupLines } from "./lines.ts";
import { Setup } from "./Setup.tsx";

const benchmark = createBenchmarkStore(findPlaces, connectWorker);

export function Benchmark({ onLeave }: { onLeave: () => void }) {
  const state = useStore(benchmark);
  // A row of runs has moments between two of them.
  const training = useRunner(({ busy }) => busy);
  useEffect(() => {
    void benchmark.look();
    const stay = (event: BeforeUnloadEvent) => {
      if (benchmark.getState().running) event.preventDefault();
    };
    addEventListener("beforeunload", stay);
    return () => {
      removeEventListener("beforeunload", stay);
      // Nobody would see it go on, and a run could be started beside it.
      benchmark.cancel();
    };
  }, []);

  async function copy() {
    await navigator.clipboard.writeText(asJson(state.lines));
    notifications.show({
      message: `${state.lines.length} figures copied, one JSON object a line.`,
      autoClose: 4000,
    });
  }

  const groups = groupLines(state.lines);
  return (
    <main className={classes.page} aria-label="Benchmark">
      <div className={classes.head}>
        <Button
          variant="default"
          leftSection={<Icon name="left" />}
          onClick={onLeave}
          aria-describedby={state.running ? "benchmark-leave" : undefined}
        >
          Studio
        </Button>
        <div>
          <h2>Benchmark</h2>
          <p className="dim" id="benchmark-leave">
            {state.running
              ? "Going back to the studio cancels it."
              : "How fast a training step is on your machine, beside others that do the same work. Random weights and images; nothing is sent anywhere."}
          </p>
        </div>
      </div>
      <div className={classes.columns}>
        <Setup state={state} store={benchmark} training={training} />
        <section className={classes.results} aria-label="Figures">
          <Status {...state} />
          {state.failures.map(({ about, parts }) => (
            <Alert
              key={`${about} ${parts.what}`}
              className="failure"
              variant="default"
              role="alert"
              icon={<Icon name="error" />}
              title={about ? `${about} was left out` : "The benchmark ended"}
            >
              {parts.where && <p className="failure-where">{parts.where}</p>}
              <p>
                {parts.what} <strong>{parts.remedy}</strong>
              </p>
            </Alert>
          ))}
          {groups.map((group) => (
            <Figures key={`${group.model} ${group.backend}`} group={group} />
          ))}
          {state.lines.length > 0 && (
            <div className={classes.copy}>
              <Button variant="default" leftSection={<Icon name="table" />} onClick={copy}>
                Copy as JSON
              </Button>
              <span className="dim">One object a line, as npm run bench -- --json prints them.</span>
            </div>
          )}
        </section>
      </div>
    </main>
  );
}

type StatusProps = Pick<ReturnType<typeof benchmark.getState>, "running" | "progress" | "ended" | "lines">;

/** One line over a thin bar, always there, so that nothing jumps. */
function Status({ running, progress, ended, lines }: StatusProps) {
  const line = useRef<HTMLDivElement>(null);
  // On a telephone it stands below what was chosen.
  useEffect(() => {
    if (running) line.current?.scrollIntoView({ block: "nearest" });
  }, [running]);
  let title = "Nothing measured yet";
  let detail = "Choose what to measure and press Start.";
  if (running) {
    title = progress?.label ?? "Starting";
    const left = progress?.secondsLeft;
    detail = typeof left === "number" ? `about ${formatDuration(left)} left` : "";
  } else if (ended === "cancelled") {
    title = "Cancelled";
    detail = lines.length > 0 ? "What was measured before stands." : "";
  } else if (ended === "done") {
    title = "Done";
    detail = "Figures are medians; everyone took turns, a step each.";
  }
  const share = progress && progress.total > 0 ? progress.done / progress.total : 0;
  return (
    <div className={`panel ${classes.status}`} ref={line}>
      <p>
        <strong>{title}</strong> <span className="dim">{detail}</span>
      </p>
      <Progress
        value={running ? 100 * share : ended === "done" ? 100 : 0}
        size={4}
        color={ended === "done" && !running ? "var(--studio-good)" : undefined}
        aria-label="Progress of the benchmark"
      />
      <p className="unseen" role="status">
        {running ? "Measuring" : ended ? title : ""}
      </p>
    </div>
  );
}
