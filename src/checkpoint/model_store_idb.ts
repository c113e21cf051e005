// Fetched models in the browser's database, where there is no private file system for the page (WebKitGTK, some private
// windows). A file is its parts in their order, as a database cannot append. Parts are bytes, as WebKit keeps no Blobs in
// private windows.
import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import { Failure } from "../failure.ts";
import type { ModelStore } from "./model_store.ts";

interface Rooms extends DBSchema {
  /** Keys are a model, a file of it, and a part's number from 0. */
  parts: { key: [id: string, name: string, part: number]; value: ArrayBuffer };
}

/** Bytes of a part: what comes is gathered up to so much, so that a large model is hundreds of entries. */
const PART = 8 * 2 ** 20;

/** Keeps models in a database of their own. */
export function idbModelStore(database = "selora-models"): ModelStore {
  let opening: Promise<IDBPDatabase<Rooms>> | null = null;
  const db = () => {
    opening ??= openDB<Rooms>(database, 1, { upgrade: (fresh) => void fresh.createObjectStore("parts") });
    return opening.catch((cause: unknown) => {
      opening = null;
      throw new Failure(
        {
          code: "state",
          what: "This browser keeps no files for the page, so a model cannot be fetched here.",
          remedy: "Leave private browsing, or download the model's files and drop them.",
        },
        { cause },
      );
    });
  };
  // An array sorts behind every string and number.
  const partsOf = (id: string, name?: string) =>
    name === undefined ? IDBKeyRange.bound([id], [id, []]) : IDBKeyRange.bound([id, name], [id, name, []]);
  /** One part in memory at a time. */
  const eachPart = async (id: string, name: string, use: (part: ArrayBuffer) => void) => {
    const { store } = (await db()).transaction("parts");
    for (let at = await store.openCursor(partsOf(id, name)); at; at = await at.continue()) use(at.value);
  };
  return {
    async ids() {
      const keys = await (await db()).getAllKeys("parts");
      return [...new Set(keys.map(([id]) => id))];
    },
    async open(id, name) {
      const base = await db();
      let [count, size] = [0, 0];
      await eachPart(id, name, (part) => {
        count += 1;
        size += part.byteLength;
      });
      let gathered: Uint8Array<ArrayBuffer>[] = [];
      let waiting = 0;
      const write = async () => {
        if (waiting === 0) return;
        await base.put("parts", await new Blob(gathered).arrayBuffer(), [id, name, count]);
        count += 1;
        gathered = [];
        waiting = 0;
      };
      return {
        get size() {
          return size;
        },
        async append(bytes) {
          // The caller may use its bytes again.
          gathered.push(bytes.slice());
          waiting += bytes.length;
          size += bytes.length;
          if (waiting >= PART) await write();
        },
        async restart() {
          await base.delete("parts", partsOf(id, name));
          gathered = [];
          count = waiting = size = 0;
        },
        close: write,
      };
    },
    async blob(id, name) {
      // A Blob of each: the browser may put those on the disk.
      const parts: Blob[] = [];
      await eachPart(id, name, (part) => parts.push(new Blob([part])));
      return parts.length === 0 ? null : new Blob(parts);
    },
    async write(id, name, text) {
      const change = (await db()).transaction("parts", "readwrite");
      await change.store.delete(partsOf(id, name));
      await change.store.put(new TextEncoder().encode(text).buffer, [id, name, 0]);
      await change.done;
    },
    async remove(id) {
      await (await db()).delete("parts", partsOf(id));
    },
    async room() {
      const { quota, usage } = (await navigator.storage?.estimate?.()) ?? {};
      return quota === undefined ? null : quota - (usage ?? 0);
    },
  };
}
