// The runs that are kept: the list at once, details when they are looked at, and what a person does with them: rename,
// tag, colour, delete and take that back, compare.
import { createStore, type StoreApi } from "zustand/vanilla";
import { Failure } from "../../failure.ts";
import type { Keep } from "../../session/keep.ts";
import type { PathPoint } from "../../session/protocol.ts";
import type { RunDetails, RunRecord } from "../../session/run_record.ts";

export type Editable = Partial<Pick<RunRecord, "name" | "tags" | "colour">>;

export interface RunsState {
  /** The newest first. */
  runs: RunRecord[];
  /** What could not be read or kept, a sentence each. */
  problems: string[];
  loaded: boolean;
  /** Ids of the runs that are compared, in the order they were chosen. */
  compared: string[];
  /** Of compared runs; null while one has none. */
  details: Readonly<Record<string, RunDetails | null>>;
  /** Runs whose tensors are kept, so that they can be opened again. */
  openable: ReadonlySet<string>;
}

export interface RunsStore extends StoreApi<RunsState> {
  /** Reads the list; again whenever it is called. */
  load(): Promise<void>;
  /** Keeps a run that has ended. */
  add(record: RunRecord, details: RunDetails): Promise<void>;
  addPath(id: string, path: readonly PathPoint[]): Promise<void>;
  change(id: string, changes: Editable): Promise<void>;
  /** Takes runs off the list; they are gone for good only with `forgetRemoved`. */
  remove(ids: readonly string[]): void;
  putBack(ids: readonly string[]): void;
  forgetRemoved(ids: readonly string[]): Promise<void>;
  compare(ids: readonly string[]): Promise<void>;
  /** Details of one run; null where it has none. */
  details(id: string): Promise<RunDetails | null>;
  /** The colour that the fewest runs have. */
  nextColour(): number;
}

/** Curves of more runs than this are a thicket. */
export const comparedLimit = 12;
export const colourCount = 10;

/** @param keep the database; rejects where the browser keeps nothing */
export function createRunsStore(keep: () => Promise<Keep>): RunsStore {
  const store = createStore<RunsState>(() => ({
    runs: [],
    problems: [],
    loaded: false,
    compared: [],
    details: {},
    openable: new Set(),
  }));
  const { getState: get, setState: set } = store;
  const removed = new Map<string, RunRecord>();

  function addProblem(error: unknown): void {
    const { what, remedy } = Failure.from(error).parts;
    const text = `${what} ${remedy}`;
    set(({ problems }) => ({ problems: problems.includes(text) ? problems : [...problems, text] }));
  }

  const put = (record: RunRecord) =>
    set(({ runs }) => ({
      runs: [record, ...runs.filter(({ id }) => id !== record.id)].sort((a, b) => b.when - a.when),
    }));

  // Reading the list and writing to it wait for each other; what is not written yet is not lost to a reading.
  let queue: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = queue.then(work);
    queue = turn.catch(() => {});
    return turn;
  };
  const unwritten = new Map<string, RunRecord>();

  async function write(record: RunRecord, details?: RunDetails): Promise<void> {
    put(record);
    unwritten.set(record.id, record);
    if (details) set((state) => ({ details: { ...state.details, [record.id]: details } }));
    try {
      await inTurn(async () => (await keep()).putRun(record, details));
      if (unwritten.get(record.id) === record) unwritten.delete(record.id);
    } catch (error) {
      addProblem(error);
    }
  }

  async function readDetails(id: string): Promise<RunDetails | null> {
    const known = get().details[id];
    if (known) return known;
    return (await keep()).details(id).catch(() => null);
  }

  return {
    ...store,

    load: () =>
      inTurn(async () => {
        try {
          const kept = await keep();
          const { runs, problems } = await kept.runs();
          const openable = new Set(await kept.stateIds());
          set({ runs: runs.filter(({ id }) => !removed.has(id)), problems, openable, loaded: true });
          for (const record of unwritten.values()) put(record);
        } catch (error) {
          set({ loaded: true });
          addProblem(error);
        }
      }),

    add: write,

    async addPath(id, path) {
      const record = get().runs.find((run) => run.id === id);
      const details = await readDetails(id);
      if (record && details) await write(record, { ...details, path: [...path] });
    },

    async change(id, changes) {
      const record = get().runs.find((run) => run.id === id);
      if (record) await write({ ...record, ...changes });
    },

    remove(ids) {
      for (const run of get().runs) if (ids.includes(run.id)) removed.set(run.id, run);
      set(({ runs, compared }) => ({
        runs: runs.filter(({ id }) => !ids.includes(id)),
        compared: compared.filter((id) => !ids.includes(id)),
      }));
    },

    putBack(ids) {
      for (const id of ids) {
        const record = removed.get(id);
        if (record) put(record);
        removed.delete(id);
      }
    },

    async forgetRemoved(ids) {
      const gone = ids.filter((id) => removed.has(id));
      for (const id of gone) removed.delete(id);
      if (gone.length === 0) return;
      await keep()
        .then((kept) => kept.removeRuns(gone))
        .catch(addProblem);
    },

    details: readDetails,

    async compare(ids) {
      const compared = ids.slice(-comparedLimit);
      set({ compared });
      const read = await Promise.all(compared.map(async (id) => [id, await readDetails(id)] as const));
      // Only what is compared stays in memory.
      if (get().compared === compared) set({ details: Object.fromEntries(read) });
    },

    nextColour() {
      const uses = Array.from({ length: colourCount }, () => 0);
      for (const { colour } of get().runs) uses[colour % colourCount]! += 1;
      return uses.indexOf(Math.min(...uses));
    },
  };
}
