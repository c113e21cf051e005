// What happens during a run: the heatmap of gates, the timeline that scrubs it, and the curves. Pure: everything it
// shows comes in as props, everything a person does goes out as a call.
import { SegmentedControl, useComputedColorScheme } from "@mantine/core";
import { useCallback, useMemo, useRef, useState } from "react";
import type {
  AccuracyPoint,
  Evaluation,
  GateFrame,
  GateInfo,
  SessionEvent,
  StepReport,
} from "../../session/protocol.ts";
import { Panel } from "../shared/Panel.tsx";
import { BlockDetail } from "./BlockDetail.tsx";
import { Curves } from "./Curves.tsx";
import { GateTable } from "./GateTable.tsx";
import { layoutGates, type Metric, metricScale } from "./gates.ts";
import { GhostHeatmap, Heatmap } from "./Heatmap.tsx";
import { Legend } from "./Legend.tsx";
import { phaseSpans, totalSteps } from "./series.ts";
import { Timeline } from "./Timeline.tsx";
import classes from "./Watch.module.css";
import { words } from "./words.ts";

/** What the session is doing, as its `status` events say it. */
export type SessionStatus = Extract<SessionEvent, { kind: "status" }>["status"];

/** Arrays are compared by identity: hand over a new array when something was added, the same one when nothing was. */
export interface WatchProps {
  /** In the order of every per-gate array; `id` is the index. */
  gates: GateInfo[];
  /** Every frame of the run so far, oldest first. */
  frames: GateFrame[];
  /** Threshold of the run: a gate is open while its score is at least this. */
  /** What a score opens at; null where its rank decides, or nothing does. */
  tau: number | null;
  /** Gate whose numbers stay in the detail panel; null for none. */
  selected: number | null;
  onSelect: (gate: number | null) => void;
  /** Asked to open or close a gate by hand; only called while `canToggle`. */
  onToggle: (gate: number) => void;
  canToggle: boolean;
  /** Gates as set by hand after training, one entry a gate; null while the last frame's hold. */
  open: Uint8Array | null;
  steps: StepReport[];
  points: AccuracyPoint[];
  before: Evaluation | null;
  /** What the run came to, on all held-out images; null while it is under way. */
  after: Evaluation | null;
  /** Whether the method opens and closes gates; of others only the change of each block is worth a look. */
  gated: boolean;
  status: SessionStatus;
}

const views = [
  { value: "score", label: "Score", ofGates: true },
  { value: "sensitivity", label: "Sensitivity", ofGates: true },
  { value: "change", label: "Change" },
  { value: "table", label: "Table" },
];

export function Watch(props: WatchProps) {
  const { gates, frames, tau, selected, onSelect, onToggle, open, steps, points, before, status, gated } =
    props;
  const dark = useComputedColorScheme("light") === "dark";
  const [wanted, setMetric] = useState<Metric>("score");
  const metric = gated ? wanted : "change";
  const [asTable, setAsTable] = useState(false);
  const picture = useRef<HTMLDivElement>(null);
  const [pictureHeight, setPictureHeight] = useState(0);
  const [pointed, setPointed] = useState<number | null>(null);
  // Kept as a step and with the run's first frame: a long run is thinned out, and the next run starts live.
  const [scrubbed, setScrubbed] = useState<{ step: number; run: GateFrame | undefined } | null>(null);

  const layout = useMemo(() => layoutGates(gates), [gates]);
  const scale = useMemo(() => metricScale(frames, metric, tau), [frames, metric, tau]);
  // Over time, scores are what is followed; without gates, the change.
  const followed = gated ? "score" : "change";
  const history = useMemo(() => metricScale(frames, followed, tau), [frames, followed, tau]);
  const phases = useMemo(() => phaseSpans(steps), [steps]);
  const moment = momentOf(frames, scrubbed);
  const index = moment ?? frames.length - 1;
  const frame = frames[index] ?? null;
  const shownOpen = moment === null ? (open ?? frame?.open ?? null) : (frame?.open ?? null);
  const canToggle = props.canToggle && moment === null;
  const total = totalSteps(steps, frames.at(-1)?.step ?? 0);
  const running = status === "training" || status === "paused";
  const inDetail = pointed ?? selected;
  const gate = inDetail === null ? null : (gates[inDetail] ?? null);

  const showFrame = useCallback(
    (at: number | null) => {
      const step = at === null ? undefined : frames[at]?.step;
      setScrubbed(step === undefined ? null : { step, run: frames[0] });
    },
    [frames],
  );
  const press = useCallback(
    (pressed: number) => {
      onSelect(canToggle || pressed !== selected ? pressed : null);
      if (canToggle) onToggle(pressed);
    },
    [canToggle, onSelect, onToggle, selected],
  );

  return (
    <div className={classes.watch}>
      <Panel
        title="Blocks"
        help={words.block}
        actions={
          gates.length > 0 && (
            <SegmentedControl
              size="xs"
              aria-label="What is shown of each block"
              data={views.filter(({ ofGates }) => gated || !ofGates)}
              value={asTable ? "table" : metric}
              onChange={(view) => {
                if (picture.current) setPictureHeight(picture.current.offsetHeight);
                setAsTable(view === "table");
                if (view !== "table") setMetric(view as Metric);
              }}
            />
          )
        }
      >
        {gates.length === 0 ? (
          <GhostHeatmap />
        ) : asTable ? (
          <GateTable gates={gates} frame={frame} open={shownOpen} gated={gated} height={pictureHeight} />
        ) : (
          <div ref={picture} className={classes.picture}>
            {/* biome-ignore lint/a11y/noStaticElementInteractions: the keyboard goes on from a cell to its detail, which
            stays until the focus has left both; nothing here is pressed */}
            <div
              className={classes.hero}
              onBlur={({ currentTarget, relatedTarget }) => {
                if (!currentTarget.contains(relatedTarget)) setPointed(null);
              }}
            >
              <Heatmap
                layout={layout}
                frame={frame}
                open={shownOpen}
                metric={metric}
                scale={scale}
                tau={tau}
                selected={selected}
                canToggle={canToggle}
                dark={dark}
                onPoint={setPointed}
                onPress={press}
                onSelect={onSelect}
              />
              <BlockDetail
                gates={gates}
                gate={gate}
                pinned={gate !== null && gate.id === selected}
                frames={frames}
                at={index}
                open={shownOpen}
                tau={tau}
                followed={followed}
                top={history.max}
                canToggle={canToggle}
                onToggle={onToggle}
                onSelect={onSelect}
              />
            </div>
            <Legend metric={metric} scale={scale} tau={tau} dark={dark} />
          </div>
        )}
      </Panel>
      <Timeline
        layout={layout}
        gateCount={gates.length}
        frames={frames}
        at={moment}
        onAt={showFrame}
        total={total}
        phases={phases}
        metric={followed}
        scale={history}
        pointed={inDetail}
        running={running}
        dark={dark}
      />
      <Curves
        steps={steps}
        points={points}
        before={before}
        after={props.after}
        gateCount={gates.length}
        gated={gated}
        total={total}
        playhead={moment === null ? null : (frame?.step ?? null)}
        dark={dark}
      />
    </div>
  );
}

/** Index of the frame that was scrubbed to; null where that is the last one, or of another run. */
function momentOf(
  frames: readonly GateFrame[],
  scrubbed: { step: number; run: GateFrame | undefined } | null,
): number | null {
  if (scrubbed === null || scrubbed.run !== frames[0]) return null;
  const index = frames.findLastIndex((frame) => frame.step <= scrubbed.step);
  return index < 0 || index === frames.length - 1 ? null : index;
}
