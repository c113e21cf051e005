// From what a person dropped to a labelled set of images: hidden files, zips, nesting, class folders, splits, and a
// report of everything that is odd. Nothing is decoded here, so that 50,000 images are listed in seconds; files that
// cannot be decoded are found by `PixelStore.prepare`, before training.
import { Failure } from "../failure.ts";
import { random, seedFor } from "../random.ts";
import type { SourceFile } from "../source_file.ts";
import { SNIFF_BYTES, sniffFormat } from "./header.ts";
import { normaliseName } from "./match.ts";
import type { DataAnswers, DataIssue, ImageItem, ImageSet, NameReading, Split } from "./types.ts";
import { type FoundFile, openZip, safePath } from "./zip.ts";

export interface ListOptions {
  /** Decides which images are drawn for validation. */
  seed: number;
  /** True for what is trained on: it must have two classes or more, and gets a validation split if it has none. */
  needsSplit: boolean;
  /** What the person said of it. */
  answers?: DataAnswers;
}

/** Share of a class that is drawn for validation. */
const VALIDATION_SHARE = 0.2;
const MAX_PATHS = 20;

/** Extensions taken at their word while listing: in Chromium, looking into a file costs a millisecond. */
const IMAGE_EXTENSIONS = new Set(["png", "apng", "jpg", "jpeg", "jpe", "jfif", "webp", "gif", "bmp", "dib"]);
/** Pictures, but of kinds that are not read; said so in the report. */
const OTHER_PICTURES = new Set([
  "heic",
  "heif",
  "avif",
  "tif",
  "tiff",
  "svg",
  "jxl",
  "jp2",
  "ico",
  "psd",
  "raw",
]);
const SYSTEM_NAMES = new Set([
  "__macosx",
  "thumbs.db",
  "desktop.ini",
  "$recycle.bin",
  "system volume information",
  "@eadir",
]);
const SPLIT_NAMES = new Map<string, Split>([
  ["train", "train"],
  ["training", "train"],
  ["val", "val"],
  ["valid", "val"],
  ["validation", "val"],
  ["dev", "val"],
  ["test", "test"],
  ["testing", "test"],
]);

/** An image and where it stands: the folders from the set's root down to it. */
interface Placed {
  file: FoundFile;
  folders: string[];
}

/** An image whose split (if folders gave one) and class folder are known. */
interface Labelled {
  file: FoundFile;
  split: Split | null;
  folder: string;
}

/**
 * Lists the images of one drop with their classes and splits.
 *
 * Class folders, or `train`/`val`/`test` folders of class folders; single nested roots and zips are looked through.
 * Without a validation split, one is drawn from the training images: a fifth of each class, at least one, by seed,
 * copies of one image kept together. A set with `needsSplit: false` and no split folders is all `test`.
 * @throws Failure `bad-data` when there is nothing to learn from or to score: no image, no class folder, one class
 *   only or no training folder where `needsSplit`; `bad-file` for a zip that cannot be read
 */
export async function listImages(name: string, files: SourceFile[], options: ListOptions): Promise<ImageSet> {
  const issues: DataIssue[] = [];
  const { found, folders, names } = await gather(files, issues, options.answers);
  const images = await onlyImages(found, issues);
  if (images.length === 0) {
    const remedy = "Give a folder with one folder of PNG, JPEG, WebP, GIF or BMP images for each class.";
    throw noImages(name, files.length, remedy);
  }
  const placed = stripRoots(images.map((file) => ({ file, folders: file.path.split("/").slice(0, -1) })));
  const labelled = intoSplits(name, placed, options, issues);
  const { classes, labels, kept } = intoClasses(name, labelled, options, issues);
  reportEmptyFolders(folders, images, issues);

  const copies = await findCopies(kept.map((image) => image.file));
  reportLabelCollisions(copies, kept, labels, classes, issues);

  const hasTest = kept.some((image) => image.split === "test");
  const hasVal = kept.some((image) => image.split === "val");
  const fromFolders = kept.some((image) => image.split !== null);
  const draws = options.needsSplit && !hasVal;
  const splits: Split[] = draws
    ? drawValidation(kept, labels, classes, copies, options.seed)
    : kept.map((image) => image.split ?? "test");
  if (draws && hasTest) {
    issues.push(
      issue(
        "note",
        "There is no validation folder, so a fifth of each class's training images was drawn for it.",
      ),
    );
  }
  const items: ImageItem[] = kept.map(({ file }, i) => ({
    path: file.path,
    label: labels[i] as number,
    split: splits[i] as Split,
    read: file.read,
  }));
  const splitOrigin = draws ? "drawn" : fromFolders ? "folders" : "none";
  const set: ImageSet = { name, classes, items, splitOrigin, issues, ...(names && { names }) };
  reportCopiesAcrossSplits(copies, items, issues);
  reportCounts(set, options, issues);
  return set;
}

