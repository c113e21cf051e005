// The way between before and after (WiSE-FT) of the run on the page: measured when asked for, kept with the run.
import { Button } from "@mantine/core";
import classes from "./Compare.module.css";
import { Measuring } from "./Measuring.tsx";

export interface PathProps {
  measured: boolean;
  measuring: boolean;
  /** Whether something else keeps the session busy, or blocks are not as trained. */
  disabled: boolean;
  onMeasure: () => void;
}

export function Path({ measured, measuring, disabled, onMeasure }: PathProps) {
  if (measuring) return <Measuring what="the way between" />;
  return (
    <>
      <p className={classes.hint}>
        {measured
          ? "Measured with none, a quarter, half, three quarters and all of the change: the line of this run under Runs, Target against the rest."
          : "Measures none, a quarter, half, three quarters and all of the change, with the blocks as trained, on at most 256 images a set, and keeps it with the run."}
      </p>
      <Button size="xs" variant="default" disabled={disabled} onClick={onMeasure}>
        {measured ? "Measure the way between again" : "Measure the way between"}
      </Button>
    </>
  );
}
