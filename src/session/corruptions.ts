// An OOD set where nobody has one: the target's held-out images under corruptions. One set, whose accuracy is the mean
// over its corruptions, each of which is a part of it.
import { z } from "zod";
import { CorruptedPixels, corruptedImages } from "../dataset/corrupt/corrupted_set.ts";
import { corruptions } from "../dataset/corrupt/names.ts";
import { heldOut } from "../dataset/image_set.ts";
import type { PixelStore } from "../dataset/pixels.ts";
import { wilsonInterval } from "../evaluation/score.ts";
import { Failure } from "../failure.ts";
import { seedFor } from "../random.ts";
import type { CorruptionChoice } from "./corruption_choice.ts";
import type { SetPart } from "./protocol.ts";
import type { LoadedSet } from "./sets.ts";

/** What the set is called. */
export const corruptedName = "Corruptions of the target";

const choiceSchema = z.object({
  names: z.array(z.enum(corruptions.map(({ name }) => name))).min(1),
  severity: z.int().min(1).max(5),
});

/** @throws Failure "bad-data" when no corruption is named, one is unknown, or the severity is none */
export function validChoice(choice: CorruptionChoice): CorruptionChoice {
  const parsed = choiceSchema.safeParse(choice);
  if (parsed.success) return { ...parsed.data, names: [...new Set(parsed.data.names)] };
  throw new Failure({
    code: "bad-data",
    what: "These corruptions cannot be made.",
    where: parsed.error.issues[0]?.path.join("."),
    remedy: `Name some of ${corruptions.map(({ name }) => name).join(", ")}, and a severity from 1 to 5.`,
  });
}

/** The set over a target as it is loaded now; pixels and what cannot be read are the target's. */
export function corruptedSet(id: string, target: LoadedSet, choice: CorruptionChoice): LoadedSet {
  const { names, severity } = choice;
  const indices = heldOut(target.images);
  const sources = indices.map((index) => ({ index, path: target.images.items[index]?.path ?? "" }));
  const base = () => {
    if (!target.pixels) throw new Error(`${target.name} has no pixels yet`);
    return target.pixels as PixelStore;
  };
  const pixels = new CorruptedPixels(base, sources, names, severity);
  let known = { of: new Set<number>(), places: new Set<number>() };
  const images = corruptedImages(corruptedName, target.images, indices, names, pixels);
  return {
    id,
    role: "ood",
    name: corruptedName,
    images,
    byHand: new Map(),
    get unreadable() {
      if (known.of !== target.unreadable) {
        const places = [...images.items.keys()];
        const bad = (place: number) => target.unreadable.has(indices[place % indices.length] as number);
        known = { of: target.unreadable, places: new Set(places.filter(bad)) };
      }
      return known.places;
    },
    unchecked: [],
    pixels,
    fingerprint:
      target.fingerprint && `${target.fingerprint}-${seedFor(severity, names.join()).toString(16)}`,
    corruption: choice,
  };
}

/**
 * Accuracy under each corruption, of answers to images of the set.
 * @param places which images were asked, by their place in the set
 */
export function partsOf(
  { images, corruption }: LoadedSet,
  places: readonly number[],
  predictions: Int32Array,
  labels: Int32Array,
): SetPart[] {
  if (!corruption) return [];
  const { names } = corruption;
  const each = images.items.length / names.length;
  const sums = names.map((name) => ({
    name: corruptions.find((one) => one.name === name)?.label ?? name,
    count: 0,
    correct: 0,
  }));
  places.forEach((place, i) => {
    const sum = sums[Math.floor(place / each)] as (typeof sums)[number];
    sum.count += 1;
    if (predictions[i] === labels[i]) sum.correct += 1;
  });
  return sums
    .filter(({ count }) => count > 0)
    .map((sum) => ({
      ...sum,
      accuracy: sum.correct / sum.count,
      interval: wilsonInterval(sum.correct, sum.count),
    }));
}
