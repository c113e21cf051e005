import { expect, test } from "vitest";
import { createStore } from "zustand/vanilla";
import { defaultRecipe } from "../../session/recipe.ts";
import type { RunRecord } from "../../session/run_record.ts";
import { createClockStore } from "./clock_store.ts";
import type { Runner, RunnerState } from "./runner.ts";
import type { RunsState, RunsStore } from "./runs_store.ts";
import type { SessionStore, StudioState } from "./session_store.ts";

const classes = [{ name: "a", counts: { train: 96, val: 4, test: 50 }, mapsTo: "a" }];
const drawn = [{ name: "a", counts: { train: 0, val: 0, test: 64 }, mapsTo: "a" }];
const recipe = { ...defaultRecipe, epochs: 2, batch: 16 };

function studio(kept: RunRecord[] = []) {
  let now = 0;
  const session = createStore(() => ({
    ...{ running: false, status: "idle", progress: null, measuring: null },
    data: [
      { role: "target", classes },
      { role: "ood", classes: drawn },
    ],
    model: { name: "m", fingerprint: "f" },
    device: { adapter: "WASM" },
    run: { id: "old", steps: [{ step: 9, steps: 9, imagesPerSecond: 1 }], result: {} },
  })) as unknown as SessionStore;
  const runner = createStore(() => ({
    busy: false,
    row: null,
    begun: null,
    seconds: [],
  })) as unknown as Runner;
  const runs = createStore(() => ({ runs: kept })) as unknown as RunsStore;
  const clock = createClockStore(session, runs, runner, () => now);
  return {
    clock,
    left: () => clock.getState().left,
    runner: (state: object) => runner.setState(state as Partial<RunnerState>),
    runs: (state: object) => runs.setState(state as Partial<RunsState>),
    /** Time goes on, and the run is told of as it stands then. */
    at(seconds: number, state: object) {
      now = seconds;
      session.setState(state as Partial<StudioState>);
    },
  };
}

const progress = (task: string, done: number, total: number, label = "") => ({
  task,
  label,
  done,
  total,
  secondsLeft: 1,
});
const run = { id: "r", steps: [], result: null };

test("one figure counts down through every phase, measuring included, and stands still in a pause", () => {
  const page = studio();
  page.runner({ busy: true, begun: { id: "r", name: "n", recipe } });
  page.at(0, { running: true, status: "training", progress: progress("probe", 0, 96) });
  expect(page.left()).toBeNull();
  // The run before is still on the page; of this one 48 images were looked at in 4 seconds.
  page.at(4, { progress: progress("probe", 48, 96) });
  // The other half and the validation images; a sample of 64; twice all 114 held-out ones, and 68 after each epoch.
  const looks = 48 + 4 + 64 + 2 * 114 + 2 * 68;
  expect(page.left()).toBeCloseTo(looks / 12 + (3.5 * 192) / 12, 6);
  const steps = (step: number) => ({ ...run, steps: [{ step, steps: 12, imagesPerSecond: 4 }] });
  page.at(9, { run: steps(1), progress: progress("evaluate", 0, 64, "Measuring before, on a sample") });
  page.at(13, { progress: progress("evaluate", 48, 64, "Measuring before, on a sample") });
  expect(page.left()).toBeGreaterThan(60);
  page.at(15, { progress: null, run: steps(1) });
  page.at(20, { run: steps(2) });
  const learning = page.left()!;
  page.at(21, { status: "paused" });
  page.at(90, { status: "paused" });
  page.at(91, { status: "training", run: steps(3) });
  expect(Math.abs(page.left()! - learning)).toBeLessThan(5);
  page.at(130, { status: "evaluating", progress: progress("evaluate", 10, 114, "Measuring before") });
  page.at(150, { progress: progress("evaluate", 110, 114, "Measuring before") });
  const measuring = page.left()!;
  // As many again are to come.
  expect(measuring).toBeGreaterThan(12);
  page.at(160, { progress: progress("evaluate", 60, 114, "Measuring after") });
  page.at(170, { progress: progress("evaluate", 110, 114, "Measuring after") });
  expect(page.left()).toBeLessThan(12);
  page.runner({ busy: false });
  page.at(180, { running: false, status: "idle", progress: null });
  expect(page.left()).toBeNull();
  // What was timed is what the next run is thought to take.
  expect(page.clock.estimate(recipe, 2)! / page.clock.estimate(recipe, 1)!).toBeCloseTo(2, 9);
});

test("before the first run of a visit what is kept of another on the same model and machine says how long it takes", () => {
  const record = {
    ...{ complete: true, recipe, steps: 12, seconds: 100, model: { fingerprint: "f" } },
    device: { adapter: "WASM" },
    scores: [{ count: 50 }, { count: 64 }],
  } as unknown as RunRecord;
  expect(studio().clock.estimate(recipe, 1)).toBeNull();
  const known = studio([{ ...record, model: { ...record.model, fingerprint: "g" } }, record]).clock;
  const once = known.estimate(recipe, 1)!;
  expect(once).toBeGreaterThan(80);
  expect(once).toBeLessThan(105);
  expect(known.estimate({ ...recipe, epochs: 20 }, 1)).toBeGreaterThan(7 * once);
});
