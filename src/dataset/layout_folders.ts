// What folders say: the readings of a tree that finds classes in the names of folders. Each is made by one small
// function; which of them is believed is decided in `layout.ts`.
import { eachFolder, type Folder, isFlat, merge, unwrap } from "./folder_tree.ts";
import { normaliseName } from "./match.ts";
import { blank, type Candidate, leave, put } from "./placement.ts";
import { isFold, isPartWord, partsAmong, saysNothing, speakOfParts } from "./signs.ts";
import type { Doubt, Split } from "./types.ts";

/** A folder whose folders are classes (or domains), and the split it stands for. */
interface Source {
  folder: Folder;
  split: Split | null;
}

/** Share of its classes that a folder must have in common with others, on average, for the folders to be domains. */
const DOMAIN_SHARE = 0.5;
/** Share of the images above which one folder is what was meant, and those beside it are not. */
const MAIN_SHARE = 0.8;

const childrenOf = (folder: Folder): Folder[] => [...folder.folders.values()];
const namesIn = (folder: Folder): string[] => [...folder.folders.keys()];
const meansNothing = (name: string): boolean => saysNothing(name) || isPartWord(name);

/** All readings of a folder by its folders, the likeliest first. */
export function folderCandidates(count: number, top: Folder): Candidate[] {
  const root = withoutCopy(unwrap(top));
  const bySplits = splitCandidates(count, root);
  const sure = bySplits.some(({ doubt }) => doubt === null);
  const plain = classCandidates(count, [{ folder: root, split: null }]);
  // Where split folders are beyond doubt, the only other way to see them is as the classes themselves.
  const rest = sure ? plain.filter(({ kind }) => kind === "classes") : plain;
  const found = [...bySplits, ...rest].filter(({ labels }) => labels.some((label) => label !== null));
  const beside = root === top ? [] : outside(top, root);
  for (const candidate of [...bySplits, ...rest]) leave(candidate, beside, "beside");
  for (const candidate of rest) {
    if (sure || bySplits.length > 0) candidate.doubt = "some-splits";
  }
  if (sure) return found;
  const inMain = mainFolder(count, root);
  return bySplits.length > 0 ? [...found, ...inMain] : [...inMain, ...found];
}

/** A folder without the one in it that holds all of its other folders once more, as some archives do. */
function withoutCopy(folder: Folder): Folder {
  const copy = childrenOf(folder).find((one) => {
    const others = namesIn(folder).filter((name) => name !== one.name);
    return one.name === folder.name && others.length > 1 && others.every((name) => one.folders.has(name));
  });
  if (!copy) return folder;
  const folders = new Map([...folder.folders].filter(([name]) => name !== copy.name));
  return { ...folder, folders, total: folder.total - copy.total };
}

/** Images of `top` that do not lie in and under `root`. */
function outside(top: Folder, root: Folder): number[] {
  const inside = new Set<number>();
  eachFolder(root, ({ images }) => {
    for (const i of images) inside.add(i);
  });
  const images: number[] = [];
  eachFolder(top, (folder) => {
    for (const i of folder.images) if (!inside.has(i)) images.push(i);
  });
  return images;
}

/** The readings of the one folder that holds nearly everything, what lies beside it left out. */
function mainFolder(count: number, root: Folder): Candidate[] {
  const main = childrenOf(root).find(({ total }) => total >= root.total * MAIN_SHARE);
  const shapes = childrenOf(root).map(isFlat);
  if (!main || isFlat(main) || root.folders.size < 2 || shapeOf(root).kind === "grid") return [];
  // A class of many kinds among flat ones is no less likely.
  if (shapes.filter(Boolean).length === shapes.length - 1 && partsAmong(namesIn(unwrap(main))).size === 0)
    return [];
  return folderCandidates(count, main).map((candidate) => {
    leave(candidate, outside(root, main), "beside");
    return { ...candidate, layout: `${candidate.layout}@${main.name}`, doubt: "beside" };
  });
}

// Split folders -------------------------------------------------------------------------------------------------------

