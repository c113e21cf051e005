import { expect, test } from "vitest";
import { createStore } from "zustand/vanilla";
import { defaultRecipe } from "../../session/recipe.ts";
import type { RunRecord } from "../../session/run_record.ts";
import { createClockStore } from "./clock_store.ts";
import type { Runner, RunnerState } from "./runner.ts";
import type { RunsState, RunsStore } from "./runs_store.ts";
import type { SessionStore, StudioState } from "./session_store.ts";

const classes = [{ name: "a", counts: { train: 96, val: 4, test: 50 }, mapsTo: "a" }];
const recipe = { ...defaultRecipe, epochs: 2, batch: 16 };

function studio(kept: RunRecord[] = []) {
  let now = 0;
  const session = createStore(() => ({
    ...{ running: false, status: "idle", progress: null, measuring: null },
    data: [{ role: "target", classes }],
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

const progress = (task: string, done: number, total: number) => ({
  task,
  label: "",
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
  const looks = 48 + 4 + 50 + 2 * 4 + 50;
  expect(page.left()).toBeCloseTo(looks / 12 + (3.5 * 192) / 12, 6);
  page.at(10, { run, progress: progress("evaluate", 0, 50) });
  page.at(13, { progress: progress("evaluate", 36, 50) });
  const before = page.left()!;
  expect(before).toBeGreaterThan(50);
  page.at(15, { progress: null, run: { ...run, steps: [{ step: 1, steps: 12, imagesPerSecond: 4 }] } });
  page.at(20, { run: { ...run, steps: [{ step: 2, steps: 12, imagesPerSecond: 4 }] } });
  const learning = page.left()!;
  page.at(21, { status: "paused" });
  page.at(90, { status: "paused" });
  page.at(91, { status: "training", run: { ...run, steps: [{ step: 3, steps: 12, imagesPerSecond: 4 }] } });
  expect(Math.abs(page.left()! - learning)).toBeLessThan(5);
  page.at(130, { status: "evaluating", progress: progress("evaluate", 40, 50) });
  page.at(150, { status: "evaluating", progress: progress("evaluate", 45, 50) });
  expect(page.left()).toBeLessThan(20);
  page.runner({ busy: false });
  page.at(160, { running: false, status: "idle", progress: null });
  expect(page.left()).toBeNull();
  // What was timed is what the next run is thought to take.
  expect(page.clock.estimate(recipe, 2)! / page.clock.estimate(recipe, 1)!).toBeCloseTo(2, 9);
});

test("before the first run of a visit what is kept of another on the same model and machine says how long it takes", () => {
  const record = {
    ...{ complete: true, recipe, steps: 12, seconds: 100, model: { fingerprint: "f" } },
    device: { adapter: "WASM" },
    scores: [{ count: 50 }],
  } as unknown as RunRecord;
  expect(studio().clock.estimate(recipe, 1)).toBeNull();
  const known = studio([{ ...record, model: { ...record.model, fingerprint: "g" } }, record]).clock;
  const once = known.estimate(recipe, 1)!;
  expect(once).toBeGreaterThan(80);
  expect(once).toBeLessThan(105);
  expect(known.estimate({ ...recipe, epochs: 20 }, 1)).toBeGreaterThan(7 * once);
});
