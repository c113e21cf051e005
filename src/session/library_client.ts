// The page's side of the library's worker, which starts with the first call.
import { Failure, type FailureParts } from "../failure.ts";
import type { LibraryProgress, ModelLibrary, ModelRequest } from "./library.ts";

export interface LibraryCall {
  id: number;
  ask:
    | { method: "fetch"; request: ModelRequest }
    | { method: "open" | "remove"; model: string }
    | { method: "list" | "cancel" };
}

export type LibraryAnswer =
  | { kind: "answer"; id: number; value: unknown }
  | { kind: "refusal"; id: number; failure: FailureParts }
  | { kind: "progress"; id: number; progress: LibraryProgress };

interface Waiting {
  resolve: (value: never) => void;
  reject: (reason: Failure) => void;
  onProgress?: ((progress: LibraryProgress) => void) | undefined;
}

/** A library in a worker of its own. */
export function connectLibrary(): ModelLibrary {
  const waiting = new Map<number, Waiting>();
  let worker: Worker | null = null;
  let lastId = 0;

  function start(): Worker {
    const started = new Worker(new URL("./library_worker.ts", import.meta.url), {
      type: "module",
      name: "selora-library",
    });
    started.onmessage = ({ data }: MessageEvent<LibraryAnswer>) => {
      const call = waiting.get(data.id);
      if (data.kind === "progress") return call?.onProgress?.(data.progress);
      waiting.delete(data.id);
      if (data.kind === "answer") call?.resolve(data.value as never);
      else call?.reject(new Failure(data.failure));
    };
    started.onerror = (event) => {
      worker = null;
      const failure = new Failure({
        code: "state",
        what: `Models cannot be fetched: ${event.message || "the script for it could not be loaded"}.`,
        remedy: "Reload the page and try again.",
      });
      for (const { reject } of waiting.values()) reject(failure);
      waiting.clear();
    };
    return started;
  }

  const carry = <T>(ask: LibraryCall["ask"], onProgress?: Waiting["onProgress"]) =>
    new Promise<T>((resolve, reject) => {
      const id = ++lastId;
      waiting.set(id, { resolve, reject, onProgress });
      worker ??= start();
      worker.postMessage({ id, ask } satisfies LibraryCall);
    });

  return {
    fetch: (request, onProgress) => carry({ method: "fetch", request }, onProgress),
    cancel: () => void carry({ method: "cancel" }),
    list: () => carry({ method: "list" }),
    open: (model) => carry({ method: "open", model }),
    remove: (model) => carry({ method: "remove", model }),
  };
}
