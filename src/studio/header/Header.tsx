// The product's name, the numbers always in sight, kept runs, the device, the way to the benchmark, the words, the colours.
import { ActionIcon, Button, Tooltip } from "@mantine/core";
import { type MouseEvent, Suspense } from "react";
import { Scoreboard } from "../compare/Scoreboard.tsx";
import { DemoButton } from "../shared/DemoButton.tsx";
import { formatCount } from "../shared/format.ts";
import { Icon } from "../shared/Icon.tsx";
import { part } from "../shared/part.ts";
import { openGates } from "../state/session_store.ts";
import { useRuns, useSession } from "../state/studio.ts";
import { DeviceBadge } from "./DeviceBadge.tsx";
import { Glossary } from "./Glossary.tsx";
import { ThemeSwitch } from "./ThemeSwitch.tsx";

const Update = part(async () => (await import("../offline/Update.tsx")).Update);

const countOpen = (open: Uint8Array | null) => open?.reduce((sum, one) => sum + one, 0) ?? null;

interface HeaderProps {
  /** Whether the benchmark is shown, where a demo that loads would be out of sight. */
  benchmark: boolean;
  /** Whether another tab has the table. */
  elsewhere: boolean;
  onBenchmark: () => void;
  /** Whether kept runs are shown. */
  runs: boolean;
  /** Shows or leaves them; null where a tab does. */
  onRuns: (() => void) | null;
}

export function Header({ benchmark, elsewhere, onBenchmark, runs, onRuns }: HeaderProps) {
  const kept = useRuns((state) => state.runs.filter(({ id }) => !state.unstored.has(id)).length);
  const empty = useSession(({ model, data }) => model === null && data.length === 0);
  // The engine's script comes before what serves the page offline.
  const engine = useSession((state) => state.device !== null);
  return (
    <header className="topbar">
      <div className="brand">
        <Mark />
        <div>
          <h1>Selora</h1>
          <p className="tagline dim">Selective LoRA for Vision Transformers</p>
        </div>
      </div>
      <div className="topbar-scores">
        <Scores />
      </div>
      <div className="topbar-actions">
        {engine && (
          <Suspense>
            <Update />
          </Suspense>
        )}
        {empty && !benchmark && !elsewhere && (
          <div className="demo">
            <DemoButton />
          </div>
        )}
        {onRuns && (
          <Button
            variant={runs ? "light" : "default"}
            leftSection={<Icon name="table" />}
            aria-pressed={runs}
            onClick={onRuns}
          >
            Runs{kept > 0 && ` ${formatCount(kept)}`}
          </Button>
        )}
        {!elsewhere && <DeviceBadge />}
        <Tooltip label="Benchmark: how fast a step is on this machine">
          <ActionIcon
            component="a"
            href="?benchmark"
            variant={benchmark ? "light" : "default"}
            size={30}
            aria-label="Benchmark"
            aria-current={benchmark ? "page" : undefined}
            onClick={(event: MouseEvent) => {
              // A tab of its own, if that is what was asked for.
              if (event.metaKey || event.ctrlKey || event.shiftKey) return;
              event.preventDefault();
              onBenchmark();
            }}
          >
            <Icon name="gauge" />
          </ActionIcon>
        </Tooltip>
        <Glossary />
        <ThemeSwitch />
      </div>
    </header>
  );
}

/** Apart from the rest, which does not change with every step. */
function Scores() {
  const run = useSession((state) => state.run);
  return (
    <Scoreboard
      before={run.before}
      current={run.current ?? run.result?.after ?? null}
      openCount={countOpen(openGates(run))}
      gateCount={run.gates.length || null}
      points={run.points}
    />
  );
}

/** Six gates, one of them open. */
function Mark() {
  return (
    <svg width="30" height="30" viewBox="0 0 16 16" aria-hidden="true">
      <rect width="16" height="16" rx="3.5" fill="var(--mantine-primary-color-filled)" />
      <path d="M4 4.5h3M4 8h3M4 11.5h3M9 4.5h3M9 11.5h3" stroke="#fff" strokeOpacity=".45" strokeWidth="2" />
      <path d="M9 8h3" stroke="#fff" strokeWidth="2" />
    </svg>
  );
}
