// The run at one look: start, pause, stop, how far it is, how fast, and what it will need.
import { Button, Popover, Progress, Tooltip, UnstyledButton } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useEffect } from "react";
import type { StepReport } from "../../session/protocol.ts";
import { formatBytes, formatCount, formatDuration, formatRate, plural } from "../shared/format.ts";
import { Icon } from "../shared/Icon.tsx";
import type { StudioState } from "../state/session_store.ts";
import { useRecipe, useSession, useStudio } from "../state/studio.ts";

const phases: Record<StepReport["phase"], { name: string; line: string }> = {
  "warm-up": { name: "Warm-up", line: "every block learns" },
  selecting: { name: "Selecting", line: "gates close where a block is not worth it" },
  settling: { name: "Settling", line: "gates stay, open blocks learn" },
};

/** Why a run cannot start, as a request; null when it can. */
function missing({ model, data, answered, device, reading }: StudioState): string | null {
  const target = data.some((set) => set.role === "target");
  if (!device) return "The engine is starting";
  if (reading.length > 0)
    return `Reading ${(reading.find((one) => one.what !== "demo") ?? reading[0])?.name}`;
  if (!model && !target) return "Load a model and target images to begin";
  if (!model) return "Load a model to begin";
  if (!target) return "Load target images to begin";
  if (!answered) return "Answer what the model's files leave open, then press Apply";
  return null;
}

export function RunStrip() {
  const { session, recipe: recipeStore } = useStudio();
  const recipe = useRecipe((state) => state.recipe);
  const lacking = useSession(missing);
  const running = useSession((state) => state.running);
  const stopping = useSession((state) => state.stopping);
  const paused = useSession((state) => state.status === "paused");
  const busy = useSession((state) => state.exporting || state.status === "evaluating");
  const done = useSession((state) => state.run.result !== null);

  return (
    <section className="strip" aria-label="Run">
      <div className="strip-buttons">
        {running ? (
          <Button
            size="sm"
            variant="light"
            leftSection={<Icon name={paused ? "play" : "pause"} />}
            disabled={stopping}
            onClick={() => (paused ? session.resume() : session.pause())}
          >
            {paused ? "Resume" : "Pause"}
          </Button>
        ) : (
          <Tooltip label={lacking} disabled={lacking === null}>
            <Button
              size="sm"
              leftSection={<Icon name="play" />}
              data-disabled={lacking !== null || busy || undefined}
              aria-disabled={lacking !== null || busy}
              onClick={() => lacking === null && !busy && session.train(recipeStore.getState().recipe)}
            >
              {done ? "Run again" : "Start"}
            </Button>
          </Tooltip>
        )}
        <Button
          size="sm"
          variant="default"
          leftSection={<Icon name="stop" />}
          disabled={!running || stopping}
          onClick={() => session.stop()}
        >
          Stop
        </Button>
      </div>
      <RunStatus lacking={lacking} />
      <RunFigures key={recipe.method} />
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
    title = status === "paused" ? "Paused" : phases[step.phase].name;
    detail = `step ${formatCount(step.step)} of ${formatCount(step.steps)}, epoch ${step.epoch + 1}${
      status === "paused" || recipe.method === "lora" ? "" : `: ${phases[step.phase].line}`
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
    detail = `${plural(trainCount, "image")}, ${plural(recipe.epochs, "epoch")}, ${plural(steps, "step")}`;
  }
  return (
    <div className="strip-status">
      <p className="clip" title={`${title} ${detail}`}>
        <strong>{title}</strong> <span className="dim">{detail}</span>
      </p>
      <Progress
        value={moving ? 100 : 100 * share}
        size={4}
        animated={moving}
        striped={moving}
        color={result && !running && !exporting ? "var(--studio-good)" : undefined}
        aria-label="Progress"
      />
    </div>
  );
}

function RunFigures() {
  const { session } = useStudio();
  const recipe = useRecipe((state) => state.recipe);
  const running = useSession((state) => state.running);
  const step = useSession((state) => state.run.steps.at(-1) ?? null);
  const secondsLeft = useSession((state) => state.progress?.secondsLeft ?? null);
  const memory = useSession((state) => state.memory);
  const model = useSession((state) => state.model);
  const [settled] = useDebouncedValue(recipe, 250);

  useEffect(() => {
    if (model !== null && !running) void session.estimateMemory(settled);
  }, [session, settled, model, running]);

  const left = running ? (secondsLeft ?? step?.secondsLeft ?? null) : null;
  return (
    <div className="strip-figures">
      <div className="figure">
        <span className="label">images/s</span>
        <span className="value">{step ? formatRate(step.imagesPerSecond) : "–"}</span>
      </div>
      <div className="figure">
        <span className="label">left</span>
        <span className="value">{left === null ? "–" : formatDuration(left)}</span>
      </div>
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
    </div>
  );
}
