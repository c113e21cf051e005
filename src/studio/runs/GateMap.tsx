// The gates of one run at its end, small: a canvas of cells, filled where open.
import { useEffect, useMemo, useRef } from "react";
import type { GateInfo } from "../../session/protocol.ts";
import type { RunDetails } from "../../session/run_record.ts";
import { levelFill, levelOf } from "../watch/colour.ts";
import { columnLabels, gateName, layoutGates } from "../watch/gates.ts";
import classes from "./Runs.module.css";

interface GateMapProps {
  name: string;
  colour: string;
  gates: readonly GateInfo[];
  final: RunDetails["final"];
  tau: number;
  dark: boolean;
}

const CELL = { width: 30, height: 9, gap: 2 };

export function GateMap({ name, colour, gates, final, tau, dark }: GateMapProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const layout = useMemo(() => layoutGates(gates), [gates]);
  const width = layout.columns.length * (CELL.width + CELL.gap) - CELL.gap;
  const height = layout.rows.length * (CELL.height + CELL.gap) - CELL.gap;
  const open = gates.filter(({ id }) => final.open[id] === 1);

  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context || width <= 0) return;
    const ratio = window.devicePixelRatio || 1;
    context.canvas.width = width * ratio;
    context.canvas.height = height * ratio;
    context.scale(ratio, ratio);
    const max = Math.max(2 * tau, ...final.scores);
    layout.rows.forEach(({ cells }, row) => {
      cells.forEach((gate, column) => {
        if (!gate) return;
        const x = column * (CELL.width + CELL.gap);
        const y = row * (CELL.height + CELL.gap);
        context.fillStyle = dark ? "#2b313b" : "#e8ebef";
        context.fillRect(x, y, CELL.width, CELL.height);
        if (final.open[gate.id] !== 1) return;
        context.fillStyle = levelFill(levelOf(final.scores[gate.id] ?? 0, { max, curve: "linear" }), dark);
        context.fillRect(x, y, CELL.width, CELL.height);
      });
    });
  }, [layout, final, tau, dark, width, height]);

  const listed =
    open.length > 12 ? `${open.length} of ${gates.length}` : open.map(gateName).join("; ") || "none";
  return (
    <figure className={classes.map}>
      <figcaption className={classes.name}>
        <span className={classes.swatch} style={{ background: colour }} />
        <span className="clip" title={name}>
          {name}
        </span>
      </figcaption>
      <canvas
        ref={canvas}
        role="img"
        aria-label={`Open blocks of ${name}: ${listed}`}
        style={{ width, height }}
      />
      <span className="dim">
        {layout.columns.map((column) => columnLabels[column]).join(" · ")}; {open.length} of {gates.length}{" "}
        open
      </span>
    </figure>
  );
}
