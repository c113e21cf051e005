// The data sets of a session: what was loaded, which class counts as which, and the images that are measured.
import { classCounts, heldOut, indicesOf } from "../dataset/image_set.ts";
import { type LabelRow, labelRows, offeredLabels, rowsGiven } from "../dataset/label_rows.ts";
import type { DataAnswers, DataIssue, ImageSet, Pixels, Split } from "../dataset/types.ts";
import { Failure } from "../failure.ts";
import { seedFor } from "../random.ts";
import type { PixelSource } from "../vit/types.ts";
import type { CorruptionChoice } from "./corruption_choice.ts";
import type { DataReport, SetRole, SourceFile } from "./protocol.ts";

export interface LoadedSet {
  id: string;
  role: SetRole;
  name: string;
  images: ImageSet;
  /** Classes mapped by hand to labels as they are offered (label_rows.ts); null leaves one out. What is not here is matched
   *  by name. */
  byHand: Map<string, string | null>;
  /** Rows of ImageNet-1k by WordNet's ids, where a class is named by one. */
  imagenetRows?: ReadonlyMap<string, number>;
  /**
   * Indices into `images.items` of files that cannot be decoded, as far as that decides which images are taken. Of a
   * large set training images are decoded when their turn comes, and what cannot be read then has a stand-in.
   */
  unreadable: Set<number>;
  /** Indices of images that have to be decoded before any are measured; empty once they are. */
  unchecked: readonly number[];
  /** Pixels prepared for the model that is loaded; null while there is none. */
  pixels: Pixels | null;
  /** The files it came from, where they came unopened; the page has the others. */
  files?: readonly SourceFile[];
  /** Of those files; null where it cannot be had. */
  fingerprint: string | null;
  /** How it is made of the target's images; absent where it was loaded. */
  corruption?: CorruptionChoice;
}

/** What is added to the fingerprint of a set's files: another draw of its validation images, or another reading of the
 *  same files, is another set. */
export function readAs(
  { splitOrigin }: ImageSet,
  { layout, domain, encoding }: DataAnswers,
  seed: number,
): string {
  const asked = [layout, domain, encoding].map((one) => one ?? "").join("\0");
  const reading = asked === "\0\0" ? "" : `-${seedFor(0, asked).toString(16)}`;
  return splitOrigin === "drawn" ? `${reading}-${seed}` : reading;
}

/** Images without classes, on which the network is to stay as it was. */
export type KeptSet = Omit<LoadedSet, "role"> & { role: "keep" };
export type AnySet = LoadedSet | KeptSet;

/** The sets that are measured. */
export function measuredSets(sets: Iterable<AnySet>): LoadedSet[] {
  return [...sets].filter((set) => set.role !== "keep");
}

/** Indices of what a large set is measured and chosen by; which of these can be read must be known beforehand. */
export function decisive({ role, images }: AnySet): number[] {
  return role === "keep" ? [] : [...new Set([...heldOut(images), ...indicesOf(images, "val")])];
}

/** The readable images of all sets without classes, one after the other; null without any. */
export function keptSource(sets: Iterable<AnySet>): PixelSource | null {
  const parts = [...sets].flatMap((set) => {
    if (set.role !== "keep") return [];
    const indices = set.images.items.flatMap((_, i) => (set.unreadable.has(i) ? [] : [i]));
    return [pixelSource(set, { indices, labels: new Int32Array(indices.length) })];
  });
  const found = parts.flatMap((part) => Array.from({ length: part.count }, (_, place) => ({ part, place })));
  if (found.length === 0) return null;
  return {
    count: found.length,
    labels: new Int32Array(found.length),
    pixels: async (indices, augment) => {
      const each = await Promise.all(
        indices.map((i) => {
          const { part, place } = found[i] as (typeof found)[number];
          return part.pixels([place], augment);
        }),
      );
      const all = new Uint8Array(each.reduce((sum, part) => sum + part.length, 0));
      let at = 0;
      for (const part of each) {
        all.set(part, at);
        at += part.length;
      }
      return all;
    },
  };
}

function storeOf({ pixels, name }: AnySet): Pixels {
  if (!pixels) throw new Error(`${name} has no pixels yet`);
  return pixels;
}

/**
 * For each class of a set the index into `names` it counts as, or null where it is left out.
 * @param names target classes (OOD), the model's own labels or the set's own classes (retention)
 */
