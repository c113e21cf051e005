// The runs that are kept: the list at once, details when they are looked at, and what a person does with them: rename,
// tag, colour, delete and take that back, compare. Lists of several tabs follow each other.
import { createStore, type StoreApi } from "zustand/vanilla";
import { Failure, type FailureParts } from "../../failure.ts";
import type { Keep } from "../../session/keep.ts";
import type { PathPoint } from "../../session/protocol.ts";
import type { RunDetails, RunRecord } from "../../session/run_record.ts";
import type { Channel } from "./tabs.ts";

export type Editable = Partial<Pick<RunRecord, "name" | "tags" | "colour" | "note">>;

export interface RunsState {
  /** The newest first. */
  runs: RunRecord[];
  /** What could not be read, a sentence each. */
  problems: string[];
  /** Ids of runs that are in this page alone, and why they could not be stored. */
  unstored: ReadonlySet<string>;
  refused: FailureParts | null;
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
  /** Reads the list after it was written to from elsewhere, and has other tabs do so. */
  reload(): Promise<void>;
  /** Stores what could not be stored before. */
  storeAgain(): Promise<void>;
  /** Runs that are in this page alone, with their curves. */
  unwritten(): { record: RunRecord; details: RunDetails | undefined }[];
  compare(ids: readonly string[]): Promise<void>;
  /** Details of one run; null where it has none. */
  details(id: string): Promise<RunDetails | null>;
  /** The colour that the fewest runs have. */
  nextColour(): number;
}

/** Curves of more runs than this are a thicket. */
export const comparedLimit = 12;
export const colourCount = 10;

/** Milliseconds after which a deletion in another tab can no longer be taken back there. */
const UNDONE_BY = 15_000;

/**
 * @param keep the database; rejects where the browser keeps nothing
 * @param channel to the other tabs
 */
