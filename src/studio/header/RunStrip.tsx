// The run at one look: start, pause, stop, how far it is, how fast, and what it will need.
import { Button, NumberInput, Popover, Progress, Tooltip, UnstyledButton } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useEffect, useMemo, useState } from "react";
import type { StepReport } from "../../session/protocol.ts";
import { applies } from "../../session/recipe.ts";
import { useWarnings } from "../input/warnings.ts";
import { formatBytes, formatCount, formatDuration, formatRate, plural } from "../shared/format.ts";
import { Icon } from "../shared/Icon.tsx";
import { blockedBy } from "../state/recipe_store.ts";
import type { StudioState } from "../state/session_store.ts";
import { useClock, useRecipe, useRunner, useRuns, useSession, useStudio } from "../state/studio.ts";

const phases: Record<StepReport["phase"], { name: string; line: string }> = {
  "warm-up": { name: "Warm-up", line: "every block learns" },
  selecting: { name: "Selecting", line: "gates close where a block is not worth it" },
  settling: { name: "Settling", line: "gates stay, open blocks learn" },
};

/** Why a run cannot start, as a request; null when it can. */
function missing({ model, data, device, reading, loss, questions }: StudioState): string | null {
  const target = data.some((set) => set.role === "target");
  if (loss?.device === "none") return "Choose above what to compute on";
  if (!device) return "The engine is starting";
  if (reading.length > 0)
    return `Reading ${(reading.find((one) => one.what !== "demo") ?? reading[0])?.name}`;
  if (!target && questions.length > 0) return `Say how ${questions[0]?.name} is to be read`;
  if (!model && !target) return "Load a model and target images to begin";
  if (!model) return "Load a model to begin";
  if (!target) return "Load target images to begin";
  if (model.questions.length > 0) return "Answer what the model's files leave open, then press Apply";
  return null;
}

export function RunStrip() {
  const { session, recipe: recipeStore, runner } = useStudio();
  const recipe = useRecipe((state) => state.recipe);
  const wrong = useRecipe(blockedBy);
  const lacking = useSession(missing) ?? wrong;
  const running = useSession((state) => state.running);
  const stopping = useSession((state) => state.stopping);
  const paused = useSession((state) => state.status === "paused");
  const measuring = useSession((state) => state.exporting || state.status === "evaluating");
  const done = useSession((state) => state.run.result !== null);
  const inRow = useRunner((state) => state.busy && state.row !== null);
  const rowBusy = useRunner((state) => state.busy);
  const [seeds, setSeeds] = useState(1);
  const busy = measuring || rowBusy;
  const blocked = lacking !== null || busy;

  return (
    <section className="strip" aria-label="Run">
      <div className="strip-buttons" data-row={inRow || undefined}>
        {running || rowBusy ? (
          <Button
            size="sm"
            variant="light"
            leftSection={<Icon name={paused ? "play" : "pause"} />}
            disabled={stopping || !running}
            onClick={() => (paused ? session.resume() : session.pause())}
          >
            {paused ? "Resume" : "Pause"}
          </Button>
        ) : (
          <Tooltip label={lacking} disabled={lacking === null}>
            <Button
              size="sm"
              leftSection={<Icon name="play" />}
              data-disabled={blocked || undefined}
              aria-disabled={blocked}
              onClick={() => !blocked && runner.start(recipeStore.getState().recipe, seeds)}
            >
              {done ? "Run again" : "Start"}
            </Button>
          </Tooltip>
        )}
        {inRow ? (
          <Tooltip label="End this run after its step and go on to the next">
            <Button size="sm" variant="default" disabled={stopping || !running} onClick={() => runner.skip()}>
              Next run
            </Button>
          </Tooltip>
        ) : (
          <>
            <Tooltip label="Seeds: run the recipe this often, each with a seed of its own; mean and spread stand under Runs">
              <NumberInput
                size="sm"
                className="seeds"
                aria-label="Seeds"
                prefix="× "
                hideControls
                value={seeds}
                min={1}
                max={20}
                allowDecimal={false}
                allowNegative={false}
                clampBehavior="strict"
                disabled={running || rowBusy}
                onChange={(value) => setSeeds(Math.max(1, Number(value) || 1))}
              />
            </Tooltip>
            <Tooltip label="Run the standard line-up of methods with this recipe, one after the other, and keep each">
              <Button
                size="sm"
                variant="default"
                data-disabled={blocked || running || undefined}
                aria-disabled={blocked || running}
                onClick={() => !blocked && !running && runner.suite(recipeStore.getState().recipe, seeds)}
              >
                Suite
              </Button>
            </Tooltip>
          </>
        )}
        <Button
          size="sm"
          variant="default"
          leftSection={<Icon name="stop" />}
          disabled={!(running || rowBusy) || stopping}
          onClick={() => runner.stop()}
        >
          Stop
        </Button>
      </div>
      <RunStatus lacking={lacking} />
      <RunFigures key={recipe.method} seeds={seeds} />
    </section>
  );
}