export function classMapping(set: LoadedSet, names: readonly string[]): (number | null)[] {
  if (countsAsItself(set, names))
    return set.images.classes.map((name, i) => (set.byHand.get(name) === null ? null : i));
  const matched = matchedRows(set, names);
  const offered = set.byHand.size > 0 ? offeredLabels(names) : [];
  return set.images.classes.map((name) => {
    const chosen = set.byHand.get(name);
    if (chosen === undefined) return matched.get(name)?.row ?? null;
    const index = chosen === null ? -1 : offered.indexOf(chosen);
    return index < 0 ? null : index;
  });
}

/** What each class means by itself. Only a classifier's rows have ids and numbers; the target's classes have names. */
function matchedRows(
  { role, images, imagenetRows }: LoadedSet,
  names: readonly string[],
): Map<string, LabelRow> {
  return labelRows(images.classes, names, role === "retention" ? { ids: imagenetRows ?? null } : null);
}

/**
 * A mapping by hand, each label as it is offered.
 * @throws Failure "bad-data" for a class that the set has not, or a label that there is not or of which there are several
 */
export function handMapping(
  set: LoadedSet,
  names: readonly string[],
  mapping: Record<string, string | null>,
): [className: string, label: string | null][] {
  const { name, images, role } = set;
  const refuse = (what: string, remedy: string) =>
    new Failure({ code: "bad-data", what, where: name, remedy });
  const offered = offeredLabels(names);
  return Object.entries(mapping).map(([className, given]) => {
    if (!images.classes.includes(className)) {
      const some = images.classes.slice(0, 6).join(", ") + (images.classes.length > 6 ? ", ..." : "");
      throw refuse(`This set has no class "${className}".`, `Its classes are ${some}.`);
    }
    if (given === null) return [className, null];
    const rows = rowsGiven(given, names, role === "retention");
    if (rows.length === 1) return [className, offered[rows[0] as number] as string];
    const some = rows.slice(0, 6).map((row) => `"${offered[row]}"`);
    throw refuse(
      `"${className}" cannot be counted as "${given}".`,
      rows.length > 1 ? `Choose ${some.join(" or ")}.` : "Choose one of the classes offered.",
    );
  });
}

/** Whether a set's classes are the names themselves: a target's, or retention's where the model has no labels. */
function countsAsItself({ role, images }: LoadedSet, names: readonly string[]): boolean {
  return role === "target" || names === images.classes;
}

/** Indices of the readable, mapped images of a split, and the label each counts as. */
export interface Chosen {
  indices: number[];
  labels: Int32Array;
}

/** The readable images among `indices` whose class counts as one of `names`. */
function choose(set: LoadedSet, names: readonly string[], indices: readonly number[]): Chosen {
  const mapping = classMapping(set, names);
  const chosen = indices.flatMap((index) => {
    const label = mapping[set.images.items[index]?.label ?? -1] ?? null;
    return label === null || set.unreadable.has(index) ? [] : [{ index, label }];
  });
  return { indices: chosen.map((c) => c.index), labels: Int32Array.from(chosen, (c) => c.label) };
}

/** The images of one split, by the set's own classes. */
export function ofSplit(set: LoadedSet, split: Split): Chosen {
  return choose(set, set.images.classes, indicesOf(set.images, split));
}

/** The images a set is measured on. */
export function measured(set: LoadedSet, names: readonly string[]): Chosen {
  return choose(set, names, heldOut(set.images));
}

/** An evenly spread part of at most `limit` images, for the live curves. Classes lie one after the other in a set. */
export function thin({ indices, labels }: Chosen, limit: number): Chosen {
  if (indices.length <= limit) return { indices, labels };
  const picks = Array.from({ length: limit }, (_, i) => Math.floor(((i + 0.5) * indices.length) / limit));
  return {
    indices: picks.map((p) => indices[p] as number),
    labels: Int32Array.from(picks, (p) => labels[p] as number),
  };
}

/**
 * About `limit` images where there are more: of each class its share, evenly spread, one at the least. Depends on nothing
 * but what was chosen.
 */
export function thinClasses(all: Chosen, limit: number): Chosen {
  if (all.indices.length <= limit) return all;
  const places = new Map<number, number[]>();
  for (const [place, label] of all.labels.entries()) {
    const ofClass = places.get(label);
    if (ofClass) ofClass.push(place);
    else places.set(label, [place]);
  }
  const share = limit / all.indices.length;
  const picks = [...places.values()].flatMap((ofClass) => {
    const count = Math.max(1, Math.round(ofClass.length * share));
    return Array.from(
      { length: count },
      (_, i) => ofClass[Math.floor(((i + 0.5) * ofClass.length) / count)] as number,
    );
  });
  picks.sort((a, b) => a - b);
  return {
    indices: picks.map((place) => all.indices[place] as number),
    labels: Int32Array.from(picks, (place) => all.labels[place] as number),
  };
}