/**
 * Lists images that need no class: every picture of a drop, in whatever folders, all to train on.
 * @throws Failure `bad-data` when there is none; `bad-file` for a zip that cannot be read
 */
export async function listUnlabelled(
  name: string,
  files: SourceFile[],
  answers: DataAnswers = {},
): Promise<ImageSet> {
  const issues: DataIssue[] = [];
  const { found, names } = await gather(files, issues, answers);
  const images = await onlyImages(found, issues);
  if (images.length === 0)
    throw noImages(name, files.length, "Give a folder of PNG, JPEG, WebP, GIF or BMP images.");
  const items = images.map(({ path, read }): ImageItem => ({ path, label: 0, split: "train", read }));
  return { name, classes: ["image"], items, splitOrigin: "none", issues, ...(names && { names }) };
}

function noImages(name: string, files: number, remedy: string): Failure {
  return new Failure({
    code: "bad-data",
    what:
      files === 0
        ? "The folder is empty."
        : `None of the ${plural(files, "file")} is an image that can be read.`,
    where: name,
    remedy,
  });
}

/** Indices of the images a set is scored on: its test split, or validation where there is none, or all. */
export function heldOut(set: ImageSet): number[] {
  for (const split of ["test", "val"] as const) {
    const indices = indicesOf(set, split);
    if (indices.length > 0) return indices;
  }
  return set.items.map((_, i) => i);
}

/** Indices of the items of one split, in the set's order. */
export function indicesOf(set: ImageSet, split: Split): number[] {
  return set.items.flatMap((item, i) => (item.split === split ? [i] : []));
}

/**
 * Images of each class in each split, in the order of `set.classes`.
 * @param unreadable indices of items that do not count
 */
export function classCounts(
  set: ImageSet,
  unreadable: ReadonlySet<number> = new Set(),
): { name: string; counts: Record<Split, number> }[] {
  const rows = set.classes.map((name) => ({ name, counts: { train: 0, val: 0, test: 0 } }));
  for (const [i, item] of set.items.entries()) {
    const row = rows[item.label];
    if (row && !unreadable.has(i)) row.counts[item.split]++;
  }
  return rows;
}

