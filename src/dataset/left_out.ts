// What a reading leaves out, told before training.
import { compare } from "./collections.ts";
import type { Gathered } from "./gather.ts";
import { are, issue, list, plural } from "./issues.ts";
import type { Candidate, LeftOut } from "./placement.ts";
import type { DataIssue } from "./types.ts";
import type { FoundFile } from "./zip.ts";

const folderOf = (path: string) => path.slice(0, Math.max(0, path.lastIndexOf("/")));
const lastOf = (path: string) => path.slice(path.lastIndexOf("/") + 1);

/** Why images are left out, each in words about so many of them; `folders` are those they lie in. */
const words: Record<LeftOut, (candidate: Candidate, count: number, folders: string[]) => string> = {
  loose: (_, n) => `${plural(n, "image")} outside the class folders ${are(n)} left out.`,
  unlabelled: (_, n, folders) =>
    `${plural(n, "image")} in ${list(folders)} ${are(n)} left out: nothing says what ${n === 1 ? "it shows" : "they show"}.`,
  beside: ({ splitFolders }, n) =>
    splitFolders.length > 0
      ? `${plural(n, "image")} beside the folders ${list(splitFolders.map(({ folder }) => folder))} ${are(n)} left out.`
      : `${plural(n, "image")} beside the folder that is read ${are(n)} left out.`,
  mask: (_, n) => `${plural(n, "mask")} beside the images ${are(n)} left out.`,
  unnamed: ({ table }, n) =>
    table
      ? `${plural(n, "image")} that ${list(table.paths)} ${table.paths.length === 1 ? "gives" : "give"} no label ${are(n)} left out.`
      : `${plural(n, "image")} without a label in ${n === 1 ? "its" : "their"} name ${are(n)} left out.`,
};

/** Tells of images that a reading gives no class. */
export function reportLeftOut(candidate: Candidate, paths: readonly string[], issues: DataIssue[]): void {
  for (const [why, images] of candidate.left) {
    const left = [...new Set(images)].filter((i) => candidate.labels[i] === null).sort((a, b) => a - b);
    if (left.length === 0) continue;
    const names = left.map((i) => paths[i] as string);
    const folders = [...new Set(names.map((path) => lastOf(folderOf(path)) || "the top folder"))];
    issues.push(issue("warning", words[why](candidate, left.length, folders), names));
  }
}

/** Tells of folders beside class folders that hold no image: empty ones, and those of files that are not read. */
export function reportNoClass(
  { images, others, folders }: Gathered,
  kept: readonly { file: FoundFile }[],
  issues: DataIssue[],
): void {
  const full = new Set<string>();
  for (const { path } of images) addFolders(path, full);
  const parents = new Set<string>();
  for (const { file } of kept) parents.add(folderOf(folderOf(file.path)));
  const named = new Set<string>(folders);
  for (const path of others) addFolders(path, named);
  const empty = [...named]
    .filter((folder) => !full.has(folder) && parents.has(folderOf(folder)))
    .sort(compare);
  if (empty.length === 0) return;
  const names = list(empty.map(lastOf));
  const words = `${plural(empty.length, "folder")} without an image that is read ${are(empty.length)} no class: ${names}.`;
  issues.push(issue("warning", words, empty));
}

function addFolders(path: string, into: Set<string>): void {
  for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) {
    const folder = path.slice(0, end);
    if (into.has(folder)) return;
    into.add(folder);
  }
}
