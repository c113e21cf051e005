// A worker that does one library's work for the bench: the one it is named after.
import type { HostRequest, Library, LibraryName } from "./protocol.ts";
import { serve } from "./serve.ts";

/** Each comes in a chunk of its own, fetched by the worker that needs it. */
const libraries: Partial<Record<LibraryName, () => Promise<Library>>> = {
  ours: async () => (await import("./ours.ts")).createOurs(),
  "stock tfjs": async () => (await import("./peers/stock_tfjs.ts")).createStockTfjs(),
  "jax-js": async () => (await import("./peers/jax.ts")).createJax(),
  "onnxruntime-web": async () => (await import("./peers/onnx.ts")).createOnnx(),
};

const load = libraries[self.name as LibraryName];
if (!load) throw new Error(`there is no library "${self.name}" in a browser`);
// Requests may come while the library is still on its way.
const answer = load().then(serve);
self.onmessage = async ({ data }: MessageEvent<HostRequest>) => {
  try {
    self.postMessage(await (await answer)(data));
  } catch (error) {
    self.postMessage({ id: data.id, error: error instanceof Error ? error.message : String(error) });
  }
};
