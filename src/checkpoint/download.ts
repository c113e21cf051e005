// One file from a server onto the disk: going on where it stopped, and never longer than was said.
import { Failure } from "../failure.ts";
import { type FileRecord, type ModelRecord, type ModelStore, type PartFile, STARTED } from "./model_store.ts";

/** Larger than any model that is read here. */
const MAX_FILE = 50_000_000_000;
/** Attempts in a row that brought nothing, before the person is told. */
const MAX_TRIES = 4;

export interface FetchProgress {
  /** The file on its way. */
  file: string;
  /** Bytes of all files. */
  done: number;
  /** null while some file's size is not known. */
  total: number | null;
}

export interface FetchOptions {
  signal: AbortSignal;
  /** Milliseconds before the first new try; each wait after it is twice as long. */
  patience?: number | undefined;
  /** Milliseconds without a byte after which a connection counts as cut. */
  stall?: number | undefined;
  onProgress(progress: FetchProgress): void;
}

export interface ServerOptions extends FetchOptions {
  /** For the server that is asked, never for one it redirects to. */
  token?: string | undefined;
  /** The file behind an address never changes, and its size is known for sure. */
  immutable: boolean;
  /** What is there of the file is no good. */
  anew?: boolean | undefined;
  /** Why the server said no, in words; null lets the download try again. */
  refusal(response: Response): Promise<Refused | null>;
}

/** A server's no that trying again will not change. */
export class Refused extends Failure {}

/** What a fetch that was stopped by the person throws. */
export const fetchCancelled = () =>
  new Failure({
    code: "cancelled",
    what: "Fetching the model was cancelled.",
    remedy: "What has come is kept, and the rest will be fetched next time.",
  });

/** What it means that a server gave no answer, in words. A browser does not tell a page why. */
export function unreachable(url: string, where: string | undefined, kept: number, cause: unknown): Failure {
  const { host } = new URL(url);
  const cut = kept > 0;
  return new Failure(
    {
      code: "network",
      what: cut ? `The connection to ${host} was cut again and again.` : `${host} cannot be reached.`,
      ...(where === undefined ? {} : { where }),
      remedy: cut
        ? "Try again: what has come is kept, and the rest will be fetched."
        : "Check the connection and the address. A server may also forbid pages to read from it: then download the files and drop them.",
    },
    { cause },
  );
}

/**
 * Downloads one file of a model into `store` and puts what is known of it into `record`, which is written before the
 * first byte, so that a later download knows whether it may go on.
 */
export async function downloadInto(
  store: ModelStore,
  id: string,
  record: ModelRecord,
  path: string,
  url: string,
  options: ServerOptions,
): Promise<void> {
  let file = record.files.find((one) => one.path === path);
  if (!file) {
    file = { path, size: null, etag: null };
    record.files.push(file);
  }
  const part = await store.open(id, path);
  try {
    if (options.anew) await part.restart();
    await download(url, part, file, options, {
      known: () => store.write(id, STARTED, JSON.stringify(record)),
      bytes: () => options.onProgress({ file: path, ...sums(record, file, part.size) }),
    });
  } finally {
    await part.close();
  }
}

function sums({ files }: ModelRecord, current: FileRecord, here: number): Omit<FetchProgress, "file"> {
  let done = here;
  for (const file of files.slice(0, files.indexOf(current))) done += file.size ?? 0;
  let total: number | null = 0;
  for (const { size } of files) total = total === null || size === null ? null : total + size;
  return { done, total };
}

/**
 * Brings `part` to the whole file at `url`. What is in `part` is taken over when the server still has the same file
 * (`immutable`, or by ETag) and can go on in the middle; otherwise the file is started anew. Size and ETag of the file
 * are put into `file`.
 * @param tell called when size and ETag are known, before any byte, and then whenever there are more bytes
 * @throws Failure `network` when it was cut again and again, `bad-file` when the server sends other than it said,
 *   `state` when there is no room, `cancelled`, or what `refusal` gives; what has come stays in `part`
 */
