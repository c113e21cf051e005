// What tells a person, and a saved run, whether a model or a data set is the one that it was.
import { joinBlobs, opened } from "./joined_blob.ts";
import type { SourceFile } from "./source_file.ts";

/** Most bytes that are looked at: enough of every file to tell it apart, not all of a model of gigabytes. */
const LOOKED_AT = 16 * 1024 * 1024;
/** At the least so much of a file's middle is looked at, of as many files as that allows. */
const PIECE = 16 * 1024;

/**
 * Twelve hexadecimal digits over all paths (without the folder that was dropped) and sizes, and over bytes from the
 * middle of evenly spread files: the same files give the same, in whatever order they come. Null where the page may
 * not compute it (browsers have SHA-256 only for https and this machine) or a file cannot be read.
 */
export async function fingerprintOf(files: readonly SourceFile[]): Promise<string | null> {
  if (!globalThis.crypto?.subtle) return null;
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  const root = commonRoot(sorted.map(({ path }) => path));
  const names = sorted.map(({ path, blob }) => `${path.slice(root)}\0${blob.size}\n`).join("");
  const looked = Math.min(sorted.length, LOOKED_AT / PIECE);
  const piece = Math.floor(LOOKED_AT / Math.max(1, looked));
  try {
    const pieces = Array.from({ length: looked }, (_, i) => {
      const { blob } = sorted[Math.floor((i * sorted.length) / looked)] as SourceFile;
      const from = Math.max(0, Math.floor((blob.size - piece) / 2));
      return blob.slice(from, from + piece);
    });
    const bytes = await joinBlobs([names, ...(await Promise.all(pieces.map(opened)))]).arrayBuffer();
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    return [...digest.subarray(0, 6)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  } catch {
    return null;
  }
}

/** The part of a set's fingerprint that is of its files alone, whatever was drawn or read of them. */
export function filesPart(fingerprint: string): string {
  return fingerprint.split("-", 1)[0] as string;
}

/** Length of the folder that all paths lie in, with its `/`; 0 without one. */
function commonRoot(paths: readonly string[]): number {
  const root = paths[0]?.slice(0, paths[0].indexOf("/") + 1) ?? "";
  return root !== "" && paths.every((path) => path.startsWith(root)) ? root.length : 0;
}
