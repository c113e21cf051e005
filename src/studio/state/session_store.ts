// What the studio knows: owns the Session, turns its events and answers into one plain state, and holds the actions
// that panels call. Free of React; the hooks beside it are thin. Events are gathered and applied together, at most five
// times a second, so that a fast run leaves the page its frames.
import { createStore, type StoreApi } from "zustand/vanilla";
import { Failure, type FailureParts } from "../../failure.ts";
import { cancelled } from "../../session/job.ts";
import type { Packer } from "../../session/pack.ts";
import type {
  AccuracyPoint,
  BackendChoice,
  CorruptionChoice,
  DataAnswers,
  DataQuestion,
  DataReport,
  DataRole,
  DeviceReport,
  Evaluation,
  ExportReport,
  GateFrame,
  GateInfo,
  MemoryEstimate,
  ModelAnswers,
  ModelReport,
  PathPoint,
  Recipe,
  RunResult,
  SavedRun,
  Session,
  SessionEvent,
  SetRobustness,
  SourceFile,
  StepReport,
  TradeOff,
} from "../../session/protocol.ts";
import type { SortedDrop } from "../../session/sort_drop.ts";
import { fetchDemo } from "../files/demo.ts";
import type { Dropped } from "../files/dropped.ts";
import type { FinishedRun } from "../files/finished_run.ts";
import { plural } from "../shared/format.ts";
import { appendBounded } from "./bounded.ts";
import { createRecovery } from "./recovery.ts";

export type Status = Extract<SessionEvent, { kind: "status" }>["status"];
export type Progress = Extract<SessionEvent, { kind: "progress" }>;

/** Where something can be dropped: for the model, or for a role's images. */
export type Place = "model" | DataRole;

/** What went wrong. `at` says where the files came in; the next that come in there take its place. */
export interface Told {
  id: number;
  parts: FailureParts;
  at?: Place | "drop";
}

/** A drop that is being read or waits for the one before it. */
export interface Reading {
  id: number;
  what: Place | "demo" | "drop";
  name: string;
  /** Files found so far, while its folders are looked through. */
  found?: number;
}

/** Where a set came from, so that it can be loaded again. */
export interface SetSource {
  files: SourceFile[];
  seed: number;
  /** What the person said of how it is to be read. */
  answers: DataAnswers;
  /** Classes as mapped by hand; null while they are matched by name. */
  mapping: Record<string, string | null> | null;
}

/** Files that wait for the person to say how they are to be read. */
export interface AskedData {
  id: number;
  role: DataRole;
  name: string;
  files: SourceFile[];
  seed: number;
  /** What was said of it so far. */
  answers: DataAnswers;
  question: DataQuestion;
}

/** What the page draws of a run, and needs to draw on. */
export type History = Pick<RunState, "gates" | "frames" | "steps" | "points">;

/** The graphics device that was lost, until the person has seen to it. */
export interface Loss {
  /** What happened, a sentence. */
  what: string;
  /** How many were lost since a run last ended. */
  times: number;
  /** opening: another is being opened · open: it is · none: none is, the person chooses. */
  device: "opening" | "open" | "none";
  /** Whether what is open is the CPU, as "auto" takes it where no graphics device is left. */
  onCpu: boolean;
  /** Why none could be had; null where none was asked for, as too many were lost. */
  refusal: FailureParts | null;
  /** What was going on: a run, something asked of the last run, or nothing. */
  broke: "run" | "wish" | null;
  /** Whether the run on the page is whole again: null where there is none. */
  runBack: boolean | null;
}

/** A run that failed: what it was, and what is left of it. */
export interface FailedRun {
  id: string | null;
  recipe: Recipe;
  /** Its last good step, if it had one. */
  kept: { saved: SavedRun; history: History } | null;
  why: FailureParts;
}

