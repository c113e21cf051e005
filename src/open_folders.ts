// Folders that were handed over unopened: a large drop is one handle, or one Blob where it was kept, until someone needs
// its files, so that the page never holds a list of fifty thousand. Each file is opened when it is read and let go of
// afterwards: an open one takes kilobytes of the browser, and so does a handle or a slice.
import { OwnBlob, opened } from "./joined_blob.ts";
import type { PackedFiles, SourceFile } from "./source_file.ts";
import { nextTurn } from "./turn.ts";

/** Files that a system puts beside those of a person. */
export const SYSTEM_FILES: ReadonlySet<string> = new Set([".DS_Store", "Thumbs.db"]);
/** Folders that are looked into at a time. */
const FOLDERS_AT_ONCE = 8;
/** Files of each that are asked for their sizes, and handed over, at a time. */
const AT_ONCE = 128;
/** Milliseconds after which others have their turn. */
const TURN_EVERY = 30;

/**
 * Puts the files of unopened folders in the folders' place; what is no unopened folder stays.
 * @param tell how many files were found so far; throws to give up
 * @returns the files, and the paths of what could not be opened
 */
export async function openFolders(
  files: readonly SourceFile[],
  tell: (found: number) => void = () => {},
): Promise<{ files: SourceFile[]; lost: string[] }> {
  if (files.every(({ inside }) => !inside)) return { files: [...files], lost: [] };
  const found: SourceFile[] = [];
  const take = (some: readonly SourceFile[]) => {
    // One by one: spreading a hundred thousand arguments overflows the stack.
    for (const file of some) found.push(file);
  };
  return { files: found, lost: await passThrough(files, take, tell) };
}

/**
 * The same without a list of them: they are handed over a few at a time.
 * @param take is given files; the search of their folder goes on when it is done
 * @returns the paths of what could not be opened
 */
export async function passThrough(
  files: readonly SourceFile[],
  take: (some: readonly SourceFile[]) => Promise<void> | void,
  tell: (found: number) => void = () => {},
): Promise<string[]> {
  const lost: string[] = [];
  const waiting: { path: string; folder: FileSystemDirectoryHandle }[] = [];
  let count = 0;
  let since = performance.now();
  /** Gives others their turn now and then, and hears whether to go on. */
  async function breathe(): Promise<void> {
    if (performance.now() - since < TURN_EVERY) return;
    await nextTurn();
    since = performance.now();
    tell(count);
  }
  async function pass(some: readonly SourceFile[]): Promise<void> {
    count += some.length;
    await take(some);
    await breathe();
  }

  let loose: SourceFile[] = [];
  for (const file of files) {
    const { path, blob, inside } = file;
    if (!inside) loose.push(file);
    else if ("paths" in inside) for (const some of unpacked(blob, inside)) await pass(some);
    else waiting.push({ path, folder: inside });
    if (loose.length < AT_ONCE) continue;
    await pass(loose);
    loose = [];
  }
  await pass(loose);

  async function open(path: string, folder: FileSystemDirectoryHandle): Promise<void> {
    let inner: FileSystemFileHandle[] = [];
    const measure = async () => {
      const handles = inner;
      inner = [];
      const found = await Promise.all(handles.map((handle) => handle.getFile().catch(() => null)));
      const some: SourceFile[] = [];
      for (const [i, { name }] of handles.entries()) {
        const file = found[i];
        if (!file) lost.push(path + name);
        else some.push({ path: path + name, blob: new FileInFolder(folder, file) });
      }
      await pass(some);
    };
    for await (const handle of entriesOf(path, folder, lost)) {
      await breathe();
      if (handle.kind === "directory")
        waiting.push({ path: `${path}${handle.name}/`, folder: handle as FileSystemDirectoryHandle });
      else if (!SYSTEM_FILES.has(handle.name)) {
        inner.push(handle as FileSystemFileHandle);
        if (inner.length === AT_ONCE) await measure();
      }
    }
    await measure();
  }

  await new Promise<void>((resolve, reject) => {
    let under = 0;
    const next = () => {
      while (under < FOLDERS_AT_ONCE && waiting.length > 0) {
        under++;
        const { path, folder } = waiting.pop() as (typeof waiting)[number];
        open(path, folder).then(() => {
          under--;
          next();
        }, reject);
      }
      if (under === 0) resolve();
    };
    next();
  });
  tell(count);
  return lost;
}

/** What lies in a folder; one that cannot be looked into (any further) is lost. */
async function* entriesOf(
  path: string,
  folder: FileSystemDirectoryHandle,
  lost: string[],
): AsyncGenerator<FileSystemHandle> {
  const entries = folder.values();
  for (;;) {
    const next = await entries.next().catch(() => null);
    if (next === null) lost.push(path);
    if (next === null || next.done) return;
    yield next.value;
  }
}

/** The files of a pack, a few at a time. */
function* unpacked(blob: Blob, { paths, sizes }: PackedFiles): Generator<SourceFile[]> {
  let some: SourceFile[] = [];
  let [at, from] = [0, 0];
  for (const size of sizes) {
    const end = paths.indexOf("\0", from);
    some.push({ path: paths.slice(from, end), blob: new Piece(blob, at, at + size) });
    from = end + 1;
    at += size;
    if (some.length < AT_ONCE) continue;
    yield some;
    some = [];
  }
  yield some;
}

/** A part of bytes that lie elsewhere, fetched whenever it is read. */
abstract class Lazy extends OwnBlob {
  protected readonly begin: number;
  protected readonly end: number;

  constructor(begin: number, end: number) {
    super();
    this.begin = begin;
    this.end = end;
  }

  override get size(): number {
    return this.end - this.begin;
  }

  override async arrayBuffer(): Promise<ArrayBuffer> {
    return (await this.opened()).arrayBuffer();
  }

  override stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    let reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>> | null = null;
    return new ReadableStream({
      pull: async (controller) => {
        reader ??= (await this.opened()).stream().getReader();
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: (reason) => reader?.cancel(reason),
    });
  }
}

/** Of a Blob. */
class Piece extends Lazy {
  readonly #of: Blob;

  constructor(of: Blob, begin: number, end: number) {
    super(begin, end);
    this.#of = of;
  }

  override slice(from?: number, to?: number): Blob {
    const [begin, end] = this.bounds(from, to);
    return new Piece(this.#of, this.begin + begin, this.begin + end);
  }

  override async opened(): Promise<Blob> {
    return (await opened(this.#of)).slice(this.begin, this.end);
  }
}

/** A file in a folder, as it was found. */
class FileInFolder extends Lazy {
  readonly #folder: FileSystemDirectoryHandle;
  readonly #name: string;
  /** Open still, as long as nothing else needs the memory: most are read soon after they were found. */
  readonly #found: WeakRef<File>;

  constructor(folder: FileSystemDirectoryHandle, file: File) {
    super(0, file.size);
    this.#folder = folder;
    this.#name = file.name;
    this.#found = new WeakRef(file);
  }

  override slice(from?: number, to?: number): Blob {
    return new Piece(this, ...this.bounds(from, to));
  }

  override async opened(): Promise<Blob> {
    const found = this.#found.deref();
    if (found) return found;
    const file = await (await this.#folder.getFileHandle(this.#name)).getFile();
    if (file.size === this.size) return file;
    throw new DOMException("The file is not as long as it was.", "NotReadableError");
  }
}
