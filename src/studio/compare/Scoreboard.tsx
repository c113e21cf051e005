// The three numbers that are always in sight, and how many blocks are open. Its width never depends on them.
import { memo } from "react";
import type { AccuracyPoint, Evaluation, SetRole } from "../../session/protocol.ts";
import { changeArrow, percent, pointsChange } from "../watch/format.ts";
import { Term } from "../watch/Term.tsx";
import { Pending } from "./Pending.tsx";
import classes from "./Scoreboard.module.css";
import { roleAccuracy } from "./scores.ts";

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
  const live = points.at(-1);
  return (
    <dl className={classes.board}>
      {roles.map(({ role, label }) => {
        const sampled = current === null && live !== undefined;
        const measured = sampled ? roleAccuracy(live.sets, role) : roleAccuracy(current?.sets, role);
        // A live value compares with the same few images before, not with all of them.
        const was = sampled
          ? roleAccuracy(
              live.sets.map((set) => ({ ...set, accuracy: set.before })),
              role,
            )
          : roleAccuracy(before?.sets, role);
        // The mean of a role is known when all of its sets are.
        const ofRole = (evaluation: Evaluation | null) =>
          evaluation?.sets.filter((set) => set.role === role).length ?? 0;
        const pending = current !== null && ofRole(current) < ofRole(before);
        const is = pending ? null : (measured ?? was);
        return (
          <div key={role} className={classes.cell}>
            <dt>
              <Term word={role}>{label}</Term>
            </dt>
            <dd>
              <span className={classes.value}>
                {pending ? (
                  <Pending />
                ) : is === null ? (
                  "–"
                ) : (
                  <>
                    {sampled && measured !== null && (
                      <span className={classes.about} title="Measured on at most 64 images while training">
                        ≈
                      </span>
                    )}
                    {percent(is)}
                  </>
                )}
              </span>
              <Change from={was} to={pending ? null : measured} />
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

function Change({ from, to }: { from: number | null; to: number | null }) {
  if (from === null || to === null) return <span className={classes.change} />;
  const change = to - from;
  const arrow = changeArrow(change);
  return (
    <span className={classes.change} data-sign={arrow === "" ? "none" : change > 0 ? "up" : "down"}>
      <span aria-hidden="true">{arrow}</span> {pointsChange(change)}
      <span className={classes.hidden}> points since before</span>
    </span>
  );
}
