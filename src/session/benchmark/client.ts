// The page's side of the bench's workers.
import type { Host, HostAnswer, LibraryName } from "./protocol.ts";
import { reach } from "./serve.ts";

/** Starts a worker that does a library's work. */
export function connectWorker(library: LibraryName): Host {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: library });
  const { host, receive, fail } = reach(
    library,
    (request) => worker.postMessage(request),
    () => worker.terminate(),
  );
  worker.onmessage = ({ data }: MessageEvent<HostAnswer>) => receive(data);
  worker.onerror = (event) => fail(event.message || "Its script could not be loaded.");
  return host;
}
