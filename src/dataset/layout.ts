// How a drop is laid out, from nothing but names: which images are in which class and split, how sure that is, why it is
// in doubt, and what else it could be. Pure; what is read out of files (tables) is handed in parsed.
import { eachFolder, type Folder, growTree, unwrap } from "./folder_tree.ts";
import { folderCandidates } from "./layout_folders.ts";
import { namesCandidate } from "./layout_names.ts";
import { type Table, tableCandidates } from "./layout_table.ts";
import { normaliseName } from "./match.ts";
import { type Candidate, leave } from "./placement.ts";
import { boxesAmong, isMaskFolder, isPictureFolder, partsAmong, pictureOfMask } from "./signs.ts";

/** The names of a drop. */
export interface Tree {
  /** Paths of images. */
  images: readonly string[];
  tables: readonly Table[];
  /** Paths of everything else that is not hidden. */
  others: readonly string[];
}

/** What no class can be found in, though it is known what it is. */
export type NotClasses = { kind: "masks"; folders: string[] } | { kind: "boxes"; files: string };

export interface Layouts {
  /** Readings, the likeliest first. The first is done without asking where its `doubt` is null. */
  candidates: Candidate[];
  /** What the drop is where there is no reading; null where nothing tells. */
  isInstead: NotClasses | null;
}

/** Reads how a drop is laid out. */
export function readLayout({ images, tables, others }: Tree): Layouts {
  const full = growTree(images, new Set());
  const masks = masksIn(images, full);
  const top = masks.images.size > 0 ? growTree(images, masks.images) : full;
  const byFolders = folderCandidates(images.length, top);
  const byTable = tableCandidates(images, tables, masks.images);
  const flat = !byFolders.some(({ doubt }) => doubt === null);
  const byNames = flat ? namesCandidate(images, top) : null;
  const candidates = inOrder(byFolders, byTable, byNames);

  for (const candidate of candidates) {
    leave(candidate, [...masks.images], "mask");
    if (masks.folders.length > 0) candidate.doubt = "masks";
  }
  // What looks like masks may be classes for all that.
  if (masks.folders.length > 0 && candidates.length > 0)
    for (const all of folderCandidates(images.length, full))
      candidates.push({ ...all, layout: `${all.layout}@masks`, doubt: "masks" });
  const boxes = boxesAmong(others);
  if (boxes !== null && byTable.length === 0 && byNames === null && candidates.every(onlyByPartNames))
    return { candidates: [], isInstead: { kind: "boxes", files: boxes } };
  const isInstead =
    candidates.length === 0 && masks.folders.length > 0
      ? ({ kind: "masks", folders: masks.folders } as const)
      : null;
  return { candidates: distinct(candidates), isInstead };
}

const onlyByPartNames = ({ doubt }: Candidate) => doubt === "only-splits";

/** Folders are believed before tables, and tables before names; a sure table that says otherwise puts folders in doubt. */
function inOrder(byFolders: Candidate[], byTable: Candidate[], byNames: Candidate | null): Candidate[] {
  const [folders] = byFolders;
  const [table] = byTable;
  const rest = byNames ? [byNames] : [];
  if (!table)
    return byFolders.length > 0 && !onlyByPartNames(byFolders[0] as Candidate)
      ? [...byFolders, ...rest]
      : [...rest, ...byFolders];
  if (folders?.doubt === null && agree(folders, table)) return [...byFolders, ...byTable];
  if (folders?.doubt === null && table.doubt === null) {
    folders.doubt = "table";
    return [{ ...table, doubt: "table" }, ...byTable.slice(1), ...byFolders];
  }
  if (folders?.doubt === null) return [...byFolders, ...byTable];
  return [...byTable, ...rest, ...byFolders];
}

/** Whether two readings tell the same classes apart, whatever they call them, on the images both speak of. */
function agree(one: Candidate, other: Candidate): boolean {
  const pairs = new Map<string, number>();
  const into = (map: Map<string, Set<string>>, key: string, value: string) => {
    const there = map.get(key);
    if (there) there.add(value);
    else map.set(key, new Set([value]));
  };
  const forth = new Map<string, Set<string>>();
  const back = new Map<string, Set<string>>();
  one.labels.forEach((label, i) => {
    const also = other.labels[i] ?? null;
    if (label === null || also === null) return;
    const [a, b] = [normaliseName(label), normaliseName(also)];
    pairs.set(`${a}\0${b}`, 1);
    into(forth, a, b);
    into(back, b, a);
  });
  return pairs.size > 0 && forth.size === pairs.size && back.size === pairs.size;
}

/** Each way of calling them once, and each way of sorting the images once. */
function distinct(candidates: Candidate[]): Candidate[] {
  const names = new Set<string>();
  return candidates.filter(({ layout }) => !names.has(layout) && names.add(layout));
}

interface Masks {
  images: Set<number>;
  /** Folders of pictures and masks where they hold the whole drop, and not a class each. */
  folders: string[];
}

/** Images that are drawn over others: in a folder of masks beside one of pictures, or named after one beside them. */
function masksIn(paths: readonly string[], top: Folder): Masks {
  const images = new Set<number>();
  const folders = new Set<string>();
  const root = unwrap(top);
  // The folder of a class may hold its masks; a split folder, or that of all, holds those of the whole drop.
  const visit = (folder: Folder, holdsAll: boolean) => {
    const inner = [...folder.folders.values()];
    const masks = inner.filter(({ name }) => isMaskFolder(name));
    const pictures = inner.filter(({ name }) => isPictureFolder(name));
    if (masks.length > 0 && pictures.length > 0 && masks.length + pictures.length === inner.length) {
      for (const mask of masks)
        eachFolder(mask, (one) => {
          for (const i of one.images) images.add(i);
        });
      if (holdsAll || folder === root) for (const { name } of inner) folders.add(name);
    }
    const stems = new Set(folder.images.map((i) => stemOf(paths[i] as string)));
    for (const i of folder.images) {
      const picture = pictureOfMask(stemOf(paths[i] as string));
      if (picture !== null && stems.has(picture)) images.add(i);
    }
    const parts = partsAmong(inner.map(({ name }) => name));
    for (const next of inner) visit(next, parts.has(next.name) || (holdsAll && inner.length === 1));
  };
  visit(top, false);
  return { images, folders: [...folders] };
}

const stemOf = (path: string) => path.slice(path.lastIndexOf("/") + 1).replace(/\.[^.]*$/, "");
