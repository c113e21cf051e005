// One set of images as it was understood: how many, how split, what was found wrong, and its classes.
import { ActionIcon, Tooltip } from "@mantine/core";
import { Suspense, useState } from "react";
import type { DataIssue, DataReport, Split } from "../../session/protocol.ts";
import { formatCount, plural } from "../shared/format.ts";
import { Icon } from "../shared/Icon.tsx";
import { part } from "../shared/part.ts";
import { useStudio } from "../state/studio.ts";
import { ClassTable } from "./ClassTable.tsx";

const SetReading = part(async () => (await import("./SetReading.tsx")).SetReading);

const splits: Split[] = ["train", "val", "test"];
const splitWords: Record<Split, string> = { train: "to train on", val: "to validate", test: "to test" };

export function DataSet({ set, locked }: { set: DataReport; locked: boolean }) {
  const { session } = useStudio();
  const [open, setOpen] = useState(false);
  const totals = splits.map((split) => ({
    split,
    count: set.classes.reduce((sum, one) => sum + one.counts[split], 0),
  }));
  const mapped = set.classes.filter((one) => one.mapsTo !== null).length;
  const asked = set.classes.filter((one) => one.choices).length;
  const left = set.classes.length - mapped - asked;

  async function remove() {
    if (await session.mayDropRun()) await session.removeData(set.id);
  }

  return (
    <section className="set" aria-label={set.name}>
      <div className="row">
        <span className="set-name grow clip" title={set.name}>
          {set.name}
        </span>
        <span className="dim">{plural(set.count, "image")}</span>
        <Tooltip label={`Remove ${set.name}`}>
          <ActionIcon
            size="sm"
            variant="subtle"
            color="gray"
            disabled={locked}
            aria-label={`Remove ${set.name}`}
            onClick={remove}
          >
            <Icon name="cross" />
          </ActionIcon>
        </Tooltip>
      </div>
      {set.role === "keep" ? <span className="dim">no classes needed</span> : null}
      <div className="set-facts" hidden={set.role === "keep"}>
        <button type="button" className="linkish" aria-expanded={open} onClick={() => setOpen(!open)}>
          <Icon name="right" />
          {plural(set.classes.length, "class", "classes")}
        </button>
        {set.role === "target" ? (
          <span className="dim">
            {totals
              .filter(({ count }) => count > 0)
              .map(({ split, count }) => `${formatCount(count)} ${splitWords[split]}`)
              .join(", ")}
          </span>
        ) : (
          <span className={left + asked > 0 ? "tone-warning" : "dim"}>
            {left + asked === 0
              ? "all matched"
              : [
                  `${formatCount(mapped)} matched`,
                  ...(asked > 0 ? [`${formatCount(asked)} to choose`] : []),
                  ...(left > 0 ? [`${formatCount(left)} left out`] : []),
                ].join(", ")}
          </span>
        )}
      </div>
      {set.reading && (
        <Suspense>
          <SetReading set={set} reading={set.reading} locked={locked} />
        </Suspense>
      )}
      {set.role === "target" && set.splitOrigin === "drawn" && (
        <span className="dim">No validation folder: the split was drawn with the recipe's seed.</span>
      )}
      <Issues issues={set.issues} />
      {open && <ClassTable set={set} locked={locked} />}
    </section>
  );
}

const order: DataIssue["severity"][] = ["error", "warning", "note"];
const shownAtFirst = 3;

function Issues({ issues }: { issues: DataIssue[] }) {
  const [all, setAll] = useState(false);
  const sorted = issues.toSorted((a, b) => order.indexOf(a.severity) - order.indexOf(b.severity));
  const shown = all ? sorted : sorted.slice(0, shownAtFirst);
  if (issues.length === 0) return null;
  return (
    <ul className="issues">
      {shown.map((issue, i) => (
        <li key={i} className="issue">
          <Icon name={issue.severity} label={issue.severity} className={`tone-${issue.severity}`} />
          <div>
            {issue.text}
            {issue.paths.length > 0 && <Paths paths={issue.paths} />}
          </div>
        </li>
      ))}
      {sorted.length > shown.length && (
        <li>
          <button type="button" className="linkish" onClick={() => setAll(true)}>
            {sorted.length - shown.length} more
          </button>
        </li>
      )}
    </ul>
  );
}

function Paths({ paths }: { paths: string[] }) {
  const [open, setOpen] = useState(paths.length <= 2);
  if (!open)
    return (
      <div>
        <button type="button" className="linkish" aria-expanded={false} onClick={() => setOpen(true)}>
          <Icon name="right" />
          {plural(paths.length, "file")}
        </button>
      </div>
    );
  return (
    <ul className="paths">
      {paths.map((path) => (
        <li key={path}>{path}</li>
      ))}
    </ul>
  );
}
