// Another tab has the table: what it is doing, live, and the way to take over here.
import { Button, Progress } from "@mantine/core";
import { useEffect, useState } from "react";
import { formatCount, formatDuration } from "../shared/format.ts";
import { Icon } from "../shared/Icon.tsx";
import { Panel } from "../shared/Panel.tsx";
import { type Seen, seenSchema } from "../state/mirror.ts";
import { useStudio, useTabs } from "../state/studio.ts";
import { percent, pointsChange, shownChange } from "../watch/format.ts";
import { roleNames } from "../watch/sets.ts";
import classes from "./Elsewhere.module.css";

/** Milliseconds without a word from a run under way after which that is said. */
const SILENCE = 8_000;

const statusWords: Record<Seen["status"], string> = {
  idle: "Idle",
  loading: "Loading",
  training: "Training",
  paused: "Paused",
  evaluating: "Measuring",
  exporting: "Writing the merged weights",
};

export function Elsewhere() {
  const { tabs } = useStudio();
  const { data: seen } = seenSchema.safeParse(useTabs((state) => state.seen));
  const taking = useTabs((state) => state.taking);
  return (
    <div className={classes.elsewhere}>
      <Panel title="Selora is open in another tab">
        <p>
          The model, the images and the run are there. One tab at a time trains and keeps what is loaded, so
          that nothing is written twice. Kept runs can be looked at in every tab, under Runs.
        </p>
        {taking?.kind === "held" && (
          <p className={classes.held} role="alert">
            <Icon name="warning" className="tone-warning" />
            <span>The other tab did not give it up, as something would be lost: {taking.why}</span>
          </p>
        )}
        <div className="row wraps">
          {taking?.kind === "held" ? (
            <Button color="red.9" onClick={() => tabs.steal()}>
              Take over all the same
            </Button>
          ) : (
            <Button loading={taking !== null} onClick={() => tabs.takeOver()}>
              Take over here
            </Button>
          )}
          <span className="dim" role="status">
            {taking?.kind === "asked"
              ? "Asking the other tab"
              : taking?.kind === "giving"
                ? "The other tab saves what it has"
                : "The other tab saves what it has, and this one goes on with it. If it closes, this one takes its place by itself."}
          </span>
        </div>
      </Panel>
      {seen && <Watched seen={seen} />}
    </div>
  );
}

function Watched({ seen }: { seen: Seen }) {
  const silent = useSilence(seen);
  const share = seen.steps > 0 ? seen.step / seen.steps : 0;
  const done = !seen.running && seen.step > 0;
  const title = done && seen.status === "idle" ? "Ended" : seen.label || statusWords[seen.status];
  return (
    <Panel title={seen.name || "No run yet"}>
      <p>
        <strong>{title}</strong>{" "}
        <span className="dim">
          {seen.steps > 0 && `step ${formatCount(seen.step)} of ${formatCount(seen.steps)}`}
          {seen.secondsLeft !== null && `, ${formatDuration(seen.secondsLeft)} left`}
          {seen.open !== null && seen.gates > 0 && `, ${seen.open} of ${seen.gates} blocks open`}
        </span>
      </p>
      <Progress value={100 * share} size={4} transitionDuration={0} aria-label="Progress in the other tab" />
      {silent && seen.running && <p className="dim">The other tab has said nothing for a while.</p>}
      {seen.sets.length > 0 && (
        <table className={classes.sets}>
          <thead>
            <tr>
              <th scope="col">Images</th>
              <th scope="col">Before</th>
              <th scope="col">Now</th>
              <th scope="col">Change</th>
            </tr>
          </thead>
          <tbody>
            {seen.sets.map(({ role, name, before, accuracy }) => (
              <tr key={`${role} ${name}`}>
                <th scope="row">
                  {name} <span className="dim">{roleNames[role]}</span>
                </th>
                <td>{percent(before)}</td>
                <td>{percent(accuracy)}</td>
                <td>{pointsChange(shownChange(before, accuracy))}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Panel>
  );
}

/** Whether nothing new has been seen for a while. */
function useSilence(seen: Seen): boolean {
  const [silent, setSilent] = useState(false);
  const said = JSON.stringify(seen);
  // biome-ignore lint/correctness/useExhaustiveDependencies: every word starts the wait anew
  useEffect(() => {
    setSilent(false);
    const timer = setTimeout(() => setSilent(true), SILENCE);
    return () => clearTimeout(timer);
  }, [said]);
  return silent;
}
