// The most frequent mistakes of a set with many classes, where a matrix could not be read. A number shows its images.
import { memo, useMemo } from "react";
import type { SetAccuracy } from "../../session/protocol.ts";
import { commonMistakes } from "./answers.ts";
import classes from "./Mistakes.module.css";

const LISTED = 10;

export interface MistakesProps {
  set: SetAccuracy;
  onCell: (cell: { label: number; predicted: number }) => void;
}

export const Mistakes = memo(function Mistakes({ set, onCell }: MistakesProps) {
  const mistakes = useMemo(() => commonMistakes(set, LISTED), [set]);
  if (mistakes.length === 0) return <p className={classes.none}>No mistake on these images.</p>;
  return (
    <table className={classes.mistakes}>
      <thead>
        <tr>
          <th scope="col">True class</th>
          <th scope="col">Answer</th>
          <th scope="col">Images</th>
        </tr>
      </thead>
      <tbody>
        {mistakes.map(({ label, predicted, count }) => (
          <tr key={`${label} ${predicted}`}>
            <td title={set.names[label]}>{set.names[label] ?? "–"}</td>
            <td title={set.names[predicted]}>{set.names[predicted] ?? "–"}</td>
            <td>
              <button
                type="button"
                aria-label={`Show ${count} images of ${set.names[label]} answered ${set.names[predicted]}`}
                onClick={() => onCell({ label, predicted })}
              >
                {count}
              </button>
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
});
