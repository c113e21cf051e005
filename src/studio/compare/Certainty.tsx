// How far a set's certainty can be trusted: balanced accuracy, calibration error, and the reliability plot.
import { memo, useMemo, useRef } from "react";
import {
  CartesianGrid,
  ComposedChart,
  Line,
  ReferenceLine,
  ResponsiveContainer,
  XAxis,
  YAxis,
} from "recharts";
import { moreThanChance } from "../../session/chance.ts";
import type { SetAccuracy } from "../../session/protocol.ts";
import { csvFile } from "../figures/figure_file.ts";
import { SaveFigure } from "../figures/SaveFigure.tsx";
import { decimal, percent } from "../watch/format.ts";
import { Term } from "../watch/Term.tsx";
import classes from "./Certainty.module.css";
import { Change } from "./Change.tsx";
import { Disclosure } from "./Disclosure.tsx";
import { comparedClasses } from "./scores.ts";

export interface CertaintyProps {
  before: SetAccuracy;
  after: SetAccuracy;
  colour: string;
}

/** A bin of both moments; null where a moment has no answer in it. */
interface Row {
  from: number;
  to: number;
  was: { confidence: number; accuracy: number; count: number } | null;
  is: { confidence: number; accuracy: number; count: number } | null;
}

function binRows(before: SetAccuracy, after: SetAccuracy): Row[] {
  const { bins } = after.calibration;
  const some = (bin: Row["was"] | undefined) => (bin && bin.count > 0 ? bin : null);
  return bins
    .map((bin, i) => ({
      from: i / bins.length,
      to: (i + 1) / bins.length,
      was: some(before.calibration.bins[i]),
      is: some(bin),
    }))
    .filter(({ was, is }) => was || is);
}

const points = (rows: readonly Row[], when: "was" | "is") =>
  rows.flatMap((row) => {
    const bin = row[when];
    return bin ? [{ confidence: 100 * bin.confidence, accuracy: 100 * bin.accuracy }] : [];
  });

export const Certainty = memo(function Certainty({ before, after, colour }: CertaintyProps) {
  const rows = useMemo(() => binRows(before, after), [before, after]);
  const figure = useRef<HTMLDivElement>(null);
  const tick = { fontSize: 11, fill: "var(--dim)" };
  const bins = after.calibration.bins.length;
  return (
    <div className={classes.certainty}>
      <table className={classes.table}>
        <thead>
          <tr>
            <td />
            <th scope="col">Before</th>
            <th scope="col">Now</th>
            <th scope="col">Change</th>
          </tr>
        </thead>
        <tbody>
          <tr>
            <th scope="row">
              <Term word="balanced">Balanced accuracy</Term>
            </th>
            <td>{percent(before.balanced)}</td>
            <td>{percent(after.balanced)}</td>
            <td>
              <Change
                from={before.balanced}
                to={after.balanced}
                sure={moreThanChance(comparedClasses(before, after))}
              />
            </td>
          </tr>
          <tr>
            <th scope="row">
              <Term word="calibration">Calibration error</Term>
            </th>
            <td>{decimal(before.calibration.ece)}</td>
            <td>{decimal(after.calibration.ece)}</td>
            <td>{decimal(after.calibration.ece - before.calibration.ece)}</td>
          </tr>
        </tbody>
      </table>
      <SaveFigure
        figure={figure}
        file="certainty"
        title="Accuracy, %, by how sure the answers were, %"
        legend={[
          { name: "before (dashed)", colour },
          { name: "now", colour },
        ]}
        csv={() =>
          csvFile([
            ["from", "to", "images before", "right before", "images now", "right now"],
            ...rows.map(({ from, to, was, is }) => [
              ...[from, to, was?.count ?? 0, was?.accuracy, is?.count ?? 0, is?.accuracy],
            ]),
          ])
        }
      />
      <div className={classes.legend} aria-hidden="true">
        <span>
          <span className={classes.before} style={{ borderColor: colour }} /> before
        </span>
        <span>
          <span className={classes.now} style={{ background: colour }} /> now
        </span>
        <span>diagonal: as sure as right</span>
      </div>
      <div aria-hidden="true" ref={figure}>
        <ResponsiveContainer width="100%" height={190} debounce={50}>
          <ComposedChart accessibilityLayer={false} margin={{ top: 6, right: 10, bottom: 0, left: 0 }}>
            <CartesianGrid stroke="var(--line)" />
            <XAxis
              dataKey="confidence"
              type="number"
              domain={[0, 100]}
              ticks={[0, 25, 50, 75, 100]}
              height={20}
              tick={tick}
              tickLine={false}
              stroke="var(--line)"
            />
            <YAxis
              width={34}
              domain={[0, 100]}
              ticks={[0, 50, 100]}
              tick={tick}
              tickLine={false}
              axisLine={false}
            />
            <ReferenceLine
              segment={[
                { x: 0, y: 0 },
                { x: 100, y: 100 },
              ]}
              stroke="var(--dim)"
            />
            <Line
              data={points(rows, "was")}
              dataKey="accuracy"
              stroke={colour}
              strokeDasharray="4 3"
              strokeWidth={1.5}
              dot={{ r: 3, fill: "var(--mantine-color-body)", stroke: colour, strokeDasharray: "none" }}
              isAnimationActive={false}
            />
            <Line
              data={points(rows, "is")}
              dataKey="accuracy"
              stroke={colour}
              strokeWidth={2}
              dot={{ r: 3, fill: colour, strokeWidth: 0 }}
              isAnimationActive={false}
            />
          </ComposedChart>
        </ResponsiveContainer>
        <div className={classes.under}>
          accuracy, % by how sure the answers were, % ({bins} bins of equal width)
        </div>
      </div>
      <Disclosure title="The bins as a table">
        <table className={classes.table}>
          <thead>
            <tr>
              <th scope="col">How sure</th>
              <th scope="col">Before: images</th>
              <th scope="col">right</th>
              <th scope="col">Now: images</th>
              <th scope="col">right</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(({ from, to, was, is }) => (
              <tr key={from}>
                <th scope="row">
                  {Math.round(100 * from)}–{Math.round(100 * to)}%
                </th>
                <td>{was?.count ?? 0}</td>
                <td>{was ? percent(was.accuracy) : "–"}</td>
                <td>{is?.count ?? 0}</td>
                <td>{is ? percent(is.accuracy) : "–"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Disclosure>
    </div>
  );
});