/** Opens zips, leaves out hidden and unsafe names and second files of one path; sorted by path. */
async function gather(
  files: SourceFile[],
  issues: DataIssue[],
  answers: DataAnswers = {},
): Promise<{ found: FoundFile[]; folders: string[]; names: NameReading | null }> {
  const all: FoundFile[] = [];
  const folders: string[] = [];
  const unsafe: string[] = [];
  const oversized: string[] = [];
  let names: NameReading | null = null;
  for (const file of files) {
    const path = safePath(file.path);
    if (path === null) {
      unsafe.push(file.path);
    } else if (/\.zip$/i.test(path) && !isHidden(path)) {
      const listing = await openZip({ path, blob: file.blob }, answers.encoding);
      names ??= listing.names;
      for (const one of listing.issues) issues.push(one);
      // One by one: spreading a hundred thousand arguments overflows the stack.
      for (const entry of listing.files) all.push(entry);
      for (const folder of listing.folders) if (!isHidden(folder)) folders.push(folder);
      for (const entry of listing.unsafe) unsafe.push(entry);
      for (const entry of listing.oversized) oversized.push(entry);
    } else {
      all.push(fromSource(path, file.blob));
    }
  }
  const byPath = new Map<string, FoundFile>();
  const twice: string[] = [];
  for (const file of all) {
    if (isHidden(file.path)) continue;
    if (byPath.has(file.path)) twice.push(file.path);
    else byPath.set(file.path, file);
  }
  const found = [...byPath.values()].sort((a, b) => compare(a.path, b.path));
  if (twice.length > 0) {
    issues.push(
      issue(
        "warning",
        `${plural(twice.length, "file")} came twice under one name; the first of each is used.`,
        twice,
      ),
    );
  }
  const fold = (file: FoundFile) => file.path.normalize("NFC").toLowerCase();
  // Nearly always there is none, and a group for each of 200,000 files would take their memory once more.
  const collides = new Set(found.map(fold)).size < found.length;
  const colliding = collides
    ? [...groupBy(found, fold).values()].filter((group) => group.length > 1).flat()
    : [];
  if (colliding.length > 0) {
    issues.push(
      issue(
        "warning",
        `${plural(colliding.length, "file")} differ in name only by upper and lower case; all are used, ` +
          "but on many computers they would overwrite each other.",
        colliding.map((file) => file.path),
      ),
    );
  }
  if (unsafe.length > 0) {
    issues.push(
      issue(
        "warning",
        `${plural(unsafe.length, "file")} whose name leads out of the folder, or nowhere, ${are(unsafe.length)} left out.`,
        unsafe,
      ),
    );
  }
  if (oversized.length > 0) {
    issues.push(
      issue(
        "warning",
        `${plural(oversized.length, "file")} larger than 256 MB ${are(oversized.length)} left out.`,
        oversized,
      ),
    );
  }
  return { found, folders, names };
}

function fromSource(path: string, blob: Blob): FoundFile {
  const slice = async (from: number, length: number) =>
    new Uint8Array(await blob.slice(from, from + length).arrayBuffer());
  return {
    path,
    size: blob.size,
    origin: "file",
    read: async () => blob,
    head: () => slice(0, SNIFF_BYTES),
    // The middle: heads and tails of images from one camera or tool are all alike. In Chromium a slice of a small file
    // takes longer to read than the whole of it, so that small files go straight to the hash.
    fingerprint: async () => (blob.size < 128 * 1024 ? "" : String(await slice(blob.size >> 1, 64))),
  };
}

function isHidden(path: string): boolean {
  return path.split("/").some((part) => part.startsWith(".") || SYSTEM_NAMES.has(part.toLowerCase()));
}

function extension(path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const dot = name.lastIndexOf(".");
  return dot < 0 ? "" : name.slice(dot + 1).toLowerCase();
}

async function onlyImages(found: FoundFile[], issues: DataIssue[]): Promise<FoundFile[]> {
  const isImage = await concurrently(found, async (file) => {
    if (IMAGE_EXTENSIONS.has(extension(file.path))) return true;
    if (OTHER_PICTURES.has(extension(file.path)) || file.size < SNIFF_BYTES) return false;
    return sniffFormat(await file.head()) !== null;
  });
  const others = found.filter((_, i) => !isImage[i]).map((file) => file.path);
  const pictures = others.filter((path) => OTHER_PICTURES.has(extension(path)));
  const rest = others.filter((path) => !OTHER_PICTURES.has(extension(path)));
  if (pictures.length > 0) {
    const kinds = [...new Set(pictures.map((path) => extension(path).toUpperCase()))].join(", ");
    issues.push(
      issue(
        "warning",
        `${plural(pictures.length, "picture")} of a kind that is not read (${kinds}) ${are(pictures.length)} left out; PNG and JPEG are read.`,
        pictures,
      ),
    );
  }
  if (rest.length > 0) {
    issues.push(
      issue(
        "note",
        `${plural(rest.length, "file")} that ${are(rest.length)} no image ${are(rest.length)} left out.`,
        rest,
      ),
    );
  }
  return found.filter((_, i) => isImage[i]);
}

/** Takes off folders that hold everything else, as long as class folders remain below. */
function stripRoots(images: Placed[]): Placed[] {
  let depth = 0;
  for (; ; depth++) {
    const root = images[0]?.folders[depth];
    const shared = root !== undefined && images.every((image) => image.folders[depth] === root);
    if (!shared || !images.some((image) => image.folders.length >= depth + 2)) break;
  }
  return images.map((image) => ({ file: image.file, folders: image.folders.slice(depth) }));
}

