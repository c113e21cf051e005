// The numbers of one block and its score over time; without a block, which ones are open. Its size never changes,
// so that moving over the heatmap moves nothing else.
import { Button, CloseButton } from "@mantine/core";
import { memo, useMemo } from "react";
import type { GateFrame, GateInfo } from "../../session/protocol.ts";
import { formatCount } from "../shared/format.ts";
import classes from "./BlockDetail.module.css";
import { decimal, quantity } from "./format.ts";
import { blockHistory, columnHelp, countOpen, gateName, heldSince } from "./gates.ts";
import { Term } from "./Term.tsx";

export interface BlockDetailProps {
  gates: GateInfo[];
  gate: GateInfo | null;
  /** Whether the gate stays here when the pointer leaves it. */
  pinned: boolean;
  frames: GateFrame[];
  /** Index of the frame shown; -1 without frames. */
  at: number;
  open: Uint8Array | null;
  /** What a score opens at; null where its rank decides, or nothing does. */
  tau: number | null;
  /** What is drawn over time: the score, or of a method without gates the change. */
  followed: "score" | "change";
  /** Top of its axis. */
  top: number;
  canToggle: boolean;
  onToggle: (gate: number) => void;
  onSelect: (gate: number | null) => void;
}

export const BlockDetail = memo(function BlockDetail(props: BlockDetailProps) {
  const { gates, gate, frames, at, open, canToggle } = props;
  return (
    <aside className={classes.detail} aria-label="Block in detail">
      {gate ? (
        <OneBlock {...props} gate={gate} />
      ) : (
        <AllBlocks gates={gates} open={open} done={canToggle} onSelect={props.onSelect} />
      )}
      {!gate && (
        <p className={classes.hint}>
          {at < 0 || frames.length === 0
            ? "The first numbers arrive with the first steps."
            : canToggle
              ? "Point at a cell for its numbers. Click, Enter or Space opens or closes it; the accuracies follow."
              : "Point at a cell, or walk with the arrow keys, for its numbers."}
        </p>
      )}
    </aside>
  );
});

function OneBlock({
  gate,
  pinned,
  frames,
  at,
  open,
  tau,
  followed,
  top,
  canToggle,
  onToggle,
  onSelect,
}: BlockDetailProps & { gate: GateInfo }) {
  const frame = frames[at];
  const isOpen = open?.[gate.id] === 1;
  const byHand = frame !== undefined && open !== null && open[gate.id] !== frame.open[gate.id];
  const since = heldSince(frames, gate.id, at);
  return (
    <>
      <div className={classes.top}>
        <strong>{gateName(gate)}</strong>
        {open && (
          <span className={classes.badge} data-open={isOpen || undefined}>
            {isOpen ? "● open" : "closed"}
          </span>
        )}
        {pinned && <CloseButton size="xs" aria-label="Back to all blocks" onClick={() => onSelect(null)} />}
      </div>
      <p className={classes.what}>{byHand ? "Set by hand." : heldWords(gate, isOpen, since, frames)}</p>
      <dl className={classes.numbers}>
        {followed === "score" && (
          <>
            <dt>
              <Term word="score">Score</Term>
            </dt>
            <dd>{frame ? decimal(frame.scores[gate.id]!) : "–"}</dd>
            <dt>
              <Term word="sensitivity">Sensitivity</Term>
            </dt>
            <dd>{frame ? quantity(frame.sensitivity[gate.id]!) : "–"}</dd>
          </>
        )}
        <dt>
          <Term word="change">Change</Term>
        </dt>
        <dd>{frame ? `${quantity(frame.deltaNorm[gate.id]! * 100)}%` : "–"}</dd>
        <dt>
          <Term word="parameters">Parameters</Term>
        </dt>
        <dd>{formatCount(gate.parameters)}</dd>
      </dl>
      <BlockCurve gate={gate} frames={frames} at={at} followed={followed} tau={tau} max={top} />
      {canToggle && (
        <Button size="compact-sm" variant="default" fullWidth onClick={() => onToggle(gate.id)}>
          {isOpen ? "Close this block" : "Open this block"}
        </Button>
      )}
    </>
  );
}

function heldWords(gate: GateInfo, isOpen: boolean, since: number | null, frames: GateFrame[]): string {
  if (since === null) return columnHelp[gate.column];
  const start = since === frames[0]?.step;
  return `${isOpen ? "Open" : "Closed"} ${start ? "from the start" : `since step ${formatCount(since)}`}.`;
}

// Units of the drawing, which is stretched to the panel, and how many points of the history it shows.
const width = 200;
const height = 56;
const POINTS = 120;

interface BlockCurveProps {
  gate: GateInfo;
  frames: GateFrame[];
  at: number;
  followed: "score" | "change";
  /** What a score opens at; null where its rank decides, or nothing does. */
  tau: number | null;
  max: number;
}

function BlockCurve({ gate, frames, at, followed, tau, max }: BlockCurveProps) {
  const history = useMemo(() => blockHistory(frames, gate.id, followed, POINTS), [frames, gate.id, followed]);
  const last = Math.max(1, history.at(-1)?.step ?? 1);
  const x = (step: number) => (step / last) * width;
  const y = (value: number) => height - (Math.min(max, Math.max(0, value)) / max) * height;
  const path = history.map(
    ({ step, value }, i) => `${i ? "L" : "M"}${x(step).toFixed(1)} ${y(value).toFixed(1)}`,
  );
  const shown = frames[at];
  return (
    <figure className={classes.curve}>
      <svg
        viewBox={`0 0 ${width} ${height}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${followed} of ${gateName(gate)} over the run`}
      >
        {tau !== null && <line x1="0" x2={width} y1={y(tau)} y2={y(tau)} className={classes.tau} />}
        <path d={path.join("")} className={classes.line} />
        {shown && at < frames.length - 1 && (
          <line x1={x(shown.step)} x2={x(shown.step)} y1="0" y2={height} className={classes.now} />
        )}
      </svg>
      <figcaption>
        <span>
          {followed} over time
          {tau !== null && (
            <>
              {" "}
              <span className={classes.key} /> threshold
            </>
          )}
        </span>
      </figcaption>
    </figure>
  );
}

const LISTED = 10;

interface AllBlocksProps extends Pick<BlockDetailProps, "gates" | "open" | "onSelect"> {
  /** Whether the run has ended. */
  done: boolean;
}

function AllBlocks({ gates, open, done, onSelect }: AllBlocksProps) {
  if (!open) return <strong>{formatCount(gates.length)} blocks, each with a gate</strong>;
  const opened = gates.filter((gate) => open[gate.id]);
  return (
    <>
      <div className={classes.count}>
        <span>{countOpen(open)}</span> of {gates.length} blocks open
      </div>
      <div className={classes.list}>
        {opened.length === 0 && (
          <p className={classes.what}>Every block works as before; only the classifier is new.</p>
        )}
        {opened.length > 0 && opened.length <= LISTED
          ? opened.map((gate) => (
              <button key={gate.id} type="button" className={classes.chip} onClick={() => onSelect(gate.id)}>
                {gateName(gate)}
              </button>
            ))
          : opened.length > 0 && (
              <p className={classes.what}>
                {opened.length < gates.length
                  ? done
                    ? "Closed blocks work as before; open ones use what they have learned."
                    : "Those that do not pay for themselves close one by one."
                  : done
                    ? "All of them are open. LoRA keeps them so; Selective closes more with more steps or more closing pressure."
                    : "All of them learn so far."}
              </p>
            )}
      </div>
    </>
  );
}
