// Labels out of file names: `cat.0.jpg`, `dog_12.png`, `american bulldog (3).jpg`, `0001_left.jpeg`. Nothing else says
// that they are labels, so that this is never more than likely.
import type { Folder } from "./folder_tree.ts";
import { eachFolder, unwrap } from "./folder_tree.ts";
import { blank, type Candidate, leave } from "./placement.ts";
import { isCameraWord, partsAmong } from "./signs.ts";
import type { Split } from "./types.ts";

/** Share of the images whose name must hold a label. */
const NEARLY_ALL = 0.95;

const patterns = [
  { test: /^(\D*?\p{L}\D*?)[\s._-]*[(#[]?\d/u, at: 1 },
  { test: /^\d+[\s._-]+(\D*\p{L}\D*?)[\s._-]*$/u, at: 1 },
];

function labelIn(path: string, pattern: (typeof patterns)[number]): string | null {
  const stem = path.slice(path.lastIndexOf("/") + 1).replace(/\.[^.]*$/, "");
  const label = pattern.test.exec(stem)?.[pattern.at]?.trim();
  return label === undefined || isCameraWord(label) ? null : label;
}

/** The reading of flat folders by the names of their files; null where they hold no labels. */
export function namesCandidate(paths: readonly string[], top: Folder): Candidate | null {
  const root = unwrap(top);
  const folders = [...root.folders.values()];
  const parts = partsAmong(folders.map(({ name }) => name));
  for (const pattern of patterns) {
    const candidate = blank(paths.length, "names", "names");
    const labels = new Map<string, number>();
    let named = 0;
    let asked = 0;
    const label = (images: readonly number[], split: Split | null, needed: boolean) => {
      for (const i of images) {
        const found = labelIn(paths[i] as string, pattern);
        if (needed) asked++;
        if (found === null) {
          leave(candidate, [i], needed ? "unnamed" : "unlabelled");
          continue;
        }
        if (needed) {
          named++;
          labels.set(found, (labels.get(found) ?? 0) + 1);
        }
        candidate.labels[i] = found;
        candidate.splits[i] = split;
      }
    };
    label(root.images, null, true);
    for (const folder of folders) {
      const part = parts.get(folder.name);
      const split = part === "unlabelled" || part === undefined ? null : part;
      // Pictures to be predicted need no label in their names.
      eachFolder(folder, ({ images }) => label(images, split, part === undefined || part === "train"));
    }
    const splits = new Set(candidate.splits.filter((_, i) => candidate.labels[i] !== null));
    candidate.splitFolders = splits.has("train")
      ? [...parts].map(([folder, part]) => ({ folder, split: part === "unlabelled" ? null : part }))
      : [];
    // A class in the test folder alone is a picture's name there, and no class.
    candidate.labels.forEach((found, i) => {
      if (found === null || labels.has(found)) return;
      candidate.labels[i] = null;
      leave(candidate, [i], "unlabelled");
    });
    const enough = labels.size >= 2 && labels.size <= named / 2 && named >= asked * NEARLY_ALL;
    if (enough) return candidate;
  }
  return null;
}
