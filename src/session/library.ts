// Models fetched by name or address, and those that are kept. Apart from the Session: fetching needs no engine, and it
// is the only thing that speaks to another server, in a worker of its own (library_worker.ts) that starts when the
// person first asks for a model and is handed a name, a revision and a token, and nothing else.
import type { FetchProgress } from "../checkpoint/download.ts";
import { type FetchedModel, fetchModel, type ModelRequest } from "../checkpoint/fetch_model.ts";
import { type CachedModel, listModels, type ModelStore, openKept } from "../checkpoint/model_store.ts";
import { Failure } from "../failure.ts";

export type { FetchedModel, ModelRequest } from "../checkpoint/fetch_model.ts";
export type { CachedModel } from "../checkpoint/model_store.ts";

export interface LibraryProgress extends FetchProgress {
  /** null while it cannot be told. */
  secondsLeft: number | null;
}

export interface ModelLibrary {
  /** Fetches a model, or takes it from what is kept; a download goes on where it stopped. */
  fetch(request: ModelRequest, onProgress: (progress: LibraryProgress) => void): Promise<FetchedModel>;
  /** Stops the fetch that is on its way; what has come is kept. */
  cancel(): void;
  /** Everything that is kept, the newest first. */
  list(): Promise<CachedModel[]>;
  /** A model that is kept whole, without asking anybody. */
  open(id: string): Promise<FetchedModel>;
  remove(id: string): Promise<void>;
}

/** Not more often than this, in ms, so that a fast download is not slowed by telling of it. */
const PACE = 100;
/** The rate is that of the last seconds, so that a time left follows a line that becomes slow. */
const WINDOW = 5000;

/** Makes of a download's progress one with the time left, at a pace that can be read. */
export function paced(tell: (progress: LibraryProgress) => void): (progress: FetchProgress) => void {
  let last = Number.NEGATIVE_INFINITY;
  const seen: { at: number; done: number }[] = [];
  return (progress) => {
    const now = performance.now();
    const { done, total } = progress;
    if (now - last < PACE && done !== total) return;
    last = now;
    seen.push({ at: now, done });
    while (seen.length > 2 && now - seen[1]!.at > WINDOW) seen.shift();
    const first = seen[0]!;
    const rate = (done - first.done) / (now - first.at);
    const left = total !== null && rate > 0 && now - first.at > 500 ? (total - done) / rate / 1000 : null;
    tell({ ...progress, secondsLeft: left });
  };
}

/** The library over a store, in this thread. */
export function createLibrary(store: ModelStore): ModelLibrary {
  let current: AbortController | null = null;
  const gone = () =>
    new Failure({
      code: "state",
      what: "This model is not kept any more, not whole, or damaged.",
      remedy: "Fetch it again.",
    });
  return {
    async fetch(request, onProgress) {
      if (current) {
        throw new Failure({
          code: "state",
          what: "Another model is being fetched.",
          remedy: "Wait for it, or cancel it.",
        });
      }
      const abort = new AbortController();
      current = abort;
      try {
        return await fetchModel(request, store, { signal: abort.signal, onProgress: paced(onProgress) });
      } finally {
        current = null;
      }
    },
    cancel: () => current?.abort(),
    list: () => listModels(store),
    async open(id) {
      const files = (await store.ids()).includes(id) ? await openKept(store, id) : null;
      if (!files) throw gone();
      return { id, files, note: null };
    },
    async remove(id) {
      if (!(await store.ids()).includes(id)) throw gone();
      await store.remove(id);
    },
  };
}
