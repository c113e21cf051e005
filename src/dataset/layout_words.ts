// Readings and doubts in a sentence each, for the studio and the terminal alike.
import type { Doubt, LayoutReading, Split } from "./types.ts";

const splitWords: Record<Split, string> = { train: "to train on", val: "to validate", test: "to test" };

const count = (n: number, one: string, many = `${one}s`) =>
  `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

/** "a, b, c and 4 more". */
function few(names: readonly string[], all = names.length, most = 4): string {
  const shown = names.slice(0, most);
  return all > shown.length ? `${shown.join(", ")} and ${all - shown.length} more` : shown.join(", ");
}

/** "3 classes (cat, dog, fox)". */
const classWords = ({ classes, examples }: LayoutReading) =>
  `${count(classes, "class", "classes")} (${few(examples, classes)})`;

const splitList = ({ splits }: LayoutReading) =>
  few(
    splits.map(({ folder, split }) => `${folder} ${split ? splitWords[split] : "left out"}`),
    splits.length,
    6,
  );

const sentences: Record<LayoutReading["kind"], (reading: LayoutReading) => string> = {
  classes: (reading) => `${classWords(reading)}, a folder each`,
  leaves: (reading) => `${classWords(reading)}, the innermost folders`,
  splits: (reading) => `${classWords(reading)} in split folders: ${splitList(reading)}`,
  "split-leaves": (reading) =>
    `${classWords(reading)}, the innermost folders, in split folders: ${splitList(reading)}`,
  "classes-of-splits": (reading) => `${classWords(reading)}, each with split folders: ${splitList(reading)}`,
  domains: (reading) =>
    `${classWords(reading)} in ${count(reading.domains.length, "domain")} (${few(reading.domains)}), of which one is taken`,
  folds: (reading) => `${classWords(reading)} in folds, taken together`,
  table: (reading) =>
    `${classWords(reading)} by the table ${few(reading.table?.paths ?? [])}, ${columnWords(reading)}`,
  names: (reading) => `${classWords(reading)} by the names of the files`,
};

const columnWords = ({ table }: LayoutReading) =>
  table?.column.includes(" for each ") ? table.column : `column ${table?.column}`;

/** What a reading makes of a drop, without a full stop: "3 classes (cat, dog, fox), a folder each". */
export function layoutWords(reading: LayoutReading, domain: string | null = null): string {
  const said = sentences[reading.kind](reading);
  const taken = domain === null ? said : said.replace(", of which one is taken", `: ${domain}`);
  const left = reading.left > 0 ? `; ${count(reading.left, "image")} left out` : "";
  return taken + left;
}

/** Why a person is asked. */
export const doubtWords: Record<Doubt, string> = {
  "same-classes": "Every top folder holds the same folders: they are domains, or classes of the same parts.",
  nested: "Folders of images lie inside other folders: either could be the classes.",
  "some-splits": "Some folders are called like splits, others beside them are not.",
  "only-splits":
    "The only folders of images are called like splits, or like places to put images, so that their names are no sure classes.",
  "different-splits": "The split folders hold no class in common, so that they may be classes themselves.",
  folds: "The folders are folds of one set.",
  masks: "Images and masks lie side by side, as for segmentation; the masks are left out.",
  beside: "One folder holds nearly everything, and others lie beside it.",
  table: "A table names images and could label them, but not all of it fits.",
  names: "Only the names of the files could be labels.",
};
