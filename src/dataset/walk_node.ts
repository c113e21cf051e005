// Folders of this computer as SourceFiles, for the terminal and the tests. Files are opened only when read.
import { readdir, readlink, realpath, stat } from "node:fs/promises";
import { basename, join, relative, resolve, sep } from "node:path";
import { Failure } from "../failure.ts";
import { fileBlob } from "../large_file_node.ts";
import type { SourceFile } from "../source_file.ts";
import { concurrently } from "./collections.ts";

/** Deeper than any data set. */
const MAX_DEPTH = 32;
/** Files that are opened at a time. */
const AT_ONCE = 32;
/** Links into links can double what is found with every folder; no data set has so many files. */
const MAX_FILES = 2_000_000;

export interface WalkOptions {
  /** Whether folders without files are given too, as paths that end in `/`. */
  emptyFolders?: boolean;
  /** Is told of links that are not followed, and of those that lead elsewhere, a sentence each. */
  tell?: (sentence: string) => void;
}

/** Links by what became of them. */
interface Links {
  nowhere: string[];
  back: string[];
  out: string[];
}

/**
 * All files under a folder, or the one file, hidden ones included. Symbolic links are followed wherever they lead, except
 * back into a folder that they lie in.
 * Paths begin with the folder's own name, as a browser's do, and are sorted, so that seeds mean the same everywhere.
 * @throws Failure `bad-file` when there is nothing at `path`, it may not be read, or it never ends
 */
export async function walkDirectory(
  path: string,
  { emptyFolders = false, tell = () => {} }: WalkOptions = {},
): Promise<SourceFile[]> {
  const root = resolve(path);
  const found: { path: string; location: string | null }[] = [];
  const links: Links = { nowhere: [], back: [], out: [] };
  let home = root;

  function add(location: string, name: string): void {
    if (found.length >= MAX_FILES) throw endless(path);
    found.push({ path: name, location });
  }

  /** @param above real paths of the folders that this one lies in */
  async function walk(location: string, name: string, above: ReadonlySet<string>): Promise<void> {
    const real = await realpath(location);
    if (above.has(real)) {
      links.back.push(name);
      return;
    }
    const entries = await readdir(location, { withFileTypes: true });
    const within = new Set(above).add(real);
    if (entries.length === 0 && emptyFolders) found.push({ path: `${name}/`, location: null });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const child = join(location, entry.name);
      const childName = `${name}/${entry.name}`;
      if (entry.isFile()) add(child, childName);
      else if (entry.isSymbolicLink()) await follow(child, childName, within);
      else if (entry.isDirectory() && within.size < MAX_DEPTH) await walk(child, childName, within);
    }
  }

  async function follow(link: string, name: string, within: ReadonlySet<string>): Promise<void> {
    const info = await stat(link).catch(() => null);
    if (!info) {
      links.nowhere.push(`${name} -> ${await readlink(link)}`);
      return;
    }
    const way = relative(home, await realpath(link));
    if (way === ".." || way.startsWith(`..${sep}`)) links.out.push(name);
    if (info.isFile()) add(link, name);
    else if (info.isDirectory() && within.size < MAX_DEPTH) await walk(link, name, within);
  }

  const name = basename(root) || "root";
  let files: SourceFile[];
  try {
    home = await realpath(root);
    if ((await stat(root)).isFile()) add(root, name);
    else await walk(root, name, new Set());
    files = await concurrently(
      found,
      async ({ path: name, location }) => ({
        path: name,
        blob: location === null ? new Blob() : await fileBlob(location),
      }),
      AT_ONCE,
    );
  } catch (error) {
    if (error instanceof Failure) throw error;
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw new Failure(
      {
        code: "bad-file",
        what: missing ? "There is no such file or folder." : "The folder cannot be read.",
        where: path,
        remedy: missing ? "Check the path." : "Check its permissions.",
      },
      { cause: error },
    );
  }
  for (const kind of ["nowhere", "back", "out"] as const)
    if (links[kind].length > 0) tell(sentenceOn(kind, links[kind]));
  return files;
}

const linkWords: Record<keyof Links, [one: string, many: string]> = {
  nowhere: ["leads nowhere and is left out", "lead nowhere and are left out"],
  back: [
    "leads back into its own folder and is not followed",
    "lead back into their own folder and are not followed",
  ],
  out: ["leads out of the folder and is followed", "lead out of the folder and are followed"],
};

function sentenceOn(kind: keyof Links, names: readonly string[]): string {
  const [one, many] = linkWords[kind];
  const shown = names.slice(0, 6).join(", ") + (names.length > 6 ? ", ..." : "");
  return names.length === 1 ? `A link ${one}: ${shown}.` : `${names.length} links ${many}: ${shown}.`;
}

function endless(where: string): Failure {
  return new Failure({
    code: "bad-file",
    what: `The folder holds more than ${MAX_FILES.toLocaleString("en")} files, each link counted with all it leads to.`,
    where,
    remedy: "Give a folder below it, or take out links that lead into each other.",
  });
}
