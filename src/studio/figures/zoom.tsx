// A stretch of steps that is looked at closely: drawn over a chart with the mouse, or set with the keyboard below it.
import { Button, RangeSlider } from "@mantine/core";
import { useState } from "react";
import { formatCount } from "../shared/format.ts";
import classes from "./zoom.module.css";

export type Range = readonly [from: number, to: number];

/** What recharts says of where the pointer is. */
interface Pointed {
  activeLabel?: string | number | undefined;
}

export interface Zoom {
  /** What is shown; null for all. */
  range: Range | null;
  /** What is being drawn over with the mouse. */
  drawn: Range | null;
  show(range: Range | null): void;
  /** To be spread on a chart with an axis of steps. */
  handlers: {
    onMouseDown(at: Pointed): void;
    onMouseMove(at: Pointed): void;
    onMouseUp(): void;
    onMouseLeave(): void;
    onDoubleClick(): void;
  };
}

/** A stretch as it is wanted, within a run of `total` steps; null where that is all of it, or nothing to see. */
export function stretch(from: number, to: number, total: number): Range | null {
  const [low, high] = [Math.max(0, Math.min(from, to)), Math.min(total, Math.max(from, to))];
  if (high - low < Math.max(1, total / 200) || (low <= 0 && high >= total)) return null;
  return [low, high];
}

/** @param total steps of the run; a run of another length is shown whole */
export function useZoom(total: number): Zoom {
  const [kept, setKept] = useState<{ range: Range; total: number } | null>(null);
  const [drag, setDrag] = useState<Range | null>(null);
  const step = ({ activeLabel }: Pointed) => (activeLabel === undefined ? null : Number(activeLabel));
  const show = (range: Range | null) => setKept(range && { range, total });
  return {
    range: kept && kept.total === total ? kept.range : null,
    drawn: drag && drag[0] !== drag[1] ? drag : null,
    show,
    handlers: {
      onMouseDown(at) {
        const from = step(at);
        if (from !== null) setDrag([from, from]);
      },
      onMouseMove(at) {
        const to = step(at);
        if (drag && to !== null && to !== drag[1]) setDrag([drag[0], to]);
      },
      onMouseUp() {
        const range = drag && stretch(drag[0], drag[1], total);
        if (range) show(range);
        setDrag(null);
      },
      onMouseLeave: () => setDrag(null),
      onDoubleClick: () => show(null),
    },
  };
}

/** The same by keyboard, and back to the whole run. */
export function ZoomSlider({ zoom, total, hint }: { zoom: Zoom; total: number; hint: string }) {
  const value = zoom.range ?? ([0, total] as const);
  return (
    <div className={classes.zoom}>
      <RangeSlider
        className={classes.slider}
        size={3}
        min={0}
        max={Math.max(1, total)}
        step={Math.max(1, Math.round(total / 200))}
        minRange={1}
        label={formatCount}
        value={[value[0], value[1]]}
        thumbFromLabel="First step shown"
        thumbToLabel="Last step shown"
        onChange={([from, to]) => zoom.show(stretch(from, to, total))}
      />
      {zoom.range ? (
        <Button size="compact-xs" variant="default" onClick={() => zoom.show(null)}>
          Whole run
        </Button>
      ) : (
        <span className={classes.hint}>{hint}</span>
      )}
    </div>
  );
}
