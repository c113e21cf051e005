// Fetched models in the browser's private file system. Only a worker may append to a file there without copying it.
import { Failure } from "../failure.ts";
import type { ModelStore } from "./model_store.ts";

const FOLDER = "models";

/** A file that is open in a worker; TypeScript's library for pages does not know it. */
interface SyncAccessHandle {
  getSize(): number;
  write(bytes: Uint8Array<ArrayBuffer>, options: { at: number }): number;
  truncate(size: number): void;
  flush(): void;
  close(): void;
}

async function folder(): Promise<FileSystemDirectoryHandle> {
  try {
    const root = await navigator.storage.getDirectory();
    return await root.getDirectoryHandle(FOLDER, { create: true });
  } catch (cause) {
    throw new Failure(
      {
        code: "state",
        what: "This browser keeps no files for the page, so a model cannot be fetched here.",
        remedy: "Leave private browsing, or download the model's files and drop them.",
      },
      { cause },
    );
  }
}

/** Keeps models in the origin's private file system; only in a worker. */
export function opfsModelStore(): ModelStore {
  const model = async (id: string) => (await folder()).getDirectoryHandle(id, { create: true });
  const access = async (id: string, name: string) => {
    const file = await (await model(id)).getFileHandle(name, { create: true });
    const open = file as unknown as { createSyncAccessHandle(): Promise<SyncAccessHandle> };
    return open.createSyncAccessHandle().catch((cause: unknown) => {
      throw new Failure(
        {
          code: "state",
          what: "Another tab is fetching this model.",
          where: name,
          remedy: "Wait for it, or close that tab.",
        },
        { cause },
      );
    });
  };
  return {
    async ids() {
      const names: string[] = [];
      for await (const [name, handle] of (await folder()).entries()) {
        if (handle.kind === "directory") names.push(name);
      }
      return names;
    },
    async open(id, name) {
      const handle = await access(id, name);
      let size = handle.getSize();
      return {
        get size() {
          return size;
        },
        async append(bytes) {
          for (let at = 0; at < bytes.length; ) {
            const written = handle.write(bytes.subarray(at), { at: size });
            if (written === 0) throw new DOMException("no room", "QuotaExceededError");
            at += written;
            size += written;
          }
        },
        async restart() {
          handle.truncate(0);
          size = 0;
        },
        async close() {
          handle.flush();
          handle.close();
        },
      };
    },
    async blob(id, name) {
      try {
        const directory = await (await folder()).getDirectoryHandle(id);
        return await (await directory.getFileHandle(name)).getFile();
      } catch (error) {
        if (error instanceof DOMException && error.name === "NotFoundError") return null;
        throw error;
      }
    },
    async write(id, name, text) {
      const handle = await access(id, name);
      try {
        // Cut first: half a record cannot be read, and so counts as none.
        handle.truncate(0);
        handle.write(new TextEncoder().encode(text), { at: 0 });
        handle.flush();
      } finally {
        handle.close();
      }
    },
    remove: async (id) => (await folder()).removeEntry(id, { recursive: true }),
    async room() {
      const { quota, usage } = await navigator.storage.estimate();
      return quota === undefined ? null : quota - (usage ?? 0);
    },
  };
}
