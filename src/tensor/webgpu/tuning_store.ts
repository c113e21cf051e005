// Where what was measured on an adapter is kept, so that it is measured once and every later run on the same machine
// computes in the same forms: IndexedDB in a browser, a file of the cache folder in Node.
/** Names of forms by class. */
type Kept = Record<string, string>;

const inNode = typeof process !== "undefined" && process.versions?.node !== undefined;

/** What is kept under a key; null where there is nothing or nothing can be read. */
export async function readTuned(key: string): Promise<Kept | null> {
  try {
    return inNode ? ((await readFile())[key] ?? null) : await inDatabase("readonly", (all) => all.get(key));
  } catch {
    return null;
  }
}

/**
 * Keeps what was measured, unless somebody else did meanwhile.
 * @returns what is kept now; null where nothing can be
 */
export async function keepTuned(key: string, tuned: Kept): Promise<Kept | null> {
  const found = await readTuned(key);
  if (found) return found;
  try {
    if (inNode) await writeFile({ ...(await readFile()), [key]: tuned });
    else await inDatabase("readwrite", (all) => all.put(tuned, key));
    return tuned;
  } catch {
    return null;
  }
}

async function place() {
  // Names that are no literals stay out of a bundle for browsers.
  const [files, os, paths] = ["node:fs/promises", "node:os", "node:path"];
  const fs = (await import(/* @vite-ignore */ files)) as typeof import("node:fs/promises");
  const { homedir } = (await import(/* @vite-ignore */ os)) as typeof import("node:os");
  const { join } = (await import(/* @vite-ignore */ paths)) as typeof import("node:path");
  const folder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "selora");
  return { fs, folder, path: join(folder, "gpu-forms.json") };
}

async function readFile(): Promise<Record<string, Kept>> {
  const { fs, path } = await place();
  try {
    return JSON.parse(await fs.readFile(path, "utf8"));
  } catch {
    return {};
  }
}

async function writeFile(all: Record<string, Kept>): Promise<void> {
  const { fs, folder, path } = await place();
  await fs.mkdir(folder, { recursive: true });
  const half = `${path}.${process.pid}`;
  await fs.writeFile(half, JSON.stringify(all));
  await fs.rename(half, path);
}

const storeName = "forms";

function inDatabase<T>(
  mode: IDBTransactionMode,
  work: (all: IDBObjectStore) => IDBRequest<T>,
): Promise<T | null> {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open("selora-gpu", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(storeName);
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const database = opening.result;
      const transaction = database.transaction(storeName, mode);
      const request = work(transaction.objectStore(storeName));
      transaction.oncomplete = () => {
        database.close();
        resolve(request.result ?? null);
      };
      transaction.onabort = () => {
        database.close();
        reject(transaction.error);
      };
    };
  });
}