export function createRunsStore(
  keep: () => Promise<Keep>,
  channel: Channel = { post: () => {}, listen: () => {} },
): RunsStore {
  const store = createStore<RunsState>(() => ({
    runs: [],
    problems: [],
    unstored: new Set(),
    refused: null,
    loaded: false,
    compared: [],
    details: {},
    openable: new Set(),
  }));
  const { getState: get, setState: set } = store;
  const removed = new Map<string, RunRecord>();

  function addProblem(error: unknown): void {
    const { what, remedy } = Failure.from(error).parts;
    set(({ problems }) => ({ problems: both(problems, [`${what} ${remedy}`]) }));
  }
  const both = (one: readonly string[], other: readonly string[]) => [...new Set([...one, ...other])];

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
  const unwritten = new Map<string, { record: RunRecord; details: RunDetails | undefined }>();
  // Deleted in another tab, which may still take it back.
  const hidden = new Set<string>();

  const changed = () => channel.post({ kind: "runs" });
  channel.listen((news) => {
    if (news.kind === "runs") void load();
    if (news.kind === "removed") {
      takeOff(news.ids);
      for (const id of news.ids) hidden.add(id);
      // The other tab may be gone before it deletes anything; what is stored is listed.
      setTimeout(() => void showAgain(news.ids), UNDONE_BY);
    }
    if (news.kind === "back") void showAgain(news.ids);
  });
  function showAgain(ids: readonly string[]): Promise<void> {
    for (const id of ids) hidden.delete(id);
    return load();
  }
  function takeOff(ids: readonly string[]): void {
    set(({ runs, compared }) => ({
      runs: runs.filter(({ id }) => !ids.includes(id)),
      compared: compared.filter((id) => !ids.includes(id)),
    }));
  }

  async function write(record: RunRecord, details?: RunDetails): Promise<void> {
    put(record);
    const waits = { record, details: details ?? unwritten.get(record.id)?.details };
    unwritten.set(record.id, waits);
    if (details) set((state) => ({ details: { ...state.details, [record.id]: details } }));
    try {
      await inTurn(async () => (await keep()).putRun(record, waits.details));
      if (unwritten.get(record.id) === waits) unwritten.delete(record.id);
      changed();
    } catch (error) {
      set({ refused: Failure.from(error).parts });
    }
    // What is being written counts as stored until that fails.
    set(({ refused }) => ({
      unstored: new Set(unwritten.keys()),
      refused: unwritten.size > 0 ? refused : null,
    }));
  }

  const load = () =>
    inTurn(async () => {
      try {
        const kept = await keep();
        const { runs, problems } = await kept.runs();
        const openable = new Set(await kept.stateIds());
        const listed = runs.filter(({ id }) => !removed.has(id) && !hidden.has(id));
        set((state) => ({ runs: listed, openable, loaded: true, problems: both(state.problems, problems) }));
        for (const { record } of unwritten.values()) put(record);
      } catch (error) {
        set({ loaded: true, refused: Failure.from(error).parts });
      }
    });

  async function readDetails(id: string): Promise<RunDetails | null> {
    const known = get().details[id];
    if (known) return known;
    try {
      const kept = await keep();
      const details = await kept.details(id);
      const broken = details
        ? null
        : (await kept.aside()).find((one) => one.room === "details" && one.id === id);
      const name = get().runs.find((run) => run.id === id)?.name ?? id;
      if (broken)
        set(({ problems }) => ({
          problems: both(problems, [
            `The curves of "${name}" cannot be read (${broken.why}). They are not deleted, only set aside.`,
          ]),
        }));
      return details;
    } catch {
      return null;
    }
  }

  async function compare(ids: readonly string[]): Promise<void> {
    const compared = ids.slice(-comparedLimit);
    set({ compared });
    const read = await Promise.all(compared.map(async (id) => [id, await readDetails(id)] as const));
    // Only what is compared stays in memory.
    if (get().compared === compared) set({ details: Object.fromEntries(read) });
  }

  return {
    ...store,

    load,

    async add(record, details) {
      const fresh = !get().runs.some(({ id }) => id === record.id);
      await write(record, details);
      // A new run joins those that are compared; where none are, the list chooses when it is looked at.
      const { compared } = get();
      if (fresh && compared.length > 0) await compare([...compared, record.id]);
    },

    reload() {
      changed();
      return load();
    },

    async addPath(id, path) {
      const record = get().runs.find((run) => run.id === id);
      const details = await readDetails(id);
      if (!record || !details) return;
      const withPath = { ...details, path: [...path] };
      if (unwritten.has(id)) return write(record, withPath);
      set((state) => ({ details: { ...state.details, [id]: withPath } }));
      await inTurn(async () => (await keep()).putDetails(withPath)).catch(addProblem);
    },

    async change(id, changes) {
      const record = get().runs.find((run) => run.id === id);
      if (!record) return;
      if (unwritten.has(id)) return write({ ...record, ...changes });
      put({ ...record, ...changes });
      try {
        const now = await inTurn(async () => (await keep()).changeRun(id, changes));
        // Another tab may have deleted it.
        if (!now) await load();
        changed();
      } catch (error) {
        put(record);
        addProblem(error);
      }
    },

    remove(ids) {
      for (const run of get().runs) if (ids.includes(run.id)) removed.set(run.id, run);
      takeOff(ids);
      channel.post({ kind: "removed", ids: [...ids] });
    },

    putBack(ids) {
      for (const id of ids) {
        const record = removed.get(id);
        if (record) put(record);
        removed.delete(id);
      }
      channel.post({ kind: "back", ids: [...ids] });
    },

    async forgetRemoved(ids) {
      const gone = ids.filter((id) => removed.has(id));
      for (const id of gone) {
        removed.delete(id);
        unwritten.delete(id);
      }
      if (gone.length === 0) return;
      set({ unstored: new Set(unwritten.keys()) });
      await keep()
        .then((kept) => kept.removeRuns(gone))
        .then(changed)
        .catch(addProblem);
    },

    async storeAgain() {
      for (const { record, details } of unwritten.values()) await write(record, details);
    },

    unwritten: () => [...unwritten.values()],

    details: readDetails,

    compare,

    nextColour() {
      const uses = Array.from({ length: colourCount }, () => 0);
      for (const { colour } of get().runs) uses[colour % colourCount]! += 1;
      return uses.indexOf(Math.min(...uses));
    },
  };
}
