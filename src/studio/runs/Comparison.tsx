// Chosen runs side by side: results and what differs in their recipes, mean and spread over seeds, curves over each
// other, target against another role with the way from before to after, and which gates are open.
import { Button, Select } from "@mantine/core";
import { useMemo, useRef, useState } from "react";
import {
  CartesianGrid,
  ComposedChart,
  Line,
  ReferenceArea,
  ReferenceDot,
  ResponsiveContainer,
  Scatter,
  ScatterChart,
  Tooltip,
  XAxis,
  YAxis,
} from "recharts";
import { type Spread, spreadOf } from "../../session/line_up.ts";
import type { SetRole } from "../../session/protocol.ts";
import { recipeWords } from "../../session/recipe.ts";
import type { RunDetails, RunRecord } from "../../session/run_record.ts";
import { csvFile } from "../figures/figure_file.ts";
import { along, axisTick, diamond, stepTicks } from "../figures/marks.tsx";
import { SaveFigure } from "../figures/SaveFigure.tsx";
import { useZoom, type Zoom, ZoomSlider } from "../figures/zoom.tsx";
import { formatCount } from "../shared/format.ts";
import { Panel } from "../shared/Panel.tsx";
import { save } from "../shared/save.ts";
import { useRuns } from "../state/studio.ts";
import { decimal } from "../watch/format.ts";
import { roleNames } from "../watch/sets.ts";
import { runColour } from "./colours.ts";
import {
  type CurveKind,
  type CurvePoint,
  differences,
  groupBySeed,
  groupName,
  inPlane,
  overlaid,
  roleScore,
  runsCsv,
  runsJson,
  settingText,
} from "./comparison.ts";
import { GateMap } from "./GateMap.tsx";
import classes from "./Runs.module.css";

interface ComparisonProps {
  runs: readonly RunRecord[];
  dark: boolean;
}

export function Comparison({ runs, dark }: ComparisonProps) {
  const details = useRuns((state) => state.details);
  const known = useMemo(
    () => runs.map((run) => ({ run, details: details[run.id] ?? null })),
    [runs, details],
  );
  const drawn = useMemo(
    () => known.filter((one): one is { run: RunRecord; details: RunDetails } => one.details !== null),
    [known],
  );
  const file = (text: string, type: string) => new Blob([text], { type });

  return (
    <>
      <Panel
        title="Side by side"
        help="Accuracy in per cent. Settings stand here only where these runs differ in them."
        actions={
          <>
            <Button
              size="compact-xs"
              variant="default"
              onClick={() => save("runs.csv", file(runsCsv(runs), "text/csv"))}
            >
              CSV
            </Button>
            <Button
              size="compact-xs"
              variant="default"
              onClick={() => save("runs.json", file(runsJson(known), "application/json"))}
            >
              JSON
            </Button>
          </>
        }
      >
        <SideBySide runs={runs} dark={dark} />
      </Panel>
      <div className={classes.charts}>
        <Overlay runs={drawn} dark={dark} />
        <Plane runs={known} dark={dark} />
      </div>
      <Panel
        title="Gates at the end"
        help="One row a layer. A filled cell is an open block, in the colour of its score; a faint one is closed."
      >
        <div className={classes.maps}>
          {drawn.map(({ run, details: { gates, final } }) => (
            <GateMap
              key={run.id}
              name={run.name}
              colour={runColour(run.colour, dark)}
              gates={gates}
              final={final}
              tau={run.recipe.tau}
              dark={dark}
            />
          ))}
        </div>
      </Panel>
    </>
  );
}

const roles: readonly SetRole[] = ["target", "ood", "retention"];

function spreadText({ mean, deviation }: Spread, scale: number, digits = 1): string {
  return (
    (scale * mean).toFixed(digits) + (deviation === null ? "" : ` ± ${(scale * deviation).toFixed(digits)}`)
  );
}