/** Train, validation and test folders of class folders. */
function splitCandidates(count: number, root: Folder): Candidate[] {
  const parts = partsAmong(namesIn(root));
  if (parts.size === 0) return [];
  const folders = childrenOf(root);
  const nested = folders.filter(({ name, folders: { size } }) => {
    const part = parts.get(name);
    return part !== undefined && part !== "unlabelled" && size > 0;
  });
  const isTrain = ({ name }: Folder) => parts.get(name) === "train";
  const base = nested.filter(isTrain).length > 0 ? nested.filter(isTrain) : nested;
  const alike = alikeUnwrapped(nested, base);
  const baseNames = [...new Set(base.flatMap((folder) => namesIn(alike.get(folder) as Folder)))];
  const known = new Set(baseNames.map(normaliseName));
  const nameless = sayNothing(baseNames);
  if (known.size === 0 || (nameless && known.size === 1)) return [];
  const shares = (folder: Folder) => namesIn(folder).some((name) => known.has(normaliseName(name)));

  // `test/test/001.jpg`: one folder that is no class.
  const holdsNoClass = (folder: Folder) => {
    const inner = alike.get(folder) as Folder;
    return !shares(inner) && inner.folders.size === 1 && isFlat(childrenOf(inner)[0] as Folder);
  };
  const labelled = nested.filter((folder) => !holdsNoClass(folder));
  const unlabelled = folders.filter((folder) => parts.has(folder.name) && !labelled.includes(folder));
  const others = folders.filter(({ name }) => !parts.has(name));
  const strangers = labelled.filter((folder) => !shares(alike.get(folder) as Folder));
  const othersShare = others.some((folder) => shares(unwrap(folder)));
  if (labelled.length === 0) return [];
  if (labelled.length + unlabelled.length < 2 && !othersShare) return [];

  const doubt: Doubt | null = nameless
    ? "only-splits"
    : strangers.length > 0
      ? "different-splits"
      : othersShare || (labelled.length < 2 && others.length > 0)
        ? "some-splits"
        : null;
  const sources = labelled.map((folder) => ({
    folder: alike.get(folder) as Folder,
    split: parts.get(folder.name) as Split,
  }));
  return classCandidates(count, sources)
    .filter(({ kind }) => kind !== "classes-of-splits")
    .map((candidate) => {
      for (const folder of unlabelled) leaveAll(candidate, folder, "unlabelled");
      for (const folder of others) leaveAll(candidate, folder, "beside");
      leave(candidate, root.images, "loose");
      candidate.splitFolders = [
        ...labelled.map(({ name }) => ({ folder: name, split: parts.get(name) as Split })),
        ...unlabelled.map(({ name }) => ({ folder: name, split: null })),
      ];
      candidate.doubt ??= doubt;
      return candidate;
    });
}

function leaveAll(candidate: Candidate, folder: Folder, why: "unlabelled" | "beside"): void {
  eachFolder(folder, ({ images }) => leave(candidate, images, why));
}

/** Split folders without their wrappers; a folder that holds one class of the others is no wrapper. */
function alikeUnwrapped(folders: readonly Folder[], base: readonly Folder[]): Map<Folder, Folder> {
  const richest = base.map(unwrap).sort((a, b) => b.folders.size - a.folders.size)[0];
  const known = new Set(richest ? namesIn(richest).map(normaliseName) : []);
  const unwrapTo = (folder: Folder): Folder => {
    const [only] = folder.folders.values();
    const doubled = folder.folders.size === 1 && only?.name === folder.name && only.folders.size > 0;
    if (doubled) return unwrapTo(only);
    if (namesIn(folder).some((name) => known.has(normaliseName(name)))) return folder;
    return folder.folders.size === 1 && only && only.folders.size > 0 ? unwrapTo(only) : folder;
  };
  return new Map(
    folders.map((folder) => [folder, richest && richest === unwrap(folder) ? richest : unwrapTo(folder)]),
  );
}

// Class folders -------------------------------------------------------------------------------------------------------

/** flat: class folders · parts: each of them holds split folders · grid: each holds the same folders · nested: any other. */
interface Shape {
  kind: "flat" | "parts" | "grid" | "nested";
  /** Of parts: whether every folder holds them. */
  full: boolean;
}

/** The folders in a class folder that could be classes themselves; none where they only group images. */
function kindsIn(folder: Folder): string[] {
  const below = unwrap(folder);
  const names = namesIn(below);
  const wrapper = names.length === 1 && below.images.length === 0;
  if (wrapper) return [];
  return names.every((name) => saysNothing(name)) ? [] : names;
}

