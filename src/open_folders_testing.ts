// A folder as a browser hands it over unopened, for tests.

/** What lies in a folder: folders, files by their bytes, and what cannot be opened. */
export type Tree = { [name: string]: Tree | Blob | string | null };

/** A file as it was when it was opened; a browser reads none that has changed since. */
class Snapshot extends File {
  readonly #unchanged: () => boolean;

  constructor(bytes: Blob | string, name: string, unchanged: () => boolean) {
    super([bytes], name);
    this.#unchanged = unchanged;
  }

  override async arrayBuffer(): Promise<ArrayBuffer> {
    if (!this.#unchanged()) throw new DOMException("changed since", "NotReadableError");
    return super.arrayBuffer();
  }

  override slice(from?: number, to?: number): Blob {
    const part = super.slice(from, to);
    const read = part.arrayBuffer.bind(part);
    const arrayBuffer = () => this.arrayBuffer().then(read);
    return Object.defineProperty(part, "arrayBuffer", { value: arrayBuffer });
  }
}

/** A handle of a folder; each of its answers comes in a later turn. */
export function folderHandle(name: string, tree: Tree | null): FileSystemDirectoryHandle {
  const later = () => new Promise<void>((resolve) => setImmediate(resolve));
  async function* values(): AsyncGenerator<FileSystemHandle> {
    await later();
    if (tree === null) throw new DOMException("gone", "NotFoundError");
    for (const [child, below] of Object.entries(tree)) {
      if (typeof below === "object" && !(below instanceof Blob) && below !== null)
        yield folderHandle(child, below);
      else yield fileHandle(child);
    }
  }
  function fileHandle(child: string): FileSystemFileHandle {
    const getFile = async () => {
      await later();
      const below = tree?.[child];
      if (typeof below !== "string" && !(below instanceof Blob))
        throw new DOMException("gone", "NotReadableError");
      return new Snapshot(below, child, () => tree?.[child] === below);
    };
    return { kind: "file", name: child, getFile } as unknown as FileSystemFileHandle;
  }
  const getFileHandle = async (child: string) => {
    await later();
    return fileHandle(child);
  };
  return { kind: "directory", name, values, getFileHandle } as unknown as FileSystemDirectoryHandle;
}
