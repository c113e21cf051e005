// Where what was measured on an adapter is kept, so that it is measured once and every later run on the same machine
// computes in the same forms: IndexedDB in a browser, a file of the cache folder in Node. An entry carries its version and
// a checksum; one that cannot be read stays under another key.
import { checksumOf } from "../../checksum.ts";

/** Names of forms by class. */
type Kept = Record<string, string>;

const inNode = typeof process !== "undefined" && process.versions?.node !== undefined;

/** What an entry holds; null where it cannot be believed. Entries were the bare names once. */
async function opened(entry: unknown): Promise<Kept | null> {
  if (typeof entry !== "object" || entry === null) return null;
  const { sum, ...rest } = entry as { sum?: unknown; version?: unknown; forms?: unknown };
  const versioned = sum !== undefined || rest.version !== undefined || rest.forms !== undefined;
  if (versioned && (rest.version !== 1 || sum !== (await checksumOf(rest)))) return null;
  const forms = versioned ? rest.forms : entry;
  if (typeof forms !== "object" || forms === null) return null;
  return Object.values(forms).every((form) => typeof form === "string") ? (forms as Kept) : null;
}

/** What is kept under a key; null where there is nothing. `damaged` where there is something that cannot be read. */
export async function readTuned(key: string): Promise<{ kept: Kept | null; damaged: boolean }> {
  try {
    if (inNode) {
      const all = await readFile();
      if (all === null) return { kept: null, damaged: true };
      const kept = Object.hasOwn(all, key) ? await opened(all[key]) : null;
      return { kept, damaged: kept === null && Object.hasOwn(all, key) };
    }
    const entry: unknown = await inDatabase("readonly", (all) => all.get(key));
    const kept = await opened(entry);
    return { kept, damaged: kept === null && entry !== null };
  } catch {
    return { kept: null, damaged: false };
  }
}

/**
 * Keeps what was measured, unless somebody else did meanwhile; what cannot be read under its key is moved aside.
 * @returns what is kept now; null where nothing can be
 */
export async function keepTuned(key: string, forms: Kept): Promise<Kept | null> {
  const found = await readTuned(key);
  if (found.kept) return found.kept;
  const aside = `set aside ${Date.now()} ${key}`;
  try {
    const entry = { version: 1, forms };
    const sealed = { ...entry, sum: await checksumOf(entry) };
    if (inNode) {
      const all = await readFile();
      if (all === null) await setFileAside();
      const beside = found.damaged && all && Object.hasOwn(all, key) ? { [aside]: all[key] } : {};
      await writeFile({ ...all, ...beside, [key]: sealed });
    } else {
      const broken: unknown = found.damaged ? await inDatabase("readonly", (all) => all.get(key)) : null;
      if (broken !== null) await inDatabase("readwrite", (all) => all.put(broken, aside));
      await inDatabase("readwrite", (all) => all.put(sealed, key));
    }
    return forms;
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

/** All entries; null where there is a file that is none of ours. */
async function readFile(): Promise<Record<string, unknown> | null> {
  const { fs, path } = await place();
  const text = await fs.readFile(path, "utf8").catch(() => "{}");
  try {
    const all: unknown = JSON.parse(text);
    return typeof all === "object" && all !== null && !Array.isArray(all) ? { ...all } : null;
  } catch {
    return null;
  }
}

async function setFileAside(): Promise<void> {
  const { fs, path } = await place();
  await fs.rename(path, `${path}.set-aside-${Date.now()}`);
}

async function writeFile(all: Record<string, unknown>): Promise<void> {
  const { fs, folder, path } = await place();
  await fs.mkdir(folder, { recursive: true });
  const half = `${path}.${process.pid}`;
  await fs.writeFile(half, JSON.stringify(all));
  await fs.rename(half, path);
}

const storeName = "forms";
/** Milliseconds that a browser has to open its database: a device does not wait for one that never answers. */
const PATIENCE = 3_000;

function inDatabase<T>(
  mode: IDBTransactionMode,
  work: (all: IDBObjectStore) => IDBRequest<T>,
): Promise<T | null> {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open("selora-gpu", 1);
    setTimeout(() => reject(new Error("The database does not answer.")), PATIENCE);
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
