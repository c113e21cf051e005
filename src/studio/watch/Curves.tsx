// Accuracy, loss, open blocks, and where a run keeps near what the model was the distance from that, over the steps: charts under one crosshair and on the timeline's scale.
import { memo, type ReactNode, useMemo, useRef } from "react";
import {
  CartesianGrid,
  ComposedChart,
  Line,
  ReferenceArea,
  ReferenceDot,
  ReferenceLine,
  ResponsiveContainer,
  Tooltip,
  XAxis,
  YAxis,
} from "recharts";
import { basisWords, sameImages } from "../../session/basis.ts";
import type { AccuracyPoint, Evaluation, LiveAccuracy, StepReport } from "../../session/protocol.ts";
import { type CsvCell, csvFile } from "../figures/figure_file.ts";
import { along, axisTick, diamond, stepTicks } from "../figures/marks.tsx";
import { SaveFigure } from "../figures/SaveFigure.tsx";
import { useZoom, type Zoom, ZoomSlider } from "../figures/zoom.tsx";
import { formatCount, formatRate } from "../shared/format.ts";
import { Panel } from "../shared/Panel.tsx";
import classes from "./Curves.module.css";
import { roundUp } from "./colour.ts";
import { decimal, percent, quantity } from "./format.ts";
import { type CurveRow, curveRows, curvesCsv, type PhaseSpan, phaseSpans, withStart } from "./series.ts";
import { setColours } from "./sets.ts";
import { Term } from "./Term.tsx";

// A step every other pixel is as fine as the eye follows here.
const POINTS = 300;
/** Up to here every measured point is drawn as one, beside the line that joins them. */
const DOTS = 60;

const HEIGHTS = { accuracy: 168, loss: 112, keep: 96, open: 112, rate: 96 };

export interface CurvesProps {
  steps: StepReport[];
  points: AccuracyPoint[];
  before: Evaluation | null;
  /** What the run came to, on all held-out images; null while it is under way. */
  after: Evaluation | null;
  gateCount: number;
  /** Whether the method opens and closes gates. */
  gated: boolean;
  total: number;
  /** Step at which the timeline stands; null while it follows the run. */
  playhead: number | null;
  dark: boolean;
}

export const Curves = memo(function Curves(props: CurvesProps) {
  const last = props.steps.at(-1);
  return (
    <Panel
      title="Curves"
      help="Under one crosshair, on the timeline's scale of steps."
      actions={
        <div className={classes.top}>
          <Term word="speed">{last ? formatRate(last.imagesPerSecond) : "–"} images/s</Term>
        </div>
      }
    >
      <Charts {...props} />
    </Panel>
  );
});

