// Under other conditions: how well certainty tells other sets from the target, and what an OOD set gains beyond what
// the target's gain lets one expect.
import { Button } from "@mantine/core";
import { memo } from "react";
import type { SetRobustness } from "../../session/protocol.ts";
import { Panel } from "../shared/Panel.tsx";
import { decimal, pointsChange } from "../watch/format.ts";
import { Term } from "../watch/Term.tsx";
import { words } from "../watch/words.ts";
import { Measuring } from "./Measuring.tsx";
import classes from "./Shifts.module.css";
import type { SetRow } from "./scores.ts";

export interface ShiftsProps {
  rows: SetRow[];
  robustness: SetRobustness[] | null;
  measuring: boolean;
  disabled: boolean;
  onMeasure: () => void;
}

const area = (value: number | null | undefined) => (typeof value === "number" ? value.toFixed(3) : "–");

export const Shifts = memo(function Shifts(props: ShiftsProps) {
  const { rows, robustness, measuring, disabled, onMeasure } = props;
  const others = rows.filter(({ role }) => role !== "target");
  const hasOod = rows.some(({ role }) => role === "ood");
  if (others.length === 0) return null;
  return (
    <Panel title="Strange images" help={words.detection}>
      <div className={classes.scroll}>
        <table className={classes.table}>
          <caption>
            <Term word="detection">AUROC</Term> against the target, before → now
          </caption>
          <thead>
            <tr>
              <th scope="col">Set</th>
              <th scope="col">by softmax</th>
              <th scope="col">by energy</th>
            </tr>
          </thead>
          <tbody>
            {others.map(({ id, name, before, after, now }) => {
              const was = before?.detection;
              const is = (now ?? after)?.detection;
              const what =
                is?.strange === "classes" ? `${is.count} images of other classes` : "another style";
              return (
                <tr key={id}>
                  <th scope="row" title={`${name}: ${what}`}>
                    {name}
                    <span className={classes.what}>{is ? what : ""}</span>
                  </th>
                  <td>
                    {area(was?.confidence)} → <b>{area(is?.confidence)}</b>
                  </td>
                  <td>
                    {area(was?.energy)} → <b>{area(is?.energy)}</b>
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
      {hasOod &&
        (measuring ? (
          <Measuring what="robustness" />
        ) : robustness ? (
          <Robust robustness={robustness} />
        ) : (
          <Button size="xs" variant="default" disabled={disabled} onClick={onMeasure}>
            Measure effective robustness
          </Button>
        ))}
    </Panel>
  );
});

function Robust({ robustness }: { robustness: SetRobustness[] }) {
  return (
    <>
      <table className={classes.table}>
        <caption>Robustness of what is applied, in points of OOD accuracy</caption>
        <thead>
          <tr>
            <th scope="col">Set</th>
            <th scope="col">
              <Term word="effective">effective (ρ)</Term>
            </th>
            <th scope="col">
              <Term word="relative">relative (τ)</Term>
            </th>
            <th scope="col">slope</th>
          </tr>
        </thead>
        <tbody>
          {robustness.map(({ id, name, effective, relative, line }) => (
            <tr key={id}>
              <th scope="row" title={name}>
                {name}
              </th>
              <td>{effective === null ? "–" : pointsChange(effective)}</td>
              <td>{pointsChange(relative)}</td>
              <td>{line ? decimal(line.slope) : "–"}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p className={classes.note}>
        β is local: a line in logits through before and a quarter, a half and three quarters of this change,
        and no statement about other models.
        {robustness.some(({ line }) => line === null) &&
          " Without a difference in target accuracy between them there is no line, and no ρ."}
      </p>
    </>
  );
}
