// The time left of what is under way, as one figure for the whole page: a run from its start to the last measurement, or
// all of a row of runs. It is told once a second, and nothing else of it changes.
import { createStore, type StoreApi } from "zustand/vanilla";
import type { Recipe } from "../../session/protocol.ts";
import type { RunRecord } from "../../session/run_record.ts";
import type { Runner } from "./runner.ts";
import type { RunsStore } from "./runs_store.ts";
import type { RunState, SessionStore, StudioState } from "./session_store.ts";
import {
  Clock,
  type Place,
  rowSecondsLeft,
  type Speeds,
  secondsOf,
  speedsOf,
  type Work,
  workOf,
} from "./time_left.ts";

export interface ClockState {
  /** Seconds; null while nothing is under way or nothing is known. */
  left: number | null;
}

export interface ClockStore extends StoreApi<ClockState> {
  /** Seconds that so many runs of a recipe would take, as the last runs on this machine went; null where none did. */
  estimate(recipe: Recipe, runs: number): number | null;
}

const PACE = 1;

/** What a kept run did, as far as its record tells. */
function workOfRecord({ recipe, scores, steps }: RunRecord): Work {
  const learn = steps * recipe.batch;
  const held = scores.reduce((sum, { count }) => sum + count, 0);
  const live = scores.reduce((sum, { count }) => sum + Math.min(64, count), 0);
  return {
    probe: learn / recipe.epochs,
    sample: live,
    learn,
    before: held,
    live,
    epochs: recipe.epochs,
    after: held,
    path: 0,
  };
}

/** Where the run stands; null where that cannot be told. */
export function placeOf(
  {
    status,
    progress,
    run,
  }: Pick<StudioState, "status" | "progress"> & { run: Pick<RunState, "steps" | "result"> },
  work: Work,
): Place | null {
  const step = run.steps.at(-1);
  if (run.result) {
    return progress && status === "evaluating"
      ? { phase: "path", done: progress.done, total: progress.total, rate: null }
      : { phase: "path", done: 0, rate: null };
  }
  const looks = progress?.task === "evaluate";
  const looked = looks ? { done: progress.done, total: progress.total, rate: null } : null;
  if (step && status !== "evaluating") {
    // Between two steps nothing else is told of.
    if (looked) return { phase: "sample", ...looked };
    const total = work.learn;
    return { phase: "learn", done: (total * step.step) / step.steps, rate: step.imagesPerSecond };
  }
  // What is asked before the first step the probe has looked at already.
  if (looked)
    return step ? { phase: progress?.label === "Measuring before" ? "before" : "after", ...looked } : null;
  if (!progress || step) return { phase: step ? "before" : "probe", done: 0, rate: null };
  // The probe looks at several splits one after the other, and its fit takes no time worth a word.
  return progress.task === "probe" && progress.total > 1
    ? { phase: "probe", done: Math.min(progress.done, work.probe), rate: null }
    : null;
}

/** @param now in seconds; a test hands in its own */
export function createClockStore(
  session: SessionStore,
  runs: RunsStore,
  runner: Runner,
  now: () => number = () => performance.now() / 1000,
): ClockStore {
  const store = createStore<ClockState>(() => ({ left: null }));
  let clock: { of: string; clock: Clock; work: Work } | null = null;
  /** Speeds of the last run of this page, and what they were measured on. */
  let known: { on: string; speeds: Speeds } | null = null;
  let ended: { row: string; runs: { work: Work; seconds: number }[] } | null = null;
  let told = Number.NEGATIVE_INFINITY;
  // Time in which nothing ran.
  let still = 0;
  let stillSince: number | null = null;

  const machine = ({ model, device }: StudioState) =>
    `${model?.fingerprint ?? model?.name} ${device?.adapter}`;

  function speedsNow(): Speeds | null {
    const state = session.getState();
    if (known && known.on === machine(state)) return known.speeds;
    const { model, device } = state;
    const last = runs
      .getState()
      .runs.find(
        (run) =>
          run.complete &&
          run.model.fingerprint === model?.fingerprint &&
          run.device.adapter === device?.adapter.slice(0, 200),
      );
    return last ? speedsOf(workOfRecord(last), last.seconds) : null;
  }

  function tell(left: number | null): void {
    if (store.getState().left !== left) store.setState({ left });
  }

  function look(state: StudioState): void {
    const { busy, row, begun, seconds } = runner.getState();
    const at = now();
    if (!state.running && !(busy && state.measuring === "path")) {
      if (!busy) {
        clock = null;
        tell(null);
      }
      return;
    }
    if (state.status === "paused") {
      stillSince ??= at;
      return;
    }
    if (stillSince !== null) {
      still += at - stillSince;
      stillSince = null;
    }
    if (at - told < PACE) return;
    told = at;
    const recipe = begun?.recipe ?? state.run.recipe;
    if (!recipe) return;
    const of = begun?.id ?? state.run.id ?? "";
    if (clock?.of !== of) {
      const work = workOf(recipe, state.data, row?.path ?? false);
      clock = { of, work, clock: new Clock(work, speedsNow()) };
    }
    // What stands on the page is the run before, until this one has found where it starts.
    const run = state.run.id === of ? state.run : { steps: [], result: null };
    const place = placeOf({ ...state, run }, clock.work);
    if (!place) return;
    const left = clock.clock.left(at - still, place);
    const { speeds } = clock.clock;
    if (left === null || !speeds) return;
    if (place.phase !== "probe") known = { on: machine(state), speeds };
    if (!row) {
      tell(left);
      return;
    }
    if (ended?.row !== row.id) ended = { row: row.id, runs: [] };
    for (let i = ended.runs.length; i < seconds.length; i++) {
      const entry = row.entries[i];
      if (entry) ended.runs.push({ work: workOf(entry.recipe, state.data), seconds: seconds[i] as number });
    }
    const rest = row.entries.slice(row.at + 1).map((entry) => workOf(entry.recipe, state.data, row.path));
    tell(rowSecondsLeft(left, rest, speeds, ended.runs));
  }

  session.subscribe(look);
  runner.subscribe(() => look(session.getState()));
  return {
    ...store,
    estimate(recipe, count) {
      const { data } = session.getState();
      const speeds = speedsNow();
      return speeds ? count * secondsOf(workOf(recipe, data), speeds) : null;
    },
  };
}
