// What came out of a run: accuracies before and after on every set, per class, the images whose answer changed,
// the strength slider and the export. Pure: props in, calls out.
import { Select, useComputedColorScheme } from "@mantine/core";
import { Suspense, useId, useMemo, useRef, useState } from "react";
import type { FailureParts } from "../../failure.ts";
import { nameOfRun } from "../../session/export_name.ts";
import type {
  AccuracyPoint,
  Evaluation,
  ExportReport,
  GateInfo,
  SetAccuracy,
  SetRobustness,
  TradeOff,
} from "../../session/protocol.ts";
import type { Recipe } from "../../session/recipe.ts";
import { Panel } from "../shared/Panel.tsx";
import { part } from "../shared/part.ts";
import { setColours } from "../watch/sets.ts";
import type { SessionStatus } from "../watch/Watch.tsx";
import { words } from "../watch/words.ts";
import type { Cell, ChangeKind } from "./answers.ts";
import { ChangedImages } from "./ChangedImages.tsx";
import { ChangeMatrix } from "./ChangeMatrix.tsx";
import classes from "./Compare.module.css";
import { ConfusionMatrix } from "./ConfusionMatrix.tsx";
import { Disclosure } from "./Disclosure.tsx";
import { ExportPanel } from "./ExportPanel.tsx";
import { OpenBlocks } from "./OpenBlocks.tsx";
import { Path } from "./Path.tsx";
import { PerClass } from "./PerClass.tsx";
import { SetsTable } from "./SetsTable.tsx";
import { Shifts } from "./Shifts.tsx";
import { Strength } from "./Strength.tsx";
import { setRows } from "./scores.ts";

// What draws charts: a first page has nothing to draw.
const Certainty = part(async () => (await import("./Certainty.tsx")).Certainty);
const TradeOffPanel = part(async () => (await import("./TradeOffPanel.tsx")).TradeOffPanel);

export interface CompareProps {
  /** The linear probe, before any block was adapted. */
  before: Evaluation | null;
  /** As training left it. */
  after: Evaluation | null;
  /** After blocks were toggled or the strength was moved; null while `after` holds. */
  current: Evaluation | null;
  points: AccuracyPoint[];
  gates: GateInfo[];
  /** Gates open now, one entry a gate; null when there is no run. */
  open: Uint8Array | null;
  /** Share of the change that is applied, 0 to 1. */
  strength: number;
  /** Called at most every 200 ms while the slider moves, and when it is let go. */
  onStrength: (strength: number) => void;
  onToggle: (gate: number) => void;
  /** Back to the gates as trained and strength 1. */
  onReset: () => void;
  tradeOff: TradeOff | null;
  robustness: SetRobustness[] | null;
  /** Which of them is being measured. */
  measuring: "tradeOff" | "robustness" | "path" | null;
  /** Whether the way between before and after has been measured. */
  pathMeasured: boolean;
  onMeasurePath: () => void;
  onMeasureTradeOff: () => void;
  onMeasureRobustness: () => void;
  onPick: (open: Uint8Array) => void;
  /** Address of the n-th held-out image of a set. The caller owns the address, caches it and revokes it. */
  imageUrl: (setId: string, index: number) => Promise<string>;
  onExport: () => void;
  /** What an export is named after. */
  about: { model: string; target: string; recipe: Recipe | null };
  /** The last export; the caller sets it to null once gates, strength or weights have changed since. */
  exportReport: ExportReport | null;
  exporting: boolean;
  /** Why the last export failed; null when it did not. */
  exportFailure: FailureParts | null;
  status: SessionStatus;
}

