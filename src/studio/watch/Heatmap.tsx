// The hero: one row a layer, one column a kind of block. Open cells are solid with a mark, closed ones hatched, so
// that neither colour nor a screen is needed to tell them apart. Cells are buttons: tabbed into once, then arrows.
import { type CSSProperties, type KeyboardEvent, memo, type SyntheticEvent, useRef, useState } from "react";
import type { GateFrame, GateInfo } from "../../session/protocol.ts";
import { levelFill, levelInk, levelOf, type Scale } from "./colour.ts";
import { quantity } from "./format.ts";
import {
  columnHelp,
  columnLabels,
  type GateLayout,
  gateName,
  type Metric,
  metricOf,
  neighbour,
} from "./gates.ts";
import classes from "./Heatmap.module.css";

export interface HeatmapProps {
  layout: GateLayout;
  /** Null while the run has not reported yet: cells stay blank. */
  frame: GateFrame | null;
  /** Gates to show as open, one entry a gate; the frame's own, or those set by hand. */
  open: Uint8Array | null;
  metric: Metric;
  scale: Scale;
  /** Threshold that scores are held to. */
  /** What a score opens at; null where its rank decides, or nothing does. */
  tau: number | null;
  selected: number | null;
  /** Whether Enter, Space or a click opens and closes. */
  canToggle: boolean;
  dark: boolean;
  onPoint: (gate: number | null) => void;
  onPress: (gate: number) => void;
  onSelect: (gate: number | null) => void;
}

/**
 * A metric's value as it stands in a cell.
 * @param tau scores get another digit where two would show them on the wrong side of it
 */
export function cellText(value: number, metric: Metric, tau = Number.NEGATIVE_INFINITY): string {
  if (!Number.isFinite(value)) return "–";
  if (metric === "score") {
    let digits = 2;
    while (digits < 4 && Number(value.toFixed(digits)) >= tau !== value >= tau) digits++;
    const text = value.toFixed(digits);
    return Number(text) === 0 ? "0.00" : text.replace("-", "−");
  }
  if (metric === "change") return `${(value * 100).toFixed(value < 0.0995 ? 1 : 0)}%`;
  return quantity(value, 2);
}

const metricNames: Record<Metric, string> = { score: "score", sensitivity: "sensitivity", change: "change" };

function gateOf(event: SyntheticEvent): number | null {
  const cell = (event.target as Element).closest<HTMLElement>("[data-gate]");
  return cell ? Number(cell.dataset.gate) : null;
}