function splitOf(folder: string): Split | undefined {
  return SPLIT_NAMES.get(folder.toLowerCase());
}

/** Tells split folders from class folders, and takes every image's class folder. */
function intoSplits(name: string, placed: Placed[], options: ListOptions, issues: DataIssue[]): Labelled[] {
  const loose = placed.filter((image) => image.folders.length === 0).map((image) => image.file.path);
  const groups = groupBy(
    placed.filter((image) => image.folders.length > 0),
    (image) => image.folders[0] as string,
  );
  // A split folder holds folders; a class that happens to be called "train" (beside "bus") holds images.
  const splitFolders = [...groups.keys()].filter(
    (folder) =>
      splitOf(folder) !== undefined && groups.get(folder)?.some((image) => image.folders.length >= 2),
  );
  const found = new Set(splitFolders.map(splitOf));
  const onlySplits = splitFolders.length > 0 && splitFolders.length === groups.size;
  const labelled: Labelled[] = [];
  if (onlySplits || (found.has("train") && found.size >= 2)) {
    if (options.needsSplit && !found.has("train")) {
      throw new Failure({
        code: "bad-data",
        what: `There are folders ${list(splitFolders)}, but none called train.`,
        where: name,
        remedy: "Add a train folder, or drop class folders only and let a validation split be drawn.",
      });
    }
    const ignored: string[] = [];
    for (const [folder, images] of groups) {
      const split = splitOf(folder);
      if (split === undefined || !splitFolders.includes(folder)) {
        for (const image of images) ignored.push(image.file.path);
        continue;
      }
      const inside = images.map((image) => ({ file: image.file, folders: image.folders.slice(1) }));
      for (const image of stripRoots(inside)) {
        const label = image.folders[0];
        if (label === undefined) loose.push(image.file.path);
        else labelled.push({ file: image.file, split, folder: label });
      }
    }
    if (ignored.length > 0) {
      issues.push(
        issue(
          "warning",
          `${plural(ignored.length, "image")} beside the folders ${list(splitFolders)} ${are(ignored.length)} left out.`,
          ignored,
        ),
      );
    }
  } else {
    for (const [folder, images] of groups) {
      for (const image of images) labelled.push({ file: image.file, split: null, folder });
    }
  }
  if (labelled.length === 0) {
    throw new Failure({
      code: "bad-data",
      what: `${plural(loose.length, "image")} but no class folders: nothing says what the images show.`,
      where: name,
      remedy: "Put the images of each class into a folder named after it.",
    });
  }
  if (loose.length > 0) {
    issues.push(
      issue(
        "warning",
        `${plural(loose.length, "image")} outside the class folders ${are(loose.length)} left out.`,
        loose,
      ),
    );
  }
  return labelled;
}

/** Class names and each image's label. Folders of different splits are one class when they differ only as names do. */
function intoClasses(
  name: string,
  images: Labelled[],
  options: ListOptions,
  issues: DataIssue[],
): { classes: string[]; labels: number[]; kept: Labelled[] } {
  const hasTrain = images.some((image) => image.split === "train");
  const primary = new Set(
    images.filter((image) => !hasTrain || image.split === "train").map((image) => image.folder),
  );
  const byKey = groupBy([...primary].sort(compare), normaliseName);
  const merged = new Map<string, string>();
  const missing = new Map<string, string[]>();
  const canonical = (folder: string): string | null => {
    if (primary.has(folder)) return folder;
    const alike = byKey.get(normaliseName(folder));
    if (alike?.length !== 1) return null;
    merged.set(folder, alike[0] as string);
    return alike[0] as string;
  };
  const names: (string | null)[] = images.map((image) => {
    const found = canonical(image.folder);
    if (found !== null) return found;
    if (!options.needsSplit) return image.folder;
    const paths = missing.get(image.folder);
    if (paths) paths.push(image.file.path);
    else missing.set(image.folder, [image.file.path]);
    return null;
  });
  const kept = images.filter((_, i) => names[i] !== null);
  const keptNames = names.filter((found) => found !== null);
  const classes = [...new Set(keptNames)].sort(compare);

  for (const alike of byKey.values()) {
    if (alike.length > 1 && options.needsSplit) {
      issues.push(
        issue(
          "warning",
          `The folders ${list(alike)} differ only in case, space, - or _; they are separate classes here, ` +
            "and other sets match them only under exactly these names.",
        ),
      );
    }
  }
  for (const [folder, into] of merged)
    issues.push(issue("note", `Folder ${folder} is taken as class ${into}.`));
  for (const [folder, paths] of missing) {
    issues.push(
      issue(
        "warning",
        `Class ${folder} has no training image; its ${plural(paths.length, "image")} elsewhere ${are(paths.length)} left out.`,
        paths,
      ),
    );
  }
  if (options.needsSplit && classes.length < 2) {
    throw new Failure({
      code: "bad-data",
      what: `All images belong to one class, ${classes[0]}; there is nothing to tell apart.`,
      where: name,
      remedy: "Add a second class folder beside it, and drop the folder that holds both.",
    });
  }
  const index = new Map(classes.map((found, i) => [found, i]));
  return { classes, labels: keptNames.map((found) => index.get(found) as number), kept };
}

