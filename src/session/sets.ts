// The data sets of a session: what was loaded, which class counts as which, and the images that are measured.
import { classCounts, heldOut, indicesOf } from "../dataset/list.ts";
import { matchClasses } from "../dataset/match.ts";
import type { PixelStore } from "../dataset/pixels.ts";
import type { DataIssue, ImageSet, Split } from "../dataset/types.ts";
import type { PixelSource } from "../vit/types.ts";
import type { DataReport, SetRole } from "./protocol.ts";

export interface LoadedSet {
  id: string;
  role: SetRole;
  name: string;
  images: ImageSet;
  /** Classes mapped by hand; null leaves one out. What is not here is matched by name. */
  byHand: Map<string, string | null>;
  /** Indices into `images.items` of files that cannot be decoded. */
  unreadable: Set<number>;
  /** Pixels prepared for the model that is loaded; null while there is none. */
  pixels: PixelStore | null;
}

/**
 * For each class of a set the index into `names` it counts as, or null where it is left out.
 * @param names target classes (OOD) or the model's own labels (retention)
 */
export function classMapping(set: LoadedSet, names: readonly string[]): (number | null)[] {
  if (set.role === "target") return set.images.classes.map((_, i) => i);
  const matched = matchClasses(set.images.classes, names);
  return set.images.classes.map((name) => {
    const chosen = set.byHand.get(name);
    if (chosen === undefined) return matched.get(name) ?? null;
    const index = chosen === null ? -1 : names.indexOf(chosen);
    return index < 0 ? null : index;
  });
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

/** The images of one split of the target. */
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

/** Chosen images as the floors below read them. */
export function pixelSource(set: LoadedSet, chosen: Chosen): PixelSource {
  const store = set.pixels;
  if (!store) throw new Error(`${set.name} has no pixels yet`);
  return {
    count: chosen.indices.length,
    labels: chosen.labels,
    pixels: (indices, augment) =>
      store.pixels(
        indices.map((i) => chosen.indices[i] as number),
        augment,
      ),
  };
}

/** What the person is told of a set. `names` is what its classes can count as; empty when that is not loaded yet. */
export function reportOn(set: LoadedSet, names: readonly string[]): DataReport {
  const { images, role, name, id } = set;
  const mapping = classMapping(set, names);
  const issues: DataIssue[] = [...images.issues];
  if (set.pixels) issues.push(...set.pixels.issues());
  if (role !== "target") issues.push(...mappingIssues(set, names, mapping));
  return {
    id,
    role,
    name,
    classes: classCounts(images).map(({ name: className, counts }, i) => ({
      name: className,
      counts,
      mapsTo: role === "target" ? className : (names[mapping[i] ?? -1] ?? null),
    })),
    mappable: role === "target" ? [] : [...names],
    splitOrigin: images.splitOrigin,
    issues,
    count: images.items.length,
  };
}

function mappingIssues(set: LoadedSet, names: readonly string[], mapping: (number | null)[]): DataIssue[] {
  const counterpart = set.role === "ood" ? "the target's classes" : "the model's own labels";
  if (names.length === 0) {
    const missing = set.role === "ood" ? "Load the target" : "Load a model that has a classifier";
    return [{ severity: "note", text: `${missing} and the classes are matched by name.`, paths: [] }];
  }
  const left = set.images.classes.filter((_, i) => mapping[i] === null);
  if (left.length === set.images.classes.length) {
    return [
      {
        severity: "error",
        text: `No class of this set is one of ${counterpart}, so nothing of it can be measured. Map classes by hand, or load another folder.`,
        paths: [],
      },
    ];
  }
  if (left.length === 0) return [];
  const shown = left.slice(0, 5).join(", ") + (left.length > 5 ? ", ..." : "");
  return [
    {
      severity: "warning",
      text: `${left.length} of ${set.images.classes.length} classes are not among ${counterpart} and are left out: ${shown}. You can map them by hand.`,
      paths: [],
    },
  ];
}
