// What is most often taken for what, or which answers changed most often, in a set with more classes than a matrix can
// show. A number shows its images.
import { memo, useMemo } from "react";
import { type Cell, frequentPairs } from "./answers.ts";
import classes from "./FrequentPairs.module.css";

const LISTED = 10;

const words: Record<Cell["of"], { from: string; to: string; verb: string; none: string }> = {
  label: { from: "True class", to: "Answer", verb: "answered", none: "No mistake on these images." },
  before: { from: "Before", to: "Now", verb: "that are now", none: "Every answer is what it was before." },
};

export interface FrequentPairsProps {
  /** Of each image where it comes from (its class, or its answer before) and what it is answered now. */
  rows: Int32Array;
  predictions: Int32Array;
  names: readonly string[];
  of: Cell["of"];
  onCell: (cell: Cell) => void;
}

export const FrequentPairs = memo(function FrequentPairs({
  rows,
  predictions,
  names,
  of,
  onCell,
}: FrequentPairsProps) {
  const pairs = useMemo(() => frequentPairs({ labels: rows, predictions }, LISTED), [rows, predictions]);
  const { from: fromHead, to, verb, none } = words[of];
  if (pairs.length === 0) return <p className={classes.none}>{none}</p>;
  return (
    <table className={classes.pairs}>
      <thead>
        <tr>
          <th scope="col">{fromHead}</th>
          <th scope="col">{to}</th>
          <th scope="col">Images</th>
        </tr>
      </thead>
      <tbody>
        {pairs.map(({ from, predicted, count }) => (
          <tr key={`${from} ${predicted}`}>
            <td title={names[from]}>{names[from] ?? "–"}</td>
            <td title={names[predicted]}>{names[predicted] ?? "–"}</td>
            <td>
              <button
                type="button"
                aria-label={`Show ${count} images of ${names[from]} ${verb} ${names[predicted]}`}
                onClick={() => onCell({ of, from, predicted })}
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
