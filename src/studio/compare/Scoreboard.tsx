// The three numbers that are always in sight, and how many blocks are open. Its width never depends on them.
import { memo } from "react";
import { basisWords } from "../../session/basis.ts";
import { moreThanChance } from "../../session/chance.ts";
import type { AccuracyPoint, Evaluation, SetRole } from "../../session/protocol.ts";
import { percent } from "../watch/format.ts";
import { Term } from "../watch/Term.tsx";
import { Change } from "./Change.tsx";
import { Pending } from "./Pending.tsx";
import classes from "./Scoreboard.module.css";
import { roleAccuracy, type SetRow, type Shown, setRows, shownOf } from "./scores.ts";

export interface ScoreboardProps {
  before: Evaluation | null;
  /** The evaluation that holds now: after training, or after blocks were toggled; null while none does. */
  current: Evaluation | null;
  /** Gates open now; null when there is no run. */
  openCount: number | null;
  gateCount: number | null;
  /** Live points of the run; the last one is shown while there is no `current`. */
  points: AccuracyPoint[];
}

const roles: { role: SetRole; label: string }[] = [
  { role: "target", label: "Target" },
  { role: "ood", label: "OOD" },
  { role: "retention", label: "Retention" },
];

export const Scoreboard = memo(function Scoreboard(props: ScoreboardProps) {
  const { before, current, openCount, gateCount, points } = props;
  const rows = setRows(before, current, null, points);
  return (
    <dl className={classes.board}>
      {roles.map(({ role, label }) => {
        const ofRole = rows.filter((row) => row.role === role);
        // The mean of a role is known when all of its sets are.
        const pending = current !== null && ofRole.some(({ after }) => !after);
        const shown = ofRole.map((row) => ({ ...row, shown: shownOf(row) }));
        const was = mean(shown, "before");
        const is = mean(shown, "latest");
        const value = pending ? null : (is ?? was);
        const part = pending ? null : partOf(shown);
        return (
          <div key={role} className={classes.cell}>
            <dt title={pending ? undefined : standsOn(shown)}>
              <Term word={role}>{label}</Term>
              {part && (
                <span className={classes.part}>
                  <span className={classes.comma}>, </span>
                  {part}
                </span>
              )}
            </dt>
            <dd>
              <span className={classes.value}>
                {pending ? <Pending /> : value === null ? "–" : percent(value)}
              </span>
              {pending || was === null || is === null ? (
                <span className={classes.change} />
              ) : (
                <Change
                  className={classes.change}
                  from={was}
                  to={is}
                  sure={moreThanChance(shown.flatMap((one) => one.shown.compared ?? []))}
                  unit="points since before"
                />
              )}
            </dd>
          </div>
        );
      })}
      <div className={classes.cell}>
        <dt>
          <Term word="open">Open blocks</Term>
        </dt>
        <dd>
          <span className={classes.value}>{openCount ?? "–"}</span>
          {openCount !== null && gateCount !== null && <span className={classes.of}>of {gateCount}</span>}
        </dd>
      </div>
    </dl>
  );
});

type ShownRow = SetRow & { shown: Shown };

/** Mean of a role at one moment, each set counting alike; null where a set is not known then. */
function mean(rows: readonly ShownRow[], moment: "before" | "latest"): number | null {
  const known = rows.flatMap(({ role, shown }) => {
    const accuracy = shown[moment]?.accuracy;
    return accuracy === undefined ? [] : [{ role, accuracy }];
  });
  return known.length === rows.length ? roleAccuracy(known, rows[0]?.role ?? "target") : null;
}

/** What the numbers stand on where that is not all held-out images; null where it is, or where there are none. */
function partOf(rows: readonly ShownRow[]): string | null {
  const kinds = new Set(rows.flatMap(({ shown: { basis } }) => (basis ? [basis.images] : [])));
  if (kinds.has("sample")) return "sample";
  return kinds.has("validation") ? "validation" : null;
}

const standsOn = (rows: readonly ShownRow[]): string | undefined =>
  rows.flatMap(({ name, shown: { basis } }) => (basis ? [`${name}: ${basisWords(basis)}`] : [])).join("\n") ||
  undefined;
