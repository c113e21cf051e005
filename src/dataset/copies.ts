// Copies of one image: in two classes, in two splits.
import { compare, concurrently, groupBy } from "./collections.ts";
import { are, issue, list, plural } from "./issues.ts";
import type { DataIssue, ImageItem } from "./types.ts";
import type { FoundFile } from "./zip.ts";

/**
 * Groups of byte-identical files, as indices, each with two members or more. Only files that share size and
 * fingerprint are read and hashed (SHA-256).
 */
export async function findCopies(files: FoundFile[]): Promise<number[][]> {
  const indices = files.map((_, i) => i).filter((i) => (files[i] as FoundFile).size > 0);
  const suspects = async (candidates: Iterable<number[]>, key: (file: FoundFile) => Promise<string>) => {
    const members = [...candidates].filter((group) => group.length > 1);
    const flat = members.flatMap((group, g) => group.map((i) => ({ i, g })));
    const keys = await concurrently(flat, async ({ i, g }) => `${g} ${await key(files[i] as FoundFile)}`);
    const groups = groupBy(
      flat.map((_, n) => n),
      (n) => keys[n] as string,
    );
    return [...groups.values()].map((group) => group.map((n) => flat[n]?.i as number));
  };
  // Over plain http there is no crypto.subtle; the rest of the studio needs a secure context as well.
  if (!globalThis.crypto?.subtle) return [];
  const sameSize = groupBy(indices, (i) => (files[i] as FoundFile).size).values();
  const mixed = new Set(files.map((file) => file.origin)).size > 1;
  const sameLook = mixed ? sameSize : await suspects(sameSize, (file) => file.fingerprint());
  const same = await suspects(sameLook, async (file) => {
    try {
      const digest = await crypto.subtle.digest("SHA-256", await (await file.read()).arrayBuffer());
      return String(new Uint8Array(digest));
    } catch {
      // It cannot be read, so it equals nothing; `prepare` will name it.
      return `unreadable ${file.path}`;
    }
  });
  return same.filter((group) => group.length > 1);
}

/** Tells of images that are in more than one class. */
export function reportLabelCollisions(
  copies: number[][],
  images: readonly { file: FoundFile }[],
  labels: readonly number[],
  classes: string[],
  issues: DataIssue[],
): void {
  const torn = copies.filter((group) => new Set(group.map((i) => labels[i])).size > 1);
  if (torn.length === 0) return;
  const names = [...new Set(torn.flat().map((i) => classes[labels[i] as number] as string))].sort(compare);
  issues.push(
    issue(
      "warning",
      `${plural(torn.length, "image")} ${are(torn.length)} in more than one class (${list(names)}), ` +
        "so that no model can be right there.",
      torn.flat().map((i) => images[i]?.file.path as string),
    ),
  );
}

/** Tells of images that are in more than one split. */
export function reportCopiesAcrossSplits(copies: number[][], items: ImageItem[], issues: DataIssue[]): void {
  const crossing = copies.filter((group) => new Set(group.map((i) => items[i]?.split)).size > 1);
  if (crossing.length === 0) return;
  const splits = ["train", "val", "test"].filter((split) =>
    crossing.some((group) => group.some((i) => items[i]?.split === split)),
  );
  issues.push(
    issue(
      "warning",
      `${plural(crossing.length, "image")} ${are(crossing.length)} in more than one of ${list(splits)}; ` +
        "scores will look better than they are.",
      crossing.flat().map((i) => items[i]?.path as string),
    ),
  );
}
