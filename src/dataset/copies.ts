// Copies of one image: in two classes, in two splits.
import { opened } from "../joined_blob.ts";
import { compare, concurrently, groupBy } from "./collections.ts";
import { are, issue, list, plural } from "./issues.ts";
import type { DataIssue, ImageItem } from "./types.ts";
import type { FoundFile } from "./zip.ts";

/** Most files, and bytes of them, that are read as one: each read asks another process, in a browser for a millisecond. */
const READ_AS_ONE = { files: 100, bytes: 1024 * 1024 };

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
  const batches: Piece[][] = [];
  let bytes = 0;
  for (const [n, i] of indices.entries()) {
    const mark = (files[i] as FoundFile).fingerprint();
    if (typeof mark === "string") {
      marks[n] = mark;
      continue;
    }
    const last = batches.at(-1);
    bytes += mark.size;
    if (last && last.length < READ_AS_ONE.files && bytes <= READ_AS_ONE.bytes) last.push({ n, piece: mark });
    else {
      batches.push([{ n, piece: mark }]);
      bytes = mark.size;
    }
  }
  let done = 0;
  await concurrently(batches, async (batch) => {
    tell(done, indices.length);
    for (const { n, text } of await textsOf(batch)) marks[n] = text;
    done += batch.length;
  });
  return marks;
}

/** What is read of the n-th file that is asked about. */
interface Piece {
  n: number;
  piece: Blob;
}

/** A few bytes as they are, more as their hash. */
async function textOf(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return String(bytes.length <= 64 ? bytes : new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
}

async function textsOf(pieces: readonly Piece[]): Promise<{ n: number; text: string }[]> {
  try {
    const whole = await Promise.all(pieces.map(({ piece }) => opened(piece)));
    const all = new Uint8Array(await new Blob(whole).arrayBuffer());
    let at = 0;
    const each = pieces.map(({ n, piece: { size } }) => {
      at += size;
      return { n, bytes: all.subarray(at - size, at) };
    });
    return await Promise.all(each.map(async ({ n, bytes }) => ({ n, text: await textOf(bytes) })));
  } catch {
    // One that cannot be read spoils the whole: by themselves, then. It equals nothing, and is named when it is decoded.
    return concurrently(pieces, async ({ n, piece }) => {
      const text = await piece.arrayBuffer().then(
        (read) => textOf(new Uint8Array(read)),
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