/** Split folders of class folders right inside a folder; none where others beside them say that they are no such. */
function splitsIn(folder: Folder): Source[] {
  const below = unwrap(folder);
  const parts = partsAmong(namesIn(below));
  const inside = childrenOf(below).flatMap((one) => {
    const split = parts.get(one.name);
    return split === undefined || split === "unlabelled" || isFlat(one)
      ? []
      : [{ folder: unwrap(one), split }];
  });
  const distinct = new Set(inside.map(({ split }) => split));
  const sure = parts.size === below.folders.size || (distinct.size > 1 && distinct.has("train"));
  return sure ? inside : [];
}

/** Names of the classes in a domain's folder, with or without splits. */
function classesIn(domain: Folder): string[] {
  const inside = splitsIn(domain);
  return inside.length > 0 ? namesIn(merge(inside.map(({ folder }) => folder))) : kindsIn(domain);
}

const onlyParts = (names: readonly string[]) => {
  const parts = partsAmong(names);
  return (
    names.length > 0 &&
    parts.size === names.length &&
    [...parts.values()].some((part) => part !== "unlabelled")
  );
};

/** Whether names, as a whole, speak of no class: fillers, or nothing but splits (`asl_train`, `asl_val`). */
const sayNothing = (names: readonly string[]) => names.every(meansNothing) || onlyParts(names);

function shapeOf(top: Folder): Shape {
  const folders = childrenOf(top);
  const deep = folders.filter((folder) => kindsIn(folder).length > 0 || onlyParts(namesIn(folder)));
  if (deep.length === 0) return { kind: "flat", full: false };
  const holdParts = deep.every((folder) => {
    const below = unwrap(folder);
    return onlyParts(namesIn(below)) && childrenOf(below).every((part) => kindsIn(part).length === 0);
  });
  const distinct = new Set(deep.flatMap((folder) => [...partsAmong(namesIn(unwrap(folder))).values()]));
  if (holdParts && distinct.size >= 2) return { kind: "parts", full: deep.length === folders.length };
  // A domain may hold one class alone, which looks like a wrapper for itself.
  const known = new Set(deep.flatMap(classesIn).map(normaliseName));
  const one = folders.filter((folder) => {
    const names = namesIn(unwrap(folder));
    return !deep.includes(folder) && names.length === 1 && known.has(normaliseName(names[0] as string));
  });
  if (deep.length < 2 || deep.length + one.length < folders.length) return { kind: "nested", full: false };
  const sets = deep.map((folder) => new Set(classesIn(folder).map(normaliseName)));
  const times = new Map<string, number>();
  for (const set of sets) for (const name of set) times.set(name, (times.get(name) ?? 0) + 1);
  // Of each folder the share of its folders that others have too; a domain may lack many of another's classes.
  const shared = sets.map((set) => [...set].filter((name) => (times.get(name) ?? 0) > 1).length / set.size);
  const mean = shared.reduce((sum, share) => sum + share, 0) / shared.length;
  return { kind: mean >= DOMAIN_SHARE ? "grid" : "nested", full: false };
}

/** Readings of folders whose folders are classes, or hold them. */
function classCandidates(count: number, sources: readonly Source[]): Candidate[] {
  const top = merge(sources.map(({ folder }) => folder));
  if (top.folders.size === 0) return [];
  const { kind, full } = shapeOf(top);
  const make = (what: "classes" | "leaves", doubt: Doubt | null) =>
    classesOrLeaves(count, sources, what, doubt);
  switch (kind) {
    case "flat": {
      const names = namesIn(top);
      const nameless = names.every(meansNothing);
      if (nameless && names.length === 1) return [];
      if (names.length > 1 && names.every(isFold)) return [make("classes", "folds")];
      return [make("classes", nameless || speakOfParts(names) ? "only-splits" : null)];
    }
    case "parts": {
      const nameless = sayNothing(namesIn(top));
      const candidate = classesOfSplits(count, sources, full && !nameless ? null : "some-splits");
      return [candidate, make("classes", "some-splits")];
    }
    case "grid": {
      const folds = namesIn(top).every(isFold);
      const doubt = folds ? "folds" : "same-classes";
      const pooled = make("leaves", doubt);
      if (folds) Object.assign(pooled, { layout: "folds", kind: "folds" });
      const oneOf = domains(count, sources, doubt);
      if (onlyParts(namesIn(top))) return [make("classes", doubt)];
      return folds ? [pooled, oneOf, make("classes", doubt)] : [oneOf, make("classes", doubt), pooled];
    }
    case "nested":
      return [make("classes", "nested"), make("leaves", "nested")];
  }
}

