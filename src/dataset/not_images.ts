// What is told of files under an image's name that are none: empty ones, and those whose first bytes say what they are (a web
// page, a PDF, a phone's HEIC). Bytes that say nothing are left to the decoder.
import { kindOf } from "./other_kinds.ts";
import type { DataIssue } from "./types.ts";
import type { FoundFile } from "./zip.ts";

const MAX_PATHS = 20;

/**
 * The images that remain.
 * @param doubtful files that begin as no image does, with their first bytes
 * @param looked how many that are not empty were looked into
 * @param issues is given what there is to say
 */
export function leaveOut(
  images: FoundFile[],
  doubtful: ReadonlyMap<FoundFile, Uint8Array>,
  looked: number,
  issues: DataIssue[],
): FoundFile[] {
  const empty = images.filter(({ size }) => size === 0);
  const full = images.filter(({ size }) => size > 0);
  const wrong = new Map<FoundFile, string>();
  for (const [file, head] of doubtful) {
    const kind = kindOf(head);
    if (kind) wrong.set(file, kind);
  }
  if (empty.length > 0) {
    const one = empty.length === 1;
    issues.push({
      severity: "warning",
      text: `${count(empty.length)} ${one ? "image is an empty file and is" : "images are empty files and are"} left out.`,
      paths: paths(empty),
    });
  }
  if (wrong.size > 0) {
    const files = full.filter((file) => wrong.has(file));
    const kinds = new Map<string, number>();
    for (const file of files) {
      const kind = wrong.get(file) as string;
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    }
    const one = files.length === 1;
    const what = one
      ? [...kinds.keys()][0]
      : [...kinds].map(([kind, of]) => `${kind}${of === files.length ? "" : ` (${count(of)})`}`).join(", ");
    const rest =
      looked < full.length
        ? ` ${count(looked)} of ${count(full.length)} were looked into; the others are when they are decoded.`
        : "";
    issues.push({
      severity: "warning",
      text: `${count(files.length)} ${one ? "file is" : "files are"} called an image and ${one ? "is" : "each is"} ${what}; left out.${rest}`,
      paths: paths(files),
    });
  }
  const kept = full.filter((file) => !wrong.has(file));
  reportEmptied(images, kept, issues);
  return kept;
}

/** Folders of which nothing is left. */
function reportEmptied(before: FoundFile[], after: FoundFile[], issues: DataIssue[]): void {
  const folders = (files: FoundFile[]) =>
    new Set(files.map(({ path }) => path.slice(0, Math.max(0, path.lastIndexOf("/")))));
  const left = folders(after);
  const emptied = [...folders(before)].filter((folder) => !left.has(folder)).sort();
  if (emptied.length === 0 || after.length === 0) return;
  const some = emptied.slice(0, 6).join(", ") + (emptied.length > 6 ? ` and ${emptied.length - 6} more` : "");
  issues.push({
    severity: "warning",
    text: `No file of ${some} is an image, so that there is no such class.`,
    paths: [],
  });
}

const count = (number: number) => number.toLocaleString("en");
const paths = (files: FoundFile[]) => files.slice(0, MAX_PATHS).map(({ path }) => path);
