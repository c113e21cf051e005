// Paths of images as a tree of folders, and what can be seen of one: which folders merely wrap others, and what lies
// below. A folder without images in or under it is none here.

export interface Folder {
  name: string;
  /** From the drop's root; "" for the root itself. */
  path: string;
  /** Places of the images that lie directly in it. */
  images: number[];
  folders: Map<string, Folder>;
  /** Images in and under it. */
  total: number;
}

const emptyFolder = (name: string, path: string): Folder => ({
  name,
  path,
  images: [],
  folders: new Map(),
  total: 0,
});

/** The tree of image paths; `skip` are places of paths that do not count. */
export function growTree(paths: readonly string[], skip: ReadonlySet<number>): Folder {
  const root = emptyFolder("", "");
  paths.forEach((path, i) => {
    if (skip.has(i)) return;
    let folder = root;
    folder.total++;
    const parts = path.split("/");
    for (let depth = 0; depth < parts.length - 1; depth++) {
      const name = parts[depth] as string;
      let next = folder.folders.get(name);
      if (!next) {
        next = emptyFolder(name, folder.path === "" ? name : `${folder.path}/${name}`);
        folder.folders.set(name, next);
      }
      folder = next;
      folder.total++;
    }
    folder.images.push(i);
  });
  return root;
}

/** Passes by folders that hold one folder and nothing (or next to nothing) beside it, as long as folders remain below. */
export function unwrap(folder: Folder): Folder {
  let inner = folder;
  for (;;) {
    const [only] = inner.folders.values();
    const wraps = inner.folders.size === 1 && only && only.folders.size > 0;
    if (!wraps || inner.images.length * 20 > inner.total) return inner;
    inner = only;
  }
}

/** Folders as one: what lies under the same name in several of them lies in one. */
export function merge(folders: readonly Folder[]): Folder {
  const [first] = folders;
  if (folders.length === 1 && first) return first;
  const merged = emptyFolder(first?.name ?? "", first?.path ?? "");
  const byName = new Map<string, Folder[]>();
  for (const { images, folders: inner, total } of folders) {
    for (const image of images) merged.images.push(image);
    merged.total += total;
    for (const [name, folder] of inner) {
      const same = byName.get(name);
      if (same) same.push(folder);
      else byName.set(name, [folder]);
    }
  }
  for (const [name, same] of byName) merged.folders.set(name, merge(same));
  return merged;
}

/** Calls for each folder in and under one, itself first. */
export function eachFolder(folder: Folder, visit: (folder: Folder) => void): void {
  visit(folder);
  for (const inner of folder.folders.values()) eachFolder(inner, visit);
}

export const isFlat = (folder: Folder): boolean => folder.folders.size === 0;
