// The worker's side: one engine, answering requests. Requests may overlap (stop arrives while train runs); the
// engine itself decides what waits.

import { decodeImage } from "../dataset/decode_browser.ts";
import { pooled, poolSize } from "../dataset/decode_pool.ts";
import { Failure } from "../failure.ts";
import { createEngine } from "./engine.ts";
import type { Answer, Portion, Request } from "./messages.ts";
import type { Session, SourceFile } from "./protocol.ts";

const post = (answer: Answer) => self.postMessage(answer);
const startDecoder = () =>
  new Worker(new URL("../dataset/decode_worker.ts", import.meta.url), {
    type: "module",
    name: "selora-decoder",
  });
const engine: Session = createEngine(
  pooled(decodeImage, startDecoder, poolSize(navigator.hardwareConcurrency)),
);
engine.subscribe((event) => post({ kind: "event", event }));

/** Calls the engine; one case a method, so that a new method without a case does not compile. */
function call(request: Request): Promise<unknown> {
  switch (request.method) {
    case "open":
      return engine.open(...request.args);
    case "loadModel":
      return engine.loadModel(...request.args);
    case "loadData":
      return engine.loadData(...request.args);
    case "corrupt":
      return engine.corrupt(...request.args);
    case "removeData":
      return engine.removeData(...request.args);
    case "mapClasses":
      return engine.mapClasses(...request.args);
    case "estimateMemory":
      return engine.estimateMemory(...request.args);
    case "evaluate":
      return engine.evaluate(...request.args);
    case "train":
      return engine.train(...request.args);
    case "saveRun":
      return engine.saveRun(...request.args);
    case "restoreRun":
      return engine.restoreRun(...request.args);
    case "measurePath":
      return engine.measurePath(...request.args);
    case "pause":
      return engine.pause();
    case "resume":
      return engine.resume();
    case "stop":
      return engine.stop();
    case "adjust":
      return engine.adjust(...request.args);
    case "tradeOff":
      return engine.tradeOff();
    case "robustness":
      return engine.robustness();
    case "exportMerged":
      return engine.exportMerged();
    case "merge":
      return engine.merge();
    case "readBack":
      return engine.readBack(...request.args);
    case "pack":
      return engine.pack(...request.args);
    case "image":
      return engine.image(...request.args);
    default:
      return request satisfies never;
  }
}

/** Milliseconds after the start until what is needed once files are dropped is fetched; by then a server may be gone. */
const PATIENCE = 3_000;
const later = [
  () => import("./models.ts"),
  () => import("../dataset/list.ts"),
  () => import("../dataset/imagenet_ids.ts"),
  () => import("../dataset/zip_names.ts"),
];
setTimeout(() => {
  for (const part of later) part().catch(() => {});
}, PATIENCE);

/** Files that came ahead of the request they belong to, by its id. */
const ahead = new Map<number, SourceFile[]>();

function gather({ id, files }: Portion): void {
  if (files === null) return void ahead.delete(id);
  const there = ahead.get(id);
  if (!there) ahead.set(id, files);
  else for (const file of files) there.push(file);
}

/** A request with the files that came ahead of it in their place. */
function whole(request: Request): Request {
  const files = ahead.get(request.id);
  ahead.delete(request.id);
  if (!files) return request;
  const args: unknown[] = request.args;
  const at = args.findIndex((arg) => Array.isArray(arg) && arg.length === 0);
  return { ...request, args: args.with(at, files) } as Request;
}

/** Takes what the page sends: answers a request, or keeps the files that come ahead of one. */
export async function answer({ data }: MessageEvent<Request | Portion>): Promise<void> {
  if ("files" in data) return gather(data);
  try {
    post({ kind: "answer", id: data.id, value: await call(whole(data)) });
  } catch (error) {
    post({ kind: "refusal", id: data.id, failure: Failure.from(error).parts });
  }
}
