// Fetched models in a folder of this computer, for the terminal.
import { mkdir, open, readdir, rename, rm, stat, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileBlob } from "../large_file_node.ts";
import type { ModelStore } from "./model_store.ts";

/** Keeps models under `folder`, which is made when the first one comes. */
export function nodeModelStore(folder: string): ModelStore {
  const place = (id: string, name: string) => join(folder, id, name);
  return {
    ids: async () => {
      const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
      return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
    },
    async open(id, name) {
      await mkdir(join(folder, id), { recursive: true });
      const handle = await open(place(id, name), "a");
      let { size } = await handle.stat();
      return {
        get size() {
          return size;
        },
        async append(bytes) {
          await handle.appendFile(bytes);
          size += bytes.length;
        },
        async restart() {
          await handle.truncate(0);
          size = 0;
        },
        close: () => handle.close(),
      };
    },
    blob: async (id, name) => {
      const there = await stat(place(id, name)).catch(() => null);
      return there ? fileBlob(place(id, name)) : null;
    },
    async write(id, name, text) {
      await mkdir(join(folder, id), { recursive: true });
      await writeFile(place(id, `${name}.new`), text);
      await rename(place(id, `${name}.new`), place(id, name));
    },
    remove: (id) => rm(join(folder, id), { recursive: true, force: true }),
    async room() {
      await mkdir(folder, { recursive: true });
      const { bavail, bsize } = await statfs(folder);
      return bavail * bsize;
    },
  };
}
