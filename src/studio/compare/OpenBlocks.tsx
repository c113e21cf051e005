// The open blocks as switches, where the heatmap is out of sight: closing one shows what it was worth.
import { Button } from "@mantine/core";
import { memo } from "react";
import type { GateInfo } from "../../session/protocol.ts";
import { countOpen, gateName } from "../watch/gates.ts";
import { Term } from "../watch/Term.tsx";
import classes from "./OpenBlocks.module.css";

const LISTED = 16;

export interface OpenBlocksProps {
  gates: GateInfo[];
  /** As training left them. */
  trained: Uint8Array;
  open: Uint8Array;
  onToggle: (gate: number) => void;
  onReset: () => void;
  /** Whether gates or strength differ from what training left. */
  changed: boolean;
  disabled: boolean;
}

export const OpenBlocks = memo(function OpenBlocks(props: OpenBlocksProps) {
  const { gates, trained, open, onToggle, onReset, changed, disabled } = props;
  const listed = gates.filter((gate) => trained[gate.id] || open[gate.id]);
  return (
    <div className={classes.blocks}>
      <div className={classes.top}>
        <span>
          <Term word="open">Open blocks</Term>: <b>{countOpen(open)}</b> of {gates.length}
        </span>
        <Button size="compact-xs" variant="default" disabled={!changed || disabled} onClick={onReset}>
          As trained
        </Button>
      </div>
      <div className={classes.list}>
        {listed.slice(0, LISTED).map((gate) => (
          <button
            key={gate.id}
            type="button"
            className={classes.block}
            aria-pressed={open[gate.id] === 1}
            disabled={disabled}
            onClick={() => onToggle(gate.id)}
          >
            {open[gate.id] ? "● " : ""}
            {gateName(gate)}
          </button>
        ))}
      </div>
      <p className={classes.note}>
        {listed.length === 0
          ? "Every block is closed: only the classifier is new. Open one in the heatmap."
          : listed.length > LISTED
            ? `And ${listed.length - LISTED} more in the heatmap. Close one to see what it was worth.`
            : "Close one to see what it was worth; open others in the heatmap."}
      </p>
    </div>
  );
});
