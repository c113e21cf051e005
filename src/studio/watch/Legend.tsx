// Legend of the heatmap: the colours with their scale, where the threshold lies, and what solid and hatched mean.
import { memo } from "react";
import { fractionOf, gradient, type Scale } from "./colour.ts";
import type { Metric } from "./gates.ts";
import { cellText } from "./Heatmap.tsx";
import classes from "./Legend.module.css";
import { Term } from "./Term.tsx";

export interface LegendProps {
  metric: Metric;
  scale: Scale;
  /** What a score opens at; null where its rank decides, or nothing does. */
  tau: number | null;
  dark: boolean;
}

const titles = {
  score: <Term word="score">Score</Term>,
  sensitivity: <Term word="sensitivity">Sensitivity |dL/ds|</Term>,
  change: <Term word="change">Change ‖ΔW‖ / ‖W‖</Term>,
};

export const Legend = memo(function Legend({ metric, scale, tau, dark }: LegendProps) {
  const mark = metric === "score" && tau !== null && tau <= scale.max ? fractionOf(tau, scale) : null;
  return (
    <div className={classes.legend}>
      <span className={classes.title}>{titles[metric]}</span>
      <div className={classes.scale}>
        <div className={classes.bar} style={{ backgroundImage: gradient(dark) }}>
          {mark !== null && <span className={classes.tau} style={{ left: `${mark * 100}%` }} />}
        </div>
        <div className={classes.ticks}>
          <span>0</span>
          {mark !== null && tau !== null && (
            <span className={classes.tauText} style={{ left: `clamp(52px, ${mark * 100}%, 100% - 70px)` }}>
              <Term word="tau">threshold {Number(tau.toPrecision(3))}</Term>
            </span>
          )}
          <span>{cellText(scale.max, metric)}</span>
        </div>
      </div>
      <span className={classes.states}>
        <Term word="open">
          <span className={classes.open}>●</span> open
        </Term>
        <Term word="open">
          <span className={classes.closed} /> closed
        </Term>
      </span>
    </div>
  );
});
