// Accuracy, loss, open blocks, and where a run keeps near what the model was the distance from that, over the steps: charts under one crosshair and on the timeline's scale.
import { Button } from "@mantine/core";
import { memo, type ReactNode, useMemo } from "react";
import {
  CartesianGrid,
  ComposedChart,
  Line,
  ReferenceLine,
  ResponsiveContainer,
  Tooltip,
  XAxis,
  YAxis,
} from "recharts";
import type { AccuracyPoint, Evaluation, StepReport } from "../../session/protocol.ts";
import { formatCount, formatRate } from "../shared/format.ts";
import { Panel } from "../shared/Panel.tsx";
import { save } from "../shared/save.ts";
import classes from "./Curves.module.css";
import { roundUp } from "./colour.ts";
import { decimal, percent } from "./format.ts";
import { type CurveRow, curveRows, curvesCsv, type PhaseSpan, phaseSpans } from "./series.ts";
import { setColours } from "./sets.ts";
import { Term } from "./Term.tsx";

// A step every other pixel is as fine as the eye follows here.
const POINTS = 300;

const HEIGHTS = { accuracy: 168, loss: 112, keep: 96, open: 112 };

export interface CurvesProps {
  steps: StepReport[];
  points: AccuracyPoint[];
  before: Evaluation | null;
  gateCount: number;
  total: number;
  /** Step at which the timeline stands; null while it follows the run. */
  playhead: number | null;
  dark: boolean;
}

export const Curves = memo(function Curves(props: CurvesProps) {
  const { steps, points } = props;
  const last = steps.at(-1);
  return (
    <Panel
      title="Curves"
      help="Under one crosshair, on the timeline's scale of steps."
      actions={
        <div className={classes.top}>
          <Term word="speed">{last ? formatRate(last.imagesPerSecond) : "–"} images/s</Term>
          <Button
            size="compact-xs"
            variant="default"
            disabled={steps.length === 0 && points.length === 0}
            onClick={() => save("curves.csv", new Blob([curvesCsv(steps, points)], { type: "text/csv" }))}
          >
            CSV
          </Button>
        </div>
      }
    >
      <Charts {...props} />
    </Panel>
  );
});

