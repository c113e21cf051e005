// From what a person dropped to a labelled set of images, and a report of everything that is odd: `gather.ts` finds the
// files, `layout.ts` reads how they are laid out, `choose_layout.ts` takes a reading or asks. Nothing is decoded here, so
// that 50,000 images are listed in seconds; files that cannot be decoded are found when they are (`pixels.ts`).
import { Failure } from "../failure.ts";
import type { SourceFile } from "../source_file.ts";
import { nextTurn } from "../turn.ts";
import { chooseLayout } from "./choose_layout.ts";
import { intoClasses, type Labelled } from "./classes.ts";
import { findCopies, reportCopiesAcrossSplits, reportLabelCollisions } from "./copies.ts";
import { reportCounts } from "./counts_report.ts";
import { drawValidation } from "./draw_validation.ts";
import { containerWords, type Gathered, gather, reportRest } from "./gather.ts";
import { issue, plural } from "./issues.ts";
import { readLayout } from "./layout.ts";
import { reportLeftOut, reportNoClass } from "./left_out.ts";
import { type Candidate, countOf } from "./placement.ts";
import { containerOf } from "./signs.ts";
import type { DataAnswers, DataIssue, ImageItem, ImageSet, Split } from "./types.ts";

export interface ListOptions {
  /** Decides which images are drawn for validation. */
  seed: number;
  /** True for what is trained on: it must have two classes or more, and gets a validation split if it has none. */
  needsSplit: boolean;
  /** What the person said of it. */
  answers?: DataAnswers;
  /** Told how many of how many files have been looked at; may throw to give up. */
  tell?: (done: number, total: number) => void;
}

/**
 * Lists the images of one drop with their classes and splits, as `layout.ts` reads them or the person says.
 *
 * Without a validation split, one is drawn from the training images: a fifth of each class, at least one, by seed,
 * copies of one image kept together. A set with `needsSplit: false` and no splits is all `test`.
 * @throws Failure `bad-data` when there is nothing to learn from or to score: no image, no class, one class only or no
 *   training folder where `needsSplit`; with a `question` where only the person can say how it is to be read; `bad-file`
 *   for a zip that cannot be read
 */
export async function listImages(name: string, files: SourceFile[], options: ListOptions): Promise<ImageSet> {
  const issues: DataIssue[] = [];
  const { tell = () => {} } = options;
  const goOn = () => tell(0, files.length);
  const gathered = await gather(files, issues, options.answers, goOn);
  if (gathered.images.length === 0)
    throw noImages(
      name,
      files,
      gathered,
      "Give a folder with one folder of PNG, JPEG, WebP, GIF or BMP images for each class.",
    );
  const tree = { ...gathered, images: gathered.images.map(({ path }) => path) };
  await nextTurn();
  goOn();
  const { candidate, reading } = chooseLayout(name, tree, readLayout(tree), options.answers ?? {});
  const labelled = labelledBy(candidate, reading.domain, gathered);
  const fromFolders = labelled.some(({ split }) => split !== null);
  if (options.needsSplit && fromFolders && labelled.every(({ split }) => split !== null && split !== "train"))
    throw noTraining(name, candidate);
  reportRest(gathered.others, candidate.table?.paths ?? [], issues);
  reportLeftOut(candidate, tree.images, issues);
  const { classes, labels, kept } = intoClasses(name, labelled, options, issues);
  // Folders of several splits that mean one class are one by now, and those without training images are gone.
  reading.taken = { ...reading.taken, ...countOf(classes) };
  reportNoClass(gathered, kept, issues);

  await nextTurn();
  const copies = await findCopies(
    kept.map(({ file }) => file),
    tell,
  );
  reportLabelCollisions(copies, kept, labels, classes, issues);
  const has = (split: Split) => kept.some((image) => image.split === split);
  const draws = options.needsSplit && !has("val");
  const splits: Split[] = draws
    ? drawValidation(kept, labels, classes, copies, options.seed)
    : kept.map((image) => image.split ?? "test");
  if (draws && has("test")) {
    const words =
      "There is no validation folder, so a fifth of each class's training images was drawn for it.";
    issues.push(issue("note", words));
  }
  const items: ImageItem[] = kept.map(({ file }, i) => ({
    path: file.path,
    label: labels[i] as number,
    split: splits[i] as Split,
    read: file.read,
  }));
  const splitOrigin = draws ? "drawn" : fromFolders ? "folders" : "none";
  const { names } = gathered;
  const set: ImageSet = { name, classes, items, splitOrigin, issues, reading, ...(names && { names }) };
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
  tell: (done: number, total: number) => void = () => {},
): Promise<ImageSet> {
  const issues: DataIssue[] = [];
  const gathered = await gather(files, issues, answers, () => tell(0, files.length));
  if (gathered.images.length === 0)
    throw noImages(name, files, gathered, "Give a folder of PNG, JPEG, WebP, GIF or BMP images.");
  reportRest(gathered.others, [], issues);
  const { names } = gathered;
  const items = gathered.images.map(
    ({ path, read }): ImageItem => ({ path, label: 0, split: "train", read }),
  );
  return {
    name,
    classes: ["image"],
    items,
    splitOrigin: "none",
    issues,
    reading: null,
    ...(names && { names }),
  };
}

/** Images that a reading gives a class, of one domain where it has several. */
function labelledBy(candidate: Candidate, domain: string | null, { images }: Gathered): Labelled[] {
  return images.flatMap((file, i) => {
    const folder = candidate.labels[i] ?? null;
    if (folder === null || (domain !== null && candidate.domainOf[i] !== domain)) return [];
    return [{ file, split: candidate.splits[i] ?? null, folder }];
  });
}

function noTraining(name: string, { splitFolders }: Candidate): Failure {
  return new Failure({
    code: "bad-data",
    what: `There are folders ${splitFolders.map(({ folder }) => folder).join(", ")}, but none called train.`,
    where: name,
    remedy: "Add a train folder, or drop class folders only and let a validation split be drawn.",
  });
}

function noImages(name: string, files: readonly SourceFile[], { others }: Gathered, remedy: string): Failure {
  const refuse = (what: string, step = remedy) =>
    new Failure({ code: "bad-data", what, where: name, remedy: step });
  const containers = others.filter((path) => containerOf(path) !== null);
  const packed = containers.filter((path) => containerOf(path)?.unpack);
  if (packed.length > 0)
    return refuse(
      `There is no image here, but ${containerWords(packed)}.`,
      "Unpack it first, and give the folder that comes out.",
    );
  if (containers.length > 0)
    return refuse(
      `There is no image here, but ${containerWords(containers)}.`,
      "Save its images as PNG or JPEG, in one folder for each class, and give that.",
    );
  const given = files.filter(({ path }) => !path.endsWith("/")).length;
  if (given === 0) return refuse("The folder is empty.");
  return refuse(
    given === 1
      ? "The one file is no image that can be read."
      : `None of the ${plural(given, "file")} is an image that can be read.`,
  );
}
