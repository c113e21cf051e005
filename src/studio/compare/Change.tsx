// A change of accuracy in points: with an arrow, so that colour is not needed to read it, and grey where chance alone
// gives as much.
import { changeArrow, pointsChange, shownChange } from "../watch/format.ts";
import classes from "./Change.module.css";

export interface ChangeProps {
  /** Accuracies of the same images, 0 to 1. */
  from: number;
  to: number;
  /** Whether it is more than chance (session/chance.ts). */
  sure: boolean;
  className?: string | undefined;
  /** For those who listen, where no heading says it. */
  unit?: string;
}

export function Change({ from, to, sure, className = classes.change, unit }: ChangeProps) {
  const change = shownChange(from, to);
  const arrow = changeArrow(change);
  const sign = arrow === "" || !sure ? "none" : change > 0 ? "up" : "down";
  const chance = arrow !== "" && !sure;
  return (
    <span
      className={className}
      data-sign={sign}
      title={chance ? "No more than chance may give on so many images (95 %)" : undefined}
    >
      <span aria-hidden="true">{arrow}</span> {pointsChange(change)}
      {(unit || chance) && (
        <span className="unseen">
          {unit && ` ${unit}`}
          {chance && ", within chance"}
        </span>
      )}
    </span>
  );
}