const Charts = memo(function Charts(props: CurvesProps) {
  const { steps, points, before, gateCount, total, playhead, dark } = props;
  const rows = useMemo(() => curveRows(steps, points, before, POINTS), [steps, points, before]);
  const phases = useMemo(() => phaseSpans(steps), [steps]);
  const sets = useMemo(() => {
    const known = new Map<string, Pick<AccuracyPoint["sets"][number], "id" | "role" | "name">>();
    for (const set of before?.sets ?? []) known.set(set.id, set);
    for (const point of points) for (const set of point.sets) known.set(set.id, set);
    return [...known.values()];
  }, [before, points]);
  const colours = useMemo(() => setColours(sets, dark), [sets, dark]);
  const accuracyDomain = useMemo(() => {
    const all = rows.flatMap((row) => Object.values(row.accuracy));
    for (const set of before?.sets ?? []) all.push(set.accuracy * 100);
    if (all.length === 0) return [0, 100];
    const low = Math.max(0, Math.floor((Math.min(...all) - 2) / 10) * 10);
    return [low, Math.min(100, Math.max(low + 20, Math.ceil((Math.max(...all) + 2) / 10) * 10))];
  }, [rows, before]);
  const lossTop = useMemo(() => {
    const smoothed = rows.map((row) => row.smoothed ?? 0);
    return roundUp(1.15 * Math.max(0, ...smoothed));
  }, [rows]);
  const keep = steps.at(-1)?.keep;
  const keepTop = useMemo(() => roundUp(1.15 * Math.max(1e-6, ...rows.map((row) => row.keep ?? 0))), [rows]);
  const empty = rows.length === 0 && before === null;
  const shared = { rows, total, phases, playhead, dark };

  return (
    <>
      <Figure
        title={<Term word="accuracy">Accuracy, %</Term>}
        lesson={empty ? "Accuracy on the target, on other styles, and on what was known before." : null}
        height={HEIGHTS.accuracy}
        legend={sets.map((set) => (
          <span key={set.id} className={classes.key}>
            <span className={classes.swatch} style={{ background: colours.get(set.id) }} />
            {set.name}
            <b>{percentNow(points, set.id)}</b>
          </span>
        ))}
        note={
          before && (
            <span className={classes.key}>
              <span className={classes.dashed} /> <Term word="before">before</Term>
            </span>
          )
        }
      >
        <Chart
          {...shared}
          height={168}
          domain={accuracyDomain}
          lines={<AccuracyTip sets={sets} colours={colours} />}
        >
          {before?.sets.map((set) => (
            <ReferenceLine
              key={set.id}
              y={set.accuracy * 100}
              stroke={colours.get(set.id)}
              strokeDasharray="5 4"
              strokeOpacity={0.75}
            />
          ))}
          {sets.map((set) => (
            <Line
              key={set.id}
              dataKey={(row: CurveRow) => row.accuracy[set.id]}
              name={set.name}
              stroke={colours.get(set.id)}
              strokeWidth={2}
              dot={false}
              connectNulls
              isAnimationActive={false}
            />
          ))}
        </Chart>
      </Figure>
      <Figure
        title={<Term word="loss">Loss</Term>}
        lesson={empty ? "How wrong the model is on training images: it falls as the model learns." : null}
        height={HEIGHTS.loss}
        legend={steps.length > 0 ? <b>{decimal(steps.at(-1)!.loss)}</b> : null}
      >
        <Chart {...shared} height={HEIGHTS.loss} domain={[0, lossTop]} lines={<LossTip />}>
          <Line
            dataKey="loss"
            stroke="var(--ink)"
            strokeOpacity={0.28}
            strokeWidth={1}
            dot={false}
            connectNulls
            isAnimationActive={false}
          />
          <Line
            dataKey="smoothed"
            stroke="var(--ink)"
            strokeWidth={2}
            dot={false}
            connectNulls
            isAnimationActive={false}
          />
        </Chart>
      </Figure>
      {keep !== undefined && (
        <Figure
          title={<Term word="keep">Turned away from before</Term>}
          lesson={null}
          height={HEIGHTS.keep}
          legend={<b>{decimal(keep)}</b>}
        >
          <Chart {...shared} height={HEIGHTS.keep} domain={[0, keepTop]} lines={<KeepTip />}>
            <Line
              dataKey="keep"
              stroke="var(--ink)"
              strokeWidth={2}
              dot={false}
              connectNulls
              isAnimationActive={false}
            />
          </Chart>
        </Figure>
      )}
      <Figure
        title={<Term word="open">Open blocks</Term>}
        lesson={empty ? "How many blocks still adapt: few are enough." : null}
        height={HEIGHTS.open}
        legend={
          steps.length > 0 ? (
            <b>
              {steps.at(-1)!.open} of {gateCount}
            </b>
          ) : null
        }
      >
        <Chart
          {...shared}
          height={HEIGHTS.open}
          domain={[0, Math.max(1, gateCount)]}
          lines={<OpenTip gateCount={gateCount} />}
          axis
        >
          <Line
            dataKey="open"
            type="stepAfter"
            stroke="var(--accent)"
            strokeWidth={2}
            dot={false}
            connectNulls
            isAnimationActive={false}
          />
        </Chart>
      </Figure>
    </>
  );
});

function percentNow(points: readonly AccuracyPoint[], id: string): string {
  const set = points.at(-1)?.sets.find((candidate) => candidate.id === id);
  return set ? percent(set.accuracy) : "";
}

interface FigureProps {
  title: ReactNode;
  legend: ReactNode;
  note?: ReactNode;
  /** What will be seen here, in the chart's place while there is nothing to draw. */
  lesson: string | null;
  height: number;
  children: ReactNode;
}

function Figure({ title, legend, note, lesson, height, children }: FigureProps) {
  return (
    <figure className={classes.figure}>
      <figcaption>
        <span className={classes.title}>{title}</span>
        {legend}
        {note}
      </figcaption>
      {lesson === null ? (
        children
      ) : (
        <p className={classes.lesson} style={{ height: height - 8 }}>
          {lesson}
        </p>
      )}
    </figure>
  );
}

interface ChartProps {
  rows: CurveRow[];
  height: number;
  domain: number[];
  total: number;
  phases: PhaseSpan[];
  playhead: number | null;
  /** What the crosshair reads out. */
  lines: ReactNode;
  /** Whether this chart carries the step numbers for those above it. */
  axis?: boolean;
  children: ReactNode;
}

/** Round step numbers for the axis, at most six. */
function stepTicks(total: number): number[] {
  const gap = Math.max(1, roundUp(total / 5));
  const ticks: number[] = [];
  for (let tick = 0; tick <= total * 1.0001; tick += gap) ticks.push(tick);
  return ticks;
}

