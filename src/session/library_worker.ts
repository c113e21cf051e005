// The library's worker: the only script of the page that may speak to another server, and only when it is asked for a
// model. It never sees an image, a weight that was not fetched, or a result.
import { idbModelStore } from "../checkpoint/model_store_idb.ts";
import { opfsModelStore } from "../checkpoint/model_store_opfs.ts";
import { Failure } from "../failure.ts";
import { createLibrary } from "./library.ts";
import type { LibraryAnswer, LibraryCall } from "./library_client.ts";

const post = (answer: LibraryAnswer) => self.postMessage(answer);
const opened = anyStore().then(createLibrary);

/** The private file system where there is one, which is found out by asking for it; else the database. */
async function anyStore() {
  const files = opfsModelStore();
  const there = await files.ids().then(
    () => true,
    () => false,
  );
  return there ? files : idbModelStore();
}

/** Does what is asked; one case a method, so that a new method without a case does not compile. */
async function call({ id, ask }: LibraryCall): Promise<unknown> {
  const library = await opened;
  switch (ask.method) {
    case "fetch":
      return library.fetch(ask.request, (progress) => post({ kind: "progress", id, progress }));
    case "cancel":
      return library.cancel();
    case "list":
      return library.list();
    case "open":
      return library.open(ask.model);
    case "remove":
      return library.remove(ask.model);
    default:
      return ask satisfies never;
  }
}

self.onmessage = async ({ data }: MessageEvent<LibraryCall>) => {
  try {
    post({ kind: "answer", id: data.id, value: await call(data) });
  } catch (error) {
    post({ kind: "refusal", id: data.id, failure: Failure.from(error).parts });
  }
};
