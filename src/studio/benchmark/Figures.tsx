// What came out for one model on one device: who is how fast, what a step is made of, what gates cost.
import { memo } from "react";
import type { Line } from "../../session/benchmark/protocol.ts";
import classes from "./Benchmark.module.css";
import { formatFigure, formatRatio, type Group, type Inside, type Rates } from "./lines.ts";

const placeNames = { webgpu: "WebGPU", wasm: "WASM" } as const;

export const Figures = memo(function Figures({ group }: { group: Group }) {
  const { model, batch, backend, adapter, rates, inside, gates } = group;
  return (
    <section className={`panel ${classes.group}`} aria-label={`${model} on ${placeNames[backend]}`}>
      <header>
        <h3>
          {model} <span className="dim">on {placeNames[backend]}</span>
        </h3>
        <p className="dim">
          batch {batch}, {adapter}
        </p>
      </header>
      {rates.map((one) => (
        <RateTable key={one.what} rates={one} />
      ))}
      {inside.length > 0 && <InsideTable rows={inside} />}
      {gates.length > 0 && <GatesTable lines={gates} />}
    </section>
  );
});

const titles: Record<string, string> = { "training step": "Training step", inference: "Inference" };

/** Ours first; a bar for each, as long as it is fast. */
function RateTable({ rates: { what, rows } }: { rates: Rates }) {
  const fastest = Math.max(...rows.map(({ rate }) => rate ?? 0));
  return (
    <table className={classes.table}>
      <thead>
        <tr>
          <th scope="col">{titles[what] ?? what}</th>
          <th scope="col" className={classes.barHead}>
            images/s
          </th>
          <th scope="col">Selora is</th>
          <th scope="col" className={classes.few}>
            runs
          </th>
        </tr>
      </thead>
      <tbody>
        {rows.map(({ who, rate, ratio, runs, reason }) => (
          <tr key={who} data-ours={who === "Selora" || undefined}>
            <th scope="row">{who}</th>
            {rate === null ? (
              <td colSpan={3} className={classes.reason}>
                left out: {reason}
              </td>
            ) : (
              <>
                <td>
                  <div className={classes.rate}>
                    <span className={classes.bar} aria-hidden="true">
                      <span style={{ width: `${(100 * rate) / fastest}%` }} />
                    </span>
                    <span className={classes.value}>{formatFigure(rate)}</span>
                  </div>
                </td>
                <td>{ratio === null ? "" : `${formatRatio(ratio)} as fast`}</td>
                <td className="dim">{runs}</td>
              </>
            )}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Where our own step's time goes, and what it takes; a column for each work. */
function InsideTable({ rows }: { rows: Inside[] }) {
  const cell = (value: number | null, unit: string) =>
    value === null
      ? ""
      : `${formatFigure(value)}${["ms", "MB", "GFLOP/s", "%"].includes(unit) ? ` ${unit}` : ""}`;
  return (
    <table className={classes.table}>
      <thead>
        <tr>
          <th scope="col">Inside of a step of Selora's</th>
          <th scope="col">training</th>
          <th scope="col">inference</th>
        </tr>
      </thead>
      <tbody>
        {rows.map(({ name, unit, training, inference }) => (
          <tr key={name}>
            <th scope="row">{unit === "ms" ? `time: ${name}` : name}</th>
            <td>{cell(training, unit)}</td>
            <td>{cell(inference, unit)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function GatesTable({ lines }: { lines: Line[] }) {
  return (
    <table className={classes.table}>
      <thead>
        <tr>
          <th scope="col">Gates</th>
          <th scope="col">this</th>
          <th scope="col">that</th>
          <th scope="col">ratio</th>
        </tr>
      </thead>
      <tbody>
        {lines.map(({ what, peer, unit, ours, theirs, ratio }) => (
          <tr key={`${what} ${peer}`}>
            <th scope="row">
              {what.replace(/^training step: /, "")}
              {peer && <span className="dim">, against {peer}</span>}
            </th>
            <td>
              {formatFigure(ours)}
              {unit === "ms" ? " ms" : ""}
            </td>
            <td>{theirs === null ? "" : `${formatFigure(theirs)} ms`}</td>
            <td>{ratio === null ? "" : formatRatio(ratio)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