/**
 * Chosen images as the floors below read them. In place of one that turns out to be unreadable stands the next of its
 * class, in the order chosen and round; where its whole class is gone, the next of any, under that one's label. So it
 * depends on the files alone, and a run that is taken up again sees the same.
 */
export function pixelSource(set: AnySet, chosen: Chosen): PixelSource {
  const store = storeOf(set);
  const { indices, labels } = chosen;
  const count = indices.length;
  const standIns = new Map<number, number>();

  /** The place whose image stands at a place. */
  async function standIn(place: number): Promise<number> {
    const known = standIns.get(place);
    if (known !== undefined) return known;
    if (await store.readable(indices[place] as number)) return place;
    const label = labels[place];
    const round = Array.from({ length: count - 1 }, (_, i) => (place + 1 + i) % count);
    const other = round.filter((at) => labels[at] !== label);
    for (const at of [...round.filter((one) => labels[one] === label), ...other]) {
      if (!(await store.readable(indices[at] as number))) continue;
      standIns.set(place, at);
      labels[place] = labels[at] as number;
      return at;
    }
    throw new Failure({
      code: "bad-data",
      what: `None of the images of ${set.name} can be read any more.`,
      where: set.name,
      remedy: "Check that the folder is still there, and load it again.",
    });
  }

  return {
    count,
    labels,
    pixels: async (places, augment) => {
      const read = () =>
        store.pixels(
          places.map((place) => indices[standIns.get(place) ?? place] as number),
          augment,
        );
      try {
        return await read();
      } catch (error) {
        if (Failure.from(error).parts.code !== "bad-file") throw error;
        for (const place of places) await standIn(place);
        return read();
      }
    },
  };
}

/** Indices of all images that are known by now to be unreadable. */
export function lostOf({ unreadable, pixels }: AnySet): ReadonlySet<number> {
  return new Set([...unreadable, ...(pixels?.unreadable ?? []).map(({ index }) => index)]);
}

/** What the person is told of images without classes. */
export function reportOnKept(set: KeptSet): DataReport {
  const { id, name, role, images, pixels, fingerprint } = set;
  return {
    id,
    role,
    name,
    classes: [],
    mappable: [],
    ownLabels: 0,
    splitOrigin: "none",
    reading: null,
    issues: [...images.issues, ...(pixels?.issues() ?? [])],
    ...(images.names && { names: images.names }),
    corruption: null,
    count: images.items.length - lostOf(set).size,
    fingerprint,
  };
}

/**
 * What the person is told of a set.
 * @param names what its classes can count as; empty when that is not loaded yet
 * @param labels of the model's own classifier; empty without one
 */
export function reportOn(
  set: LoadedSet,
  names: readonly string[],
  labels: readonly string[] = [],
): DataReport {
  const { images, role, name, id } = set;
  const mapping = classMapping(set, names);
  const matched = matchedRows(set, names);
  const offered = offeredLabels(names);
  const issues: DataIssue[] = [...images.issues];
  if (set.pixels) issues.push(...set.pixels.issues());
  const lost = lostOf(set);
  const itself = countsAsItself(set, names);
  if (itself && role === "retention") {
    issues.push({
      severity: "note",
      text: "The model has no classifier of its own. Its text tower judges these classes by their names or, where it has none, the nearest images do: those in train, or without train and test folders all the others.",
      paths: [],
    });
  }
  if (!itself) issues.push(...mappingIssues(set, names, mapping, matched));
  return {
    id,
    role,
    name,
    classes: classCounts(images, lost).map(({ name: className, counts }, i) => {
      const choices = itself || set.byHand.has(className) ? [] : (matched.get(className)?.choices ?? []);
      return {
        name: className,
        counts,
        mapsTo: (role === "target" ? images.classes : offered)[mapping[i] ?? -1] ?? null,
        ...(choices.length > 0 && { choices: choices.map((row) => offered[row] as string) }),
      };
    }),
    mappable: itself ? [] : offered,
    ownLabels: role === "target" ? ownRows(set, labels).filter((row) => row !== null).length : 0,
    splitOrigin: images.splitOrigin,
    reading: images.reading,
    issues,
    ...(images.names && { names: images.names }),
    count: images.items.length - lost.size,
    corruption: set.corruption ?? null,
    fingerprint: set.fingerprint,
  };
}

