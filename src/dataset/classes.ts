// From what readings call the classes to the classes of a set: folders of different splits that mean one class are one.
import { Failure } from "../failure.ts";
import { compare, groupBy } from "./collections.ts";
import { are, issue, list, plural } from "./issues.ts";
import type { ListOptions } from "./list.ts";
import { normaliseName } from "./match.ts";
import type { DataIssue, Split } from "./types.ts";
import type { FoundFile } from "./zip.ts";

/** An image whose split (if anything gave one) and class, as its folder calls it, are known. */
export interface Labelled {
  file: FoundFile;
  split: Split | null;
  folder: string;
}

/** Class names and each image's label. Folders of different splits are one class when they differ only as names do. */
export function intoClasses(
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