function classesOrLeaves(
  count: number,
  sources: readonly Source[],
  what: "classes" | "leaves",
  doubt: Doubt | null,
): Candidate {
  const inSplits = sources.some(({ split }) => split !== null);
  const kind = inSplits ? (what === "classes" ? "splits" : "split-leaves") : what;
  const candidate = blank(count, kind, doubt);
  const pooled = doubt === "same-classes" || doubt === "folds";
  const leafName = what === "leaves" ? leafNames(sources, pooled) : null;
  for (const { folder, split } of sources) {
    leave(candidate, folder.images, "loose");
    for (const child of folder.folders.values())
      eachFolder(child, (inner) =>
        put(candidate, inner.images, leafName?.(inner, child.name) ?? child.name, split, null),
      );
  }
  return candidate;
}

/**
 * What innermost folders are called: their own name, past wrappers and splits (`cat/images`). Where one name lies in
 * several top folders (`animals/bat`, `sports/bat`) it is two classes, unless all hold the same.
 */
function leafNames(sources: readonly Source[], pooled: boolean): (folder: Folder, top: string) => string {
  const parts = partsInside(sources);
  const ownName = ({ path }: Folder) => {
    const names = path.split("/");
    while (names.length > 1 && (saysNothing(names.at(-1) as string) || parts.has(names.at(-1) as string)))
      names.pop();
    return names.at(-1) as string;
  };
  const tops = new Map<string, Set<string>>();
  for (const { folder } of sources)
    for (const child of folder.folders.values())
      eachFolder(child, (inner) => {
        if (inner.images.length === 0) return;
        const name = ownName(inner);
        const there = tops.get(name);
        if (there) there.add(child.name);
        else tops.set(name, new Set([child.name]));
      });
  return (folder, top) => {
    const name = ownName(folder);
    return !pooled && (tops.get(name)?.size ?? 0) > 1 ? `${top}/${name}` : name;
  };
}

/** Names of split folders that lie below the top folders. */
function partsInside(sources: readonly Source[]): Set<string> {
  const found = new Set<string>();
  for (const { folder } of sources)
    for (const child of folder.folders.values())
      eachFolder(child, (inner) => {
        const names = namesIn(inner);
        if (onlyParts(names)) for (const name of names) found.add(name);
      });
  return found;
}

function classesOfSplits(count: number, sources: readonly Source[], doubt: Doubt | null): Candidate {
  const candidate = blank(count, "classes-of-splits", doubt);
  const seen = new Map<string, Split | null>();
  for (const { folder, split } of sources) {
    leave(candidate, folder.images, "loose");
    for (const child of folder.folders.values()) {
      const below = unwrap(child);
      const parts = partsAmong(namesIn(below));
      leave(candidate, below.images, "unlabelled");
      for (const inner of below.folders.values()) {
        const part = parts.get(inner.name);
        seen.set(inner.name, part === "unlabelled" ? null : (part ?? null));
        if (part === undefined || part === "unlabelled") leaveAll(candidate, inner, "unlabelled");
        else eachFolder(inner, ({ images }) => put(candidate, images, child.name, split ?? part, null));
      }
    }
  }
  candidate.splitFolders = [...seen].map(([folder, split]) => ({ folder, split }));
  return candidate;
}

function domains(count: number, sources: readonly Source[], doubt: Doubt): Candidate {
  const candidate = blank(count, "domains", doubt);
  const names = new Set<string>();
  for (const { folder, split } of sources) {
    leave(candidate, folder.images, "loose");
    for (const domain of folder.folders.values()) {
      names.add(domain.name);
      for (const source of sourcesIn(domain, split)) {
        leave(candidate, source.folder.images, "loose");
        for (const child of source.folder.folders.values())
          eachFolder(child, ({ images }) => put(candidate, images, child.name, source.split, domain.name));
      }
    }
  }
  candidate.domains = [...names].sort();
  return candidate;
}

/** A domain's folder of class folders, or those of its split folders. */
function sourcesIn(domain: Folder, split: Split | null): Source[] {
  const inside = splitsIn(domain);
  return inside.length > 0 ? inside : [{ folder: unwrap(domain), split }];
}
