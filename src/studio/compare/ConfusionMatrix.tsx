// Which class is taken for which, or which answer became which; a cell shows its images.
import { SegmentedControl } from "@mantine/core";
import { type CSSProperties, memo, useMemo, useState } from "react";
import type { SetAccuracy } from "../../session/protocol.ts";
import { Term } from "../watch/Term.tsx";
import { type Cell, confusion } from "./answers.ts";
import classes from "./ConfusionMatrix.module.css";
import { FrequentPairs } from "./FrequentPairs.tsx";

/** The most classes that are drawn as a matrix; beyond, the most frequent pairs are listed instead. */
const READABLE = 16;

export interface ConfusionMatrixProps {
  before: SetAccuracy;
  set: SetAccuracy;
  cell: Cell | null;
  onCell: (cell: Cell) => void;
}

export const ConfusionMatrix = memo(function ConfusionMatrix({
  before,
  set,
  cell,
  onCell,
}: ConfusionMatrixProps) {
  const [of, setOf] = useState<Cell["of"]>("label");
  const rows = of === "label" ? set.labels : before.predictions;
  const matrix = useMemo(
    () => confusion({ labels: rows, predictions: set.predictions }),
    [rows, set.predictions],
  );
  const size = matrix.classes.length;
  const choice = (
    <SegmentedControl
      size="xs"
      fullWidth
      aria-label="Where the rows come from"
      data={[
        { value: "label", label: "True class → now" },
        { value: "before", label: "Before → now" },
      ]}
      value={of}
      onChange={(value) => setOf(value as Cell["of"])}
    />
  );
  if (size > READABLE)
    return (
      <div>
        {choice}
        <FrequentPairs rows={rows} predictions={set.predictions} names={set.names} of={of} onCell={onCell} />
      </div>
    );
  const name = (index: number) => set.names[matrix.classes[index]!] ?? "–";
  const totals = matrix.classes.map(
    (_, row) =>
      matrix.counts.subarray(row * size, (row + 1) * size).reduce((a, b) => a + b, 0) +
      matrix.elsewhere[row]!,
  );
  const other = matrix.elsewhere.some((count) => count > 0);
  return (
    <div className={classes.scroll}>
      {choice}
      <table className={classes.matrix}>
        <caption>
          {of === "label" ? (
            <Term word="confusion">Rows: true class, columns: answer; blue is right, orange is wrong</Term>
          ) : (
            "Rows: answer before, columns: answer now"
          )}
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
                const share = Math.sqrt(count / totals[row]!);
                // Right from wrong by hue; of answers before and now there is no right one.
                const kind = row === column ? "right" : of === "label" ? "wrong" : "other";
                return (
                  <td key={predicted} data-kind={kind}>
                    <button
                      type="button"
                      aria-label={`${name(row)} ${of === "label" ? "answered" : "became"} ${name(column)}: ${count}`}
                      aria-pressed={cell?.of === of && cell.from === label && cell.predicted === predicted}
                      style={{ "--share": `${Math.round(8 + 36 * share)}%` } as CSSProperties}
                      onClick={() => onCell({ of, from: label, predicted })}
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
