// Which class is taken for which; a cell shows its images.
import { memo, useMemo } from "react";
import type { SetAccuracy } from "../../session/protocol.ts";
import { levelFill, levelInk, levelOf } from "../watch/colour.ts";
import { Term } from "../watch/Term.tsx";
import { confusion } from "./answers.ts";
import classes from "./ConfusionMatrix.module.css";
import { Mistakes } from "./Mistakes.tsx";

/** The most classes that are drawn as a matrix; beyond, the most frequent mistakes are listed instead. */
const READABLE = 16;

export interface ConfusionMatrixProps {
  set: SetAccuracy;
  dark: boolean;
  cell: { label: number; predicted: number } | null;
  onCell: (cell: { label: number; predicted: number }) => void;
}

export const ConfusionMatrix = memo(function ConfusionMatrix({
  set,
  dark,
  cell,
  onCell,
}: ConfusionMatrixProps) {
  const matrix = useMemo(() => confusion(set), [set]);
  const size = matrix.classes.length;
  if (size > READABLE) return <Mistakes set={set} onCell={onCell} />;
  const name = (index: number) => set.names[matrix.classes[index]!] ?? "–";
  const totals = matrix.classes.map(
    (_, row) =>
      matrix.counts.subarray(row * size, (row + 1) * size).reduce((a, b) => a + b, 0) +
      matrix.elsewhere[row]!,
  );
  const other = matrix.elsewhere.some((count) => count > 0);
  return (
    <div className={classes.scroll}>
      <table className={classes.matrix}>
        <caption>
          <Term word="confusion">Rows: true class, columns: answer</Term>
        </caption>
        <thead>
          <tr>
            <td />
            {matrix.classes.map((label, column) => (
              <th key={label} scope="col">
                <span>{name(column)}</span>
              </th>
            ))}
            {other && (
              <th scope="col">
                <span>another</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {matrix.classes.map((label, row) => (
            <tr key={label}>
              <th scope="row" title={name(row)}>
                {name(row)}
              </th>
              {matrix.classes.map((predicted, column) => {
                const count = matrix.counts[row * size + column]!;
                if (count === 0) return <td key={predicted} className={classes.zero} />;
                const level = levelOf(count, { max: totals[row]!, curve: "sqrt" });
                return (
                  <td key={predicted} data-right={row === column || undefined}>
                    <button
                      type="button"
                      aria-label={`${name(row)} answered ${name(column)}: ${count}`}
                      aria-pressed={cell?.label === label && cell.predicted === predicted}
                      style={{ background: levelFill(level, dark), color: levelInk(level, dark) }}
                      onClick={() => onCell({ label, predicted })}
                    >
                      {count}
                    </button>
                  </td>
                );
              })}
              {other && <td className={classes.other}>{matrix.elsewhere[row] || ""}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
});