async function download(
  url: string,
  part: PartFile,
  file: FileRecord,
  options: ServerOptions,
  tell: { known(): Promise<void>; bytes(): void },
): Promise<void> {
  const { signal, token, immutable, patience = 500, stall = 60_000 } = options;
  const bad = (what: string) =>
    new Failure({
      code: "bad-file",
      what,
      where: file.path,
      remedy: "Try again later; if it stays so, choose another source.",
    });
  if (!immutable && file.etag === null && file.size !== part.size) await part.restart();
  let failures = 0;
  for (;;) {
    if (signal.aborted) throw fetchCancelled();
    if (file.size !== null && part.size > file.size) await part.restart();
    if (file.size !== null && part.size === file.size) return tell.bytes();

    const before = part.size;
    const attempt = new AbortController();
    const abort = () => attempt.abort();
    signal.addEventListener("abort", abort);
    let watchdog = setTimeout(abort, stall);
    try {
      const response = await fetch(url, {
        headers: {
          // From 0 too: an answer to a range is never compressed, so that its length is the file's.
          Range: `bytes=${before}-`,
          ...(token ? { Authorization: `Bearer ${token}` } : {}),
        },
        signal: attempt.signal,
        credentials: "omit",
        referrerPolicy: "no-referrer",
        // The store is the cache.
        cache: "no-store",
      });
      if (response.status === 416 && before === 0 && !file.size) {
        file.size = 0;
        continue;
      }
      if (!response.ok) {
        const refusal = response.status === 416 ? null : await options.refusal(response);
        if (refusal) throw refusal;
        if (response.status === 416) await part.restart();
        throw new Error(`status ${response.status}`);
      }
      const begin = response.status === 206 ? before : 0;
      const length = Number(response.headers.get("Content-Length") ?? Number.NaN);
      const size = Number.isSafeInteger(length) ? begin + length : null;
      const etag = response.headers.get("ETag");
      if (immutable && size !== null && size !== file.size) {
        throw bad(`The server's file has ${size} bytes, but ${file.size} are listed.`);
      }
      if (!immutable) {
        const other = (file.etag !== null && etag !== file.etag) || (file.size ?? size) !== size;
        Object.assign(file, { etag, size });
        if (other && begin > 0) {
          await part.restart();
          throw new Error("the file is another one now");
        }
      }
      if (begin !== part.size) await part.restart();
      const most = file.size ?? MAX_FILE;
      if (most > MAX_FILE) throw bad(`The file has ${most} bytes; at most ${MAX_FILE} are fetched.`);
      await tell.known();
      tell.bytes();

      const reader = (response.body as ReadableStream<Uint8Array<ArrayBuffer>>).getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        clearTimeout(watchdog);
        watchdog = setTimeout(abort, stall);
        if (part.size + value.length > most) {
          await part.restart();
          attempt.abort();
          throw bad(`The server sends more than the ${most} bytes that the file has.`);
        }
        await part.append(value);
        tell.bytes();
      }
      // Nobody said how long the file is, and it ended in good order.
      file.size ??= part.size;
    } catch (error) {
      if (error instanceof Failure) throw error;
      if (signal.aborted) throw fetchCancelled();
      if (isFull(error)) throw noRoom(part.size, file.path, error);
      failures = part.size > before ? 1 : failures + 1;
      if (failures > MAX_TRIES) throw unreachable(url, file.path, part.size, error);
      await rest(patience * 2 ** (failures - 1), signal);
    } finally {
      clearTimeout(watchdog);
      signal.removeEventListener("abort", abort);
    }
  }
}

const isFull = (error: unknown) =>
  (error as Error).name === "QuotaExceededError" || (error as { code?: string }).code === "ENOSPC";

function noRoom(kept: number, where: string, cause: unknown): Failure {
  return new Failure(
    {
      code: "state",
      what: `There is no room for more than ${kept} bytes of it.`,
      where,
      remedy: "Remove a model that is kept, or free some disk space.",
    },
    { cause },
  );
}

function rest(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener("abort", end);
  });
}
