// Every gate over the whole run as a picture that can be scrubbed: drag, or arrow keys, and the heatmap goes back.
import { Button } from "@mantine/core";
import { type KeyboardEvent, memo, type PointerEvent, useLayoutEffect, useRef } from "react";
import type { GateFrame } from "../../session/protocol.ts";
import { formatCount } from "../shared/format.ts";
import { Panel } from "../shared/Panel.tsx";
import type { Scale } from "./colour.ts";

import type { GateLayout } from "./gates.ts";
import { frameAt, paintFrames, palette } from "./raster.ts";
import type { PhaseSpan } from "./series.ts";
import { Term } from "./Term.tsx";
import classes from "./Timeline.module.css";

/** Columns of the picture; the page scales it to the room there is. */
const WIDTH = 1024;

export interface TimelineProps {
  layout: GateLayout;
  gateCount: number;
  frames: GateFrame[];
  /** Frame shown; null follows the run. */
  at: number | null;
  onAt: (frame: number | null) => void;
  /** Steps of the whole run; what has not happened yet stays empty. */
  total: number;
  phases: PhaseSpan[];
  /** What is followed over time: the score, or of a method without gates the change. */
  metric: "score" | "change";
  scale: Scale;
  /** Gate whose row is marked. */
  pointed: number | null;
  running: boolean;
  dark: boolean;
}

const phaseWords = { "warm-up": "warmUp", selecting: "selecting", settling: "settling" } as const;

export const Timeline = memo(function Timeline(props: TimelineProps) {
  const { layout, gateCount, frames, at, onAt, total, phases, metric, scale, pointed, running, dark } = props;
  const track = useRef<HTMLDivElement>(null);
  const shown = at ?? frames.length - 1;
  const step = frames[shown]?.step ?? 0;
  const share = total > 0 ? step / total : 0;
  const height = Math.max(96, Math.min(gateCount * 4, 160), gateCount);

  function scrub(event: PointerEvent) {
    const box = track.current?.getBoundingClientRect();
    if (!box || frames.length === 0) return;
    const frame = frameAt(frames, (event.clientX - box.left) / box.width, total);
    onAt(frame === frames.length - 1 ? null : frame);
  }

  function onKeyDown(event: KeyboardEvent) {
    const leap = Math.max(1, Math.round(frames.length / 10));
    const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -leap, PageUp: leap }[
      event.key
    ];
    const target =
      event.key === "Home" ? 0 : event.key === "End" ? frames.length - 1 : by ? shown + by : null;
    if (target === null || frames.length === 0) return;
    event.preventDefault();
    onAt(target >= frames.length - 1 ? null : Math.max(0, target));
  }

  const label = frames.length === 0 ? "No steps yet" : `Step ${formatCount(step)} of ${formatCount(total)}`;
  const stride = Math.max(1, Math.ceil((layout.rows.length * 14) / height));
  return (
    <Panel
      title="Timeline"
      help="Every block over the whole run. Drag, or use the arrow keys, and the blocks above show that moment."
      actions={
        <div className={classes.top}>
          <span className={classes.live}>
            {at !== null ? (
              <Button size="compact-xs" onClick={() => onAt(null)}>
                {running ? "Back to live" : "Back to the end"}
              </Button>
            ) : (
              running && frames.length > 0 && "● live"
            )}
          </span>
          <span>{label}</span>
        </div>
      }
    >
      <div className={classes.timeline}>
        <div className={classes.phases} aria-hidden={phases.length === 0}>
          {phases.map(({ phase, from, to }) => (
            <span
              key={`${phase}${from}`}
              className={classes.phase}
              data-phase={phase}
              style={{ left: `${(from / total) * 100}%`, width: `${((to - from) / total) * 100}%` }}
            >
              {(to - from) / total > 0.11 &&
                (metric === "score" ? (
                  <Term word={phaseWords[phase]}>{phase}</Term>
                ) : (
                  <Term word="learning">learning</Term>
                ))}
            </span>
          ))}
        </div>
        <div className={classes.body}>
          <div className={classes.labels} aria-hidden="true">
            {layout.rows.map(
              ({ layer }, index) =>
                index % stride === 0 && (
                  <span key={layer} style={{ top: `${((index + 0.5) / layout.rows.length) * 100}%` }}>
                    {index === 0 && <span className={classes.word}>Layer </span>}
                    {layer + 1}
                  </span>
                ),
            )}
          </div>
          <div
            ref={track}
            className={classes.track}
            style={{ height }}
            role="slider"
            tabIndex={0}
            aria-label="Moment of the run"
            aria-valuemin={0}
            aria-valuemax={Math.max(0, frames.length - 1)}
            aria-valuenow={Math.max(0, shown)}
            aria-valuetext={`${label}${at === null ? (running ? ", live" : ", latest") : ""}`}
            aria-disabled={frames.length === 0}
            onKeyDown={onKeyDown}
            onPointerDown={(event) => {
              event.currentTarget.setPointerCapture(event.pointerId);
              scrub(event);
            }}
            onPointerMove={(event) => {
              if (event.currentTarget.hasPointerCapture(event.pointerId)) scrub(event);
            }}
          >
            <Raster
              frames={frames}
              gateCount={gateCount}
              total={total}
              metric={metric}
              scale={scale}
              dark={dark}
            />
            {pointed !== null && gateCount > 0 && (
              <span
                className={classes.row}
                style={{ top: `${(pointed / gateCount) * 100}%`, height: `${100 / gateCount}%` }}
              />
            )}
            {frames.length === 0 && (
              <span className={classes.lesson}>
                Each line will be one block, from the first step to the last.
              </span>
            )}
            {frames.length > 0 && (
              <span
                className={classes.head}
                data-live={at === null || undefined}
                style={{ left: `${share * 100}%` }}
              />
            )}
          </div>
        </div>
      </div>
    </Panel>
  );
});

interface RasterProps {
  frames: GateFrame[];
  gateCount: number;
  total: number;
  metric: TimelineProps["metric"];
  scale: Scale;
  dark: boolean;
}

interface Painted {
  image: ImageData;
  pixels: Uint32Array;
  count: number;
  last: GateFrame | undefined;
  key: string;
}

const Raster = memo(function Raster({ frames, gateCount, total, metric, scale, dark }: RasterProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const painted = useRef<Painted | null>(null);
  useLayoutEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context || gateCount === 0) return;
    const key = `${gateCount} ${total} ${metric} ${scale.max} ${dark}`;
    let state = painted.current;
    // A run goes on from what is painted only if the last painted frame is still where it was.
    if (!state || state.key !== key || frames[state.count - 1] !== state.last) {
      const image = context.createImageData(WIDTH, gateCount);
      state = { image, pixels: new Uint32Array(image.data.buffer), count: 0, last: undefined, key };
      painted.current = state;
    }
    paintFrames(state.pixels, WIDTH, gateCount, frames, state.count, total, scale, palette(dark), metric);
    state.count = frames.length;
    state.last = frames.at(-1);
    context.putImageData(state.image, 0, 0);
  }, [frames, gateCount, total, metric, scale, dark]);
  return <canvas ref={canvas} width={WIDTH} height={Math.max(1, gateCount)} className={classes.canvas} />;
});
