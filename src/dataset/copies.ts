// Copies of one image: in two classes, in two splits.
import { nextTurn } from "../turn.ts";
import { compare, concurrently, groupBy } from "./collections.ts";
import { are, issue, list, plural } from "./issues.ts";
import type { DataIssue, ImageItem } from "./types.ts";
import type { FoundFile } from "./zip.ts";

/** Pieces of files that are read as one: each read asks another process, in a browser for a millisecond. */
const READ_AS_ONE = 100;

/**
 * Groups of byte-identical files, as indices, each with two members or more. Only files that share size and
 * fingerprint are read and hashed (SHA-256).
 * @param tell how many of how many files have been looked at; may throw to give up
 */
export async function findCopies(
  files: readonly FoundFile[],
  tell: (done: number, total: number) => void = () => {},
): Promise<number[][]> {
  // Over plain http there is no crypto.subtle; the rest of the studio needs a secure context as well.
  if (!globalThis.crypto?.subtle) return [];
  const mixed = new Set(files.map((file) => file.origin)).size > 1;
  const sizes = new Map<number, number>();
  for (const { size } of files) sizes.set(size, (sizes.get(size) ?? 0) + 1);
  const sameSize = files.flatMap(({ size }, i) => (size > 0 && (sizes.get(size) as number) > 1 ? [i] : []));
  const sizeOf = (i: number) => (files[i] as FoundFile).size;
  const sameLook = mixed
    ? sameSize
    : alike(sameSize, await fingerprints(sameSize, files, tell), (mark, i) => `${sizeOf(i)} ${mark}`).flat();
  let done = 0;
  const digests = await concurrently(sameLook, async (i) => {
    tell(done++, sameLook.length);
    const file = files[i] as FoundFile;
    try {
      const digest = await crypto.subtle.digest("SHA-256", await (await file.read()).arrayBuffer());
      return String(new Uint8Array(digest));
    } catch {
      // It cannot be read, so it equals nothing; it is named when it is decoded.
      return `unreadable ${file.path}`;
    }
  });
  return alike(sameLook, digests, (digest, i) => `${sizeOf(i)} ${digest}`);
}

/** Those that share a key with another, in groups. */
function alike(
  indices: readonly number[],
  marks: readonly string[],
  key: (mark: string, index: number) => string,
): number[][] {
  const keys = indices.map((index, n) => key(marks[n] as string, index));
  const count = new Map<string, number>();
  for (const one of keys) count.set(one, (count.get(one) ?? 0) + 1);
  const places = indices.flatMap((_, n) => ((count.get(keys[n] as string) as number) > 1 ? [n] : []));
  const groups = groupBy(places, (n) => keys[n] as string);
  return [...groups.values()].map((group) => group.map((n) => indices[n] as number));
}

/** The fingerprint of each file as text. Pieces of many files are read as one. */
async function fingerprints(
  indices: readonly number[],
  files: readonly FoundFile[],
  tell: (done: number, total: number) => void,
): Promise<string[]> {
  const marks = new Array<string>(indices.length);
  const starts = Array.from({ length: Math.ceil(indices.length / READ_AS_ONE) }, (_, i) => i * READ_AS_ONE);
  let done = 0;
  await concurrently(starts, async (from) => {
    tell(done, indices.length);
    const pieces: { n: number; piece: Blob }[] = [];
    const to = Math.min(from + READ_AS_ONE, indices.length);
    for (let n = from; n < to; n++) {
      const mark = (files[indices[n] as number] as FoundFile).fingerprint();
      if (typeof mark === "string") marks[n] = mark;
      else pieces.push({ n, piece: mark });
    }
    if (pieces.length > 0) for (const { n, text } of await textsOf(pieces)) marks[n] = text;
    else await nextTurn();
    done += to - from;
  });
  return marks;
}

async function textsOf(
  pieces: readonly { n: number; piece: Blob }[],
): Promise<{ n: number; text: string }[]> {
  try {
    const all = new Uint8Array(await new Blob(pieces.map(({ piece }) => piece)).arrayBuffer());
    let at = 0;
    return pieces.map(({ n, piece: { size } }) => {
      at += size;
      return { n, text: String(all.subarray(at - size, at)) };
    });
  } catch {
    // One that cannot be read spoils the whole: by themselves, then. It equals nothing, and is named when it is decoded.
    return concurrently(pieces, async ({ n, piece }) => {
      const text = await piece.arrayBuffer().then(
        (read) => String(new Uint8Array(read)),
        () => `unreadable ${n}`,
      );
      return { n, text };
    });
  }
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