const Charts = memo(function Charts(props: CurvesProps) {
  const { steps, points, before, after, gateCount, gated, total, playhead, dark } = props;
  const zoom = useZoom(total);
  const { range } = zoom;
  const measured = useMemo(() => withStart(points), [points]);
  const rows = useMemo(
    () => curveRows(steps, measured, POINTS, range ?? undefined),
    [steps, measured, range],
  );
  const phases = useMemo(() => phaseSpans(steps), [steps]);
  const sets = useMemo(() => setsOf(before, measured), [before, measured]);
  const colours = useMemo(() => setColours(sets, dark), [sets, dark]);
  const finals = useMemo(
    () => (after && before ? finalMarks(before, after, steps.at(-1)?.step ?? 0) : []),
    [before, after, steps],
  );
  const accuracyDomain = useMemo(() => {
    const all = rows.flatMap((row) => Object.values(row.accuracy));
    for (const { accuracy } of finals) all.push(100 * accuracy);
    for (const set of measured[0]?.sets ?? []) all.push(100 * set.before);
    if (all.length === 0) return [0, 100];
    const low = Math.max(0, Math.floor((Math.min(...all) - 2) / 10) * 10);
    return [low, Math.min(100, Math.max(low + 20, Math.ceil((Math.max(...all) + 2) / 10) * 10))];
  }, [rows, finals, measured]);
  const top = (value: (row: CurveRow) => number | null | undefined) =>
    roundUp(1.15 * Math.max(1e-9, ...rows.map((row) => value(row) ?? 0)));
  const keep = steps.at(-1)?.keep;
  const empty = rows.length === 0;
  const shared = { rows, total, phases, playhead, zoom };
  const last = steps.at(-1);
  const csvOf = (names: readonly string[], values: (step: StepReport) => CsvCell[]) => () =>
    csvFile([["step", "epoch", ...names], ...steps.map((one) => [one.step, one.epoch, ...values(one)])]);

  return (
    <>
      <Figure
        title={<Term word="accuracy">Accuracy, %</Term>}
        name="Accuracy, %"
        file="accuracy"
        csv={() => curvesCsv([], [...measured], finals)}
        lesson={empty ? "Accuracy on the target, on other styles, and on what was known before." : null}
        height={HEIGHTS.accuracy}
        series={sets.map(({ id, name }) => ({
          name,
          colour: colours.get(id) ?? "",
          value: percentNow(measured, after, id),
        }))}
        note={
          measured.length > 0 && (
            <>
              <span className={classes.key}>
                <span className={classes.dashed} /> <Term word="before">before</Term>
              </span>
              <span className={classes.basis}>lines: {basisNote(measured.at(-1)?.sets ?? [])}</span>
              {finals.length > 0 && (
                <span className={classes.basis}>◇ before ◆ after: all held-out images</span>
              )}
            </>
          )
        }
      >
        <Chart
          {...shared}
          height={HEIGHTS.accuracy}
          domain={accuracyDomain}
          lines={<AccuracyTip sets={sets} colours={colours} finals={finals} />}
        >
          {measured[0]?.sets.map((set) => (
            <ReferenceLine
              key={set.id}
              y={set.before * 100}
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
              dot={measured.length <= DOTS ? { r: 2, fill: colours.get(set.id), strokeWidth: 0 } : false}
              connectNulls
              isAnimationActive={false}
            />
          ))}
          {finals.map(({ id, step, accuracy, hollow }) => (
            <ReferenceDot
              key={`${id} ${hollow}`}
              x={step}
              y={100 * accuracy}
              ifOverflow={range ? "discard" : "visible"}
              shape={diamond(colours.get(id) ?? "", hollow)}
            />
          ))}
        </Chart>
      </Figure>
      <Figure
        title={<Term word="loss">Loss</Term>}
        name="Loss"
        file="loss"
        csv={csvOf(["loss", "penalty"], ({ loss, penalty }) => [loss, penalty])}
        lesson={empty ? "How wrong the model is on training images: it falls as the model learns." : null}
        height={HEIGHTS.loss}
        value={last && decimal(last.loss)}
      >
        <Chart
          {...shared}
          height={HEIGHTS.loss}
          domain={[0, top(({ smoothed }) => smoothed)]}
          lines={<LossTip />}
        >
          <Line {...lineOf("loss")} strokeOpacity={0.28} strokeWidth={1} />
          <Line {...lineOf("smoothed")} />
        </Chart>
      </Figure>
      {keep !== undefined && (
        <Figure
          title={<Term word="keep">Turned away from before</Term>}
          name="Turned away from before"
          file="distance"
          csv={csvOf(["distance from before"], (one) => [one.keep])}
          lesson={null}
          height={HEIGHTS.keep}
          value={decimal(keep)}
        >
          <Chart {...shared} height={HEIGHTS.keep} domain={[0, top((row) => row.keep)]} lines={<KeepTip />}>
            <Line {...lineOf("keep")} />
          </Chart>
        </Figure>
      )}
      {gated && (
        <Figure
          title={<Term word="open">Open blocks</Term>}
          name="Open blocks"
          file="open-blocks"
          csv={csvOf(["open"], ({ open }) => [open])}
          lesson={empty ? "How many blocks still adapt: few are enough." : null}
          height={HEIGHTS.open}
          value={last && `${last.open} of ${gateCount}`}
        >
          <Chart
            {...shared}
            height={HEIGHTS.open}
            domain={[0, Math.max(1, gateCount)]}
            lines={<OpenTip gateCount={gateCount} />}
          >
            <Line {...lineOf("open")} type="stepAfter" stroke="var(--accent)" />
          </Chart>
        </Figure>
      )}
      <Figure
        title={<Term word="rate">Learning rate</Term>}
        name="Learning rate"
        file="learning-rate"
        csv={csvOf(["learning rate"], ({ learningRate }) => [learningRate])}
        lesson={empty ? "How large the steps are: they grow at first, then shrink to nothing." : null}
        height={HEIGHTS.rate}
        value={last && quantity(last.learningRate)}
      >
        <Chart
          {...shared}
          height={HEIGHTS.rate}
          domain={[0, top(({ learningRate }) => learningRate)]}
          lines={<RateTip />}
          axis
        >
          <Line {...lineOf("learningRate")} />
        </Chart>
      </Figure>
      {!empty && total > 1 && (
        <ZoomSlider zoom={zoom} total={total} hint="Drag over a chart, or move an end, to look closer" />
      )}
    </>
  );
});

