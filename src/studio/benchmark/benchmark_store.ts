// What the benchmark's page knows: where can be computed, what was chosen, how far it is, what came out. It outlives
// the page's view, so that figures are there when a person comes back.
import { createStore, type StoreApi } from "zustand/vanilla";
import { Failure, type FailureParts } from "../../failure.ts";
import { type Place, whyNot } from "../../session/benchmark/places.ts";
import type {
  BenchmarkEvent,
  BenchmarkOptions,
  Compute,
  Host,
  LibraryName,
  Line,
} from "../../session/benchmark/protocol.ts";
import { runBenchmark } from "../../session/benchmark/run.ts";
import { workModels } from "../../session/benchmark/work.ts";

export interface Wishes {
  models: string[];
  /** null: each model's own. */
  batch: number | null;
  computes: Compute[];
  peers: LibraryName[];
  runs: number;
  gates: boolean;
}

export interface BenchmarkState {
  /** null until they have been looked for. */
  places: Place[] | null;
  wishes: Wishes;
  running: boolean;
  progress: Extract<BenchmarkEvent, { kind: "progress" }> | null;
  lines: Line[];
  failures: { about: string | null; parts: FailureParts }[];
  /** How the last one ended. */
  ended: "done" | "cancelled" | null;
}

export interface BenchmarkStore extends StoreApi<BenchmarkState> {
  look(): Promise<void>;
  wish(changes: Partial<Wishes>): void;
  start(): Promise<void>;
  cancel(): void;
}

/** The peers that run in a browser. */
export const browserPeers: readonly LibraryName[] = ["stock tfjs", "jax-js", "onnxruntime-web"];

/** Chosen pairs of model and place that are too big, with the sentence that says why. */
export function tooBig({ models, batch, computes }: Wishes, places: readonly Place[]) {
  return places
    .filter(({ compute }) => computes.includes(compute))
    .flatMap((place) =>
      workModels
        .filter(({ id }) => models.includes(id))
        .flatMap((model) => {
          const why = whyNot(model, batch ?? model.batch, place);
          return why === null ? [] : [{ model: model.id, title: model.title, compute: place.compute, why }];
        }),
    );
}

/** Chosen pairs that can be measured. */
export const countOf = (wishes: Wishes, places: readonly Place[]): number =>
  wishes.models.length * wishes.computes.length - tooBig(wishes, places).length;

type Locks = Pick<LockManager, "request">;

/**
 * @param findPlaces where can be computed
 * @param connect starts a host
 * @param locks a run holds one of them, in whatever tab it is (state/runner.ts)
 */
export function createBenchmarkStore(
  findPlaces: () => Promise<Place[]>,
  connect: (library: LibraryName) => Host,
  locks: Locks | undefined = globalThis.navigator?.locks,
): BenchmarkStore {
  const store = createStore<BenchmarkState>(() => ({
    places: null,
    wishes: { models: ["demo"], batch: null, computes: [], peers: [...browserPeers], runs: 5, gates: false },
    running: false,
    progress: null,
    lines: [],
    failures: [],
    ended: null,
  }));
  const { getState: get, setState: set } = store;
  let abort: AbortController | null = null;

  function hear(event: BenchmarkEvent): void {
    switch (event.kind) {
      case "progress":
        set({ progress: event });
        return;
      case "line":
        set(({ lines }) => ({ lines: [...lines, event.line] }));
        return;
      case "failed": {
        const { model, backend, failure } = event;
        const about = `${model} on ${backend === "webgpu" ? "WebGPU" : "WASM"}`;
        set(({ failures }) => ({ failures: [...failures, { about, parts: failure }] }));
        return;
      }
      case "kernels":
        return;
      default:
        event satisfies never;
    }
  }

  async function measure(options: BenchmarkOptions, signal: AbortSignal): Promise<void> {
    if (!locks) return runBenchmark(options, connect, hear, signal);
    await locks.request("selora-trainer", { ifAvailable: true }, (lock) => {
      if (lock) return runBenchmark(options, connect, hear, signal);
      throw new Failure({
        code: "state",
        what: "A run is training in another tab of the studio, and each would slow the other.",
        remedy: "Wait until it has ended, or stop it there.",
      });
    });
  }

  return {
    ...store,

    async look() {
      if (get().places !== null) return;
      const places = await findPlaces();
      // As the engine chooses by itself: a GPU where there is one, else the CPU.
      const first = places.find(({ compute, onCpu }) => compute === "webgpu" && !onCpu);
      set({ places });
      if (get().wishes.computes.length === 0) this.wish({ computes: [first ? "webgpu" : "wasm"] });
    },

    wish: (changes) => set(({ wishes }) => ({ wishes: { ...wishes, ...changes } })),

    async start() {
      const { places, wishes, running } = get();
      if (running || places === null) return;
      const own = new AbortController();
      abort = own;
      set({ running: true, progress: null, lines: [], failures: [], ended: null });
      const options: BenchmarkOptions = { ...wishes, without: tooBig(wishes, places), cpu: false };
      try {
        await measure(options, own.signal);
        set({ ended: "done" });
      } catch (error) {
        const { parts } = Failure.from(error);
        if (parts.code === "cancelled") set({ ended: "cancelled" });
        else set(({ failures }) => ({ failures: [...failures, { about: null, parts }] }));
      } finally {
        set({ running: false, progress: null });
      }
    },

    cancel: () => abort?.abort(),
  };
}
