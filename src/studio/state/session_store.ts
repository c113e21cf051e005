// What the studio knows: owns the Session, turns its events and answers into one plain state, and holds the actions
// that panels call. Free of React; the hooks beside it are thin. Events are gathered and applied together, at most ten
// times a second, so that a fast run leaves the page its frames.
import { createStore, type StoreApi } from "zustand/vanilla";
import { Failure, type FailureParts } from "../../failure.ts";
import type {
  AccuracyPoint,
  BackendChoice,
  DataReport,
  DeviceReport,
  Evaluation,
  ExportReport,
  GateFrame,
  GateInfo,
  MemoryEstimate,
  ModelAnswers,
  ModelReport,
  Recipe,
  RunResult,
  Session,
  SessionEvent,
  SetRole,
  SourceFile,
  StepReport,
} from "../../session/protocol.ts";
import { fetchDemo } from "../files/demo.ts";
import { appendBounded } from "./bounded.ts";

export type Status = Extract<SessionEvent, { kind: "status" }>["status"];
export type Progress = Extract<SessionEvent, { kind: "progress" }>;

/** A drop that is being read or waits for the one before it. */
export interface Reading {
  id: number;
  what: "demo" | "model" | SetRole;
  name: string;
}

/** What one run left behind; replaced when the next one starts. */
export interface RunState {
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
  /** Accuracies with gates and strength as set by hand; null while they are as trained. */
  current: Evaluation | null;
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
  /** False while the person has not confirmed what the model's files leave open. */
  answered: boolean;
  data: DataReport[];
  reading: Reading[];
  status: Status;
  progress: Progress | null;
  notices: string[];
  failures: { id: number; parts: FailureParts }[];
  memory: MemoryEstimate | null;
  /** From the press of Start until the run has ended. */
  running: boolean;
  /** Stop was pressed and the session has not come to rest yet. */
  stopping: boolean;
  exporting: boolean;
  run: RunState;
  /** Set while the person is asked whether the last run may be dropped. */
  asked: { goOn: (yes: boolean) => void } | null;
}

const emptyRun: RunState = {
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
  exportReport: null,
  exportFailure: null,
};

const frameLimit = 600;
const stepLimit = 1500;
const pointLimit = 500;
const imageLimit = 400;

