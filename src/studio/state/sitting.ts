// Nothing is lost by a reload: what lies on the table (model, images, the run under way or the last one) is kept as it
// comes, and put back when the page opens again. A run under way is saved every so often, and can be gone on with.
import { createStore, type StoreApi } from "zustand/vanilla";
import { Failure, type FailureParts } from "../../failure.ts";
import { filesPart } from "../../fingerprint.ts";
import type { Keep, KeptState, KeptThing, SetAside, Sitting } from "../../session/keep.ts";
import type { Packer } from "../../session/pack.ts";
import type {
  BackendChoice,
  DataAnswers,
  ModelAnswers,
  SavedRun,
  SourceFile,
} from "../../session/protocol.ts";
import { recipeSchema } from "../../session/recipe.ts";
import type { RecipeStore } from "./recipe_store.ts";
import type { Row, Runner, Unfinished } from "./runner.ts";
import type { RunsStore } from "./runs_store.ts";
import type { SessionStore, StudioState } from "./session_store.ts";
import type { Tabs } from "./tabs.ts";

export interface SittingState {
  /** here: this tab's table is kept · elsewhere: another tab has it · off: the browser keeps nothing. */
  status: "starting" | "restoring" | "here" | "elsewhere" | "off";
  /** Why what lies on the table, or the run, is not kept as it stands, and what did not come back; null where all did. */
  unkept: { table: FailureParts | null; run: FailureParts | null; lost: FailureParts | null };
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
  things(): Promise<{
    things: KeptThing[];
    aside: SetAside[];
    room: { used: number; quota: number } | null;
  }>;
  /** Deletes the tensors of kept runs, but not of the one on the page; their results stay. */
  removeStates(ids: readonly string[]): Promise<void>;
  /** Tries once more to keep what could not be. */
  keepAgain(): Promise<void>;
  /** Saves all there is, so that another tab can go on with it. @returns what would be lost, in words, or null */
  giveUp(): Promise<string | null>;
  /** What was set aside, to take along; null where it is gone. */
  takeAside: Keep["takeAside"];
  removeAside: Keep["removeAside"];
  /** The person has read what did not come back. */
  dismissLost(): void;
  /** Forgets everything that is kept. What is loaded stays until the page is closed. */
  forget(): Promise<void>;
}

/** Milliseconds to the first save of a run, and from one to the next. */
const PACE = { first: 3_000, next: 15_000 };

const cannotTell = (name: string) =>
  new Failure({
    code: "state",
    what: `${name} cannot be kept for a reload: the page is not served over https, or the files cannot be read to the end.`,
    remedy: "Training and export work as ever; only a reload would lose it.",
  });
const didNotComeBack = (name: string) =>
  new Failure({
    code: "state",
    what: `${name} could not be read again.`,
    remedy: "Load it, or run its recipe, once more. What was found of it is set aside under Storage.",
  });

/** Tabs that this one knows nothing of. */
const alone: Pick<Tabs, "take"> = { take: async () => ({ free: true, mine: Promise.resolve() }) };

