// How much of the change is applied: a slider from the model before to the model as trained (WiSE-FT).
import { Slider } from "@mantine/core";
import { useThrottledCallback } from "@mantine/hooks";
import { useState } from "react";
import { Term } from "../watch/Term.tsx";
import classes from "./Strength.module.css";

/** While the slider moves, its value goes out at most this often. */
const PAUSE_MS = 200;

export interface StrengthProps {
  strength: number;
  onStrength: (strength: number) => void;
  disabled: boolean;
}

const marks = [{ value: 0 }, { value: 0.5 }, { value: 1 }];

export function Strength({ strength, onStrength, disabled }: StrengthProps) {
  // The thumb follows the hand at once; between moves it shows what holds.
  const [held, setHeld] = useState<number | null>(null);
  const send = useThrottledCallback(onStrength, PAUSE_MS);
  const value = held ?? strength;
  return (
    <div>
      <div className={classes.top}>
        <Term word="strength">Strength of the change</Term>
        <output>{value.toFixed(2)}</output>
      </div>
      <Slider
        min={0}
        max={1}
        step={0.05}
        marks={marks}
        label={null}
        thumbLabel="Strength of the change"
        value={value}
        disabled={disabled}
        onChange={(moved) => {
          setHeld(moved);
          send(moved);
        }}
        onChangeEnd={(final) => {
          setHeld(null);
          onStrength(final);
        }}
      />
      <div className={classes.ends} aria-hidden="true">
        <span>before</span>
        <span>half</span>
        <span>as trained</span>
      </div>
    </div>
  );
}