export function Compare(props: CompareProps) {
  const { before, after, current, points, gates, open, strength, status } = props;
  const dark = useComputedColorScheme("light") === "dark";
  const rows = useMemo(() => setRows(before, after, current, points), [before, after, current, points]);
  const colours = useMemo(() => setColours(rows, dark), [rows, dark]);
  const [wanted, setWanted] = useState<string | null>(null);
  const row = rows.find(({ id }) => id === wanted) ?? rows[0];
  const latest = row ? (row.now ?? row.after) : null;
  const target = rows.find(({ role }) => role === "target");
  const busy = status !== "idle" && status !== "evaluating";

  return (
    <div className={classes.compare}>
      <Panel
        title="Before and after"
        help="Accuracy on held-out images, with the probable range of its true value."
      >
        <SetsTable
          rows={rows}
          adjusting={current !== null}
          colours={colours}
          chosen={row?.id ?? null}
          onChoose={setWanted}
        />
        {!after && (
          <p className={classes.hint}>
            {points.length > 0
              ? "Live numbers come from the target's validation images and at most 64 of every other set, and are compared with the same images before. All held-out images are asked when training ends."
              : "This is where the model starts. Live numbers follow with the first epoch."}
          </p>
        )}
      </Panel>
      {after && open && (
        <Panel
          title="What if"
          help="Open and close blocks or scale the change; the numbers above follow at once."
        >
          <OpenBlocks
            gates={gates}
            trained={after.open}
            open={open}
            onToggle={props.onToggle}
            onReset={props.onReset}
            changed={strength !== 1 || after.open.some((flag, gate) => flag !== open[gate])}
            disabled={busy}
          />
          <Strength strength={strength} onStrength={props.onStrength} disabled={busy} />
          <Path
            measured={props.pathMeasured}
            measuring={props.measuring === "path"}
            disabled={status !== "idle" || after.open.some((flag, gate) => flag !== open[gate])}
            onMeasure={props.onMeasurePath}
          />
        </Panel>
      )}
      {after?.open.includes(1) && open && (
        <Suspense fallback={<div className="panel placeholder" />}>
          <TradeOffPanel
            tradeOff={props.tradeOff}
            measuring={props.measuring === "tradeOff"}
            open={open}
            strength={strength}
            colours={colours}
            disabled={status !== "idle"}
            onMeasure={props.onMeasureTradeOff}
            onPick={props.onPick}
          />
        </Suspense>
      )}
      {row?.before && latest && (
        <Details
          key={row.id}
          names={rows.map(({ id, name }) => ({ value: id, label: name }))}
          chosen={row.id}
          onChoose={setWanted}
          before={row.before}
          latest={latest}
          colour={colours.get(row.id) ?? "currentcolor"}
          imageUrl={props.imageUrl}
        />
      )}
      {after && (
        <Shifts
          rows={rows}
          robustness={props.robustness}
          measuring={props.measuring === "robustness"}
          disabled={status !== "idle"}
          onMeasure={props.onMeasureRobustness}
        />
      )}
      <Panel title="Export" help={words.merged}>
        <ExportPanel
          score={after && target ? (target.now ?? target.after) : null}
          report={props.exportReport}
          exporting={props.exporting}
          failure={props.exportFailure}
          busy={status !== "idle"}
          name={nameOf(props)}
          onExport={props.onExport}
        />
      </Panel>
    </div>
  );
}

interface DetailsProps {
  names: { value: string; label: string }[];
  chosen: string;
  onChoose: (id: string) => void;
  before: SetAccuracy;
  latest: SetAccuracy;
  colour: string;
  imageUrl: CompareProps["imageUrl"];
}

function Details({ names, chosen, onChoose, before, latest, colour, imageUrl }: DetailsProps) {
  const [cell, setCell] = useState<Cell | null>(null);
  const [kind, setKind] = useState<ChangeKind>("fixed");
  const images = useRef<HTMLDivElement>(null);
  const field = useId();
  return (
    <Panel title="Image by image" help="Which images and classes gained and which lost, for one set.">
      {names.length > 1 && (
        <div className={classes.choose}>
          <label htmlFor={field}>Set</label>
          <Select
            id={field}
            size="xs"
            data={names}
            value={chosen}
            allowDeselect={false}
            onChange={(id) => id && onChoose(id)}
          />
        </div>
      )}
      {latest.change && (
        <ChangeMatrix
          change={latest.change}
          repeated={latest.parts.length > 0}
          shown={cell ? null : kind}
          onKind={(chosenKind) => {
            setCell(null);
            setKind(chosenKind);
          }}
        />
      )}
      <div ref={images}>
        <ChangedImages
          before={before}
          after={latest}
          cell={cell}
          kind={kind}
          onKind={setKind}
          onCellDone={() => setCell(null)}
          imageUrl={imageUrl}
        />
      </div>
      <Disclosure title="Class by class">
        <PerClass before={before} after={latest} colour={colour} />
      </Disclosure>
      <Disclosure title="What is taken for what">
        <ConfusionMatrix
          before={before}
          set={latest}
          cell={cell}
          onCell={(picked) => {
            setCell(picked);
            images.current?.scrollIntoView({ block: "nearest" });
          }}
        />
      </Disclosure>
      <Disclosure title="How sure it is">
        <Suspense>
          <Certainty before={before} after={latest} colour={colour} />
        </Suspense>
      </Disclosure>
    </Panel>
  );
}

/** What an export of what is applied now is called. */
function nameOf({ about: { model, target, recipe }, open }: CompareProps): string {
  return recipe && open ? nameOfRun(model, target, recipe, open) : "model";
}