/** Folders without a single image in or under them. Browsers only tell of empty folders inside zips. */
function reportEmptyFolders(folders: string[], images: FoundFile[], issues: DataIssue[]): void {
  const full = new Set<string>();
  for (const image of images) {
    for (let end = image.path.lastIndexOf("/"); end > 0; end = image.path.lastIndexOf("/", end - 1))
      full.add(image.path.slice(0, end));
  }
  const empty = folders.filter((folder) => !full.has(folder)).sort(compare);
  if (empty.length > 0) {
    issues.push(
      issue(
        "warning",
        `${plural(empty.length, "folder")} without an image ${are(empty.length)} no class.`,
        empty,
      ),
    );
  }
}

/**
 * Groups of byte-identical files, as indices, each with two members or more. Only files that share size and
 * fingerprint are read and hashed (SHA-256).
 */
async function findCopies(files: FoundFile[]): Promise<number[][]> {
  const indices = files.map((_, i) => i).filter((i) => (files[i] as FoundFile).size > 0);
  const suspects = async (candidates: Iterable<number[]>, key: (file: FoundFile) => Promise<string>) => {
    const members = [...candidates].filter((group) => group.length > 1);
    const flat = members.flatMap((group, g) => group.map((i) => ({ i, g })));
    const keys = await concurrently(flat, async ({ i, g }) => `${g} ${await key(files[i] as FoundFile)}`);
    const groups = groupBy(
      flat.map((_, n) => n),
      (n) => keys[n] as string,
    );
    return [...groups.values()].map((group) => group.map((n) => flat[n]?.i as number));
  };
  // Over plain http there is no crypto.subtle; the rest of the studio needs a secure context as well.
  if (!globalThis.crypto?.subtle) return [];
  const sameSize = groupBy(indices, (i) => (files[i] as FoundFile).size).values();
  const mixed = new Set(files.map((file) => file.origin)).size > 1;
  const sameLook = mixed ? sameSize : await suspects(sameSize, (file) => file.fingerprint());
  const same = await suspects(sameLook, async (file) => {
    try {
      const digest = await crypto.subtle.digest("SHA-256", await (await file.read()).arrayBuffer());
      return String(new Uint8Array(digest));
    } catch {
      // It cannot be read, so it equals nothing; `prepare` will name it.
      return `unreadable ${file.path}`;
    }
  });
  return same.filter((group) => group.length > 1);
}

function reportLabelCollisions(
  copies: number[][],
  images: Labelled[],
  labels: number[],
  classes: string[],
  issues: DataIssue[],
): void {
  const torn = copies.filter((group) => new Set(group.map((i) => labels[i])).size > 1);
  if (torn.length === 0) return;
  const names = [...new Set(torn.flat().map((i) => classes[labels[i] as number] as string))].sort(compare);
  issues.push(
    issue(
      "warning",
      `${plural(torn.length, "image")} ${are(torn.length)} in more than one class (${list(names)}), ` +
        "so that no model can be right there.",
      torn.flat().map((i) => images[i]?.file.path as string),
    ),
  );
}

