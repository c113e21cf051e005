// The page: what goes in on the left, what happens in the middle, what came out on the right; three tabs where there
// is no room for three columns. Watch and Compare are pure, so this is where the stores meet them.
import { Tabs } from "@mantine/core";
import { useMediaQuery, useThrottledValue } from "@mantine/hooks";
import { memo, Suspense, useDeferredValue, useEffect, useRef, useState } from "react";
import { applies, opensAt } from "../session/recipe.ts";
import { NoResults } from "./compare/NoResults.tsx";
import { Header } from "./header/Header.tsx";
import { RunStrip } from "./header/RunStrip.tsx";
import { SLOW_START } from "./header/slow_start.ts";
import { Input } from "./input/Input.tsx";
import { Boundary } from "./shared/Boundary.tsx";
import { DropAnywhere } from "./shared/DropAnywhere.tsx";
import { DropRunDialog } from "./shared/DropRunDialog.tsx";
import { Failures } from "./shared/Failures.tsx";
import { Kept } from "./shared/Kept.tsx";
import { LiveRegion } from "./shared/LiveRegion.tsx";
import { fetchPartsWhenIdle, part } from "./shared/part.ts";
import { useColumn } from "./state/column.ts";
import { openGates } from "./state/session_store.ts";
import { useRecipe, useSession, useSitting, useStudio } from "./state/studio.ts";
import { useView } from "./state/view.ts";
import { Welcome } from "./Welcome.tsx";

const Watch = memo(part(async () => (await import("./watch/Watch.tsx")).Watch));
const Compare = memo(part(async () => (await import("./compare/Compare.tsx")).Compare));
const ReportPanel = part(async () => (await import("./compare/ReportPanel.tsx")).ReportPanel);
const Runs = memo(part(async () => (await import("./runs/Runs.tsx")).Runs));
const Unfinished = part(async () => (await import("./shared/Unfinished.tsx")).Unfinished);
const Elsewhere = part(async () => (await import("./elsewhere/Elsewhere.tsx")).Elsewhere);
const Shared = part(async () => (await import("./offline/Shared.tsx")).Shared);
const SlowStart = part(async () => (await import("./header/SlowStart.tsx")).SlowStart);
const Benchmark = part(async () => (await import("./benchmark/Benchmark.tsx")).Benchmark);

const own = [
  { id: "input", title: "Input", label: "What goes in", Content: Input },
  { id: "watch", title: "Watch", label: "What happens", Content: WatchColumn },
  { id: "results", title: "Results", label: "What came out", Content: ResultsColumn },
];
const others = [{ id: "input", title: "Other tab", label: "Another tab", Content: Elsewhere }];

export function App() {
  const narrow = useMediaQuery("(max-width: 859px)", undefined, { getInitialValueInEffect: false });
  const [column, setTab] = useColumn();
  const main = useRef<HTMLElement>(null);
  // The engine's script comes first: without it nothing can be done.
  const engine = useSession((state) => state.device !== null);
  const unfinished = useSitting((state) => state.unfinished);
  const elsewhere = useSitting((state) => state.status === "elsewhere");
  const slow = useSlowStart(engine || elsewhere);
  const columns = elsewhere ? others : own;
  const tab = elsewhere ? "input" : column;
  useEffect(() => (engine || elsewhere ? fetchPartsWhenIdle() : undefined), [engine, elsewhere]);
  const [view, turnToView] = useView();
  const measuring = view === "benchmark";
  // Kept runs take the place of the columns: a tab where there are tabs, else by the header's button.
  const runs = view === "runs";
  const turnTo = (next: string | null) => {
    turnToView(next === "runs" ? "runs" : "studio");
    if (next !== "runs") setTab(next ?? "input");
    main.current?.scrollTo(0, 0);
  };
  return (
    <div className="studio">
      <Header
        benchmark={measuring}
        elsewhere={elsewhere}
        onBenchmark={() => turnToView("benchmark")}
        runs={runs}
        onRuns={narrow ? null : () => turnToView(runs ? "studio" : "runs")}
      />
      {!measuring && !elsewhere && <RunStrip />}
      {!measuring && <Kept what="run" />}
      {narrow && (
        <nav className="tabs" hidden={measuring} aria-label="Parts of the page">
          <Tabs id="studio" value={runs ? "runs" : tab} onChange={turnTo}>
            <Tabs.List grow>
              {columns.map(({ id, title }) => (
                <Tabs.Tab key={id} value={id}>
                  {title}
                </Tabs.Tab>
              ))}
              <Tabs.Tab value="runs">Runs</Tabs.Tab>
            </Tabs.List>
          </Tabs>
        </nav>
      )}
      <Failures />
      {slow && (
        <Suspense>
          <SlowStart />
        </Suspense>
      )}
      {measuring && (
        <Boundary>
          <Suspense fallback={<main className="columns" />}>
            <Benchmark onLeave={() => turnToView("studio")} />
          </Suspense>
        </Boundary>
      )}
      {engine && !elsewhere && !measuring && (
        <Suspense>
          <Shared />
        </Suspense>
      )}
      {unfinished && (
        <Suspense>
          <Unfinished unfinished={unfinished} />
        </Suspense>
      )}
      <main className={runs || elsewhere ? "columns one" : "columns"} ref={main} hidden={measuring}>
        {runs && (
          <section
            className="column"
            {...(narrow
              ? { role: "tabpanel", id: "studio-panel-runs", "aria-labelledby": "studio-tab-runs" }
              : { "aria-label": "Kept runs" })}
          >
            <Boundary>
              <Suspense fallback={<div className="panel placeholder" />}>
                <Runs onOpened={() => turnTo("results")} />
              </Suspense>
            </Boundary>
          </section>
        )}
        {columns.map(({ id, label, Content }) => (
          <section
            key={id}
            className="column"
            hidden={runs || (narrow && tab !== id)}
            {...(narrow
              ? { role: "tabpanel", id: `studio-panel-${id}`, "aria-labelledby": `studio-tab-${id}` }
              : { "aria-label": label })}
          >
            <Boundary>
              <Suspense fallback={<div className="panel placeholder" />}>
                <Content />
              </Suspense>
            </Boundary>
          </section>
        ))}
      </main>
      {!elsewhere && !measuring && <DropAnywhere />}
      <DropRunDialog />
      <LiveRegion />
    </div>
  );
}

