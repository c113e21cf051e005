// The page's side of the worker: a Session whose methods cross the border.
import { Failure } from "../failure.ts";
import { nextTurn } from "../turn.ts";
import { cancelled } from "./job.ts";
import type { Answer, Method, Portion, Request } from "./messages.ts";
import type { Session, SessionEvent, SourceFile } from "./protocol.ts";

/** Files that cross the border at once: handing over 50,000 in one message takes seconds, in which a page is dead. */
const PORTION = 100;
/** What is asked while files are still crossing for an earlier call, and must not wait for them. */
const AT_ONCE = new Set<Method>(["pause", "resume", "stop", "saveRun", "pack", "image", "estimateMemory"]);

const isFiles = (arg: unknown): arg is SourceFile[] => Array.isArray(arg) && arg[0]?.blob instanceof Blob;

/**
 * Starts the engine in a worker of its own and returns a Session that speaks to it.
 * @param oneThread opens devices without threads
 */
export function connectSession(oneThread = false): Session {
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

  /** Calls that wait to cross, or cross now; all reach the engine in their order. */
  let atBorder = 0;
  let border: Promise<void> = Promise.resolve();
  /** The call whose files cross now. */
  let crossing: { id: number; stopped: boolean } | null = null;

  /** Hands over a call whose files are many, a portion a turn. */
  async function cross(request: Request): Promise<void> {
    const { id } = request;
    const args: unknown[] = request.args;
    const at = args.findIndex(isFiles);
    const files = args[at] as SourceFile[];
    const mine = { id, stopped: false };
    crossing = mine;
    try {
      for (let from = 0; from < files.length; from += PORTION) {
        if (mine.stopped) {
          worker.postMessage({ id, files: null } satisfies Portion);
          throw cancelled("Reading");
        }
        worker.postMessage({ id, files: files.slice(from, from + PORTION) } satisfies Portion);
        await nextTurn();
      }
      worker.postMessage({ ...request, args: args.with(at, []) });
    } finally {
      crossing = null;
    }
  }

  /** A stop is meant for the call before all others; where that has not crossed yet it ends before it began. */
  function stopCrossing(): void {
    const first = waiting.keys().next().value;
    if (crossing && first !== undefined && first >= crossing.id) crossing.stopped = true;
  }

  function send(request: Request): void {
    if (request.method === "stop") stopCrossing();
    const many = request.args.some((arg) => isFiles(arg) && arg.length > PORTION);
    if ((atBorder === 0 && !many) || AT_ONCE.has(request.method)) {
      worker.postMessage(request);
      return;
    }
    atBorder++;
    border = border
      .then(() => (many ? cross(request) : worker.postMessage(request)))
      .catch((error: unknown) => {
        const call = waiting.get(request.id);
        waiting.delete(request.id);
        call?.reject(Failure.from(error));
      })
      .finally(() => {
        atBorder--;
      });
  }

  const carry =
    <M extends Method>(method: M) =>
    (...args: Parameters<Session[M]>) =>
      new Promise<Awaited<ReturnType<Session[M]>>>((resolve, reject) => {
        const id = ++lastId;
        waiting.set(id, { resolve, reject });
        send({ id, method, args } as Request);
      });

  return {
    open: (choice) => carry("open")(choice, oneThread),
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
    pack: carry("pack"),
    image: carry("image"),
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
