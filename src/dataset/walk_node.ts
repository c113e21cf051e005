// Folders of this computer as SourceFiles, for the terminal and the tests. Files are opened only when read.
import { readdir, realpath, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { Failure } from "../failure.ts";
import { fileBlob } from "../large_file_node.ts";
import type { SourceFile } from "../source_file.ts";

/** Deeper than any data set; a folder linked into itself ends here at the latest. */
const MAX_DEPTH = 32;

/**
 * All files under a folder, or the one file, hidden ones included; symbolic links are followed.
 * Paths begin with the folder's own name, as a browser's do, and are sorted, so that seeds mean the same everywhere.
 * @throws Failure `bad-file` when there is nothing at `path` or it may not be read
 */
export async function walkDirectory(path: string): Promise<SourceFile[]> {
  const root = resolve(path);
  const files: SourceFile[] = [];
  const visited = new Set<string>();

  async function walk(location: string, name: string, depth: number): Promise<void> {
    const info = await stat(location).catch((error: unknown) => {
      // A dangling link inside a folder is no reason to refuse the folder.
      if (depth > 0) return null;
      throw error;
    });
    if (info?.isFile()) {
      files.push({ path: name, blob: await fileBlob(location) });
    } else if (info?.isDirectory() && depth < MAX_DEPTH) {
      const real = await realpath(location);
      if (visited.has(real)) return;
      visited.add(real);
      const entries = await readdir(location, { withFileTypes: true });
      for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
        const child = join(location, entry.name);
        if (entry.isFile()) files.push({ path: `${name}/${entry.name}`, blob: await fileBlob(child) });
        else await walk(child, `${name}/${entry.name}`, depth + 1);
      }
    }
  }

  try {
    await walk(root, basename(root) || "root", 0);
  } catch (error) {
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
  return files;
}
