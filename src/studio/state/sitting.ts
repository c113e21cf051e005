// Nothing is lost by a reload: what lies on the table (model, images, the run under way or the last one) is kept as it
// comes, and put back when the page opens again. A run under way is saved every so often, and can be gone on with.
import { createStore, type StoreApi } from "zustand/vanilla";
import { Failure } from "../../failure.ts";
import type { Keep, KeptThing, Sitting } from "../../session/keep.ts";
import type { BackendChoice, ModelAnswers, SourceFile } from "../../session/protocol.ts";
import { recipeSchema } from "../../session/recipe.ts";
import type { Row, Runner, Unfinished } from "./runner.ts";
import type { RunsStore } from "./runs_store.ts";
import type { SessionStore, StudioState } from "./session_store.ts";

export interface SittingState {
  /** here: this tab's table is kept · elsewhere: another tab's is · off: the browser keeps nothing. */
  status: "starting" | "restoring" | "here" | "elsewhere" | "off";
  /** A run that was under way when the page was last closed, or that failed just now; the person decides. */
  unfinished: Unfinished | null;
}

export interface SittingStore extends StoreApi<SittingState> {
  /** Opens the engine, and puts back what lay on the table. */
  begin(): Promise<void>;
  goOn(): Promise<void>;
  startAnew(): Promise<void>;
  /** Takes up a kept run on the model and images that are loaded. */
  reopen(id: string): Promise<boolean>;
  things(): Promise<{ things: KeptThing[]; room: { used: number; quota: number } | null }>;
  /** Forgets everything that is kept. What is loaded stays until the page is closed. */
  forget(): Promise<void>;
}

/** Milliseconds to the first save of a run, and from one to the next. */
const PACE = { first: 3_000, next: 15_000 };

type Locks = Pick<LockManager, "request">;

