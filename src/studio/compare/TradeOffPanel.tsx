// How few blocks are enough: accuracy of every set by the number of open blocks, the knee, and a point to pick.
import { Button, Slider } from "@mantine/core";
import { memo, useMemo, useRef, useState } from "react";
import {
  CartesianGrid,
  ComposedChart,
  Line,
  ReferenceLine,
  ResponsiveContainer,
  XAxis,
  YAxis,
} from "recharts";
import { basisWords } from "../../session/basis.ts";
import { moreThanChance } from "../../session/chance.ts";
import type { TradeOff } from "../../session/protocol.ts";
import { csvFile } from "../figures/figure_file.ts";
import { SaveFigure } from "../figures/SaveFigure.tsx";
import { plural } from "../shared/format.ts";
import { Panel } from "../shared/Panel.tsx";
import { percent } from "../watch/format.ts";
import { countOpen } from "../watch/gates.ts";
import { Term } from "../watch/Term.tsx";
import { words } from "../watch/words.ts";
import { Change } from "./Change.tsx";
import { Disclosure } from "./Disclosure.tsx";
import { Measuring } from "./Measuring.tsx";
import classes from "./TradeOffPanel.module.css";
import { nearestRow, type TradeOffRow, tradeOffDomain, tradeOffRows } from "./trade_off.ts";

export interface TradeOffPanelProps {
  /** As far as it was measured; null before. */
  tradeOff: TradeOff | null;
  measuring: boolean;
  /** Gates open now. */
  open: Uint8Array;
  strength: number;
  colours: ReadonlyMap<string, string>;
  /** Whether something else keeps the session busy. */
  disabled: boolean;
  onMeasure: () => void;
  onPick: (open: Uint8Array) => void;
}

export const TradeOffPanel = memo(function TradeOffPanel(props: TradeOffPanelProps) {
  const { tradeOff, measuring, disabled, onMeasure } = props;
  const ready = tradeOff !== null && tradeOff.points.length > 0;
  return (
    <Panel title="How few blocks" help={words.tradeOff}>
      {!ready && !measuring && (
        <p className={classes.hint}>
          Closes the blocks one by one, the lowest score first, and measures every set each time: on at most
          256 images, of the target on its validation images.
        </p>
      )}
      {ready && <Curve {...props} tradeOff={tradeOff} />}
      {measuring ? (
        <Measuring what="the trade-off" />
      ) : (
        <>
          {ready && !tradeOff.complete && (
            <p className={classes.hint}>Stopped: what was measured until then is shown, and no knee.</p>
          )}
          {!(ready && tradeOff.complete) && (
            <Button size="xs" variant="default" disabled={disabled} onClick={onMeasure}>
              {ready ? "Measure again" : "Measure the trade-off"}
            </Button>
          )}
        </>
      )}
    </Panel>
  );
});