/** What lines have in common; what is not known is passed over. */
const lineOf = (dataKey: keyof CurveRow) => ({
  dataKey,
  stroke: "var(--ink)",
  strokeWidth: 2,
  dot: false,
  connectNulls: true,
  isAnimationActive: false,
});

type NamedSet = Pick<LiveAccuracy, "id" | "role" | "name">;

function setsOf(before: Evaluation | null, points: readonly AccuracyPoint[]): NamedSet[] {
  const known = new Map<string, NamedSet>();
  for (const set of before?.sets ?? []) known.set(set.id, set);
  for (const point of points) for (const set of point.sets) known.set(set.id, set);
  return [...known.values()];
}

/** Measured on all held-out images, where the curves stand on a part of them. */
interface FinalMark {
  id: string;
  name: string;
  step: number;
  accuracy: number;
  hollow: boolean;
}

function finalMarks(before: Evaluation, after: Evaluation, step: number): FinalMark[] {
  return after.sets.flatMap(({ id, name, accuracy, basis }) => {
    const was = before.sets.find((set) => set.id === id && sameImages(set.basis, basis));
    return [
      ...(was ? [{ id, name, step: 0, accuracy: was.accuracy, hollow: true }] : []),
      { id, name, step, accuracy, hollow: false },
    ];
  });
}

/** What a set stands at, as the table of sets has it: live while the run is on, then all held-out images. */
function percentNow(points: readonly AccuracyPoint[], after: Evaluation | null, id: string): string {
  const set = (after ?? points.at(-1))?.sets.find((candidate) => candidate.id === id);
  return set ? percent(set.accuracy) : "";
}

/** On which images the lines stand, in few words: sets that are alike are named together. */
export function basisNote(sets: readonly LiveAccuracy[]): string {
  const words = new Map<string, string[]>();
  for (const { name, basis } of sets) {
    const on = basis ? basisWords(basis) : "a part of the images";
    words.set(on, [...(words.get(on) ?? []), name]);
  }
  if (words.size === 1) return [...words.keys()][0] as string;
  return [...words]
    .map(([on, names]) => `${names.length > 2 ? `${names.length} sets` : names.join(", ")} on ${on}`)
    .join("; ");
}

interface FigureProps {
  title: ReactNode;
  /** The same in plain words, and what its files are called. */
  name: string;
  file: string;
  csv: () => string;
  /** What it draws, where that is more than one line. */
  series?: readonly { name: string; colour: string; value: string }[];
  value?: ReactNode;
  note?: ReactNode;
  /** What will be seen here, in the chart's place while there is nothing to draw. */
  lesson: string | null;
  height: number;
  children: ReactNode;
}