export function createSitting(
  { session, runs, runner }: { session: SessionStore; runs: RunsStore; runner: Runner },
  keep: () => Promise<Keep>,
  {
    locks = globalThis.navigator?.locks,
    pace = PACE,
  }: { locks?: Locks | undefined; pace?: typeof PACE } = {},
): SittingStore {
  const store = createStore<SittingState>(() => ({ status: "starting", unfinished: null }));
  const { getState: get, setState: set } = store;

  /** Says once what could not be kept. */
  function tell(error: unknown): void {
    const { what, remedy } = Failure.from(error).parts;
    session.addNotice(`${what} ${remedy}`);
  }

  // Saves, one after the other. ---------------------------------------------------------------------------------

  let queue: Promise<void> = Promise.resolve();
  const inTurn = (work: () => Promise<void>) => {
    queue = queue.then(work).catch(tell);
    return queue;
  };

  async function packed(id: string | null, name: string, files: readonly SourceFile[]) {
    if (id === null) return null;
    try {
      await (await keep()).pack(id, name, files);
      return id;
    } catch (error) {
      tell(error);
      return null;
    }
  }

  /** What lies on the table, its files kept. */
  async function tableOf(state: StudioState): Promise<Sitting> {
    const { model, data, sources, backend } = state;
    const modelPack = model && (await packed(model.fingerprint, `The model ${model.name}`, state.modelFiles));
    const sets: Sitting["sets"] = [];
    for (const { id, role, name, fingerprint } of data) {
      const source = sources[id];
      const pack = source && (await packed(fingerprint, `The images of ${name}`, source.files));
      if (source && pack) sets.push({ pack, role, name, seed: source.seed, mapping: source.mapping });
    }
    return {
      version: 1,
      backend,
      model: modelPack
        ? {
            pack: modelPack,
            name: state.model?.name ?? "",
            answers: state.modelAnswers as Record<string, unknown>,
          }
        : null,
      sets,
      corruption: data.find(({ corruption }) => corruption !== null)?.corruption ?? null,
      run: state.run.id ?? get().unfinished?.run?.id ?? null,
      series: savedRow(),
    };
  }

  function savedRow(): Sitting["series"] {
    const { row: now, busy } = runner.getState();
    const row = busy ? now : (get().unfinished?.row ?? null);
    if (!row) return null;
    return { ...row, entries: row.entries.map(({ name, recipe }) => ({ name, recipe })) };
  }

  let tablePending = false;
  function saveTable(): void {
    if (tablePending || get().status !== "here") return;
    tablePending = true;
    void inTurn(async () => {
      tablePending = false;
      if (get().status === "here") await (await keep()).putSitting(await tableOf(session.getState()));
    });
  }

  /** Keeps the run as it stands; false when it cannot be. */
  async function saveState(): Promise<boolean> {
    const { id } = session.getState().run;
    if (id === null || get().status !== "here") return false;
    const run = await session.saveRun();
    // Another run may have begun meanwhile.
    if (!run || session.getState().run.id !== id) return false;
    const kept = await keep();
    await kept.putState({ id, name: nameOf(id), ...run });
    runs.setState({ openable: new Set(await kept.stateIds()) });
    return true;
  }

  function nameOf(id: string): string {
    const kept = runs.getState().runs.find((run) => run.id === id);
    return kept?.name ?? (runner.getState().name || "the last run");
  }

  let timer: ReturnType<typeof setTimeout> | null = null;
  function autosave(wait: number): void {
    if (timer !== null) clearTimeout(timer);
    timer = setTimeout(() => {
      timer = null;
      if (!session.getState().running) return;
      const began = performance.now();
      void inTurn(async () => {
        try {
          // Before the first step there is nothing to save. A large run takes long, and is saved the less often.
          const saved = await saveState();
          autosave(saved ? Math.max(pace.next, 20 * (performance.now() - began)) : pace.first);
        } catch (error) {
          tell(error);
        }
      });
    }, wait);
  }

  /** Offers to go on with a run that failed, from the last step that was kept of it. */
  function offerFailed(run: StudioState["failedRun"]): void {
    if (!run?.id) {
      if (get().unfinished?.failed) set({ unfinished: null });
      return;
    }
    const { id, kept } = run;
    const { row, busy, name } = runner.getState();
    // The others of a row follow it by themselves.
    const alone = busy && row ? { ...row, entries: row.entries.slice(0, row.at + 1) } : null;
    void inTurn(async () => {
      const stored = get().status === "here" ? await (await keep()).state(id) : null;
      // What was saved last may be from later than what the engine went back to.
      const best = stored && stored.saved.step > (kept?.saved.step ?? 0) ? stored : kept;
      if (!best || best.saved.result || session.getState().failedRun !== run) return;
      const { saved, history } = best;
      set({ unfinished: { failed: true, run: { id, name, saved, history }, row: alone } });
      if (best === kept && get().status === "here")
        await (await keep()).putState({ id, name, saved, history });
    });
  }

  function watch(): void {
    runner.waitFor(() => queue);
    session.subscribe((now, before) => {
      const other = (key: "model" | "data" | "sources" | "modelAnswers" | "backend") =>
        now[key] !== before[key];
      if (other("model") || other("data") || other("sources") || other("modelAnswers") || other("backend"))
        saveTable();
      if (now.run.id !== before.run.id) saveTable();
      if (now.running && !before.running) {
        set({ unfinished: null });
        autosave(pace.first);
      }
      if (now.failedRun !== before.failedRun) offerFailed(now.failedRun);
      if (now.status === "paused" && before.status !== "paused") autosave(0);
      if (now.run.result !== null && now.run.result !== before.run.result && get().status === "here")
        void inTurn(async () => void (await saveState()));
    });
    runner.subscribe((now, before) => {
      if (now.row !== before.row || now.busy !== before.busy) saveTable();
    });
    addEventListener("visibilitychange", () => {
      if (document.hidden && session.getState().running) autosave(0);
    });
  }

  // Putting back. -----------------------------------------------------------------------------------------------

  async function putBack(sitting: Sitting): Promise<void> {
    const kept = await keep();
    const missing = (what: string) =>
      session.addNotice(`${what} could not be read again after the reload. Load it once more.`);
    if (sitting.model && session.getState().model === null) {
      const { pack, name, answers } = sitting.model;
      const files = await kept.unpack(pack);
      if (!files) missing(`The model ${name}`);
      else await session.loadModel(files, (answers ?? undefined) as ModelAnswers | undefined);
    }
    for (const { pack, role, name, seed, mapping } of sitting.sets) {
      const there = session
        .getState()
        .data.some((set) => set.role === role && (role === "target" || set.name === name));
      if (there) continue;
      const files = await kept.unpack(pack);
      if (!files) missing(`The images of ${name}`);
      else if ((await session.loadData(role, name, files, seed)) && mapping) {
        const set = session.getState().data.find((one) => one.role === role && one.name === name);
        if (set) await session.mapClasses(set.id, mapping);
      }
    }
    const { data } = session.getState();
    if (sitting.corruption && data.some(({ role }) => role === "target"))
      if (data.every(({ corruption }) => corruption === null)) await session.corrupt(sitting.corruption);
    const row = rowOf(sitting.series);
    const state = sitting.run === null ? null : await kept.state(sitting.run);
    if (state?.saved.result) await session.restoreRun(state.id, state.saved, state.history);
    const run = state?.saved.result === null ? state : null;
    const rest = row && !run ? await restOf(row) : row;
    if (run || rest) set({ unfinished: { failed: false, run, row: rest } });
  }

  /** A row without the runs of it that are kept already; null when none is left. */
  async function restOf(row: Row): Promise<Row | null> {
    await runs.load();
    const entry = row.entries[row.at];
    const kept = runs
      .getState()
      .runs.some(
        ({ series, recipe }) =>
          series?.id === row.id && series.entry === entry?.name && recipe.seed === entry.recipe.seed,
      );
    const rest = kept ? { ...row, at: row.at + 1 } : row;
    return rest.at < rest.entries.length ? rest : null;
  }

  function rowOf(series: Sitting["series"]): Row | null {
    if (!series) return null;
    const entries = series.entries.flatMap(({ name, recipe }) => {
      const parsed = recipeSchema.safeParse(recipe);
      return parsed.success ? [{ name, recipe: parsed.data }] : [];
    });
    return entries.length === series.entries.length ? { ...series, entries } : null;
  }

  /** Holds a lock for as long as the page lives; false when another tab holds it. */
  function own(name: string): Promise<boolean> {
    if (!locks) return Promise.resolve(true);
    return new Promise((resolve) => {
      void locks
        .request(name, { ifAvailable: true }, (lock) => {
          resolve(lock !== null);
          return lock === null ? undefined : new Promise<never>(() => {});
        })
        .catch(() => resolve(true));
    });
  }

  return {
    ...store,

    async begin() {
      watch();
      const kept = await keep().catch((error: unknown) => {
        tell(error);
        return null;
      });
      if (!kept) {
        set({ status: "off" });
        await session.open("auto");
        return;
      }
      void runs.load();
      if (!(await own("selora-table"))) {
        set({ status: "elsewhere" });
        session.addNotice(
          "The studio is open in another tab, which keeps its table for a reload. What is loaded here is not kept; runs that end are.",
        );
        await session.open("auto");
        return;
      }
      const sitting = await kept.sitting().catch(() => null);
      await session.open((sitting?.backend ?? "auto") as BackendChoice);
      if (sitting && (sitting.model || sitting.sets.length > 0)) {
        set({ status: "restoring" });
        await putBack(sitting).catch(tell);
      }
      set({ status: "here" });
      saveTable();
    },

    async goOn() {
      const { unfinished } = get();
      if (!unfinished) return;
      // A device that failed is not trusted with the rest.
      if (unfinished.failed && !(await session.open(session.getState().backend))) return;
      set({ unfinished: null });
      await runner.goOn(unfinished);
    },

    async startAnew() {
      const { unfinished } = get();
      set({ unfinished: null });
      const id = unfinished?.run?.id;
      if (id !== undefined) await inTurn(async () => (await keep()).removeState(id));
      saveTable();
    },

    async reopen(id) {
      const state = await (await keep()).state(id);
      if (state?.saved.result) return session.restoreRun(state.id, state.saved, state.history);
      session.addFailure(
        new Failure({
          code: "state",
          what: "The weights of this run are not kept any more.",
          remedy: "Run its recipe again.",
        }),
      );
      return false;
    },

    async things() {
      const things = await keep()
        .then((kept) => kept.things())
        .catch(() => []);
      const { usage, quota } = (await navigator.storage?.estimate?.().catch(() => null)) ?? {};
      return { things, room: quota === undefined ? null : { used: usage ?? 0, quota } };
    },

    async forget() {
      await inTurn(async () => (await keep()).clear());
      set({ unfinished: null });
      runs.setState({ runs: [], compared: [], details: {}, openable: new Set(), problems: [] });
    },
  };
}