function Chart({ rows, height, domain, total, phases, playhead, lines, axis = false, children }: ChartProps) {
  const tick = { fontSize: 11, fill: "var(--dim)" };
  const [low, high] = domain as [number, number];
  const middle = (low + high) / 2;
  return (
    <ResponsiveContainer width="100%" height={height} debounce={50}>
      <ComposedChart
        data={rows}
        syncId="selora-curves"
        margin={{ top: 6, right: 8, bottom: 0, left: 0 }}
        className={classes.chart}
      >
        <CartesianGrid stroke="var(--grid)" vertical={false} />
        <XAxis
          dataKey="step"
          type="number"
          domain={[0, Math.max(1, total)]}
          ticks={stepTicks(Math.max(1, total))}
          allowDataOverflow
          height={axis ? 22 : 4}
          tick={axis ? tick : false}
          tickFormatter={(step: number) => formatCount(step)}
          tickLine={false}
          stroke="var(--cell-line)"
        />
        <YAxis
          width={44}
          interval={0}
          domain={domain}
          ticks={[low, high < 5 ? middle : Math.round(middle), high]}
          allowDataOverflow
          tick={tick}
          tickLine={false}
          axisLine={false}
          tickFormatter={(value: number) => String(Number(value.toPrecision(3)))}
        />
        {phases.slice(1).map(({ phase, from }) => (
          <ReferenceLine key={phase} x={from} stroke="var(--phase-line)" strokeDasharray="2 3" />
        ))}
        {children}
        {playhead !== null && <ReferenceLine x={playhead} stroke="var(--ink)" strokeWidth={1.5} />}
        <Tooltip
          content={lines as never}
          filterNull={false}
          isAnimationActive={false}
          cursor={{ stroke: "var(--dim)" }}
          allowEscapeViewBox={{ x: false, y: true }}
          wrapperStyle={{ zIndex: 5 }}
        />
      </ComposedChart>
    </ResponsiveContainer>
  );
}

// recharts fills these in when it clones the element given as `content`.
interface TipProps {
  active?: boolean;
  label?: number | string;
  payload?: readonly { payload?: CurveRow }[];
}

function Tip({ head, children }: { head: string; children: ReactNode }) {
  return (
    <div className={classes.tip}>
      <span className={classes.tipHead}>{head}</span>
      {children}
    </div>
  );
}

function rowOf({ active, payload }: TipProps): CurveRow | null {
  return (active && payload?.[0]?.payload) || null;
}

interface AccuracyTipProps extends TipProps {
  sets: Pick<AccuracyPoint["sets"][number], "id" | "role" | "name">[];
  colours: ReadonlyMap<string, string>;
}

function AccuracyTip({ sets, colours, ...tip }: AccuracyTipProps) {
  const measured = rowOf(tip)?.measured;
  if (!measured) return null;
  return (
    <Tip head={`measured at step ${formatCount(measured.step)}`}>
      {sets.map((set) => (
        <span key={set.id}>
          <span className={classes.swatch} style={{ background: colours.get(set.id) }} /> {set.name}{" "}
          <b>{measured.accuracy[set.id] === undefined ? "–" : percent(measured.accuracy[set.id]! / 100)}</b>
        </span>
      ))}
    </Tip>
  );
}

function KeepTip(tip: TipProps) {
  const row = rowOf(tip);
  if (row?.keep === undefined) return null;
  return (
    <Tip head={`step ${formatCount(row.step)}, epoch ${row.epoch}`}>
      <span>
        turned away <b>{decimal(row.keep)}</b>
      </span>
    </Tip>
  );
}

function LossTip(tip: TipProps) {
  const row = rowOf(tip);
  if (!row || row.loss === null) return null;
  return (
    <Tip head={`step ${formatCount(row.step)}, epoch ${row.epoch}`}>
      <span>
        loss <b>{decimal(row.loss)}</b>
      </span>
      <span>
        smoothed <b>{decimal(row.smoothed ?? Number.NaN)}</b>
      </span>
    </Tip>
  );
}

function OpenTip({ gateCount, ...tip }: TipProps & { gateCount: number }) {
  const row = rowOf(tip);
  if (!row || row.open === null) return null;
  return (
    <Tip head={`step ${formatCount(row.step)}, epoch ${row.epoch}`}>
      <span>
        open <b>{row.open}</b> of {gateCount}
      </span>
    </Tip>
  );
}
