// Where each image of a drop goes under one reading: its class, its split, its domain, or why it is left out.
import type { Doubt, LayoutKind, LayoutReading, Split } from "./types.ts";

/** Why an image has no class. */
export type LeftOut =
  | "loose" // beside the class folders
  | "unlabelled" // in a split folder without class folders
  | "beside" // beside the folders that are read
  | "mask" // drawn over another image
  | "unnamed"; // not in the table, or without a label in its name

/** One way to read a drop. */
export interface Candidate {
  layout: string;
  kind: LayoutKind;
  /** Null where nothing speaks against it. */
  doubt: Doubt | null;
  /** Per image; null where it has no class. */
  labels: (string | null)[];
  splits: (Split | null)[];
  domainOf: (string | null)[];
  left: Map<LeftOut, number[]>;
  splitFolders: LayoutReading["splits"];
  domains: string[];
  table: LayoutReading["table"];
}

/** A reading of `count` images that has placed none of them yet. */
export function blank(count: number, kind: LayoutKind, doubt: Doubt | null = null): Candidate {
  return {
    layout: kind,
    kind,
    doubt,
    labels: new Array(count).fill(null),
    splits: new Array(count).fill(null),
    domainOf: new Array(count).fill(null),
    left: new Map(),
    splitFolders: [],
    domains: [],
    table: null,
  };
}

export function put(
  into: Candidate,
  images: readonly number[],
  label: string,
  split: Split | null,
  domain: string | null,
): void {
  for (const i of images) {
    into.labels[i] = label;
    into.splits[i] = split;
    into.domainOf[i] = domain;
  }
}

export function leave(into: Candidate, images: readonly number[], why: LeftOut): void {
  const there = into.left.get(why);
  if (!there) into.left.set(why, [...images]);
  else for (const i of images) there.push(i);
}

const EXAMPLES = 4;

/** How many classes there are, and the first few of them. */
export function countOf(classes: readonly string[]): Pick<LayoutReading, "classes" | "examples"> {
  return { classes: classes.length, examples: classes.slice(0, EXAMPLES) };
}

/** A candidate in numbers and names. */
export function readingOf({ layout, kind, labels, splitFolders, domains, table }: Candidate): LayoutReading {
  const names = new Set(labels);
  names.delete(null);
  const images = labels.reduce((sum, label) => sum + (label === null ? 0 : 1), 0);
  return {
    ...{ layout, kind, domains, table },
    ...countOf(([...names] as string[]).sort()),
    images,
    left: labels.length - images,
    splits: splitFolders,
  };
}