/** What one run left behind; replaced when the next one starts. */
export interface RunState {
  /** Under which it is kept; null for a run of nobody's. */
  id: string | null;
  recipe: Recipe | null;
  gates: GateInfo[];
  /** Bounded: a long run is thinned out, first and last kept. */
  frames: GateFrame[];
  steps: StepReport[];
  points: AccuracyPoint[];
  before: Evaluation | null;
  result: RunResult | null;
  /** Gates and strength set by hand after training; null while they are as trained. */
  open: Uint8Array | null;
  strength: number;
  /** Accuracies with gates and strength as set by hand, as far as they are measured; null while they are as trained. */
  current: Evaluation | null;
  /** Accuracies by number of open blocks, as far as they were measured; null before. */
  tradeOff: TradeOff | null;
  /** Accuracies between before and after with the gates as trained; null before they were measured. */
  path: PathPoint[] | null;
  /** Robustness of what is applied on every OOD set; null once gates or strength have changed. */
  robustness: SetRobustness[] | null;
  /** The last export; null once something it was made of has changed. */
  exportReport: ExportReport | null;
  exportFailure: FailureParts | null;
}

export interface StudioState {
  backend: BackendChoice;
  device: DeviceReport | null;
  model: ModelReport | null;
  /** The files the model was read from, read again when open questions are answered. */
  modelFiles: SourceFile[];
  /** What the person set above what the files say, and answered where they say nothing. */
  modelAnswers: ModelAnswers;
  data: DataReport[];
  /** Of each loaded set, by its id. */
  sources: Readonly<Record<string, SetSource>>;
  reading: Reading[];
  /** Drops that only the person can say how to read. */
  questions: AskedData[];
  status: Status;
  progress: Progress | null;
  notices: string[];
  failures: Told[];
  memory: MemoryEstimate | null;
  /** From the press of Start until the run has ended. */
  running: boolean;
  /** Stop was pressed and the session has not come to rest yet. */
  stopping: boolean;
  exporting: boolean;
  /** Which of the results that are measured only when asked for is being measured. */
  measuring: "tradeOff" | "robustness" | "path" | null;
  run: RunState;
  /** The run that failed last; null once another starts or what it was made of changes. */
  failedRun: FailedRun | null;
  loss: Loss | null;
  /** Set while the person is asked whether the last run may be dropped. */
  asked: { goOn: (yes: boolean) => void } | null;
}

const emptyRun: RunState = {
  id: null,
  recipe: null,
  gates: [],
  frames: [],
  steps: [],
  points: [],
  before: null,
  result: null,
  open: null,
  strength: 1,
  current: null,
  tradeOff: null,
  path: null,
  robustness: null,
  exportReport: null,
  exportFailure: null,
};

const frameLimit = 600;
const stepLimit = 1500;
const pointLimit = 500;
const imageLimit = 400;

/** Milliseconds from one update to the next: numbers that change faster cannot be read. */
const pace = 200;
let lastUpdate = 0;

/** Calls back with a frame, `pace` after the last time; a hidden tab has no frames, and no hurry. */
function atPace(callback: () => void): void {
  const update = () => {
    lastUpdate = performance.now();
    callback();
  };
  if (document.hidden) setTimeout(update, 250);
  else setTimeout(() => requestAnimationFrame(update), Math.max(0, lastUpdate + pace - performance.now()));
}

