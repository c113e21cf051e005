// Where a path really lies, and whether one place is inside another. A place is known by its real path and by the number
// that the file system gives it, so that links, `..`, another case of the letters and a folder mounted twice are seen through.
import { lstat, readdir, readlink, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { Failure } from "../failure.ts";

/** A folder that a command reads, or the folder of a file that it reads. */
export interface ReadPlace {
  /** The option that names it, for the person. */
  option: string;
  /** Its real path. */
  path: string;
  /** Whether all that lies below it is read as well; of a file's folder it is not. */
  whole: boolean;
}

/** Links inside links and folders inside folders, at most; the reader of folders goes as deep. */
const MAX_DEPTH = 32;

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code;

/**
 * The real path of something that need not be there yet: that of the deepest folder that is, and the rest behind it.
 * @throws Failure "bad-file" where a link leads nowhere, a part of the path is a file, or it may not be looked at
 */
export async function realPlace(path: string): Promise<string> {
  const whole = resolve(path);
  try {
    return await realpath(whole);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw noPlace(path, error);
  }
  // A link without an end is there; the folder behind it is not.
  const link = await readlink(whole).catch(() => null);
  if (link !== null) throw refused(path, `It is a link to "${link}", where there is nothing.`);
  const above = dirname(whole);
  const real = await realPlace(above);
  if (!(await stat(real).catch(() => null))?.isDirectory() && (await lstat(real).catch(() => null)))
    throw refused(path, `"${above}" is a file, not a folder.`);
  return join(real, basename(whole));
}

function refused(where: string, what: string): Failure {
  return new Failure({ code: "bad-file", what, where, remedy: "Choose another --out." });
}

function noPlace(path: string, error: unknown): Failure {
  const words: Record<string, string> = {
    ENOTDIR: "A part of this path is a file, not a folder.",
    ELOOP: "Its links lead in a circle.",
    EACCES: "There is no right to look there.",
    ENAMETOOLONG: "The name is too long.",
  };
  return refused(path, words[codeOf(error) ?? ""] ?? `The path cannot be followed (${codeOf(error)}).`);
}

/**
 * The places that reading `path` reaches: itself, and what links inside it lead to. A path that is not there reaches none;
 * that is for its reader to say.
 */
export async function placesRead(option: string, path: string): Promise<ReadPlace[]> {
  const places = new Map<string, ReadPlace>();
  const visited = new Set<string>();
  const found = (real: string, whole: boolean) =>
    places.set(`${real}\0${whole}`, { option, path: real, whole });
  async function visit(location: string, linked: boolean, depth: number): Promise<void> {
    const real = await realpath(location).catch(() => null);
    const info = real && (await stat(real).catch(() => null));
    if (!real || !info) return;
    if (info.isFile()) {
      // What stands beside a file, or beside the link to it, is read too: a model's config.
      for (const beside of linked ? [dirname(real), await realpath(dirname(location))] : [])
        found(beside, false);
      return;
    }
    if (!info.isDirectory() || visited.has(real) || depth > MAX_DEPTH) return;
    visited.add(real);
    if (linked) found(real, true);
    for (const entry of await readdir(real, { withFileTypes: true }).catch(() => []))
      if (entry.isSymbolicLink() || entry.isDirectory())
        await visit(join(real, entry.name), entry.isSymbolicLink(), depth + 1);
  }
  await visit(resolve(path), true, 0);
  return [...places.values()];
}

/** A place and the folders above it that are there, as real paths and as numbers of their file systems. */
async function chain(real: string): Promise<Set<string>> {
  const marks = new Set<string>();
  for (let at = real; ; at = dirname(at)) {
    marks.add(at);
    const mark = await markOf(at);
    if (mark) marks.add(mark);
    if (at === dirname(at)) return marks;
  }
}

async function markOf(real: string): Promise<string | null> {
  const info = await stat(real, { bigint: true }).catch(() => null);
  // Some network drives number nothing.
  return info && info.ino !== 0n ? `${info.dev}:${info.ino}` : null;
}

/** Whether `inner` lies in `outer` or is the same; both are real paths. */
export async function isWithin(inner: string, outer: string): Promise<boolean> {
  const marks = await chain(inner);
  const mark = await markOf(outer);
  return marks.has(outer) || (mark !== null && marks.has(mark));
}

/**
 * Refuses a place for results that lies in, above, or just where something is read.
 * @param out its real path, there or not
 */
export async function refuseReadPlaces(out: string, places: readonly ReadPlace[]): Promise<void> {
  for (const { option, path, whole } of places) {
    const above = await isWithin(path, out);
    const same = above && (await isWithin(out, path));
    if (!above && !(whole && (await isWithin(out, path)))) continue;
    const how = same ? "is also where" : above ? "lies above the place where" : "lies inside the place where";
    throw new Failure({
      code: "bad-file",
      what: `This folder ${how} ${option} is read (${path}); results are never written there.`,
      where: out,
      remedy: "Choose an --out beside it.",
    });
  }
}
