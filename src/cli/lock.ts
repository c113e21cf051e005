// One run at a time in a folder: a small file says whose it is. A process that is dead holds nothing.

import { readFileSync, unlinkSync } from "node:fs";
import { link, readdir, readFile, rename, unlink, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { Failure } from "../failure.ts";
import { CannotWrite, type Disk, flushFolder, writeNew } from "./disk.ts";

export const LOCK = ".selora.lock";

const lockSchema = z.object({
  pid: z.int().min(1),
  host: z.string(),
  /** When the process began, as its system counts; null where it does not say. A number of a process is used again. */
  began: z.string().nullable(),
  since: z.string(),
  token: z.string(),
});
type Lock = z.infer<typeof lockSchema>;

/** When a process began, in clock ticks since the machine did (Linux); null elsewhere, or where there is none. */
async function beganOf(pid: number): Promise<string | null> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
  // The name in brackets may hold spaces and brackets; 22 of the fields is 20 behind it.
  return text?.slice(text.lastIndexOf(")") + 2).split(" ")[19] ?? null;
}

async function isAlive({ pid, began }: Lock): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
  }
  const now = await beganOf(pid);
  return began === null || now === null || began === now;
}

async function readLock(path: string): Promise<Lock | null> {
  const text = await readFile(path, "utf8").catch(() => "");
  try {
    return lockSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/**
 * Takes the lock of `folder`. What was left by a process of this machine that is gone is taken over, and told.
 * @returns what gives it back
 * @throws Failure "bad-file" where another run has it, CannotWrite where the folder cannot be written to
 */
export async function takeLock(
  disk: Disk,
  folder: string,
  tell: (text: string) => void,
): Promise<() => Promise<void>> {
  const path = join(folder, LOCK);
  const token = crypto.randomUUID();
  const mine = {
    pid: process.pid,
    host: hostname(),
    began: await beganOf(process.pid),
    since: new Date().toISOString(),
  };
  const text = JSON.stringify({ ...mine, token } satisfies Lock);
  for (let tries = 0; !(await claim(disk, path, text, token)); tries++) {
    const other = await readLock(path);
    const stale = other && other.host === mine.host && !(await isAlive(other));
    if (!stale || tries > 2) throw held(path, other);
    tell(
      `A run that did not end (process ${other.pid}, begun ${other.since}) had this folder; it is taken over.`,
    );
    const fresh = await clearStale(path, other, token);
    if (fresh) throw held(path, fresh);
  }
  // What was cut off between a lock's writing and its taking its name.
  for (const name of await readdir(folder))
    if (name.startsWith(`${LOCK}.`)) await unlink(join(folder, name)).catch(() => {});
  const isMine = (found: string) => found.includes(token);
  const drop = () => {
    try {
      if (isMine(readFileSync(path, "utf8"))) unlinkSync(path);
    } catch {
      // It is gone, or will be seen to be that of a process that is.
    }
  };
  process.once("exit", drop);
  return async () => {
    process.off("exit", drop);
    drop();
  };
}

/** Takes a stale lock away. Of two that do so at once, one would take the other's new one: that is put back, and given. */
async function clearStale(path: string, stale: Lock, token: string): Promise<Lock | null> {
  const aside = `${path}.${token}.stale`;
  await rename(path, aside).catch(() => {});
  const moved = await readLock(aside);
  const fresh = moved && moved.token !== stale.token ? moved : null;
  if (fresh) await link(aside, path).catch(() => {});
  await unlink(aside).catch(() => {});
  return fresh;
}

/** Puts a lock that is whole from its first moment; false where there is one. */
async function claim(disk: Disk, path: string, text: string, token: string): Promise<boolean> {
  const beside = `${path}.${token}`;
  await writeNew(disk, beside, new Blob([text]));
  try {
    await link(beside, path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return false;
    // File systems without hard links.
    try {
      await writeFile(path, text, { flag: "wx" });
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === "EEXIST") return false;
      throw new CannotWrite(path, cause);
    }
  } finally {
    await disk.unlink(beside).catch(() => {});
  }
  await flushFolder(disk, join(path, ".."));
  return true;
}

function held(path: string, by: Lock | null): Failure {
  const who = by ? `process ${by.pid} on ${by.host}, begun ${by.since}` : "it does not say which";
  const here = by?.host === hostname();
  return new Failure({
    code: "bad-file",
    what: `Another run is writing into this folder (${who}).`,
    where: path,
    remedy: here
      ? "Wait until it has ended, or choose another --out."
      : "Wait until it has ended, or choose another --out; where you know that it is gone, delete this file.",
  });
}