function Figure({ title, name, file, csv, series = [], value, note, lesson, height, children }: FigureProps) {
  const figure = useRef<HTMLElement>(null);
  return (
    <figure className={classes.figure} ref={figure}>
      <figcaption>
        <span className={classes.title}>{title}</span>
        {value && <b>{value}</b>}
        {series.map((one) => (
          <span key={one.name} className={classes.key}>
            <span className={classes.swatch} style={{ background: one.colour }} />
            {one.name}
            <b>{one.value}</b>
          </span>
        ))}
        {note}
        {lesson === null && (
          <span className={classes.save}>
            <SaveFigure figure={figure} file={file} title={name} legend={series} csv={csv} />
          </span>
        )}
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
  zoom: Zoom;
  /** What the crosshair reads out. */
  lines: ReactNode;
  /** Whether this chart carries the step numbers for those above it. */
  axis?: boolean;
  children: ReactNode;
}

function Chart({
  rows,
  height,
  domain,
  total,
  phases,
  playhead,
  zoom,
  lines,
  axis = false,
  children,
}: ChartProps) {
  const [low, high] = domain as [number, number];
  const middle = (low + high) / 2;
  const [from, to] = zoom.range ?? [0, Math.max(1, total)];
  return (
    <ResponsiveContainer width="100%" height={height} debounce={50}>
      <ComposedChart
        data={rows}
        syncId="selora-curves"
        margin={{ top: 6, right: 8, bottom: axis ? 12 : 0, left: 0 }}
        className={classes.chart}
        {...zoom.handlers}
      >
        <CartesianGrid stroke="var(--grid)" vertical={false} />
        <XAxis
          dataKey="step"
          type="number"
          domain={[from, to]}
          ticks={stepTicks(from, to)}
          interval={0}
          allowDataOverflow
          height={axis ? 22 : 4}
          tick={axis ? axisTick : false}
          tickFormatter={(step: number) => formatCount(step)}
          tickLine={false}
          stroke="var(--cell-line)"
          {...(axis && { label: along("step") })}
        />
        <YAxis
          width={44}
          interval={0}
          domain={domain}
          ticks={[low, high < 5 ? middle : Math.round(middle), high]}
          allowDataOverflow
          tick={axisTick}
          tickLine={false}
          axisLine={false}
          tickFormatter={(value: number) => String(Number(value.toPrecision(3)))}
        />
        {phases.slice(1).map(({ phase, from: start }) => (
          <ReferenceLine key={phase} x={start} stroke="var(--phase-line)" strokeDasharray="2 3" />
        ))}
        {children}
        {zoom.drawn && (
          <ReferenceArea x1={zoom.drawn[0]} x2={zoom.drawn[1]} fill="var(--accent)" fillOpacity={0.15} />
        )}
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
  sets: NamedSet[];
  colours: ReadonlyMap<string, string>;
  finals: readonly FinalMark[];
}

function AccuracyTip({ sets, colours, finals, ...tip }: AccuracyTipProps) {
  const measured = rowOf(tip)?.measured;
  if (!measured) return null;
  const whole = new Map(
    finals.filter(({ step }) => step === measured.step).map(({ id, accuracy }) => [id, accuracy]),
  );
  return (
    <Tip
      head={`measured at step ${formatCount(measured.step)}${whole.size > 0 ? "; ◆ all held-out images" : ""}`}
    >
      {sets.map((set) => (
        <span key={set.id}>
          <span className={classes.swatch} style={{ background: colours.get(set.id) }} /> {set.name}{" "}
          <b>{measured.accuracy[set.id] === undefined ? "–" : percent(measured.accuracy[set.id]! / 100)}</b>
          {whole.has(set.id) && <b> ◆ {percent(whole.get(set.id)!)}</b>}
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

function RateTip(tip: TipProps) {
  const row = rowOf(tip);
  if (!row || row.learningRate === null) return null;
  return (
    <Tip head={`step ${formatCount(row.step)}, epoch ${row.epoch}`}>
      <span>
        learning rate <b>{quantity(row.learningRate)}</b>
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