export interface SessionStore extends StoreApi<StudioState> {
  /** Opens a device, anew even if it is the same; false when it failed. The run on the page is dropped. */
  open(choice: BackendChoice): Promise<boolean>;
  /** Opens a device in place of one that failed: the run on the page comes back on it. False when it failed. */
  openAnew(choice: BackendChoice): Promise<boolean>;
  /** Says where a run that has ended is kept, to come back from when its device is lost; null for one that is not. */
  comesBackFrom(kept: (id: string) => Promise<SavedRun | null>): void;
  dismissLoss(): void;
  /** The files of a drop, which is shown as being read meanwhile; null when that was cancelled. */
  find(what: Reading["what"], dropped: Dropped): Promise<SourceFile[] | null>;
  /** Ends what is being read under an id: the search for its files, or else the engine's job. */
  stopReading(id: number): Promise<void>;
  /** What is among the files of a drop; null when that is neither a model nor images. */
  sort(name: string, files: SourceFile[]): Promise<SortedDrop | null>;
  loadModel(files: SourceFile[], answers?: ModelAnswers): Promise<boolean>;
  /** False when it failed, or waits for an answer. */
  loadData(
    role: DataRole,
    name: string,
    files: SourceFile[],
    seed: number,
    answers?: DataAnswers,
  ): Promise<boolean>;
  /** Loads what was asked about as the person says, and every other domain as an OOD set where that is wished. */
  answerQuestion(id: number, answers: DataAnswers, others: readonly string[]): Promise<void>;
  dismissQuestion(id: number): void;
  /** Reads a loaded set's files in another way. */
  readOtherwise(setId: string, answers: DataAnswers, others: readonly string[]): Promise<void>;
  /** Fetches the built-in demo and loads all of it; gives the recipe it is tuned to, or null when it failed. */
  loadDemo(seed: number): Promise<Partial<Recipe> | null>;
  /** The run that the demo comes to, to be taken up on it; null when it cannot be had. */
  fetchFinishedRun(): Promise<FinishedRun | null>;
  /** Adds, replaces or takes away the OOD set made of the target's images; false when it failed. */
  corrupt(choice: CorruptionChoice | null): Promise<boolean>;
  removeData(id: string): Promise<void>;
  /** True when there is no finished run, or the person agrees to drop it: what it was made of is about to change. */
  mayDropRun(): Promise<boolean>;
  mapClass(id: string, className: string, mapsTo: string | null): Promise<void>;
  mapClasses(id: string, mapping: Record<string, string | null>): Promise<void>;
  estimateMemory(recipe: Recipe): Promise<void>;
  /**
   * Runs a recipe; null when it was cancelled or failed.
   * @param run id of a new run, or one as it was saved under way and what was drawn of it, to go on with under its own
   */
  train(
    recipe: Recipe,
    run?: string | { saved: SavedRun; history: History } | null,
  ): Promise<RunResult | null>;
  /** The run on the page as it stands, with what was drawn of it up to there; null without one. Says nothing when it
   *  fails. */
  saveRun(): Promise<{ saved: SavedRun; history: History } | null>;
  /** Takes up a run that had ended. */
  restoreRun(saved: SavedRun, history: History): Promise<boolean>;
  /** Accuracies between before and after, on at most `limit` images a set; null when that was stopped. */
  measurePath(limit: number): Promise<PathPoint[] | null>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  stop(): Promise<void>;
  toggleGate(gate: number): void;
  setStrength(strength: number): void;
  resetAdjustment(): void;
  /** Measures every number of open blocks; what was found before a stop stays in sight. */
  measureTradeOff(): Promise<void>;
  measureRobustness(): Promise<void>;
  /** Opens just these blocks, at full strength: a point picked on the trade-off curve. */
  pickBlocks(open: Uint8Array): void;
  exportMerged(): Promise<void>;
  imageUrl(id: string, index: number): Promise<string>;
  /** A loaded set's files as they are kept; the engine joins them. */
  packerOf(id: string): Packer;
  addNotice(text: string): void;
  /** @param at where the files came in that it is about; none for what is told of above the page */
  addFailure(error: unknown, at?: Told["at"]): void;
  dismissFailure(id: number): void;
}

/** Whether an evaluation is of the gates and strength that are set by hand now. */
function isWished({ open, strength }: RunState, evaluation: Evaluation): boolean {
  return (
    open !== null &&
    strength === evaluation.strength &&
    open.every((one, gate) => one === evaluation.open[gate])
  );
}

const withFound = (reading: readonly Reading[], id: number, found: number): Reading[] =>
  reading.map((one) => (one.id === id ? { ...one, found } : one));

/** Gates as they stand: set by hand, or as the last frame left them; null before a run. */
export function openGates(run: RunState): Uint8Array | null {
  return run.open ?? run.result?.final.open ?? run.frames.at(-1)?.open ?? null;
}

/**
 * @param session the engine, in a worker or not
 * @param schedule when gathered events are applied; a test hands in its own
 */