export function createSitting(
  {
    session,
    runs,
    runner,
    recipe,
  }: { session: SessionStore; runs: RunsStore; runner: Runner; recipe: RecipeStore },
  keep: () => Promise<Keep>,
  { tabs = alone, pace = PACE }: { tabs?: Pick<Tabs, "take">; pace?: typeof PACE } = {},
): SittingStore {
  const store = createStore<SittingState>(() => ({
    status: "starting",
    unkept: { table: null, run: null, lost: null },
    unfinished: null,
  }));
  const { getState: get, setState: set } = store;

  /** Says what could not be kept, where it is; null once it is. */
  function say(what: keyof SittingState["unkept"], error: unknown): void {
    const parts = error === null ? null : Failure.from(error).parts;
    if (get().unkept[what]?.what !== parts?.what) set({ unkept: { ...get().unkept, [what]: parts } });
  }

  const lost: string[] = [];
  function missing(name: string): void {
    lost.push(lost.length === 0 ? name : name.replace(/^./, (first) => first.toLowerCase()));
    say("lost", didNotComeBack(lost.join(", ")));
  }

  // Saves, one after the other. ---------------------------------------------------------------------------------

  let queue: Promise<void> = Promise.resolve();
  const inTurn = (work: () => Promise<void>, what: keyof SittingState["unkept"] = "run") => {
    queue = queue.then(work).catch((error: unknown) => say(what, error));
    return queue;
  };

  /** What lies on the table, its files kept. */
  async function tableOf(state: StudioState): Promise<Sitting> {
    const { model, data, sources, backend } = state;
    let refused: unknown = null;
    async function packed(id: string | null, name: string, files: readonly SourceFile[] | Packer) {
      try {
        if (id === null) throw cannotTell(name);
        await (await keep()).pack(id, name, files);
        return id;
      } catch (error) {
        refused ??= error;
        return null;
      }
    }
    const modelPack = model && (await packed(model.fingerprint, `The model ${model.name}`, state.modelFiles));
    const sets: Sitting["sets"] = [];
    for (const { id, role, name, fingerprint } of data) {
      const source = sources[id];
      const pack =
        source &&
        (await packed(
          fingerprint && filesPart(fingerprint),
          `The images of ${name}`,
          // What was handed over unopened is known to the engine.
          source.files.some(({ inside }) => inside) ? session.packerOf(id) : source.files,
        ));
      if (source && pack) {
        const { seed, answers, mapping } = source;
        sets.push({ pack, role, name, seed, answers, mapping });
      }
    }
    say("table", refused);
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
      run: state.run.id,
      series: savedRow(),
      begun: savedBegun(state),
      recipe: recipe.getState().recipe,
    };
  }

  /** The run under way, or the one that is offered to be gone on with, or is about to be. */
  function savedBegun({ failedRun }: StudioState): Sitting["begun"] {
    const lost = failedRun?.why.code === "lost" ? failedRun : null;
    const { begun, name } = runner.getState();
    const one = begun ?? get().unfinished?.run ?? (lost?.id ? { ...lost, id: lost.id, name } : null);
    return one && { id: one.id, name: one.name, recipe: one.recipe };
  }

  function setUnfinished(unfinished: Unfinished | null): void {
    set({ unfinished });
    saveTable();
  }

  /** A demo that is still being loaded lies on the table whole or not at all. */
  const loadsDemo = ({ reading }: StudioState) => reading.some(({ what }) => what === "demo");

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
      if (get().status !== "here" || loadsDemo(session.getState())) return;
      await (await keep()).putSitting(await tableOf(session.getState()));
    }, "table");
  }

  /** The run that ended last, where it is kept nowhere else: it comes back from here when its device is lost. */
  let held: SavedRun | null = null;

  /** Keeps the run on the page as it stands; false when nothing of a run under way was kept. */
  async function saveState(): Promise<boolean> {
    const run = await session.saveRun();
    if (!run) return false;
    if (run.saved.result) held = run.saved;
    if (get().status !== "here") return false;
    const kept = await keep();
    await kept.putState({ name: nameOf(run.saved.id), ...run });
    if (held === run.saved) held = null;
    say("run", null);
    runs.setState({ openable: new Set(await kept.stateIds()) });
    return run.saved.result === null;
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
          say("run", error);
          // Room may be made meanwhile.
          autosave(pace.next);
        }
      });
    }, wait);
  }

  /** Offers to go on with a run that failed, from the last step that was kept of it. */
  function offerFailed(run: StudioState["failedRun"]): void {
    if (!run?.id) {
      // What it was made of has changed. Another run that starts takes nothing away.
      if (get().unfinished?.failed && !session.getState().running) setUnfinished(null);
      return;
    }
    const { id, kept, why } = run;
    const { row, busy, name } = runner.getState();
    // The others of a row follow it by themselves, unless there is nothing that they could run on.
    const last = session.getState().loss?.device === "none" ? row?.entries.length : (row?.at ?? 0) + 1;
    const ofRow = busy && row ? { ...row, entries: row.entries.slice(0, last) } : null;
    void inTurn(async () => {
      const stored = get().status === "here" ? await (await keep()).state(id) : null;
      // What was saved last may be from later than what the engine went back to.
      const best = stored && stored.saved.step > (kept?.saved.step ?? 0) ? stored : kept;
      if (best?.saved.result || session.getState().failedRun !== run) return;
      // Most failures would come again; that a device was lost is nothing in the run itself.
      if (!best && why.code !== "lost") return;
      const left = best && { saved: best.saved, history: best.history };
      setUnfinished({ failed: why, run: { id, name, recipe: run.recipe, kept: left }, row: ofRow });
      if (kept && best === kept && get().status === "here") await (await keep()).putState({ name, ...kept });
    });
  }

  function watch(): void {
    runner.waitFor(() => queue);
    session.subscribe((now, before) => {
      const other = (key: "model" | "data" | "sources" | "modelAnswers" | "backend") =>
        now[key] !== before[key];
      if (other("model") || other("data") || other("sources") || other("modelAnswers") || other("backend"))
        saveTable();
      if (now.run.id !== before.run.id || (loadsDemo(before) && !loadsDemo(now))) saveTable();
      if (now.running && !before.running) {
        if (get().status === "here") say("run", null);
        autosave(pace.first);
      }
      if (now.failedRun !== before.failedRun) offerFailed(now.failedRun);
      if (now.status === "paused" && before.status !== "paused") autosave(0);
      if (now.run.result !== null && now.run.result !== before.run.result)
        void inTurn(async () => void (await saveState()));
    });
    runner.subscribe((now, before) => {
      if (now.row !== before.row || now.busy !== before.busy || now.begun !== before.begun) saveTable();
    });
    recipe.subscribe((now, before) => {
      if (now.recipe !== before.recipe) saveTable();
    });
    session.comesBackFrom(async (id) => {
      await queue;
      return held?.id === id ? held : ((await (await keep()).state(id))?.saved ?? null);
    });
    addEventListener("visibilitychange", () => {
      if (document.hidden && session.getState().running) autosave(0);
    });
  }

  // Putting back. -----------------------------------------------------------------------------------------------

  async function putBack(sitting: Sitting): Promise<void> {
    const kept = await keep();
    if (sitting.model && session.getState().model === null) {
      const { pack, name, answers } = sitting.model;
      const files = await kept.unpack(pack);
      if (!files) missing(`The model ${name}`);
      else await session.loadModel(files, (answers ?? undefined) as ModelAnswers | undefined);
    }
    for (const { pack, role, name, seed, answers, mapping } of sitting.sets) {
      const there = session
        .getState()
        .data.some((set) => set.role === role && (role === "target" || set.name === name));
      if (there) continue;
      const files = await kept.unpack(pack);
      if (!files) missing(`The images of ${name}`);
      else if ((await session.loadData(role, name, files, seed, answers as DataAnswers)) && mapping) {
        const set = session.getState().data.find((one) => one.role === role && one.name === name);
        if (set) await session.mapClasses(set.id, mapping);
      }
    }
    const { data } = session.getState();
    if (sitting.corruption && data.some(({ role }) => role === "target"))
      if (data.every(({ corruption }) => corruption === null)) await session.corrupt(sitting.corruption);
    const states = [await stateOf(sitting.begun?.id), await stateOf(sitting.run)];
    const ended = states.find((state) => state?.saved.result);
    if (ended) await session.restoreRun(ended.saved, ended.history);
    const run = await begunOf(sitting, states);
    const row = rowOf(sitting.series);
    const rest = row && !run?.kept ? await restOf(row) : row;
    // A row starts its next run by itself.
    const offered = run?.kept || !rest ? run : null;
    if (offered || rest) set({ unfinished: { failed: null, run: offered, row: rest } });
  }

  /** The run that was under way when the page was closed, with what is kept of it. */
  async function begunOf(
    { begun }: Sitting,
    states: readonly (KeptState | null)[],
  ): Promise<Unfinished["run"]> {
    const state = states.find((one) => one?.saved.result === null && (!begun || one.id === begun.id));
    if (state) {
      const { id, name, saved, history } = state;
      return { id, name, recipe: saved.recipe, kept: { saved, history } };
    }
    const parsed = recipeSchema.safeParse(begun?.recipe);
    if (!begun || !parsed.success) return null;
    await runs.load();
    const hasEnded = runs.getState().runs.some(({ id }) => id === begun.id);
    return hasEnded ? null : { ...begun, recipe: parsed.data, kept: null };
  }

  /** A run with its tensors; null where there is none, and said where it is damaged. */
  async function stateOf(id: string | null | undefined): Promise<KeptState | null> {
    const kept = await keep();
    const state = id ? await kept.state(id) : null;
    if (id && !state && (await kept.aside()).some((one) => one.room === "states" && one.id === id))
      missing("What was kept of the run");
    return state;
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

  return {
    ...store,

    async begin() {
      watch();
      const { free, mine } = await tabs.take();
      if (!free) {
        set({ status: "elsewhere" });
        void runs.load();
        await mine;
        set({ status: "starting" });
      }
      const kept = await keep().catch((error: unknown) => {
        say("table", error);
        return null;
      });
      if (!kept) {
        set({ status: "off" });
        await session.open("auto");
        return;
      }
      await kept.claim().catch(() => {});
      void runs.load();
      const asideBefore = (await kept.aside().catch(() => [])).length;
      const sitting = await kept.sitting().catch(() => null);
      if (!sitting && (await kept.aside().catch(() => [])).length > asideBefore)
        missing("What lay on the table at the last visit");
      if (sitting?.recipe) recipe.takeUp(sitting.recipe);
      const backend: BackendChoice = sitting?.backend ?? "auto";
      // What was chosen on another day may not be there today.
      if (!(await session.open(backend)) && backend !== "auto") await session.open("auto");
      if (sitting && (sitting.model || sitting.sets.length > 0 || sitting.begun)) {
        set({ status: "restoring" });
        await putBack(sitting).catch((error: unknown) => say("table", error));
      }
      set({ status: "here" });
      saveTable();
    },

    async goOn() {
      const { unfinished } = get();
      if (!unfinished) return;
      // A device that failed is not trusted with the rest. One that was lost is opened anew by itself, if it can be.
      const { device, backend } = session.getState();
      const open = device !== null && (!unfinished.failed || unfinished.failed.code === "lost");
      if (!open && !(await session.openAnew(backend))) return;
      setUnfinished(null);
      await runner.goOn(unfinished);
    },

    async startAnew() {
      const run = get().unfinished?.run;
      session.setState({ failedRun: null });
      setUnfinished(null);
      if (run?.kept) await inTurn(async () => (await keep()).removeState(run.id));
    },

    async reopen(id) {
      const state = await stateOf(id);
      if (state?.saved.result) return session.restoreRun(state.saved, state.history);
      session.addFailure(
        new Failure({
          code: "state",
          what: "The weights of this run are not kept any more.",
          remedy: "Run its recipe again.",
        }),
      );
      return false;
    },

    async giveUp() {
      const { reading, running } = session.getState();
      if (get().status === "off")
        return "The browser keeps nothing for it, so all that is loaded there would be gone.";
      if (reading.length > 0) return "It is reading files that are not kept yet.";
      if (get().status !== "here") return null;
      await inTurn(async () => (await keep()).putSitting(await tableOf(session.getState())), "table");
      if (running) await inTurn(async () => void (await saveState()));
      const { table, run } = get().unkept;
      const what = table ?? run ?? runs.getState().refused;
      return what ? what.what : null;
    },

    takeAside: async (key) => (await keep()).takeAside(key),
    removeAside: async (key) => (await keep()).removeAside(key),
    dismissLost() {
      lost.length = 0;
      say("lost", null);
    },

    async things() {
      const kept = await keep().catch(() => null);
      const things = (await kept?.things().catch(() => [])) ?? [];
      const aside = (await kept?.aside().catch(() => [])) ?? [];
      const { usage, quota } = (await navigator.storage?.estimate?.().catch(() => null)) ?? {};
      return { things, aside, room: quota === undefined ? null : { used: usage ?? 0, quota } };
    },

    async removeStates(ids) {
      const kept = await keep();
      const onPage = session.getState().run.id;
      for (const id of ids) if (id !== onPage) await kept.removeState(id);
      runs.setState({ openable: new Set(await kept.stateIds()) });
    },

    async keepAgain() {
      await inTurn(async () => {
        if (get().status === "here") await (await keep()).putSitting(await tableOf(session.getState()));
      }, "table");
      if (get().unkept.run) await inTurn(async () => void (await saveState()));
      await runs.storeAgain();
    },

    async forget() {
      await inTurn(async () => (await keep()).clear());
      set({ unfinished: null });
      runs.setState({ compared: [], details: {}, problems: [] });
      await runs.reload();
    },
  };
}
