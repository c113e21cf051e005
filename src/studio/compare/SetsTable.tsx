// Every set before, after and now: accuracy, its 95 % interval as a bar, the change in points, how many images.
import { memo } from "react";
import { balancedTells } from "../../session/balanced.ts";
import { basisWords } from "../../session/basis.ts";
import { moreThanChance } from "../../session/chance.ts";
import type { SetAccuracy, SetPart } from "../../session/protocol.ts";
import { percent } from "../watch/format.ts";
import { judgeWords, roleNames } from "../watch/sets.ts";
import { Term } from "../watch/Term.tsx";
import { changedAnswers } from "./answers.ts";
import { Change } from "./Change.tsx";
import { Disclosure } from "./Disclosure.tsx";
import { Pending } from "./Pending.tsx";
import classes from "./SetsTable.module.css";
import { accuracyAxis, comparedClasses, type SetRow, type Shown, shownOf } from "./scores.ts";

export interface SetsTableProps {
  rows: SetRow[];
  /** Gates or strength are set by hand: what has no `now` is still being measured. */
  adjusting: boolean;
  colours: ReadonlyMap<string, string>;
  /** Set that the details below are about; null when there are none yet. */
  chosen: string | null;
  onChoose: (id: string) => void;
}

export const SetsTable = memo(function SetsTable({
  rows,
  adjusting,
  colours,
  chosen,
  onChoose,
}: SetsTableProps) {
  const adjusted = adjusting || rows.some((row) => row.now);
  const live = !rows.some((row) => row.after) && rows.some((row) => row.live !== null);
  const axis = accuracyAxis(rows);
  return (
    <table className={classes.table}>
      <thead>
        <tr>
          <th scope="col">Set</th>
          <th scope="col">
            <Term word="before">Before</Term>
          </th>
          <th scope="col">{live ? "Live" : "After"}</th>
          {adjusted && <th scope="col">Now</th>}
          <th scope="col">
            <Term word="points">Change</Term>
          </th>
        </tr>
      </thead>
      {rows.map((row) => {
        // While gates or strength were just changed, what is not measured yet is not known.
        const pending = adjusting && row.now === null;
        const latest = pending ? null : (row.now ?? row.after);
        const shown = shownOf(row, pending);
        const { compared } = shown;
        const changes = row.before && latest ? changedAnswers(row.before, latest) : null;
        const any = latest ?? row.before;
        const by = any ? judgeWords(row.role, any.judge) : "";
        return (
          <tbody key={row.id} data-chosen={row.id === chosen || undefined}>
            <tr>
              <th scope="row">
                <button
                  type="button"
                  onClick={() => onChoose(row.id)}
                  aria-pressed={row.id === chosen}
                  disabled={!latest && !row.after}
                >
                  <span className={classes.dot} style={{ background: colours.get(row.id) }} />
                  <span className={classes.name} title={row.name}>
                    {row.name}
                  </span>
                </button>
              </th>
              <td>{shown.before ? percent(shown.before.accuracy) : "–"}</td>
              <td data-strong={!adjusted || undefined}>
                {row.after
                  ? percent(row.after.accuracy)
                  : shown.latest
                    ? percent(shown.latest.accuracy)
                    : "–"}
              </td>
              {adjusted && <td data-strong>{row.now ? percent(row.now.accuracy) : <Pending />}</td>}
              <td>
                {pending ? (
                  <Pending />
                ) : compared ? (
                  <Change from={compared.before} to={compared.after} sure={moreThanChance([compared])} />
                ) : (
                  "–"
                )}
              </td>
            </tr>
            {!row.live && balancedTells(row.before, row.after, row.now) && (
              <tr className={classes.balanced}>
                <th scope="row">
                  <Term word="balanced">balanced</Term>
                </th>
                <td>{row.before ? percent(row.before.balanced) : "–"}</td>
                <td>{row.after ? percent(row.after.balanced) : "–"}</td>
                {adjusted && <td>{row.now ? percent(row.now.balanced) : <Pending />}</td>}
                <td>
                  {pending ? (
                    <Pending />
                  ) : row.before && latest ? (
                    <Change
                      from={row.before.balanced}
                      to={latest.balanced}
                      sure={moreThanChance(comparedClasses(row.before, latest))}
                    />
                  ) : (
                    "–"
                  )}
                </td>
              </tr>
            )}
            <tr className={classes.second}>
              <td colSpan={adjusted ? 5 : 4}>
                <Intervals
                  shown={shown}
                  after={row.now ? row.after : null}
                  kind={row.live ? "live" : row.now ? "now" : "after"}
                  axis={axis}
                  colour={colours.get(row.id) ?? "currentcolor"}
                />
                <div className={classes.facts}>
                  <span>
                    <Term word={row.role}>{roleNames[row.role]}</Term>
                    {shown.basis && `, ${basisWords(shown.basis)}`}
                    {by && `, ${by}`}
                    {any && any.parts.length > 0 && ", mean"}
                  </span>
                  {changes && (
                    <span>
                      {changes.fixed.length} fixed, {changes.broken.length} broken
                    </span>
                  )}
                </div>
                <Parts before={row.before} now={latest} />
              </td>
            </tr>
          </tbody>
        );
      })}
      <tfoot>
        <tr>
          <td colSpan={adjusted ? 5 : 4}>
            <div className={classes.axis}>
              <span>{percent(axis[0]).replace(".0", "")}</span>
              <span>
                ○ before ● {live ? "live" : "after"}
                {adjusted && " ◆ now"}, bars: <Term word="interval">95% interval</Term>
              </span>
              <span>{percent(axis[1]).replace(".0", "")}</span>
            </div>
          </td>
        </tr>
      </tfoot>
    </table>
  );
});

