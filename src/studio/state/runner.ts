// Starts runs, one or several in a row, and sees that each that ends is kept. A run of a row that fails is told of and
// does not stop the others. One tab of this origin trains at a time, the one that has the table (tabs.ts).
import { createStore, type StoreApi } from "zustand/vanilla";
import type { FailureParts } from "../../failure.ts";
import { Failure } from "../../failure.ts";
import { type Entry, overSeeds, recipeName, standardLineUp } from "../../session/line_up.ts";
import type { Recipe, RunResult, SavedRun } from "../../session/protocol.ts";
import { detailsOf, type RunRecord, recordOf } from "../../session/run_record.ts";
import type { RunsStore } from "./runs_store.ts";
import type { History, SessionStore } from "./session_store.ts";

/** Several runs in a row. */
export interface Row {
  id: string;
  name: string;
  entries: readonly Entry[];
  /** Index of the entry that runs, or is next. */
  at: number;
  /** Whether each is measured between before and after too. */
  path: boolean;
}

export interface RunnerState {
  /** The row under way, or the one that last ended; null before any. */
  row: Row | null;
  /** Seconds of its runs that have ended. */
  seconds: number[];
  /** What failed in it. */
  failed: { name: string; text: string }[];
  /** Name of the run under way, or the last one. */
  name: string;
  /** The run under way; null between runs. */
  begun: Begun | null;
  /** Between the press of Start and the end of the last run of the row. */
  busy: boolean;
}

/** A run from its start to its end. */
export interface Begun {
  id: string;
  name: string;
  recipe: Recipe;
}

/** What is gone on with after a reload or a failure: a run that was under way, the rest of a row, or both. */
export interface Unfinished {
  /** Why the run failed; null where the page was closed instead. */
  failed: FailureParts | null;
  /** `kept` is null where nothing of it is: it can only be started again. */
  run: (Begun & { kept: { saved: SavedRun; history: History } | null }) | null;
  row: Row | null;
}

export interface Runner extends StoreApi<RunnerState> {
  /** One run, or the same over several seeds. */
  start(recipe: Recipe, seeds: number): Promise<void>;
  /** The standard line-up over seeds. */
  suite(recipe: Recipe, seeds: number): Promise<void>;
  goOn(unfinished: Unfinished): Promise<void>;
  /** Measures the run on the page between before and after, and keeps that with it. */
  measurePath(): Promise<void>;
  /** Ends the run after its step, and starts none of those that were to follow. */
  stop(): Promise<void>;
  /** Ends the run after its step and goes on to the next. */
  skip(): Promise<void>;
  /** What a run of a row waits for before it starts: the engine holds one run, and the one before it must be saved. */
  waitFor(saved: () => Promise<void>): void;
}

/** Most images of a set on which a run is measured between before and after. */
const PATH_LIMIT = 256;

const newId = () => `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}`;

/** @param mine whether this tab is the one that may train */
export function createRunner(
  session: SessionStore,
  runs: RunsStore,
  mine: () => boolean = () => true,
): Runner {
  const store = createStore<RunnerState>(() => ({
    row: null,
    seconds: [],
    failed: [],
    name: "",
    begun: null,
    busy: false,
  }));
  const { getState: get, setState: set } = store;
  let stopped = false;
  let saved: () => Promise<void> = async () => {};

  /** Does some work as the only one of this origin that trains. */
  async function alone(work: () => Promise<void>): Promise<void> {
    if (get().busy || session.getState().running) return;
    if (!mine()) {
      session.addFailure(
        new Failure({
          code: "state",
          what: "Selora is open in another tab, and one tab at a time trains.",
          remedy: "Train there, or take over here.",
        }),
      );
      return;
    }
    set({ busy: true });
    try {
      await work();
    } finally {
      set({ busy: false });
    }
  }

  async function keepPath(id: string): Promise<void> {
    const path = await session.measurePath(PATH_LIMIT);
    if (path) await runs.addPath(id, path);
  }

  async function keepRun(id: string, name: string, series: RunRecord["series"], result: RunResult) {
    const { device, model, data, run } = session.getState();
    if (!device || !model) return;
    const known = { id, name, colour: runs.nextColour(), when: Date.now(), series };
    const record = recordOf({ ...known, device, model, data, result });
    // A run that is gone on with may have been on the list already: what the person made of it there stays.
    const there = runs.getState().runs.find((one) => one.id === id);
    const own = there && {
      ...{ name: there.name, tags: there.tags, colour: there.colour, when: there.when },
      ...(there.note !== undefined && { note: there.note }),
    };
    await runs.add({ ...record, ...own }, detailsOf(id, result, run, []));
  }

  async function one(name: string, recipe: Recipe, row: Row | null, from?: Unfinished["run"]) {
    const id = from?.kept ? from.id : newId();
    set({ name, begun: { id, name, recipe } });
    const result = await session.train(recipe, from?.kept ?? id);
    set({ begun: null });
    if (!result) {
      const { failedRun } = session.getState();
      if (row && failedRun?.id === id)
        set(({ failed }) => ({ failed: [...failed, { name, text: failedRun.why.what }] }));
      return;
    }
    const series = row ? { id: row.id, name: row.name, entry: row.entries[row.at]?.name ?? name } : null;
    await keepRun(id, name, series, result);
    set(({ seconds }) => ({ seconds: [...seconds, result.seconds] }));
    if (!row?.path || !result.complete || stopped) return;
    await keepPath(id);
  }

  async function through(row: Row, from?: Unfinished["run"]): Promise<void> {
    stopped = false;
    set({ row, seconds: [], failed: [] });
    for (let at = row.at; at < row.entries.length && !stopped; at++) {
      // Without a device none of the others would come further.
      if (session.getState().loss?.device === "none") return set({ row: { ...row, at } });
      const now = { ...row, at };
      set({ row: now });
      const { name, recipe } = row.entries[at] as Entry;
      await one(nameIn(row, name, recipe), recipe, now, at === row.at ? from : undefined);
      await saved();
    }
    set({ row: { ...row, at: row.entries.length } });
  }

  const nameIn = ({ entries }: Row, name: string, { seed }: Recipe) =>
    entries.some((other) => other.recipe.seed !== seed) ? `${name}, seed ${seed}` : name;

  const row = (name: string, entries: Entry[], path: boolean): Row => ({
    id: newId(),
    name,
    entries,
    at: 0,
    path,
  });

  return {
    ...store,

    start: (recipe, seeds) =>
      alone(async () => {
        const name = recipeName(recipe);
        if (seeds > 1) return through(row(`${name} × ${seeds}`, overSeeds([{ name, recipe }], seeds), false));
        stopped = false;
        set({ row: null, seconds: [], failed: [] });
        await one(name, recipe, null);
      }),

    suite: (recipe, seeds) =>
      alone(() =>
        through(
          row(seeds > 1 ? `Suite × ${seeds}` : "Suite", overSeeds(standardLineUp(recipe), seeds), true),
        ),
      ),

    goOn: ({ run, row }) =>
      alone(async () => {
        if (row) return through(row, run);
        stopped = false;
        set({ row: null, seconds: [], failed: [] });
        if (run) await one(run.name, run.recipe, null, run);
      }),

    async measurePath() {
      const { id } = session.getState().run;
      if (id !== null && !get().busy) await keepPath(id);
    },

    async stop() {
      stopped = true;
      await session.stop();
    },

    skip: () => session.stop(),

    waitFor(wait) {
      saved = wait;
    },
  };
}