/** Whether nothing is open after a while, or at once when it could not be opened. */
function useSlowStart(open: boolean): boolean {
  const [late, setLate] = useState(false);
  // What is wrong with files that came in says nothing of the engine.
  const failed = useSession(
    ({ failures, loss }) => failures.some(({ at }) => at === undefined) && loss === null,
  );
  const wasOpen = useRef(open);
  wasOpen.current ||= open;
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), SLOW_START);
    return () => clearTimeout(timer);
  }, []);
  return !wasOpen.current && (late || failed);
}

function WatchColumn() {
  const { session } = useStudio();
  // Charts may lag behind by a moment; what a person presses must not.
  const run = useDeferredValue(useSession((state) => state.run));
  // Curves are dear to draw and slow to change: every other second is live enough, and both from the same moment.
  const { steps, points } = useThrottledValue(run, 2000);
  const status = useSession((state) => state.status);
  const running = useSession((state) => state.running);
  const recipe = useRecipe((state) => state.recipe);
  const [selected, setSelected] = useState<number | null>(null);
  if (run.gates.length === 0 && !running) return <Welcome />;
  return (
    <Watch
      gates={run.gates}
      frames={run.frames}
      tau={opensAt(run.recipe ?? recipe)}
      selected={selected !== null && selected < run.gates.length ? selected : null}
      onSelect={setSelected}
      onToggle={session.toggleGate}
      canToggle={run.result !== null && !running}
      open={run.open}
      steps={steps}
      points={points}
      before={run.before}
      after={run.result?.after ?? null}
      gated={applies("budget", run.recipe ?? recipe)}
      status={status}
    />
  );
}

/** The same array as long as it says the same: a frame that opens and closes nothing draws no table again. */
function useSteady(open: Uint8Array | null): Uint8Array | null {
  const kept = useRef(open);
  const same =
    kept.current?.length === open?.length && kept.current?.every((one, i) => one === open?.[i]) !== false;
  if (!same) kept.current = open;
  return kept.current;
}

function ResultsColumn() {
  const { session, runner } = useStudio();
  const run = useSession((state) => state.run);
  const open = useSteady(openGates(run));
  const status = useSession((state) => state.status);
  const exporting = useSession((state) => state.exporting);
  const measuring = useSession((state) => state.measuring);
  const model = useSession((state) => state.model?.name ?? "");
  const target = useSession((state) => state.data.find(({ role }) => role === "target")?.name ?? "");
  if (run.before === null) return <NoResults />;
  return (
    <>
      <Compare
        before={run.before}
        after={run.result?.after ?? null}
        current={run.current}
        points={run.points}
        gates={run.gates}
        open={open}
        strength={run.strength}
        onStrength={session.setStrength}
        onToggle={session.toggleGate}
        onReset={session.resetAdjustment}
        tradeOff={run.tradeOff}
        robustness={run.robustness}
        measuring={measuring}
        pathMeasured={run.path !== null}
        onMeasurePath={runner.measurePath}
        onMeasureTradeOff={session.measureTradeOff}
        onMeasureRobustness={session.measureRobustness}
        onPick={session.pickBlocks}
        imageUrl={session.imageUrl}
        onExport={session.exportMerged}
        about={{ model, target, recipe: run.result?.recipe ?? null }}
        exportReport={run.exportReport}
        exporting={exporting}
        exportFailure={run.exportFailure}
        status={status}
      />
      {run.result && (
        <Suspense>
          <ReportPanel />
        </Suspense>
      )}
    </>
  );
}
