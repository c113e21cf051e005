// The page's side of the worker: a Session whose methods cross the border.
import { Failure } from "../failure.ts";
import type { Answer, Method, Request } from "./messages.ts";
import type { Session, SessionEvent } from "./protocol.ts";

/** Starts the engine in a worker of its own and returns a Session that speaks to it. */
export function connectSession(): Session {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), {
    type: "module",
    name: "selora-engine",
  });
  const waiting = new Map<number, { resolve: (value: never) => void; reject: (reason: Failure) => void }>();
  const listeners = new Set<(event: SessionEvent) => void>();
  let lastId = 0;

  worker.onmessage = ({ data }: MessageEvent<Answer>) => {
    if (data.kind === "event") {
      for (const listener of listeners) listener(data.event);
      return;
    }
    const call = waiting.get(data.id);
    waiting.delete(data.id);
    if (data.kind === "answer") call?.resolve(data.value as never);
    else call?.reject(new Failure(data.failure));
  };

  // A worker that dies answers nothing any more: everyone who waits is told, rather than left waiting.
  worker.onerror = (event) => {
    const failure = new Failure({
      code: "state",
      what: `The engine stopped: ${event.message || "its script could not be loaded"}.`,
      remedy: "Reload the page; your files are untouched.",
    });
    for (const { reject } of waiting.values()) reject(failure);
    waiting.clear();
    for (const listener of listeners) listener({ kind: "failure", failure: failure.parts });
  };

  const carry =
    <M extends Method>(method: M) =>
    (...args: Parameters<Session[M]>) =>
      new Promise<Awaited<ReturnType<Session[M]>>>((resolve, reject) => {
        const id = ++lastId;
        waiting.set(id, { resolve, reject });
        worker.postMessage({ id, method, args } as Request);
      });

  return {
    open: carry("open"),
    loadModel: carry("loadModel"),
    loadData: carry("loadData"),
    corrupt: carry("corrupt"),
    removeData: carry("removeData"),
    mapClasses: carry("mapClasses"),
    estimateMemory: carry("estimateMemory"),
    evaluate: carry("evaluate"),
    train: carry("train"),
    saveRun: carry("saveRun"),
    restoreRun: carry("restoreRun"),
    measurePath: carry("measurePath"),
    pause: carry("pause"),
    resume: carry("resume"),
    stop: carry("stop"),
    adjust: carry("adjust"),
    tradeOff: carry("tradeOff"),
    robustness: carry("robustness"),
    exportMerged: carry("exportMerged"),
    merge: carry("merge"),
    readBack: carry("readBack"),
    image: carry("image"),
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