function Curve(props: TradeOffPanelProps & { tradeOff: TradeOff }) {
  const { tradeOff, measuring, open, strength, colours, disabled, onPick } = props;
  const { sets, knee } = tradeOff;
  const rows = useMemo(() => tradeOffRows(tradeOff), [tradeOff]);
  const domain = useMemo(
    () =>
      tradeOffDomain(
        rows,
        sets.map(({ before }) => 100 * before),
      ),
    [rows, sets],
  );
  const applied = countOpen(open);
  const figure = useRef<HTMLDivElement>(null);
  const [held, setHeld] = useState<number | null>(null);
  const at = held === null ? nearestRow(rows, applied) : Math.min(held, rows.length - 1);
  const row = rows[at] as TradeOffRow;
  const same = strength === 1 && row.flags.every((flag, gate) => flag === open[gate]);
  const all = rows.at(-1) as TradeOffRow;
  const kneeRow = knee === null ? null : (rows[knee] ?? null);
  const target = sets.find(({ role }) => role === "target");
  const tick = { fontSize: 11, fill: "var(--dim)" };

  return (
    <>
      {kneeRow && target && (
        <p className={classes.verdict}>
          <b>
            {kneeRow.open} of {all.open} blocks
          </b>{" "}
          are enough: the fewest within <Term word="knee">one standard error</Term> of the best target
          accuracy, as far as {basisWords(target.basis)} can tell.
        </p>
      )}
      <div className={classes.legend}>
        {sets.map(({ id, name }) => (
          <span key={id}>
            <span className={classes.swatch} style={{ background: colours.get(id) }} /> {name}
          </span>
        ))}
        <SaveFigure
          figure={figure}
          file="trade-off"
          title="Accuracy, %, by open blocks"
          legend={sets.map(({ id, name }) => ({ name, colour: colours.get(id) ?? "" }))}
          csv={() =>
            csvFile([
              ["open", ...sets.map(({ name, basis: on }) => `${name} (${basisWords(on)})`)],
              ["before", ...sets.map(({ before }) => before)],
              ...rows.map((one) => [one.open, ...sets.map(({ id }) => (one.accuracy[id] as number) / 100)]),
            ])
          }
        />
      </div>
      <div aria-hidden="true" ref={figure}>
        <ResponsiveContainer width="100%" height={180} debounce={50}>
          <ComposedChart
            data={rows}
            accessibilityLayer={false}
            margin={{ top: 8, right: 10, bottom: 0, left: 0 }}
            onClick={({ activeLabel }) => {
              if (activeLabel !== undefined) setHeld(nearestRow(rows, Number(activeLabel)));
            }}
          >
            <CartesianGrid stroke="var(--line)" vertical={false} />
            <XAxis
              dataKey="open"
              type="number"
              domain={[0, Math.max(1, all.open)]}
              allowDecimals={false}
              tickCount={Math.min(7, all.open + 1)}
              height={20}
              tick={tick}
              tickLine={false}
              stroke="var(--line)"
            />
            <YAxis
              width={34}
              domain={domain}
              ticks={[domain[0], (domain[0] + domain[1]) / 2, domain[1]]}
              tick={tick}
              tickLine={false}
              axisLine={false}
            />
            {sets.map(({ id, before }) => (
              <ReferenceLine
                key={id}
                y={100 * before}
                stroke={colours.get(id)}
                strokeDasharray="4 4"
                strokeOpacity={0.6}
              />
            ))}
            {kneeRow && (
              <ReferenceLine
                x={kneeRow.open}
                stroke="var(--dim)"
                strokeDasharray="2 3"
                label={{ value: "knee", position: "insideTopLeft", fontSize: 11, fill: "var(--dim)" }}
              />
            )}
            <ReferenceLine x={row.open} stroke="var(--ink)" strokeWidth={1.5} />
            {sets.map(({ id, name }) => (
              <Line
                key={id}
                dataKey={(one: TradeOffRow) => one.accuracy[id]}
                name={name}
                stroke={colours.get(id)}
                strokeWidth={2}
                dot={rows.length <= 20 ? { r: 2.5, fill: colours.get(id), strokeWidth: 0 } : false}
                activeDot={false}
                isAnimationActive={false}
              />
            ))}
          </ComposedChart>
        </ResponsiveContainer>
        <div className={classes.under}>accuracy, % by open blocks; dashed: before</div>
      </div>
      <div className={classes.pick}>
        <label className={classes.label} htmlFor="trade-off-blocks">
          Blocks open
        </label>
        <Slider
          id="trade-off-blocks"
          className={classes.slider}
          min={0}
          max={Math.max(1, all.open)}
          step={1}
          restrictToMarks={rows.length <= all.open}
          {...(rows.length <= all.open && { marks: rows.map((one) => ({ value: one.open })) })}
          label={null}
          thumbLabel="Blocks open on the trade-off curve"
          value={row.open}
          disabled={rows.length < 2}
          onChange={(count) => setHeld(nearestRow(rows, count))}
        />
        <output className={classes.count}>
          {row.open} of {all.open}
        </output>
      </div>
      <table className={classes.values}>
        <thead>
          <tr>
            <th scope="col">With {row.open} open</th>
            <th scope="col">Before</th>
            <th scope="col">Then</th>
            <th scope="col">Change</th>
          </tr>
        </thead>
        <tbody>
          {sets.map(({ id, name, before, count, basis }) => {
            const value = (row.accuracy[id] as number) / 100;
            return (
              <tr key={id}>
                <th scope="row" title={name}>
                  {name} <span className={classes.on}>{basisWords(basis)}</span>
                </th>
                <td>{percent(before)}</td>
                <td>{percent(value)}</td>
                <td>
                  <Change
                    from={before}
                    to={value}
                    sure={moreThanChance([{ before, after: value, count, pairs: null }])}
                  />
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
      <Button
        size="xs"
        disabled={same || measuring || disabled}
        onClick={() => {
          onPick(row.flags);
          setHeld(null);
        }}
      >
        {same ? "These blocks are open" : `Open just ${plural(row.open, "block")}`}
      </Button>
      <p className={classes.hint}>
        These numbers choose a point, on images that judge nothing later. Picking one measures all held-out
        images, in the table of results, and an export holds just these blocks.
      </p>
      <Disclosure title="All points as a table">
        <div className={classes.scroll}>
          <table className={classes.values}>
            <thead>
              <tr>
                <th scope="col">Open</th>
                {sets.map(({ id, name, basis }) => (
                  <th key={id} scope="col" title={basisWords(basis)}>
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              <tr>
                <th scope="row">before</th>
                {sets.map(({ id, before }) => (
                  <td key={id}>{percent(before)}</td>
                ))}
              </tr>
              {rows.map((one, i) => (
                <tr key={one.open} data-knee={i === knee || undefined}>
                  <th scope="row">
                    {one.open}
                    {i === knee && ", knee"}
                  </th>
                  {sets.map(({ id }) => (
                    <td key={id}>{percent((one.accuracy[id] as number) / 100)}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </Disclosure>
    </>
  );
}