/** Splits by class: a fifth of the training images, at least one but never all, copies of one image together. */
function drawValidation(
  images: Labelled[],
  labels: number[],
  classes: string[],
  copies: number[][],
  seed: number,
): Split[] {
  const splits: Split[] = images.map((image) => image.split ?? "train");
  const unitOf = new Map<number, number>();
  copies.forEach((group, g) => {
    for (const i of group) unitOf.set(i, g);
  });
  const training = labels.flatMap((label, i) => (splits[i] === "train" ? [{ label, i }] : []));
  const byClass = groupBy(training, ({ label }) => label);
  classes.forEach((name, label) => {
    const members = (byClass.get(label) ?? []).map(({ i }) => i);
    const units = [...groupBy(members, (i) => unitOf.get(i) ?? -1 - i).values()];
    // A stream for each class, so that adding a class does not redraw the others.
    random(seedFor(seed, `validation ${name}`)).shuffle(units);
    const wanted = Math.max(1, Math.round(members.length * VALIDATION_SHARE));
    let drawn = 0;
    for (const unit of units.slice(1)) {
      if (drawn >= wanted) break;
      for (const i of unit) splits[i] = "val";
      drawn += unit.length;
    }
  });
  return splits;
}

function reportCopiesAcrossSplits(copies: number[][], items: ImageItem[], issues: DataIssue[]): void {
  const crossing = copies.filter((group) => new Set(group.map((i) => items[i]?.split)).size > 1);
  if (crossing.length === 0) return;
  const splits = ["train", "val", "test"].filter((split) =>
    crossing.some((group) => group.some((i) => items[i]?.split === split)),
  );
  issues.push(
    issue(
      "warning",
      `${plural(crossing.length, "image")} ${are(crossing.length)} in more than one of ${list(splits)}; ` +
        "scores will look better than they are.",
      crossing.flat().map((i) => items[i]?.path as string),
    ),
  );
}

function reportCounts(set: ImageSet, options: ListOptions, issues: DataIssue[]): void {
  const counts = classCounts(set);
  if (options.needsSplit) {
    const small = counts.filter((row) => row.counts.train < 2).map((row) => row.name);
    if (small.length > 0) {
      issues.push(
        issue(
          "warning",
          `${plural(small.length, "class", "classes")} with fewer than 2 training images will hardly be learned: ${list(small)}.`,
        ),
      );
    }
  }
  if (options.needsSplit && set.items.every(({ split }) => split === "train")) {
    issues.push(
      issue(
        "warning",
        "No class has an image to spare, so none is held out: scores are of the very images that are trained on.",
      ),
    );
  }
  for (const split of ["val", "test"] as const) {
    const absent = counts.filter((row) => row.counts[split] === 0).map((row) => row.name);
    if (absent.length === 0 || absent.length === counts.length) continue;
    const word = split === "val" ? "validation" : "test";
    issues.push(
      issue(
        "warning",
        `${plural(absent.length, "class", "classes")} without a ${word} image cannot be scored there: ${list(absent)}.`,
      ),
    );
  }
}

function issue(severity: DataIssue["severity"], text: string, paths: string[] = []): DataIssue {
  return { severity, text, paths: paths.slice(0, MAX_PATHS) };
}

function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

function are(count: number): string {
  return count === 1 ? "is" : "are";
}

/** "a, b, c and 4 more". */
function list(names: string[]): string {
  const shown = names.slice(0, 6).join(", ");
  return names.length > 6 ? `${shown} and ${names.length - 6} more` : shown;
}

/** `Map.groupBy`, which Node 20 does not have. */
function groupBy<T, K>(items: Iterable<T>, key: (item: T) => K): Map<K, T[]> {
  const groups = new Map<K, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group) group.push(item);
    else groups.set(key(item), [item]);
  }
  return groups;
}

/** By code unit, so that the order is the same in every locale. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Maps with a bounded number of reads under way. */
async function concurrently<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length);
  let next = 0;
  const run = async () => {
    while (next < items.length) {
      const i = next++;
      results[i] = await work(items[i] as T);
    }
  };
  await Promise.all(Array.from({ length: 16 }, run));
  return results;
}
