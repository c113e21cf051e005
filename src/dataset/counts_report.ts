// What the counts of classes and splits give to tell before training.
import { classCounts } from "./image_set.ts";
import { issue, list, plural } from "./issues.ts";
import type { ListOptions } from "./list.ts";
import type { DataIssue, ImageSet } from "./types.ts";

/** Tells of classes that are too small, uneven, or absent from a split. */
export function reportCounts(set: ImageSet, options: ListOptions, issues: DataIssue[]): void {
  const counts = classCounts(set);
  if (options.needsSplit) {
    const small = counts.filter((row) => row.counts.train < 2).map((row) => row.name);
    reportImbalance(counts, issues);
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

/** How many times as many training images the largest class may have as the smallest before it is told. */
const UNEVEN = 10;

function reportImbalance(counts: ReturnType<typeof classCounts>, issues: DataIssue[]): void {
  const bySize = counts.toSorted((a, b) => b.counts.train - a.counts.train);
  const most = bySize[0];
  const least = bySize.at(-1);
  if (!most || !least || most.counts.train < UNEVEN * least.counts.train) return;
  const few = bySize.filter(({ counts: { train } }) => train * UNEVEN <= most.counts.train);
  issues.push(
    issue(
      "warning",
      `The classes are uneven: ${most.name} has ${plural(most.counts.train, "training image")}, ${least.name} ` +
        `${least.counts.train.toLocaleString("en")}. What is learned leans towards the large ones; look at the balanced accuracy` +
        `${few.length > 1 ? `, and at ${list(few.reverse().map(({ name }) => name))}` : ""}.`,
    ),
  );
}
