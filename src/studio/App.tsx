// The page: what goes in on the left, what happens in the middle, what came out on the right; three tabs where there
// is no room for three columns. Watch and Compare are pure, so this is where the stores meet them.
import { Tabs } from "@mantine/core";
import { useMediaQuery, useThrottledValue } from "@mantine/hooks";
import { lazy, memo, Suspense, useDeferredValue, useRef, useState } from "react";
import { Header } from "./header/Header.tsx";
import { RunStrip } from "./header/RunStrip.tsx";
import { Input } from "./input/Input.tsx";
import { Boundary } from "./shared/Boundary.tsx";
import { DropRunDialog } from "./shared/DropRunDialog.tsx";
import { Failures } from "./shared/Failures.tsx";
import { LiveRegion } from "./shared/LiveRegion.tsx";
import { openGates } from "./state/session_store.ts";
import { useRecipe, useSession, useStudio } from "./state/studio.ts";
import { Welcome } from "./Welcome.tsx";

// Charts come in chunks of their own: the page can be used before they are there.
const Watch = memo(lazy(() => import("./watch/Watch.tsx").then(({ Watch }) => ({ default: Watch }))));
const Compare = memo(
  lazy(() => import("./compare/Compare.tsx").then(({ Compare }) => ({ default: Compare }))),
);

const columns = [
  { id: "input", title: "Input", label: "What goes in", Content: Input },
  { id: "watch", title: "Watch", label: "What happens", Content: WatchColumn },
  { id: "results", title: "Results", label: "What came out", Content: ResultsColumn },
];

export function App() {
  const narrow = useMediaQuery("(max-width: 859px)", undefined, { getInitialValueInEffect: false });
  const [tab, setTab] = useState("input");
  const main = useRef<HTMLElement>(null);
  const turnTo = (next: string | null) => {
    setTab(next ?? "input");
    main.current?.scrollTo(0, 0);
  };
  return (
    <div className="studio">
      <Header />
      <RunStrip />
      {narrow && (
        <nav className="tabs" aria-label="Parts of the page">
          <Tabs id="studio" value={tab} onChange={turnTo}>
            <Tabs.List grow>
              {columns.map(({ id, title }) => (
                <Tabs.Tab key={id} value={id}>
                  {title}
                </Tabs.Tab>
              ))}
            </Tabs.List>
          </Tabs>
        </nav>
      )}
      <Failures />
      <main className="columns" ref={main}>
        {columns.map(({ id, label, Content }) => (
          <section
            key={id}
            className="column"
            hidden={narrow && tab !== id}
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
      <DropRunDialog />
      <LiveRegion />
    </div>
  );
}

function WatchColumn() {
  const { session } = useStudio();
  // Charts may lag behind by a moment; what a person presses must not.
  const run = useDeferredValue(useSession((state) => state.run));
  // Curves are dear to draw and slow to change: once a second is live enough.
  const steps = useThrottledValue(run.steps, 1000);
  const status = useSession((state) => state.status);
  const running = useSession((state) => state.running);
  const tau = useRecipe((state) => state.recipe.tau);
  const [selected, setSelected] = useState<number | null>(null);
  if (run.gates.length === 0 && !running) return <Welcome />;
  return (
    <Watch
      gates={run.gates}
      frames={run.frames}
      tau={run.recipe?.tau ?? tau}
      selected={selected !== null && selected < run.gates.length ? selected : null}
      onSelect={setSelected}
      onToggle={session.toggleGate}
      canToggle={run.result !== null && !running}
      open={run.open}
      steps={steps}
      points={run.points}
      before={run.before}
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
  const { session } = useStudio();
  const run = useSession((state) => state.run);
  const open = useSteady(openGates(run));
  const status = useSession((state) => state.status);
  const exporting = useSession((state) => state.exporting);
  return (
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
      imageUrl={session.imageUrl}
      onExport={session.exportMerged}
      exportReport={run.exportReport}
      exporting={exporting}
      exportFailure={run.exportFailure}
      status={status}
    />
  );
}
