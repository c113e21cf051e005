// Accuracy of each class before and now, those that moved most first.
import { Button } from "@mantine/core";
import { memo, useMemo, useState } from "react";
import { moreThanChance } from "../../session/chance.ts";
import type { SetAccuracy } from "../../session/protocol.ts";
import { percent } from "../watch/format.ts";
import { Change } from "./Change.tsx";
import classes from "./PerClass.module.css";
import { classRows } from "./scores.ts";

const LISTED = 12;

export interface PerClassProps {
  before: SetAccuracy | null;
  after: SetAccuracy;
  colour: string;
}

export const PerClass = memo(function PerClass({ before, after, colour }: PerClassProps) {
  const [all, setAll] = useState(false);
  const rows = useMemo(() => classRows(before, after), [before, after]);
  return (
    <div className={classes.list} style={{ "--bar": colour } as React.CSSProperties}>
      <table className={classes.table}>
        <thead>
          <tr>
            <th scope="col">Class</th>
            <th scope="col">
              <span className={classes.tick} /> before <span className={classes.fill} /> now
            </th>
            <th scope="col">Now</th>
            <th scope="col">Change</th>
          </tr>
        </thead>
        <tbody>
          {(all ? rows : rows.slice(0, LISTED)).map((row) => (
            <tr key={row.name}>
              <th scope="row" title={`${row.name}, ${row.count} images`}>
                {row.name}
              </th>
              <td>
                <span className={classes.track}>
                  {row.after !== null && (
                    <span className={classes.fill} style={{ width: `${row.after * 100}%` }} />
                  )}
                  {row.before !== null && (
                    <span className={classes.tick} style={{ left: `${row.before * 100}%` }} />
                  )}
                </span>
              </td>
              <td>{row.after === null ? "–" : percent(row.after)}</td>
              <td>
                {row.compared ? (
                  <Change
                    from={row.compared.before}
                    to={row.compared.after}
                    sure={moreThanChance([row.compared])}
                  />
                ) : (
                  "–"
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > LISTED && (
        <Button size="compact-xs" variant="subtle" onClick={() => setAll(!all)}>
          {all ? `Show the ${LISTED} that moved most` : `Show all ${rows.length} classes`}
        </Button>
      )}
    </div>
  );
});