const partSure = (before: number, { accuracy, count }: SetPart) =>
  moreThanChance([{ before, after: accuracy, count, pairs: null }]);

/** Each corruption of a set that is their mean. */
function Parts({ before, now }: { before: SetAccuracy | null; now: SetAccuracy | null }) {
  const parts = before?.parts ?? [];
  if (parts.length === 0) return null;
  return (
    <Disclosure title={`${parts.length} corruptions, each for itself`}>
      <table className={classes.parts}>
        <thead>
          <tr>
            <th scope="col">Corruption</th>
            <th scope="col">Before</th>
            <th scope="col">Now</th>
            <th scope="col">Change</th>
          </tr>
        </thead>
        <tbody>
          {parts.map(({ name, accuracy, count }, i) => {
            const is = now?.parts[i];
            return (
              <tr key={name}>
                <th scope="row" title={`${name}, ${count} images`}>
                  {name}
                </th>
                <td>{percent(accuracy)}</td>
                <td>{is ? percent(is.accuracy) : "–"}</td>
                <td>
                  {is ? <Change from={accuracy} to={is.accuracy} sure={partSure(accuracy, is)} /> : "–"}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </Disclosure>
  );
}

interface IntervalsProps {
  shown: Shown;
  /** As training left it, where something is set by hand. */
  after: SetAccuracy | null;
  kind: "live" | "after" | "now";
  axis: [number, number];
  colour: string;
}

function Intervals({ shown: { before, latest }, after, kind, axis, colour }: IntervalsProps) {
  const [low, high] = axis;
  const place = (share: number) => `${((share - low) / (high - low)) * 100}%`;
  const moments = [
    { moment: before, kind: "before" },
    { moment: after, kind: "after" },
    { moment: latest, kind },
  ];
  return (
    <div className={classes.plot} style={{ color: colour }} aria-hidden="true">
      {moments.map(
        ({ moment, kind: drawn }) =>
          moment && (
            <span key={drawn}>
              <span
                className={classes.whisker}
                data-kind={drawn}
                style={{
                  left: place(moment.interval[0]),
                  width: `${((moment.interval[1] - moment.interval[0]) / (high - low)) * 100}%`,
                }}
              />
              <span className={classes.point} data-kind={drawn} style={{ left: place(moment.accuracy) }} />
            </span>
          ),
      )}
    </div>
  );
}
