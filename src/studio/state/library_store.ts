// Models fetched by name or address: what is on its way, and what is kept. Free of React, like the session's store. The
// library's worker starts with the first call, so a page on which nobody asks for a model starts none.
import { createStore, type StoreApi } from "zustand/vanilla";
import type {
  CachedModel,
  FetchedModel,
  LibraryProgress,
  ModelLibrary,
  ModelRequest,
} from "../../session/library.ts";

export interface LibraryState {
  /** Everything that is kept, the newest first; null until it was asked for. */
  models: CachedModel[] | null;
  /** The model on its way, as it was asked for. */
  fetching: { model: string; progress: LibraryProgress | null; stopping: boolean } | null;
  /** The kept model that was handed out last. */
  opened: { id: string; files: FetchedModel["files"] } | null;
}

/** Every action but `cancel` rejects with the library's Failure. */
export interface LibraryStore extends StoreApi<LibraryState> {
  list(): Promise<void>;
  fetch(request: ModelRequest): Promise<FetchedModel>;
  cancel(): void;
  open(id: string): Promise<FetchedModel>;
  remove(id: string): Promise<void>;
}

export function createLibraryStore(library: ModelLibrary): LibraryStore {
  const store = createStore<LibraryState>(() => ({ models: null, fetching: null, opened: null }));
  const { setState: set } = store;

  async function list(): Promise<void> {
    set({ models: await library.list() });
  }

  function handOut(fetched: FetchedModel): FetchedModel {
    set({ opened: { id: fetched.id, files: fetched.files } });
    return fetched;
  }

  return {
    ...store,
    list,
    async fetch(request) {
      set({ fetching: { model: request.model, progress: null, stopping: false } });
      try {
        const onProgress = (progress: LibraryProgress) =>
          set(({ fetching }) => ({ fetching: fetching && { ...fetching, progress } }));
        return handOut(await library.fetch(request, onProgress));
      } finally {
        set({ fetching: null });
        // What has come before a cut is kept too, and can be gone on with.
        await list().catch(() => {});
      }
    },
    cancel() {
      set(({ fetching }) => ({ fetching: fetching && { ...fetching, stopping: true } }));
      library.cancel();
    },
    async open(id) {
      return handOut(await library.open(id));
    },
    async remove(id) {
      await library.remove(id);
      await list();
    },
  };
}