export function createSessionStore(
  session: Session,
  schedule: (flush: () => void) => void = atPace,
): SessionStore {
  const store = createStore<StudioState>(() => ({
    backend: "auto",
    device: null,
    model: null,
    modelFiles: [],
    modelAnswers: {},
    data: [],
    sources: {},
    reading: [],
    questions: [],
    status: "idle",
    progress: null,
    notices: [],
    failures: [],
    memory: null,
    running: false,
    stopping: false,
    exporting: false,
    measuring: null,
    run: emptyRun,
    failedRun: null,
    loss: null,
    asked: null,
  }));
  const { getState: get, setState: set } = store;
  const setRun = (changes: Partial<RunState>) => set(({ run }) => ({ run: { ...run, ...changes } }));

  let lastId = 0;
  let waiting: SessionEvent[] = [];
  /** A run was asked for and has told nothing yet: the one before it stays in sight until it does. */
  let runAsked: { id: string | null } | null = null;

  session.subscribe((event) => {
    if (event.kind === "lost") return recovery.lost(event.failure);
    if (event.kind === "device") recovery.opened(event.device);
    waiting.push(event);
    if (waiting.length === 1) schedule(flush);
  });

  function flush(): void {
    const events = waiting;
    waiting = [];
    if (events.length > 0) set((state) => apply(state, events));
  }

  function withFailure(
    state: StudioState,
    parts: FailureParts,
    at?: Told["at"],
  ): Pick<StudioState, "failures"> {
    const same = ({ parts: { what, where } }: { parts: FailureParts }) =>
      what === parts.what && where === parts.where;
    // A loss is told of once, by itself, with what became of it.
    const told = parts.code === "cancelled" || parts.code === "lost";
    if (told || state.failures.some(same)) return { failures: state.failures };
    return { failures: [...state.failures, { id: ++lastId, parts, ...(at && { at }) }] };
  }

  /** The state after a batch of events; histories are copied once a batch, not once an event. */
  function apply(before: StudioState, events: SessionEvent[]): StudioState {
    const state = { ...before };
    let frames: GateFrame[] = [];
    let steps: StepReport[] = [];
    let points: AccuracyPoint[] = [];
    const beginRun = () => {
      if (!runAsked) return;
      state.run = { ...emptyRun, id: runAsked.id };
      runAsked = null;
      frames = [];
      steps = [];
      points = [];
    };
    for (const event of events) {
      switch (event.kind) {
        case "progress":
          state.progress = event;
          break;
        case "started":
          beginRun();
          state.run = { ...state.run, recipe: event.recipe, gates: event.gates };
          break;
        case "before":
          beginRun();
          state.run = { ...state.run, before: event.evaluation };
          // What was measured is there; a run may pause before its next step.
          state.progress = null;
          break;
        case "step":
          steps.push(event.report);
          state.progress = null;
          break;
        case "gates":
          frames.push(event.frame);
          break;
        case "accuracy":
          points.push(event.point);
          break;
        case "measured":
          if (isWished(state.run, event.evaluation)) state.run = { ...state.run, current: event.evaluation };
          break;
        case "tradeOff":
          state.run = { ...state.run, tradeOff: event.tradeOff };
          break;
        case "status":
          state.status = event.status;
          if (event.status === "idle") state.progress = null;
          break;
        case "notice":
          if (!state.notices.includes(event.text)) state.notices = [...state.notices, event.text];
          break;
        case "failure":
          Object.assign(state, withFailure(state, event.failure));
          break;
        case "data":
          state.data = state.data.map((one) => (one.id === event.report.id ? event.report : one));
          break;
        case "device":
          state.device = event.device;
          break;
        case "lost":
          break;
        default:
          event satisfies never;
      }
    }
    state.run = {
      ...state.run,
      frames: appendBounded(state.run.frames, frames, frameLimit),
      steps: appendBounded(state.run.steps, steps, stepLimit),
      points: appendBounded(state.run.points, points, pointLimit),
    };
    return state;
  }

  function addFailure(error: unknown, at?: Told["at"]): void {
    set((state) => withFailure(state, Failure.from(error).parts, at));
  }

  /** What failed where files came in is of the last try; the demo takes every place, and so may a drop beside them. */
  function triesAgain(what: Reading["what"]): void {
    const isPast = ({ at }: Told) => at !== undefined && (what === "demo" || at === what || at === "drop");
    if (get().failures.some(isPast))
      set(({ failures }) => ({ failures: failures.filter((one) => !isPast(one)) }));
  }

  /** Runs a call to the session; what it throws becomes a failure on the page. Null when it threw. */
  async function attempt<T>(call: () => Promise<T>, at?: Told["at"]): Promise<T | null> {
    try {
      const value = await call();
      // Events sent before the answer belong before it.
      flush();
      return value;
    } catch (error) {
      flush();
      addFailure(error, at);
      return null;
    }
  }

  /** The same for what needs the device, or the run that lies on it: a lost one is back before. */
  async function onDevice<T>(call: () => Promise<T>): Promise<T | null> {
    return recovery.wish(() => attempt(call));
  }

  async function reading<T>(
    what: Reading["what"],
    name: string,
    call: (id: number) => Promise<T>,
  ): Promise<T | null> {
    const id = ++lastId;
    const at = what === "demo" ? undefined : what;
    triesAgain(what);
    set((state) => ({ reading: [...state.reading, { id, what, name }] }));
    const value = await attempt(() => call(id), at);
    set((state) => {
      const rest = state.reading.filter((one) => one.id !== id);
      return { reading: rest, progress: null, ...(rest.length === 0 && { stopping: false }) };
    });
    return value;
  }

  /** Searches for the files of drops that are under way, by the id of what is shown of them. */
  const searches = new Map<number, AbortController>();

  /** Whether a question is not about the set that comes under this role and name. */
  const asksOther =
    (role: DataRole, name: string) =>
    (one: AskedData): boolean =>
      one.role !== role || (role !== "target" && one.name !== name);

  function ask(asked: AskedData): void {
    const { role, name } = asked;
    set(({ questions }) => ({ questions: [...questions.filter(asksOther(role, name)), asked] }));
  }

  /** Loads a set as the person says, and the domains that are not learned as OOD sets of their own. */
  async function loadWithOthers(
    { role, name, files, seed, answers: { encoding } }: Omit<AskedData, "id" | "question">,
    reading: DataAnswers,
    others: readonly string[],
  ): Promise<void> {
    // Another way to read folders leaves the letters of their names as they were read.
    const answers = encoding === undefined ? reading : { encoding, ...reading };
    if (!(await actions.loadData(role, name, files, seed, answers))) return;
    for (const domain of others) await actions.loadData("ood", domain, files, seed, { ...answers, domain });
  }

  /** The engine forgets a run once what it was made of changes, and so does the page. */
  function dropRun(): void {
    forgetImages();
    set({ run: emptyRun, failedRun: null });
  }

  /** What was drawn of a run up to a step. */
  function historyOf({ gates, frames, steps, points }: RunState, last: number): History {
    const sofar = <T extends { step: number }>(all: readonly T[]) => all.filter(({ step }) => step <= last);
    return { gates, frames: sofar(frames), steps: sofar(steps), points: sofar(points) };
  }

  /**
   * Matches depend on the model's labels and the target's classes, and images are decoded once there is a model: ask
   * again after either changed.
   */
  async function refreshReports(): Promise<void> {
    for (const { id } of get().data) {
      const report = await attempt(() => session.mapClasses(id, {}));
      if (report) putReport(report);
    }
  }

  function putReport(report: DataReport): void {
    set(({ data }) => ({ data: data.map((one) => (one.id === report.id ? report : one)) }));
  }

  // Blob addresses of shown images, oldest first; the oldest is given back when there are too many.
  const addresses = new Map<string, Promise<string>>();
  function forgetImages(): void {
    for (const address of addresses.values()) address.then(URL.revokeObjectURL, () => {});
    addresses.clear();
  }

  // A slider that moves asks faster than the engine answers: a later wish ends the one before it.
  let wishes = 0;
  let settled: Pick<RunState, "open" | "strength" | "current"> | null = null;
  async function wishFor(open: Uint8Array, strength: number, trained = false): Promise<void> {
    const mine = ++wishes;
    const { run } = get();
    // What to fall back to is what was measured last, and not a wish that was overtaken.
    settled ??= { open: run.open, strength: run.strength, current: run.current };
    const nothingYet = { sets: [], open, strength };
    setRun({
      open: trained ? null : open,
      strength,
      current: trained ? null : nothingYet,
      robustness: null,
      exportReport: null,
      exportFailure: null,
    });
    const evaluation = await onDevice(() => session.adjust(open, strength));
    if (mine !== wishes || get().run.result !== run.result) return;
    if (evaluation === null) setRun(settled);
    else if (!trained) setRun({ current: evaluation });
    settled = null;
  }

  /** Runs a measurement that was asked for; what it finds belongs to the run and the gates it was asked for. */
  async function measure(
    what: NonNullable<StudioState["measuring"]>,
    call: () => Promise<() => void>,
  ): Promise<void> {
    if (get().measuring !== null || get().run.result === null) return;
    const { result } = get().run;
    const asked = wishes;
    set({ measuring: what });
    const keep = await onDevice(call);
    set({ measuring: null, stopping: false, progress: null });
    const same = what !== "robustness" || asked === wishes;
    if (keep && same && get().run.result === result) keep();
  }

  const recovery = createRecovery(session, store, dropRun, addFailure);

  const actions: SessionStore = {
    ...store,
    addFailure,

    addNotice(text) {
      set(({ notices }) => ({ notices: notices.includes(text) ? notices : [...notices, text] }));
    },

    dismissFailure(id) {
      set(({ failures }) => ({ failures: failures.filter((one) => one.id !== id) }));
    },

    async open(choice) {
      await recovery.done();
      const device = await attempt(() => session.open(choice));
      if (!device) {
        // The engine may have let go of the run before it found that there is no other device.
        if (get().run.result) void recovery.openAnew(get().backend);
        return false;
      }
      const { failedRun } = get();
      dropRun();
      recovery.trust();
      // Another device is just where a run that failed may go on.
      set({ device, backend: choice, failedRun, loss: null });
      return true;
    },

    openAnew: recovery.openAnew,
    comesBackFrom: recovery.comesBackFrom,

    dismissLoss() {
      set(({ loss }) => ({ loss: loss?.device === "open" ? null : loss }));
    },

    async find(what, dropped) {
      const search = new AbortController();
      const found = await reading(what, dropped.name, async (id) => {
        const show = (count: number) => set(({ reading }) => ({ reading: withFound(reading, id, count) }));
        let shown = performance.now();
        searches.set(id, search);
        show(0);
        try {
          return await dropped.search((count) => {
            if (performance.now() - shown < pace) return;
            shown = performance.now();
            show(count);
          }, search.signal);
        } finally {
          searches.delete(id);
        }
      });
      if (found && found.lost.length > 0)
        actions.addNotice(
          `${plural(found.lost.length, "file or folder", "files and folders")} of ${dropped.name} could not be opened, the first ${found.lost[0]}; the rest is read.`,
        );
      return found?.files ?? null;
    },

    async stopReading(id) {
      const search = searches.get(id);
      if (search) search.abort();
      else await actions.stop();
    },

    sort: (name, files) =>
      reading("drop", name, async (id) => {
        const search = new AbortController();
        searches.set(id, search);
        try {
          const { sortDrop } = await import("../../session/sort_drop.ts");
          const sorted = await sortDrop(files);
          if (search.signal.aborted) throw cancelled("Sorting the drop");
          return sorted;
        } finally {
          searches.delete(id);
        }
      }),

    async loadModel(files, answers = {}) {
      const name = files[0]?.path.split("/")[0] ?? "model";
      const model = await reading("model", name, () => session.loadModel(files, answers));
      if (model === null) return false;
      dropRun();
      set({ model, modelFiles: files, modelAnswers: answers, memory: null });
      await refreshReports();
      return true;
    },

    async loadData(role, name, files, seed, answers = {}) {
      const report = await reading(role, name, async () => {
        try {
          return await session.loadData(role, name, files, seed, answers);
        } catch (error) {
          const { question } = Failure.from(error).parts;
          if (!question) throw error;
          ask({ id: ++lastId, role, name, files, seed, answers, question });
          return null;
        }
      });
      if (report === null) return false;
      dropRun();
      set(({ questions }) => ({ questions: questions.filter(asksOther(role, name)) }));
      const replaced = (one: DataReport) => one.role === role && (role === "target" || one.name === name);
      set(({ data, sources }) => {
        const kept = data.filter((one) => !replaced(one));
        const ofKept = Object.fromEntries(kept.map(({ id }) => [id, sources[id] as SetSource]));
        return {
          data: [...kept, report],
          sources: { ...ofKept, [report.id]: { files, seed, answers, mapping: null } },
        };
      });
      if (role === "target") await refreshReports();
      return true;
    },

    async answerQuestion(id, answers, others) {
      const asked = get().questions.find((one) => one.id === id);
      if (!asked) return;
      actions.dismissQuestion(id);
      await loadWithOthers(asked, answers, others);
    },

    dismissQuestion(id) {
      set(({ questions }) => ({ questions: questions.filter((one) => one.id !== id) }));
    },

    async readOtherwise(setId, answers, others) {
      const report = get().data.find((one) => one.id === setId);
      const source = get().sources[setId];
      if (report && source)
        await loadWithOthers({ ...source, role: report.role, name: report.name }, answers, others);
    },

    loadDemo(seed) {
      return reading("demo", "the demo", async () => {
        const demo = await fetchDemo();
        // A target there was is replaced by the demo's; other sets would be beside the point.
        for (const { id, role } of get().data) if (role !== "target") await actions.removeData(id);
        if (!(await actions.loadModel(demo.model))) return null;
        for (const { role, name, files } of demo.sets) {
          if (!(await actions.loadData(role, name, files, seed))) return null;
        }
        return demo.recipe ?? {};
      });
    },

    fetchFinishedRun: () =>
      attempt(async () => (await import("../files/finished_run.ts")).fetchFinishedRun()),

    async corrupt(choice) {
      const done = await attempt(async () => ({ report: await session.corrupt(choice) }));
      if (!done) return false;
      dropRun();
      set(({ data }) => {
        const others = data.filter(({ corruption }) => corruption === null);
        const at = data.findIndex(({ corruption }) => corruption !== null);
        // In the place it had, so that nothing moves under the hand that changes it.
        if (done.report) others.splice(at < 0 ? others.length : at, 0, done.report);
        return { data: others };
      });
      return true;
    },

    async removeData(id) {
      const done = await attempt(async () => {
        await session.removeData(id);
        return true;
      });
      if (!done) return;
      dropRun();
      const removed = get().data.find((one) => one.id === id);
      // What was made of the target's images goes with them.
      const goes = (one: DataReport) =>
        one.id === id || (removed?.role === "target" && one.corruption !== null);
      set(({ data }) => ({ data: data.filter((one) => !goes(one)) }));
    },

    mayDropRun() {
      if (get().run.result === null) return Promise.resolve(true);
      return new Promise((resolve) => {
        const goOn = (yes: boolean) => {
          set({ asked: null });
          resolve(yes);
        };
        set({ asked: { goOn } });
      });
    },

    async mapClass(id, className, mapsTo) {
      const before = get().data.find((one) => one.id === id);
      if (!before) return;
      // What is still to be chosen stays so.
      const settled = before.classes.filter(({ choices }) => !choices);
      const mapping = Object.fromEntries(settled.map((one) => [one.name, one.mapsTo]));
      await actions.mapClasses(id, { ...mapping, [className]: mapsTo });
    },

    async mapClasses(id, mapping) {
      const report = await attempt(() => session.mapClasses(id, mapping));
      if (!report) return;
      dropRun();
      putReport(report);
      set(({ sources }) => ({ sources: { ...sources, [id]: { ...(sources[id] as SetSource), mapping } } }));
    },

    async estimateMemory(recipe) {
      // An estimate is a courtesy: when there is none, the run itself says what is wrong.
      const memory = await session.estimateMemory(recipe).catch(() => null);
      set({ memory });
    },

    async train(recipe, as = null) {
      if (get().running) return null;
      const from = typeof as === "string" ? null : as;
      const id = typeof as === "string" ? as : (from?.saved.id ?? null);
      set({ running: true, stopping: false, failedRun: null });
      if (recovery.pending) await recovery.done();
      const last = get().run;
      if (from) {
        forgetImages();
        set({
          run: { ...emptyRun, id, recipe, ...from.history, before: from.saved.sample ?? from.saved.before },
        });
      } else runAsked = { id };
      const settled = recovery.during();
      let why = null as FailureParts | null;
      const result = await attempt(() =>
        session.train(recipe, from?.saved ?? id ?? undefined).catch((error: unknown) => {
          why = Failure.from(error).parts;
          throw error;
        }),
      );
      runAsked = null;
      const ended = get().run;
      set({ running: false, stopping: false, progress: null });
      // A run that was cancelled or failed leaves the engine with the one before it; so does the page. One that was
      // gone on with stays in sight as far as it came.
      const went = from && get().run.steps.length > from.history.steps.length;
      if (!result && (last.result || (from && !went))) set({ run: last });
      if (why && why.code !== "cancelled") {
        const saved = id === null ? null : await session.saveRun(id).catch(() => null);
        const kept = saved?.result === null ? { saved, history: historyOf(ended, saved.step) } : null;
        if (!get().running) set({ failedRun: { id, recipe, kept, why } });
      }
      settled();
      if (result?.failure) addFailure(new Failure(result.failure));
      if (result) recovery.trust();
      if (result) setRun({ id, result, before: result.before, gates: result.gates, open: null, strength: 1 });
      return result;
    },

    async saveRun() {
      const { id } = get().run;
      const saved = id === null ? null : await session.saveRun(id).catch(() => null);
      flush();
      // Another run may be on the page by now.
      const { run } = get();
      return saved && saved.id === run.id ? { saved, history: historyOf(run, saved.step) } : null;
    },

    async restoreRun(saved, history) {
      const result = await onDevice(() => session.restoreRun(saved));
      if (!result) return false;
      forgetImages();
      const { recipe, before } = result;
      set({ run: { ...emptyRun, id: saved.id, recipe, ...history, before, result } });
      return true;
    },

    async measurePath(limit) {
      let path: PathPoint[] | null = null;
      await measure("path", async () => {
        const points = await session.measurePath([0, 0.25, 0.5, 0.75, 1], limit);
        path = points;
        return () => setRun({ path: points });
      });
      return path;
    },

    async pause() {
      await attempt(() => session.pause());
    },
    async resume() {
      await attempt(() => session.resume());
    },
    async stop() {
      set({ stopping: true });
      await attempt(() => session.stop());
      if (!get().running && get().reading.length === 0) set({ stopping: false });
    },

    toggleGate(gate) {
      const { run } = get();
      const now = openGates(run);
      if (now === null || run.result === null) return;
      const open = now.slice();
      open[gate] = open[gate] ? 0 : 1;
      void wishFor(open, run.strength);
    },
    setStrength(strength) {
      const open = openGates(get().run);
      if (open && get().run.result) void wishFor(open, strength);
    },
    resetAdjustment() {
      const { result } = get().run;
      if (result) void wishFor(result.final.open, 1, true);
    },

    async measureTradeOff() {
      await measure("tradeOff", async () => {
        setRun({ tradeOff: null });
        const tradeOff = await session.tradeOff();
        return () => setRun({ tradeOff });
      });
    },
    async measureRobustness() {
      await measure("robustness", async () => {
        const robustness = await session.robustness();
        return () => setRun({ robustness });
      });
    },
    pickBlocks(open) {
      const { result } = get().run;
      if (result)
        void wishFor(
          open,
          1,
          open.every((flag, gate) => flag === result.final.open[gate]),
        );
    },

    async exportMerged() {
      if (get().exporting) return;
      set({ exporting: true });
      setRun({ exportReport: null, exportFailure: null });
      try {
        const exportReport = await recovery.wish(() => session.exportMerged());
        setRun({ exportReport });
      } catch (error) {
        const { parts } = Failure.from(error);
        if (parts.code !== "cancelled" && parts.code !== "lost") setRun({ exportFailure: parts });
      }
      set({ exporting: false, progress: null });
    },

    packerOf: (id) => async (limit) => {
      const joined = await session.pack(id, limit);
      if (joined) return joined;
      throw new Failure({
        code: "state",
        what: "The images are loaded no more.",
        remedy: "Drop them again.",
      });
    },

    imageUrl(id, index) {
      const key = `${id}/${index}`;
      const known = addresses.get(key);
      if (known) return known;
      const address = session.image(id, index).then((blob) => URL.createObjectURL(blob));
      addresses.set(key, address);
      address.catch(() => addresses.delete(key));
      const oldest = addresses.keys().next().value;
      if (addresses.size > imageLimit && oldest !== undefined) {
        addresses.get(oldest)?.then(URL.revokeObjectURL, () => {});
        addresses.delete(oldest);
      }
      return address;
    },
  };
  return actions;
}
