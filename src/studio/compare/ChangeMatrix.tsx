// The matrix of change against the base: right and wrong before, right and wrong now. What changed opens its images.
import { memo } from "react";
import type { SetAccuracy } from "../../session/protocol.ts";
import { formatCount } from "../shared/format.ts";
import { Term } from "../watch/Term.tsx";
import type { ChangeKind } from "./answers.ts";
import classes from "./ChangeMatrix.module.css";

export interface ChangeMatrixProps {
  change: NonNullable<SetAccuracy["change"]>;
  /** Whether pictures come more than once, corrupted: then no chance is told, since they are not independent. */
  repeated: boolean;
  shown: ChangeKind | null;
  onKind: (kind: ChangeKind) => void;
}

/** A probability as a person reads it. */
export function chance(p: number): string {
  if (p >= 0.995) return "p = 1";
  return p < 0.001 ? "p < 0.001" : `p = ${p.toPrecision(2)}`;
}

export const ChangeMatrix = memo(function ChangeMatrix({
  change,
  repeated,
  shown,
  onKind,
}: ChangeMatrixProps) {
  const { stayedRight, fixed, broken, stayedWrong, p } = change;
  const cell = (kind: ChangeKind, count: number, words: string) => (
    <button
      type="button"
      aria-label={`${count} ${words}`}
      aria-pressed={shown === kind}
      disabled={count === 0}
      onClick={() => onKind(kind)}
    >
      {formatCount(count)}
    </button>
  );
  return (
    <table className={classes.matrix}>
      <caption>
        {repeated ? (
          "Every picture counts once a corruption."
        ) : (
          <>
            Fixed against broken: <Term word="mcnemar">{chance(p)}</Term>
          </>
        )}
      </caption>
      <thead>
        <tr>
          <td />
          <th scope="col">right now</th>
          <th scope="col">wrong now</th>
        </tr>
      </thead>
      <tbody>
        <tr>
          <th scope="row">right before</th>
          <td>{formatCount(stayedRight)}</td>
          <td data-kind="broken">{cell("broken", broken, "broken: right before, wrong now")}</td>
        </tr>
        <tr>
          <th scope="row">wrong before</th>
          <td data-kind="fixed">{cell("fixed", fixed, "fixed: wrong before, right now")}</td>
          <td>{formatCount(stayedWrong)}</td>
        </tr>
      </tbody>
    </table>
  );
});
