// Files written so that they are whole or absent: beside their place, flushed, and only then under their name.
import { createHash } from "node:crypto";
import { lstat, mkdir, open, rename, rm, rmdir, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { Failure } from "../failure.ts";

/** What is asked of a file system to write; tests put one that fails in its place. */
export interface Disk {
  mkdir: typeof mkdir;
  open: typeof open;
  rename: typeof rename;
  rm: typeof rm;
  rmdir: typeof rmdir;
  unlink: typeof unlink;
}

export const nodeDisk: Disk = { mkdir, open, rename, rm, rmdir, unlink };

const words: Record<string, string> = {
  ENOSPC: "There is no space left on this disk.",
  EDQUOT: "The disk space that you may use is used up.",
  EFBIG: "The file is larger than this file system takes.",
  EROFS: "This file system can only be read.",
  EACCES: "There is no right to write here.",
  EPERM: "There is no right to write here.",
  EIO: "The disk reports an error.",
  ENOTDIR: "A part of this path is a file, not a folder.",
  EEXIST: "There is a file where a folder would be.",
  ENAMETOOLONG: "The name is too long.",
  ENOENT: "Nothing can be made here.",
};

/** A place cannot be written to; the same can still be written elsewhere. */
export class CannotWrite extends Failure {
  constructor(where: string, cause: unknown, what?: string) {
    const { code, message } = cause as NodeJS.ErrnoException;
    super(
      {
        code: "bad-file",
        what: what ?? words[code ?? ""] ?? `It cannot be written (${code ?? message}).`,
        where,
        remedy:
          code === "ENOSPC" || code === "EDQUOT"
            ? "Make room, or choose another --out."
            : "Choose another --out.",
      },
      { cause },
    );
  }
}

/**
 * Makes a folder and those above it, one by one: Node's own way of doing so never ends where the system says of a folder in
 * one that is there that there is no such thing (/proc).
 * @returns the first that was made; undefined where all were there
 */
export async function makeFolders(disk: Disk, path: string): Promise<string | undefined> {
  const missing: string[] = [];
  for (let at = path; !(await lstat(at).catch(() => null)) && at !== dirname(at); at = dirname(at))
    missing.unshift(at);
  for (const folder of missing)
    await disk.mkdir(folder).catch((error: NodeJS.ErrnoException) => {
      // Another run may have made it meanwhile.
      if (error.code !== "EEXIST") throw error;
    });
  return missing[0];
}

/** Does something to the disk; what goes wrong there becomes a CannotWrite. */
export async function writing<T>(where: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof Failure ? error : new CannotWrite(where, error);
  }
}

/** Size and SHA-256 of what was written. */
export interface Written {
  size: number;
  sha256: string;
}

/**
 * Writes a new file and flushes it. One that cannot be written to its end is taken away.
 * @throws CannotWrite where the disk refuses, Failure "bad-file" where `blob` itself can no longer be read
 */
export async function writeNew(disk: Disk, path: string, blob: Blob): Promise<Written> {
  const hash = createHash("sha256");
  const handle = await writing(path, () => disk.open(path, "wx"));
  try {
    for await (const chunk of chunksOf(blob, path)) {
      hash.update(chunk);
      await writing(path, async () => {
        for (let at = 0; at < chunk.length; ) at += (await handle.write(chunk, at)).bytesWritten;
      });
    }
    await writing(path, () => handle.sync());
  } catch (error) {
    await handle.close().catch(() => {});
    await disk.unlink(path).catch(() => {});
    throw error;
  }
  await writing(path, () => handle.close());
  return { size: blob.size, sha256: hash.digest("hex") };
}

async function* chunksOf(blob: Blob, where: string): AsyncGenerator<Uint8Array> {
  try {
    yield* blob.stream() as unknown as AsyncIterable<Uint8Array>;
  } catch (cause) {
    if (cause instanceof Failure) throw cause;
    throw new Failure(
      {
        code: "bad-file",
        what: "The model's own file, which most of this is copied from, has changed or is gone.",
        where,
        remedy: "Put the model back as it was.",
      },
      { cause },
    );
  }
}

/** Makes sure that the names in a folder stay; where the system cannot say, nothing is lost by not asking. */
export async function flushFolder(disk: Disk, path: string): Promise<void> {
  const handle = await disk.open(path, "r").catch(() => null);
  await handle?.sync().catch(() => {});
  await handle?.close().catch(() => {});
}

/** Replaces a small file by one rename. */
export async function replaceFile(disk: Disk, path: string, text: string): Promise<Written> {
  const beside = `${path}.${process.pid}.part`;
  await disk.rm(beside, { force: true }).catch(() => {});
  const written = await writeNew(disk, beside, new Blob([text]));
  await writing(path, () => disk.rename(beside, path));
  await flushFolder(disk, dirname(path));
  return written;
}