/** One line of words over a thin bar; both are always there, so that nothing jumps. */
function RunStatus({ lacking }: { lacking: string | null }) {
  const recipe = useRecipe((state) => state.recipe);
  const running = useSession((state) => state.running);
  const stopping = useSession((state) => state.stopping);
  const status = useSession((state) => state.status);
  const progress = useSession((state) => state.progress);
  const exporting = useSession((state) => state.exporting);
  const step = useSession((state) => state.run.steps.at(-1) ?? null);
  const result = useSession((state) => state.run.result);
  const row = useRunner((state) => (state.busy ? state.row : null));
  const warnings = useWarnings();
  const trainCount = useSession((state) =>
    state.data
      .filter((set) => set.role === "target")
      .reduce((sum, set) => sum + set.classes.reduce((inSet, one) => inSet + one.counts.train, 0), 0),
  );

  let title = "";
  let detail = "";
  let share = 0;
  let moving = false;
  if (stopping && running) {
    title = "Stopping";
    detail = "after this step";
    share = step ? step.step / step.steps : 0;
  } else if (progress && (running || exporting || status === "evaluating")) {
    title = progress.label;
    detail = progress.total > 1 ? `${formatCount(progress.done)} of ${formatCount(progress.total)}` : "";
    share = progress.total > 0 ? progress.done / progress.total : 0;
    moving = progress.total <= 0;
  } else if (running && step) {
    const gated = applies("budget", recipe);
    title = status === "paused" ? "Paused" : gated ? phases[step.phase].name : "Learning";
    detail = `step ${formatCount(step.step)} of ${formatCount(step.steps)}, epoch ${step.epoch + 1}${
      status === "paused" || !gated ? "" : `: ${phases[step.phase].line}`
    }`;
    share = step.step / step.steps;
  } else if (running || exporting || status === "evaluating") {
    title = exporting
      ? "Writing the merged weights"
      : status === "evaluating"
        ? "Measuring"
        : "Getting ready";
    moving = true;
  } else if (result) {
    title = result.complete ? "Done" : "Stopped early";
    detail = `${plural(result.steps, "step")} in ${formatDuration(result.seconds)}`;
    share = 1;
  } else if (step) {
    title = "Ended by a failure";
    detail = `step ${formatCount(step.step)} of ${formatCount(step.steps)}; ready to start again`;
    share = step.step / step.steps;
  } else if (lacking) {
    title = lacking;
  } else {
    const steps = Math.ceil(trainCount / recipe.batch) * recipe.epochs;
    title = "Ready";
    detail =
      warnings[0] ??
      `${plural(trainCount, "image")}, ${plural(recipe.epochs, "epoch")}, ${plural(steps, "step")}`;
  }
  if (row && row.at < row.entries.length) {
    title = `${row.at + 1} of ${row.entries.length}, ${row.entries[row.at]?.name}: ${title}`;
    share = (row.at + share) / row.entries.length;
  }
  return (
    <div className="strip-status">
      <p className="clip" title={`${title} ${detail}`}>
        <strong>{title}</strong> <span className="dim">{detail}</span>
      </p>
      <Progress
        value={moving ? 100 : 100 * share}
        // It moves a few times a second; fading from one to the next would paint every frame.
        transitionDuration={0}
        size={4}
        animated={moving}
        striped={moving}
        color={result && !running && !exporting ? "var(--studio-good)" : undefined}
        aria-label="Progress"
      />
    </div>
  );
}

function RunFigures({ seeds }: { seeds: number }) {
  const running = useSession((state) => state.running);
  const step = useSession((state) => state.run.steps.at(-1) ?? null);
  const busy = useRunner((state) => state.busy);
  const under = running || busy;
  return (
    <div className="strip-figures" data-left={under || undefined}>
      <div className="figure">
        <span className="label">images/s</span>
        <span className="value">{step ? formatRate(step.imagesPerSecond) : "–"}</span>
      </div>
      {under ? <TimeLeft /> : <TimeNeeded seeds={seeds} />}
      <MemoryFigure />
    </div>
  );
}

/** For all that is under way, measuring included; apart from the figure beside it, which changes more often. */
function TimeLeft() {
  const left = useClock((state) => state.left);
  return (
    <div className="figure">
      <span className="label">left</span>
      <span className="value">{left === null ? "–" : formatDuration(left)}</span>
    </div>
  );
}

/** What a run would take, as far as one was timed here before. */
function TimeNeeded({ seeds }: { seeds: number }) {
  const { clock } = useStudio();
  const recipe = useRecipe((state) => state.recipe);
  const data = useSession((state) => state.data);
  const model = useSession((state) => state.model);
  const runs = useRuns((state) => state.runs);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the estimate is made of all of these
  const needed = useMemo(
    () => (model && data.length > 0 ? clock.estimate(recipe, seeds) : null),
    [clock, recipe, seeds, data, model, runs],
  );
  return (
    <div className="figure">
      <span className="label">takes about</span>
      <span className="value">{needed === null ? "–" : formatDuration(needed)}</span>
    </div>
  );
}

/** Apart from the figures beside it, which change with every step. */
function MemoryFigure() {
  const { session } = useStudio();
  const recipe = useRecipe((state) => state.recipe);
  const running = useSession((state) => state.running);
  const memory = useSession((state) => state.memory);
  const model = useSession((state) => state.model);
  const [settled] = useDebouncedValue(recipe, 250);

  useEffect(() => {
    if (model !== null && !running) void session.estimateMemory(settled);
  }, [session, settled, model, running]);

  return (
    <Popover position="bottom-end" disabled={memory === null}>
      <Popover.Target>
        <UnstyledButton
          className="figure"
          aria-label={`Memory needed: ${memory ? formatBytes(memory.bytes) : "not known yet"}`}
        >
          <span className="label">memory</span>
          <span className="value">{memory ? formatBytes(memory.bytes) : "–"}</span>
        </UnstyledButton>
      </Popover.Target>
      <Popover.Dropdown>
        <p style={{ marginBottom: 6 }}>What a run with this recipe is estimated to hold:</p>
        <dl className="facts">
          {memory?.parts.map((part) => (
            <div key={part.label} className="contents">
              <dt>{part.label}</dt>
              <dd>{formatBytes(part.bytes)}</dd>
            </div>
          ))}
        </dl>
      </Popover.Dropdown>
    </Popover>
  );
}