/** Milliseconds from one update to the next: numbers that change faster cannot be read. */
const pace = 100;
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
  open(choice: BackendChoice): Promise<void>;
  loadModel(files: SourceFile[], answers?: ModelAnswers): Promise<boolean>;
  loadData(role: SetRole, name: string, files: SourceFile[], seed: number): Promise<boolean>;
  /** Fetches the built-in demo and loads all of it; gives the recipe it is tuned to, or null when it failed. */
  loadDemo(seed: number): Promise<Partial<Recipe> | null>;
  removeData(id: string): Promise<void>;
  /** True when there is no finished run, or the person agrees to drop it: what it was made of is about to change. */
  mayDropRun(): Promise<boolean>;
  mapClass(id: string, className: string, mapsTo: string | null): Promise<void>;
  estimateMemory(recipe: Recipe): Promise<void>;
  train(recipe: Recipe): Promise<void>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  stop(): Promise<void>;
  toggleGate(gate: number): void;
  setStrength(strength: number): void;
  resetAdjustment(): void;
  exportMerged(): Promise<void>;
  imageUrl(id: string, index: number): Promise<string>;
  addNotice(text: string): void;
  addFailure(error: unknown): void;
  dismissFailure(id: number): void;
}

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
    answered: true,
    data: [],
    reading: [],
    status: "idle",
    progress: null,
    notices: [],
    failures: [],
    memory: null,
    running: false,
    stopping: false,
    exporting: false,
    run: emptyRun,
    asked: null,
  }));
  const { getState: get, setState: set } = store;
  const setRun = (changes: Partial<RunState>) => set(({ run }) => ({ run: { ...run, ...changes } }));

  let lastId = 0;
  let waiting: SessionEvent[] = [];
  /** A run was asked for and has told nothing yet: the one before it stays in sight until it does. */
  let runAsked = false;

  session.subscribe((event) => {
    waiting.push(event);
    if (waiting.length === 1) schedule(flush);
  });

  function flush(): void {
    const events = waiting;
    waiting = [];
    if (events.length > 0) set((state) => apply(state, events));
  }

  function withFailure(state: StudioState, parts: FailureParts): Pick<StudioState, "failures"> {
    const same = ({ parts: { what, where } }: { parts: FailureParts }) =>
      what === parts.what && where === parts.where;
    if (parts.code === "cancelled" || state.failures.some(same)) return { failures: state.failures };
    return { failures: [...state.failures, { id: ++lastId, parts }] };
  }

  /** The state after a batch of events; histories are copied once a batch, not once an event. */
  function apply(before: StudioState, events: SessionEvent[]): StudioState {
    const state = { ...before };
    let frames: GateFrame[] = [];
    let steps: StepReport[] = [];
    let points: AccuracyPoint[] = [];
    const beginRun = () => {
      if (!runAsked) return;
      runAsked = false;
      state.run = emptyRun;
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

  function addFailure(error: unknown): void {
    set((state) => withFailure(state, Failure.from(error).parts));
  }

  /** Runs a call to the session; what it throws becomes a failure on the page. Null when it threw. */
  async function attempt<T>(call: () => Promise<T>): Promise<T | null> {
    try {
      const value = await call();
      // Events sent before the answer belong before it.
      flush();
      return value;
    } catch (error) {
      flush();
      addFailure(error);
      return null;
    }
  }

  async function reading<T>(what: Reading["what"], name: string, call: () => Promise<T>): Promise<T | null> {
    const id = ++lastId;
    set((state) => ({ reading: [...state.reading, { id, what, name }] }));
    const value = await attempt(call);
    set((state) => {
      const rest = state.reading.filter((one) => one.id !== id);
      return { reading: rest, progress: null, ...(rest.length === 0 && { stopping: false }) };
    });
    return value;
  }

  /** The engine forgets a run once what it was made of changes, and so does the page. */
  function dropRun(): void {
    forgetImages();
    set({ run: emptyRun });
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

  // A slider that moves asks faster than the engine answers: only the last wish counts.
  let wish: { open: Uint8Array; strength: number; trained: boolean } | null = null;
  let adjusting = false;
  async function adjust(): Promise<void> {
    if (adjusting) return;
    adjusting = true;
    let settled = { open: get().run.open, strength: get().run.strength };
    while (wish !== null) {
      const { open, strength, trained } = wish;
      wish = null;
      const evaluation = await attempt(() => session.adjust(open, strength));
      if (evaluation !== null) {
        settled = { open: trained ? null : open, strength };
        setRun({ current: trained ? null : evaluation });
      } else if (wish === null) setRun(settled);
    }
    adjusting = false;
  }

  function wishFor(open: Uint8Array, strength: number, trained = false): void {
    wish = { open, strength, trained };
    // Starts first, so that what holds now is remembered as the state to fall back to.
    void adjust();
    setRun({ open: trained ? null : open, strength, exportReport: null, exportFailure: null });
  }

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
      const device = await attempt(() => session.open(choice));
      if (!device) return;
      set({ device, backend: choice });
      dropRun();
    },

    async loadModel(files, answers) {
      const name = files[0]?.path.split("/")[0] ?? "model";
      const model = await reading("model", name, () => session.loadModel(files, answers ?? {}));
      if (model === null) return false;
      const answered = answers !== undefined || model.questions.length === 0;
      dropRun();
      set({ model, modelFiles: files, answered, memory: null });
      await refreshReports();
      return true;
    },

    async loadData(role, name, files, seed) {
      const report = await reading(role, name, () => session.loadData(role, name, files, seed));
      if (report === null) return false;
      dropRun();
      const replaced = (one: DataReport) => one.role === role && (role === "target" || one.name === name);
      set(({ data }) => ({ data: [...data.filter((one) => !replaced(one)), report] }));
      if (role === "target") await refreshReports();
      return true;
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

    async removeData(id) {
      const done = await attempt(async () => {
        await session.removeData(id);
        return true;
      });
      if (!done) return;
      dropRun();
      set(({ data }) => ({ data: data.filter((one) => one.id !== id) }));
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
      const mapping = Object.fromEntries(before.classes.map((one) => [one.name, one.mapsTo]));
      const report = await attempt(() => session.mapClasses(id, { ...mapping, [className]: mapsTo }));
      if (!report) return;
      dropRun();
      putReport(report);
    },

    async estimateMemory(recipe) {
      // An estimate is a courtesy: when there is none, the run itself says what is wrong.
      const memory = await session.estimateMemory(recipe).catch(() => null);
      set({ memory });
    },

    async train(recipe) {
      if (get().running) return;
      set({ running: true, stopping: false });
      runAsked = true;
      const last = get().run;
      const result = await attempt(() => session.train(recipe));
      runAsked = false;
      set({ running: false, stopping: false, progress: null });
      // A run that was cancelled or failed leaves the engine with the one before it; so does the page.
      if (!result && last.result) set({ run: last });
      if (result) setRun({ result, before: result.before, gates: result.gates, open: null, strength: 1 });
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
      wishFor(open, run.strength);
    },
    setStrength(strength) {
      const open = openGates(get().run);
      if (open && get().run.result) wishFor(open, strength);
    },
    resetAdjustment() {
      const { result } = get().run;
      if (result) wishFor(result.final.open, 1, true);
    },

    async exportMerged() {
      if (get().exporting) return;
      set({ exporting: true });
      setRun({ exportReport: null, exportFailure: null });
      try {
        const exportReport = await session.exportMerged();
        setRun({ exportReport });
      } catch (error) {
        const { parts } = Failure.from(error);
        if (parts.code !== "cancelled") setRun({ exportFailure: parts });
      }
      set({ exporting: false, progress: null });
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