function SideBySide({ runs, dark }: ComparisonProps) {
  const settings = differences(runs);
  const sets = useMemo(() => {
    const all = new Map<string, { role: SetRole; name: string }>();
    for (const role of roles)
      for (const { scores } of runs)
        for (const set of scores) if (set.role === role) all.set(`${role}/${set.name}`, set);
    return [...all.values()];
  }, [runs]);
  const groups = groupBySeed(runs);
  const folded = groups.filter((group) => group.length > 1);
  const value = (run: RunRecord, { role, name }: (typeof sets)[number]) =>
    run.scores.find((set) => set.role === role && set.name === name);

  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reached by the keyboard
    <section className={classes.scroll} aria-label="Results and differences" tabIndex={0}>
      <table className={classes.table}>
        <thead>
          <tr>
            <th scope="col">Run</th>
            {settings.map((key) => (
              <th key={key} scope="col" className={classes.number} data-setting>
                {recipeWords[key].label}
              </th>
            ))}
            {sets.map(({ role, name }) => (
              <th key={`${role}/${name}`} scope="col" className={classes.number}>
                <span className="dim">{roleNames[role]}</span>
                <br />
                {name}
              </th>
            ))}
            <th scope="col" className={classes.number}>
              Open
            </th>
          </tr>
        </thead>
        {folded.length > 0 && (
          <tbody>
            {folded.map((group) => (
              <tr key={group[0]?.id} data-mean>
                <th scope="row">
                  {groupName(group)}, mean of {group.length}
                </th>
                {settings.map((key) => (
                  <td key={key} className={classes.number}>
                    {key === "seed" ? "" : settingText(group[0]?.recipe[key] ?? "")}
                  </td>
                ))}
                {sets.map((set) => {
                  const values = group.flatMap((run) => value(run, set)?.after ?? []);
                  const spread = spreadOf(values);
                  return (
                    <td key={`${set.role}/${set.name}`} className={classes.number}>
                      {spread ? spreadText(spread, 100) : "–"}
                    </td>
                  );
                })}
                <td className={classes.number}>
                  {spreadText(spreadOf(group.map(({ open }) => open)) as Spread, 1)}
                </td>
              </tr>
            ))}
          </tbody>
        )}
        <tbody>
          {runs.map((run) => (
            <tr key={run.id}>
              <th scope="row">
                <span className={classes.name}>
                  <span className={classes.swatch} style={{ background: runColour(run.colour, dark) }} />
                  <span className="clip" title={run.name}>
                    {run.name}
                  </span>
                </span>
              </th>
              {settings.map((key) => (
                <td key={key} className={classes.number} title={settingText(run.recipe[key])}>
                  <span className={classes.setting}>{settingText(run.recipe[key])}</span>
                </td>
              ))}
              {sets.map((set) => {
                const found = value(run, set);
                return (
                  <td key={`${set.role}/${set.name}`} className={classes.number}>
                    {found ? (100 * found.after).toFixed(1) : "–"}
                  </td>
                );
              })}
              <td className={classes.number}>
                {run.open} of {run.gates}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {settings.length === 0 && runs.length > 1 && (
        <p className="dim">These runs have the same recipe, to the last setting.</p>
      )}
    </section>
  );
}

const curveKinds: { value: CurveKind; label: string }[] = [
  { value: "target", label: "Target" },
  { value: "ood", label: "OOD" },
  { value: "retention", label: "Retention" },
  { value: "loss", label: "Loss" },
  { value: "open", label: "Open" },
];
const tick = { fontSize: 11, fill: "var(--dim)" };

function Overlay({
  runs,
  dark,
}: {
  runs: readonly { run: RunRecord; details: RunDetails }[];
  dark: boolean;
}) {
  const kinds = curveKinds.filter(
    ({ value }) =>
      value === "loss" || value === "open" || runs.some(({ run }) => roleScore(run, value) !== null),
  );
  const total = Math.max(0, ...runs.map(({ details }) => details.steps.at(-1)?.step ?? 0));
  const zoom = useZoom(total);
  return (
    <Panel
      title="Curves over each other"
      help="Lines are what was measured while training, on the target's validation images and a part of every other set; a diamond is where a run ended, on all held-out images. Bold lines of the loss are smoothed."
    >
      {total === 0 ? (
        <p className={classes.none}>These runs have no curves.</p>
      ) : (
        <>
          <div className={classes.multiples}>
            {kinds.map(({ value, label }) => (
              <OverlayChart
                key={value}
                kind={value}
                label={label}
                runs={runs}
                dark={dark}
                zoom={zoom}
                total={total}
              />
            ))}
          </div>
          <ZoomSlider zoom={zoom} total={total} hint="Drag over a chart, or move an end, to look closer" />
        </>
      )}
    </Panel>
  );
}

/** Where the others point when the pointer is over one chart: what was measured there or last before. */
const byStep: SyncMethod = (ticks, { activeLabel }) => {
  const step = Number(activeLabel);
  return Math.max(
    0,
    ticks.findLastIndex(({ value }) => Number(value) <= step),
  );
};
type SyncMethod = (
  ticks: readonly { value: unknown }[],
  pointed: { activeLabel?: string | number | undefined },
) => number;

interface OverlayChartProps {
  kind: CurveKind;
  label: string;
  runs: readonly { run: RunRecord; details: RunDetails }[];
  dark: boolean;
  zoom: Zoom;
  total: number;
}

function OverlayChart({ kind, label, runs, dark, zoom, total }: OverlayChartProps) {
  const figure = useRef<HTMLElement>(null);
  const rows = useMemo(() => overlaid(runs, kind), [runs, kind]);
  const accuracy = kind !== "loss" && kind !== "open";
  const name = accuracy ? `${label} accuracy, %` : kind === "loss" ? "Loss" : "Open blocks";
  const [from, to] = zoom.range ?? [0, total];
  if (rows.length === 0) return null;
  return (
    <figure className={classes.overlay} ref={figure}>
      <figcaption className={classes.caption}>
        {name}
        <SaveFigure
          figure={figure}
          file={`runs-${kind}`}
          title={name}
          legend={runs.map(({ run }) => ({ name: run.name, colour: runColour(run.colour, dark) }))}
          csv={() =>
            csvFile([
              ["step", ...runs.map(({ run }) => run.name)],
              ...rows.map(({ step, at }) => [step, ...runs.map(({ run }) => at[run.id]?.raw)]),
            ])
          }
        />
      </figcaption>
      <ResponsiveContainer width="100%" height={210} debounce={50}>
        <ComposedChart
          data={rows}
          syncId="selora-runs"
          syncMethod={byStep as never}
          margin={{ top: 8, right: 12, bottom: 12, left: 0 }}
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
            tick={axisTick}
            tickLine={false}
            tickFormatter={(step: number) => formatCount(step)}
            stroke="var(--line)"
            label={along("step")}
          />
          <YAxis
            width={44}
            domain={accuracy ? ["auto", "auto"] : [0, "auto"]}
            tick={axisTick}
            tickLine={false}
            axisLine={false}
            tickFormatter={(value: number) => String(Number(value.toPrecision(3)))}
          />
          {kind === "loss" &&
            runs.map(({ run }) => (
              <Line
                key={`${run.id}/raw`}
                dataKey={(row: CurvePoint) => row.at[run.id]?.raw}
                stroke={runColour(run.colour, dark)}
                strokeOpacity={0.3}
                strokeWidth={1}
                dot={false}
                connectNulls
                isAnimationActive={false}
              />
            ))}
          {runs.map(({ run }) => (
            <Line
              key={run.id}
              type={kind === "open" ? "stepAfter" : "linear"}
              dataKey={(row: CurvePoint) => row.at[run.id]?.smooth}
              name={run.name}
              stroke={runColour(run.colour, dark)}
              strokeWidth={2}
              dot={false}
              connectNulls
              isAnimationActive={false}
            />
          ))}
          {accuracy &&
            runs.map(({ run }) => {
              const after = roleScore(run, kind);
              return (
                after !== null && (
                  <ReferenceDot
                    key={`${run.id}/after`}
                    x={run.steps}
                    y={100 * after}
                    ifOverflow={zoom.range ? "discard" : "extendDomain"}
                    shape={diamond(runColour(run.colour, dark))}
                  />
                )
              );
            })}
          {zoom.drawn && (
            <ReferenceArea x1={zoom.drawn[0]} x2={zoom.drawn[1]} fill="var(--dim)" fillOpacity={0.15} />
          )}
          <Tooltip
            content={(<CurveTip runs={runs} dark={dark} kind={kind} />) as never}
            isAnimationActive={false}
            cursor={{ stroke: "var(--dim)" }}
            wrapperStyle={{ zIndex: 5 }}
          />
        </ComposedChart>
      </ResponsiveContainer>
    </figure>
  );
}

// recharts fills `active` and `payload` in when it clones the element given as `content`.
function CurveTip(props: {
  runs: readonly { run: RunRecord }[];
  dark: boolean;
  kind: CurveKind;
  active?: boolean;
  payload?: readonly { payload?: CurvePoint }[];
}) {
  const row = props.active ? props.payload?.[0]?.payload : null;
  if (!row) return null;
  return (
    <div className={classes.tip}>
      <span className="dim">step {formatCount(row.step)}</span>
      {props.runs.map(({ run }) => {
        const known = row.last[run.id];
        if (!known) return null;
        const { raw, smooth, step } = known;
        return (
          <span key={run.id} className={classes.name}>
            <span className={classes.swatch} style={{ background: runColour(run.colour, props.dark) }} />
            {run.name}
            <b>{props.kind === "loss" ? decimal(raw) : props.kind === "open" ? raw : `${raw.toFixed(1)}%`}</b>
            {props.kind === "loss" && <span className="dim">smoothed {decimal(smooth)}</span>}
            {step !== row.step && <span className="dim">at step {formatCount(step)}</span>}
          </span>
        );
      })}
    </div>
  );
}

function Plane({
  runs,
  dark,
}: {
  runs: readonly { run: RunRecord; details: RunDetails | null }[];
  dark: boolean;
}) {
  const figure = useRef<HTMLDivElement>(null);
  const [wanted, setWanted] = useState<SetRole>("ood");
  const axes = (["ood", "retention"] as const).filter((role) => inPlane(runs, role).length > 0);
  const role = axes.find((one) => one === wanted) ?? axes[0];
  const points = useMemo(() => (role ? inPlane(runs, role) : []), [runs, role]);
  const colour = (id: string) => runColour(runs.find(({ run }) => run.id === id)?.run.colour ?? 0, dark);
  const paths = points.filter(({ path }) => path.length > 1);
  return (
    <Panel
      title="Target against the rest"
      help="Each dot is a run; a ring is where it began (the linear probe). A line is the way between, measured with a quarter, half and three quarters of the change (WiSE-FT), on at most 256 images a set; the suite measures it, and What if measures it for one run."
      actions={
        <>
          {axes.length > 1 && (
            <Select
              w={120}
              aria-label="Against which"
              data={axes.map((value) => ({ value, label: roleNames[value] }))}
              value={role ?? null}
              allowDeselect={false}
              onChange={(value) => value && setWanted(value as SetRole)}
            />
          )}
          {role && (
            <SaveFigure
              figure={figure}
              file={`target-${role}`}
              title={`Target against ${roleNames[role]}, accuracy in %`}
              legend={points.map(({ id, name }) => ({ name, colour: colour(id) }))}
              csv={() =>
                csvFile([
                  ["run", role, "target", `${role} before`, "target before"],
                  ...points.map(({ name, x, y, before }) => [name, x, y, before.x, before.y]),
                ])
              }
            />
          )}
        </>
      }
    >
      {!role ? (
        <p className={classes.none}>For this, runs need OOD or retention images.</p>
      ) : (
        <div ref={figure}>
          <ResponsiveContainer width="100%" height={260} debounce={50}>
            <ScatterChart margin={{ top: 8, right: 16, bottom: 14, left: 0 }}>
              <CartesianGrid stroke="var(--grid)" />
              <XAxis
                type="number"
                dataKey="x"
                domain={["dataMin - 2", "dataMax + 2"]}
                tick={tick}
                tickLine={false}
                tickFormatter={(value: number) => value.toFixed(0)}
                stroke="var(--line)"
                label={{ value: `${roleNames[role]}, %`, position: "insideBottom", offset: -8, ...tick }}
              />
              <YAxis
                type="number"
                dataKey="y"
                width={44}
                domain={["dataMin - 2", "dataMax + 2"]}
                tick={tick}
                tickLine={false}
                tickFormatter={(value: number) => value.toFixed(0)}
                axisLine={false}
                label={{ value: "Target, %", angle: -90, position: "insideLeft", offset: 12, ...tick }}
              />
              {paths.map(({ id, path }) => (
                <Scatter
                  key={`${id}/path`}
                  data={path.map((one) => ({ ...one, name: nameOf(points, id), colour: colour(id) }))}
                  fill={colour(id)}
                  line={{ stroke: colour(id), strokeWidth: 1.5, strokeOpacity: 0.7 }}
                  shape={(<Small />) as never}
                  isAnimationActive={false}
                />
              ))}
              <Scatter
                data={points.map((one) => ({ ...one, colour: colour(one.id) }))}
                shape={(<Dot />) as never}
                isAnimationActive={false}
              />
              {points.map(({ id, before }) => (
                <ReferenceDot
                  key={id}
                  x={before.x}
                  y={before.y}
                  r={5}
                  fill="none"
                  stroke={colour(id)}
                  strokeWidth={1.5}
                  ifOverflow="extendDomain"
                />
              ))}
              <Tooltip
                content={(<PlaneTip x={roleNames[role]} />) as never}
                isAnimationActive={false}
                cursor={false}
                wrapperStyle={{ zIndex: 5 }}
              />
            </ScatterChart>
          </ResponsiveContainer>
        </div>
      )}
    </Panel>
  );
}

const nameOf = (points: readonly { id: string; name: string }[], id: string) =>
  points.find((one) => one.id === id)?.name ?? "";

interface Drawn {
  cx?: number;
  cy?: number;
  payload?: { colour?: string };
}
const Dot = ({ cx, cy, payload }: Drawn) => (
  <circle cx={cx} cy={cy} r={6} fill={payload?.colour} stroke="var(--studio-panel)" strokeWidth={1.5} />
);
const Small = ({ cx, cy, payload }: Drawn) => <circle cx={cx} cy={cy} r={3} fill={payload?.colour} />;

function PlaneTip(props: {
  x: string;
  active?: boolean;
  payload?: readonly { payload?: { name: string; x: number; y: number; strength?: number } }[];
}) {
  const point = props.active ? props.payload?.[0]?.payload : null;
  if (!point) return null;
  return (
    <div className={classes.tip}>
      <b>{point.name}</b>
      {point.strength !== undefined && <span>{(100 * point.strength).toFixed(0)}% of the change</span>}
      <span>Target {point.y.toFixed(1)}%</span>
      <span>
        {props.x} {point.x.toFixed(1)}%
      </span>
    </div>
  );
}