export const Heatmap = memo(function Heatmap(props: HeatmapProps) {
  const { layout, frame, open, metric, scale, tau, selected, canToggle, dark } = props;
  const { onPoint, onPress, onSelect } = props;
  const grid = useRef<HTMLTableElement>(null);
  const first = layout.rows[0]?.cells.find((cell) => cell)?.id ?? null;
  const [focused, setFocused] = useState<number | null>(null);
  const known = focused !== null && layout.rows.some((row) => row.cells.some((cell) => cell?.id === focused));
  const entry = known ? focused : (selected ?? first);

  function onKeyDown(event: KeyboardEvent) {
    const gate = gateOf(event);
    if (gate === null) return;
    if (event.key === "Escape") {
      onSelect(null);
      return;
    }
    const next = neighbour(layout, gate, event.key);
    const moves = event.key.startsWith("Arrow") || event.key === "Home" || event.key === "End";
    if (!moves) return;
    event.preventDefault();
    grid.current?.querySelector<HTMLElement>(`[data-gate="${next}"]`)?.focus();
  }

  const values = frame ? metricOf(frame, metric) : null;
  return (
    <table
      ref={grid}
      aria-label={`Blocks by layer, coloured by ${metricNames[metric]}`}
      className={classes.grid}
      data-rows={layout.rows.length > 12 ? "many" : "few"}
      data-columns={layout.columns.length}
      onKeyDown={onKeyDown}
      onMouseOver={(event) => onPoint(gateOf(event))}
      onMouseLeave={() => onPoint(null)}
      onFocus={(event) => {
        const gate = gateOf(event);
        setFocused(gate);
        onPoint(gate);
      }}
      onClick={(event) => {
        const gate = gateOf(event);
        if (gate !== null) onPress(gate);
      }}
    >
      <thead>
        <tr>
          <th scope="col" className={classes.corner}>
            <span className={classes.hidden}>Layer</span>
          </th>
          {layout.columns.map((column) => (
            <th key={column} scope="col" className={classes.head} title={columnHelp[column]}>
              {columnLabels[column]}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {layout.rows.map((row) => (
          <tr key={row.layer}>
            <th scope="row" className={classes.side}>
              <span className={classes.wide}>Layer </span>
              {row.layer + 1}
            </th>
            {row.cells.map((gate, index) => {
              const key = layout.columns[index]!;
              if (!gate) return <td key={key} />;
              const value = values?.[gate.id] ?? Number.NaN;
              return (
                <Cell
                  key={key}
                  gate={gate}
                  level={levelOf(value, scale)}
                  state={open ? (open[gate.id] ? "open" : "closed") : "unknown"}
                  byHand={frame !== null && open !== null && open[gate.id] !== frame.open[gate.id]}
                  text={values ? cellText(value, metric, tau ?? undefined) : ""}
                  metric={metric}
                  tabbable={gate.id === entry}
                  selected={gate.id === selected}
                  canToggle={canToggle}
                  dark={dark}
                />
              );
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
});

interface CellProps {
  gate: GateInfo;
  level: number;
  state: "open" | "closed" | "unknown";
  byHand: boolean;
  text: string;
  metric: Metric;
  tabbable: boolean;
  selected: boolean;
  canToggle: boolean;
  dark: boolean;
}

// Every prop is a primitive or lasting, so a cell whose colour and text stand still is not drawn again.
const Cell = memo(function Cell(props: CellProps) {
  const { gate, level, state, byHand, text, metric, tabbable, selected, canToggle, dark } = props;
  const words = [
    gateName(gate),
    state === "unknown" ? "not measured yet" : state,
    byHand ? "set by hand" : "",
    text ? `${metricNames[metric]} ${text}` : "",
  ];
  return (
    <td className={classes.cell}>
      <button
        type="button"
        data-gate={gate.id}
        data-state={state}
        data-hand={byHand || undefined}
        data-selected={selected || undefined}
        tabIndex={tabbable ? 0 : -1}
        aria-label={words.filter(Boolean).join(", ")}
        aria-pressed={canToggle ? state === "open" : undefined}
        className={classes.button}
        style={{ "--fill": levelFill(level, dark), "--ink-on": levelInk(level, dark) } as CSSProperties}
      >
        {state === "open" && <span className={classes.mark}>●</span>}
        <span className={classes.value}>{text}</span>
      </button>
    </td>
  );
});

/** What stands in the heatmap's place before there is a run: its shape, and what it will tell. */
export function GhostHeatmap() {
  return (
    <div className={classes.ghost}>
      <table className={classes.grid} aria-hidden="true">
        <thead>
          <tr>
            <th className={classes.corner} />
            <th className={classes.head}>Attention</th>
            <th className={classes.head}>MLP</th>
          </tr>
        </thead>
        <tbody>
          {Array.from({ length: 12 }, (_, layer) => (
            <tr key={layer}>
              <th className={classes.side}>
                <span className={classes.wide}>Layer </span>
                {layer + 1}
              </th>
              <td>
                <span className={classes.blank} />
              </td>
              <td>
                <span className={classes.blank} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <div className={classes.lesson}>
        <strong>Here you will see which parts of the network learn.</strong>
        <span>
          Each cell is one block: a row is a layer, the image enters at the top and the answer leaves at the
          bottom. Once training starts, colour shows how much a block's change is worth.
        </span>
        <span className={classes.samples}>
          <span className={classes.sample} data-state="open">
            ●
          </span>
          open: the block adapts
        </span>
        <span className={classes.samples}>
          <span className={classes.sample} data-state="closed" />
          closed: it stays as it was, and forgets nothing
        </span>
      </div>
    </div>
  );
}