/** For each class the row of the model's own classifier that is its own, or null; no row serves two classes. */
export function ownRows(
  { images: { classes }, imagenetRows }: Pick<LoadedSet, "images" | "imagenetRows">,
  labels: readonly string[],
): (number | null)[] {
  const matched = labelRows(classes, labels, { ids: imagenetRows ?? null });
  const rows = classes.map((name) => matched.get(name)?.row ?? null);
  return rows.map((row) => (row !== null && rows.filter((other) => other === row).length > 1 ? null : row));
}

function mappingIssues(
  set: LoadedSet,
  names: readonly string[],
  mapping: (number | null)[],
  matched: ReadonlyMap<string, LabelRow>,
): DataIssue[] {
  const counterpart = set.role === "ood" ? "the target's classes" : "the model's own labels";
  if (names.length === 0) {
    const missing = set.role === "ood" ? "Load the target" : "Load a model";
    return [{ severity: "note", text: `${missing} and the classes are matched by name.`, paths: [] }];
  }
  const issues = [...guessIssues(set, names, mapping, matched), ...choiceIssues(set, names, matched)];
  const asked = (name: string) => !set.byHand.has(name) && (matched.get(name)?.choices.length ?? 0) > 0;
  const left = set.images.classes.filter((name, i) => mapping[i] === null && !asked(name));
  if (left.length > 0 && left.length === set.images.classes.length) {
    return [
      ...issues,
      {
        severity: "error",
        text: `No class of this set is one of ${counterpart}, so nothing of it can be measured. Rename its folders or map its classes by hand, or load another.${numbersToo(set)}`,
        paths: [],
      },
    ];
  }
  if (left.length === 0) return issues;
  const shown = left.slice(0, 5).join(", ") + (left.length > 5 ? ", ..." : "");
  return [
    ...issues,
    {
      severity: "warning",
      text: `${left.length} of ${set.images.classes.length} classes ${left.length === 1 ? "is" : "are"} not among ${counterpart} and left out: ${shown}. You can rename the folders, or map classes by hand.`,
      paths: [],
    },
  ];
}

/** Why folders that are numbers were not taken as rows. */
function numbersToo({ role, images: { classes } }: LoadedSet): string {
  return role === "retention" && classes.every((name) => /^\d+$/.test(name))
    ? " Numbers from 0 or 1 without a gap may be classes of their own, and were not taken as rows of the classifier."
    : "";
}

/** What was taken for what by more than its name. */
function guessIssues(
  { images: { classes }, byHand }: LoadedSet,
  names: readonly string[],
  mapping: (number | null)[],
  matched: ReadonlyMap<string, LabelRow>,
): DataIssue[] {
  const taken = (by: LabelRow["by"]) =>
    classes.flatMap((name, i) => {
      const label = names[mapping[i] ?? -1];
      return matched.get(name)?.by === by && !byHand.has(name) && label !== undefined ? [[name, label]] : [];
    });
  const sentence = (by: LabelRow["by"], words: string): DataIssue[] => {
    const pairs = taken(by);
    if (pairs.length === 0) return [];
    const some = pairs.slice(0, 3).map(([name, label]) => `${name} is ${label}`);
    const text = `${pairs.length} of ${classes.length} classes ${words}: ${some.join("; ")}${pairs.length > 3 ? "; ..." : "."}`;
    return [{ severity: "warning", text, paths: [] }];
  };
  return [
    ...sentence("id", "were taken by their WordNet ids as rows of ImageNet-1k"),
    ...sentence("number", "were taken by their numbers, counted from 0, as rows of the model's classifier"),
  ];
}

/** Which classes could be one of several. */
function choiceIssues(
  { images: { classes }, byHand }: LoadedSet,
  names: readonly string[],
  matched: ReadonlyMap<string, LabelRow>,
): DataIssue[] {
  const open = classes.flatMap((name) => {
    const choices = byHand.has(name) ? [] : (matched.get(name)?.choices ?? []);
    return choices.length > 0 ? [{ name, choices }] : [];
  });
  if (open.length === 0) return [];
  const offered = offeredLabels(names);
  const each = open.slice(0, 5).map(({ name, choices }) => {
    const some = choices.slice(0, 3).map((row) => `"${offered[row]}"`);
    return `${name} may be ${some.join(" or ")}${choices.length > 3 ? " ..." : ""}`;
  });
  const one = open.length === 1;
  const text = `${one ? "1 class fits" : `${open.length} classes fit`} more than one label and ${one ? "is" : "are"} left out until you choose: ${each.join("; ")}${open.length > 5 ? "; ..." : ""}.`;
  return [{ severity: "warning", text, paths: [] }];
}
