// From what a browser hands over, a drop or a file input, to the studio's source files. Nothing is read here: a file
// is a path and a Blob. A large folder stays one thing where the browser has a handle for it: the engine looks into it
// (open_folders.ts), and the page neither waits for fifty thousand files nor holds them. Where there is none, they are a
// list, found folder by folder while the page stays awake.
import { Failure } from "../../failure.ts";
import { SYSTEM_FILES } from "../../open_folders.ts";
import type { SourceFile } from "../../session/protocol.ts";
import { nextTurn } from "../../turn.ts";

/** Path inside the drop: no leading `/` or `./`. */
const tidyPath = (path: string) => path.replace(/^(\.?\/)+/, "");

const toSource = (file: File): SourceFile => ({
  path: tidyPath(file.webkitRelativePath || file.name),
  blob: file,
});

/** Files from which on a drop is large. */
const LARGE = 2_000;
/** Folders and files that are opened at a time; each is a question to another process. */
const AT_ONCE = 64;
/** Milliseconds after which the page has its turn. */
const TURN_EVERY = 30;

/** What was dropped, its folders not yet looked into. */
export interface Dropped {
  /** Of the first file or folder. */
  name: string;
  /**
   * Walks all folders to their ends; of a large drop they stay unopened folders, where they can.
   * @param onFound told how many files there are so far
   * @returns the files, and the paths of what could not be opened
   * @throws Failure `cancelled` when `signal` is aborted
   */
  search(
    onFound: (count: number) => void,
    signal: AbortSignal,
  ): Promise<{ files: SourceFile[]; lost: string[] }>;
}

/** Must be called while the drop event is being handled: a browser hides its items afterwards. */
export function takeDrop(event: DragEvent): Dropped {
  const folders: FileSystemDirectoryEntry[] = [];
  const handles: Promise<FileSystemHandle | null>[] = [];
  const loose: File[] = [];
  for (const item of event.dataTransfer?.items ?? []) {
    if (item.kind !== "file") continue;
    const entry = item.webkitGetAsEntry?.();
    if (entry?.isDirectory) {
      folders.push(entry as FileSystemDirectoryEntry);
      handles.push(handleOf(item));
    } else {
      const file = item.getAsFile();
      if (file) loose.push(file);
    }
  }
  const name = folders[0]?.name ?? loose[0]?.name ?? "the drop";
  const files = loose.filter((file) => !SYSTEM_FILES.has(file.name)).map(toSource);
  return {
    name,
    async search(onFound, signal) {
      const unopened = unopenedFolders(await Promise.all(handles));
      // The list is of this search alone.
      const found = await walk(folders, [...files], onFound, signal, unopened ? LARGE : null);
      return found ?? { files: [...files, ...(unopened as SourceFile[])], lost: [] };
    },
  };
}

/** What browsers have that know handles of what is dropped; TypeScript does not know it yet. */
interface HandleItem {
  getAsFileSystemHandle?(): Promise<FileSystemHandle | null>;
}

/** The handle of an item; null where the browser has none, or does not give it. */
const handleOf = (item: DataTransferItem & HandleItem): Promise<FileSystemHandle | null> =>
  item.getAsFileSystemHandle?.().catch(() => null) ?? Promise.resolve(null);

/** Folders to be looked into later; null unless all of them can be. */
function unopenedFolders(handles: readonly (FileSystemHandle | null)[]): SourceFile[] | null {
  const all: SourceFile[] = [];
  for (const handle of handles) {
    if (handle?.kind !== "directory") return null;
    all.push({
      path: `${handle.name}/`,
      blob: new Blob(),
      inside: handle as FileSystemDirectoryHandle,
    });
  }
  return all;
}

/** Adds the files of folders, and of those in them, to those there are; null once there are more than `limit`. */
function walk(
  folders: readonly FileSystemDirectoryEntry[],
  files: SourceFile[],
  onFound: (count: number) => void,
  signal: AbortSignal,
  limit: number | null,
): Promise<{ files: SourceFile[]; lost: string[] } | null> {
  const waiting: FileSystemEntry[] = [...folders];
  const lost: string[] = [];

  let since = performance.now();

  async function open(entry: FileSystemEntry): Promise<void> {
    // Chromium may answer within the same task, thousands of times over.
    if (performance.now() - since > TURN_EVERY) {
      await nextTurn();
      since = performance.now();
    }
    try {
      if (entry.isDirectory) {
        for (const inner of await entriesOf(entry as FileSystemDirectoryEntry, signal))
          if (!SYSTEM_FILES.has(inner.name)) waiting.push(inner);
      } else {
        const blob = await fileOf(entry as FileSystemFileEntry);
        files.push({ path: tidyPath(entry.fullPath), blob });
        onFound(files.length);
      }
    } catch {
      lost.push(tidyPath(entry.fullPath));
    }
  }

  return new Promise((resolve, reject) => {
    let under = 0;
    const next = () => {
      if (signal.aborted)
        return reject(
          new Failure({
            code: "cancelled",
            what: "Looking through the folders was cancelled.",
            remedy: "What was loaded before is still there.",
          }),
        );
      if (limit !== null && files.length + waiting.length > limit) return resolve(null);
      while (under < AT_ONCE && waiting.length > 0) {
        under++;
        void open(waiting.pop() as FileSystemEntry).then(() => {
          under--;
          next();
        });
      }
      if (under === 0) resolve({ files, lost });
    };
    next();
  });
}

/** What lies in a folder. A browser gives a hundred at a time, and none at the end. */
async function entriesOf(folder: FileSystemDirectoryEntry, signal: AbortSignal): Promise<FileSystemEntry[]> {
  const reader = folder.createReader();
  const all: FileSystemEntry[] = [];
  while (!signal.aborted) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (some.length === 0) break;
    for (const one of some) all.push(one);
  }
  return all;
}

const fileOf = (entry: FileSystemFileEntry) =>
  new Promise<File>((resolve, reject) => entry.file(resolve, reject));

/** Files chosen in an input, with their folders where a folder was chosen. */
export const filesFromInput = (files: FileList | null): SourceFile[] => [...(files ?? [])].map(toSource);

const withoutEnding = (name: string) => name.replace(/\.(zip|safetensors|pth?|bin|ckpt)$/i, "");

/** A name for what was dropped: its one root folder or its one file; null when there are several. */
export function nameOfDrop(files: SourceFile[]): string | null {
  const roots = new Set(files.map(({ path }) => path.split("/")[0] ?? ""));
  const [root] = roots;
  return roots.size === 1 && root ? withoutEnding(root) : null;
}

/** Parts that are each a set of their own: several zips dropped at once are several sets, anything else is one. */
export function splitDrop(files: SourceFile[]): SourceFile[][] {
  const zips = files.length > 1 && files.every(({ path }) => /^[^/]+\.zip$/i.test(path));
  return zips ? files.map((file) => [file]) : [files];
}
