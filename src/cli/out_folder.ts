// The folder that results are written into (--out): what is refused before anything is computed, and how the files of an
// export take the place of those of an earlier one as one set.
//
// A set is staged under `.selora-next` inside the folder, flushed, and decided by one rename: that of `commit.json`. Until
// then the earlier set is what there is, untouched; from then on it is the new one, and whoever comes next moves the rest of
// it into place (`settle`), a reader of models without moving anything (`decidedFiles`). Of a model the weights go first
// and come last, so that a reader which knows nothing of this never takes parts of two models for one.
import { lstat, mkdtemp, readdir, realpath, stat, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { z } from "zod";
import { Failure } from "../failure.ts";
import type { ExportedFile } from "../session/protocol.ts";
import {
  CannotWrite,
  type Disk,
  flushFolder,
  makeFolders,
  nodeDisk,
  replaceFile,
  type Written,
  writeNew,
  writing,
} from "./disk.ts";
import { takeLock } from "./lock.ts";
import {
  isInside,
  isListed,
  type ListedFile,
  MANIFEST,
  type Manifest,
  manifestSchema,
  manifestText,
  readAs,
  readManifest,
} from "./manifest.ts";
import { type ReadPlace, realPlace, refuseReadPlaces } from "./places.ts";

const NEXT = ".selora-next";
const COMMIT = "commit.json";

/** What a decided set still asks for. */
const commitSchema = z.object({
  manifest: manifestSchema,
  /** Files of the earlier set that are not in this one, or whose bytes are others. */
  stale: manifestSchema.shape.files,
  /** Files that are not ours and give way; where they are kept. */
  aside: z
    .object({ folder: z.string().regex(/^\.replaced-[\w-]+$/), paths: z.array(z.string().refine(isInside)) })
    .nullable(),
});
type Commit = z.infer<typeof commitSchema>;

/** What systems and tools leave in a folder that a person would call empty. */
const nothing = new Set([
  ".DS_Store",
  "Thumbs.db",
  "desktop.ini",
  ".directory",
  "lost+found",
  ".gitkeep",
  ".gitignore",
]);

/** Files of this name are read as parts of a model by someone. */
const modelPart =
  /\.(safetensors|bin|pth?|ckpt|h5|msgpack|onnx|gguf)$|\.index\.json$|^((open_clip_|adapter_|generation_)?config|(pre)?processor_config|tokenizer(_config)?|vocab|special_tokens_map)\.json$|^merges\.txt$/i;
const isWeights = (path: string) => /\.(safetensors|bin|pth?|ckpt|index\.json)$/i.test(path);

/** Names that an export's records have. */
const records = new Set([
  ...[
    "recipe.json",
    "gates.json",
    "metrics.json",
    "report.html",
    "report.json",
    "tradeoff.json",
    "summary.json",
  ],
  ...["saved_run.json", "saved_run.state"],
]);

/** A set on its way: written, not yet visible. */
export interface Stage {
  /** Where its files lie until they are decided, to be read back. */
  path: string;
  add(files: readonly ExportedFile[]): Promise<void>;
  /**
   * Makes the files visible as one, beside those that this run has written before.
   * @param replacing whether the set of an earlier run gives way to them
   * @param without paths that this run has written before and that are no longer part of the set
   */
  commit(options: { replacing: boolean; without?: readonly string[] }): Promise<void>;
  /** Forgets what is not decided, and lets the next set begin; harmless after `commit`. */
  discard(): Promise<void>;
}

export interface OutFolder {
  /** Its real path. */
  path: string;
  /** Begins a set; one at a time, the next one waits. */
  stage(): Promise<Stage>;
  /** Ends the run's hold on it. A folder that was made for the run and holds nothing goes too. */
  close(): Promise<void>;
}

export interface OutOptions {
  /** Places that are read from. */
  reads: readonly ReadPlace[];
  /** Whether files that are not ours may be moved aside. */
  overwrite: boolean;
  tell: (text: string) => void;
  disk?: Disk;
}

const isThere = async (path: string) => (await lstat(path).catch(() => null)) !== null;

/**
 * Makes and checks the folder for results, and holds it for this run.
 * @throws Failure "bad-file": something is read there, it holds what is not ours, another run has it, or it cannot be
 *   written to
 */
export async function openOut(
  asked: string,
  { reads, overwrite, tell, disk = nodeDisk }: OutOptions,
): Promise<OutFolder> {
  const path = await realPlace(asked);
  await refuseReadPlaces(path, reads);
  const info = await stat(path).catch(() => null);
  if (info && !info.isDirectory()) throw new CannotWrite(path, { code: "EEXIST" });
  if (!overwrite) await refuseForeignFolder(path);
  const made = await writing(path, () => makeFolders(disk, path));
  const leave = () => dropEmpty(disk, path, made);
  const unlock = await takeLock(disk, path, tell).catch(async (error) => {
    await leave();
    throw error;
  });
  const close = async () => {
    await unlock();
    await leave();
  };
  try {
    await settle(disk, path, tell);
    return { ...(await openSets(path, { overwrite, tell, disk })), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A folder of its own among the temporary files, for what could not be written where it was asked for. */
export async function openElsewhere(name: string, tell: (text: string) => void): Promise<OutFolder> {
  const place = join(tmpdir(), `selora-${name}-`);
  const path = await writing(dirname(place), async () => realpath(await mkdtemp(place)));
  const close = () => dropEmpty(nodeDisk, path, path);
  return { ...(await openSets(path, { overwrite: false, tell, disk: nodeDisk })), close };
}

/**
 * Refuses a folder without room for `bytes`.
 * @throws Failure "bad-file"; where the system does not say, nothing
 */
export async function requireRoom({ path }: OutFolder, bytes: number): Promise<void> {
  const info = await statfs(path).catch(() => null);
  if (!info || info.blocks === 0) return;
  const free = info.bavail * info.bsize;
  if (free >= bytes) return;
  const mb = (count: number) => `${(count / 1e6).toFixed(1)} MB`;
  throw new Failure({
    code: "bad-file",
    what: `There is no room for the result: it takes about ${mb(bytes)}, and ${mb(free)} are free.`,
    where: path,
    remedy: "Make room, or choose another --out.",
  });
}

/** Removes a folder that was made and stayed empty, and those above it that were made for it. */
async function dropEmpty(disk: Disk, path: string, made: string | undefined): Promise<void> {
  if (made === undefined) return;
  for (let at = path; ; at = dirname(at)) {
    const gone = await disk.rmdir(at).then(
      () => true,
      () => false,
    );
    if (!gone || at === made || at === dirname(at)) return;
  }
}

/** Refuses a folder that holds something and is no earlier export. */
async function refuseForeignFolder(path: string): Promise<void> {
  const entries = await readdir(path).catch(() => [] as string[]);
  // What was cut off while its files were moved into place is ours as far as it came.
  const moving = await readAs(join(path, NEXT, COMMIT), commitSchema);
  const known = new Set(moving?.manifest.files.map((file) => file.path.split("/")[0]));
  const foreign = entries.filter(
    (name) => !nothing.has(name) && !name.startsWith(".selora") && !known.has(name),
  );
  if (foreign.length === 0 || (await readManifest(path))) return;
  throw notOurs(path, foreign, "This folder holds files that no export of Selora wrote");
}

function notOurs(where: string, names: readonly string[], what: string): Failure {
  const some = names.slice(0, 4).map((name) => `"${name}"`);
  return new Failure({
    code: "bad-file",
    what: `${what}: ${some.join(", ")}${names.length > 4 ? ` and ${names.length - 4} more` : ""}.`,
    where,
    remedy:
      "Choose another --out, or give --overwrite: files in the way are then moved into a hidden folder inside, none is deleted.",
  });
}

/** The sets of a folder that is held. */
async function openSets(
  path: string,
  { overwrite, tell, disk }: Required<Omit<OutOptions, "reads">>,
): Promise<Omit<OutFolder, "close">> {
  const earlier = await oursIn(path);
  if (!overwrite) await refuseForeignParts(path, earlier);
  /** What this run has made visible. */
  const mine = new Map<string, ListedFile>();
  let turn: Promise<void> = Promise.resolve();

  /** Everything listed now: a file is still ours while nothing has touched it. */
  const ours = () =>
    new Map([...earlier].map(([file, { listed }]) => [file, listed] as const).concat([...mine]));

  async function stillOurs(file: string): Promise<boolean> {
    const own = mine.get(file);
    if (own) return isListed(path, own);
    const known = earlier.get(file);
    return known !== undefined && (await stampOf(join(path, file))) === known.stamp;
  }

  async function decide(
    staged: ReadonlyMap<string, Written>,
    replacing: boolean,
    without: readonly string[],
  ) {
    const kept = new Map<string, Written>();
    const stale: ListedFile[] = [];
    for (const [file, listed] of ours()) {
      const goes = staged.has(file) || without.includes(file) || (replacing && !mine.has(file));
      if (!goes) kept.set(file, listed);
      else if (await stillOurs(file)) stale.push(listed);
      else if (!staged.has(file)) tell(`${file} has been changed since it was written; it stays as it is.`);
    }
    const names = new Set(stale.map((file) => file.path));
    const inTheWay: string[] = [];
    for (const file of staged.keys()) {
      await requireFolders(path, file);
      if (!names.has(file) && (await isThere(join(path, file)))) inTheWay.push(file);
    }
    for (const folder of new Set([...staged.keys()].map((file) => dirname(file))))
      for (const name of await partsIn(join(path, folder))) {
        const file = folder === "." ? name : `${folder}/${name}`;
        if (!names.has(file) && !kept.has(file) && !inTheWay.includes(file)) inTheWay.push(file);
      }
    // Without leave, what has come meanwhile is left alone, and the result goes elsewhere.
    if (inTheWay.length > 0 && !overwrite)
      throw new CannotWrite(path, {}, `"${inTheWay[0]}" is in the way, and is none of ours.`);
    return { files: new Map([...kept, ...staged]), stale, inTheWay };
  }

  async function stage(): Promise<Stage> {
    let release = () => {};
    const before = turn;
    turn = new Promise((resolve) => {
      release = resolve;
    });
    await before;
    const next = join(path, NEXT);
    const staged = new Map<string, Written>();
    let decided = false;
    const discard = async () => {
      if (!decided) await disk.rm(next, { recursive: true, force: true }).catch(() => {});
      release();
    };
    return {
      path: join(next, "set"),
      async add(files) {
        await writing(next, () => makeFolders(disk, join(next, "set")));
        for (const { path: file, blob } of files) {
          if (!isInside(file)) throw new Error(`"${file}" does not lie inside the folder`);
          const place = join(next, "set", file);
          await writing(place, () => makeFolders(disk, dirname(place)));
          if (staged.has(file)) await writing(place, () => disk.unlink(place));
          staged.set(file, await writeNew(disk, place, blob));
        }
      },
      async commit({ replacing, without = [] }) {
        const { files, stale, inTheWay } = await decide(staged, replacing, without);
        const manifest = JSON.parse(manifestText(files)) as Manifest;
        const folder = `.replaced-${manifest.made.slice(0, 19).replace(/\W/g, "-")}`;
        const commit: Commit = {
          manifest,
          stale,
          aside: inTheWay.length > 0 ? { folder, paths: inTheWay } : null,
        };
        for (const at of new Set([...staged.keys()].map((file) => dirname(join(next, "set", file)))))
          await flushFolder(disk, at);
        // All that takes room is written before it is decided; after that files are only moved.
        await replaceFile(disk, join(next, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`);
        await replaceFile(disk, join(next, COMMIT), JSON.stringify(commit));
        // What fails from here on is made good by the next one to open the folder.
        decided = true;
        await move(disk, path, commit);
        for (const file of [...mine.keys()]) if (without.includes(file)) mine.delete(file);
        if (replacing) earlier.clear();
        for (const [file, written] of staged) mine.set(file, { path: file, ...written });
        for (const file of staged.keys()) earlier.delete(file);
        if (inTheWay.length > 0)
          tell(`What was in the way is kept in ${join(path, folder)}: ${inTheWay.slice(0, 8).join(", ")}.`);
      },
      discard,
    };
  }
  return { path, stage };
}

/** Size, time and number of a file, as far as they tell whether it has been touched; null where it is none. */
async function stampOf(place: string): Promise<string | null> {
  const info = await lstat(place, { bigint: true }).catch(() => null);
  return info?.isFile() ? `${info.size} ${info.mtimeNs} ${info.ino}` : null;
}

/** The files of an earlier export that are as it wrote them, and how to see that nothing touches them meanwhile. */
async function oursIn(path: string): Promise<Map<string, { listed: ListedFile; stamp: string | null }>> {
  const ours = new Map<string, { listed: ListedFile; stamp: string | null }>();
  for (const listed of (await readManifest(path))?.files ?? []) {
    const stamp = await stampOf(join(path, listed.path));
    if (await isListed(path, listed)) ours.set(listed.path, { listed, stamp });
  }
  return ours;
}

/** Names of files in a folder that someone would read as parts of a model. */
async function partsIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries.flatMap(({ name }) => (!name.startsWith(".") && modelPart.test(name) ? [name] : []));
}

/** Beside an earlier export, what would be written over, or be read as a part of the model. */
async function refuseForeignParts(path: string, ours: ReadonlyMap<string, unknown>): Promise<void> {
  const folders = new Set([".", ...[...ours.keys()].map((file) => dirname(file))]);
  const foreign: string[] = [];
  for (const folder of folders) {
    const entries = await readdir(join(path, folder)).catch(() => [] as string[]);
    for (const name of entries) {
      const file = folder === "." ? name : `${folder}/${name}`;
      if (!ours.has(file) && (records.has(name) || (!name.startsWith(".") && modelPart.test(name))))
        foreign.push(file);
    }
  }
  if (foreign.length > 0)
    throw notOurs(path, foreign, "Beside an earlier export this folder holds files that it did not write");
}

/** The folders that a file lies in are real ones, or not there yet. */
async function requireFolders(path: string, file: string): Promise<void> {
  for (let folder = dirname(file); folder !== "."; folder = dirname(folder)) {
    const info = await lstat(join(path, folder)).catch(() => null);
    if (info && !info.isDirectory())
      throw new CannotWrite(path, {}, `"${folder}" is in the way, and is no folder.`);
  }
}

/** Moves a decided set into place; begun anew it goes on where it stopped. */
async function move(disk: Disk, path: string, { manifest, stale, aside }: Commit): Promise<void> {
  const next = join(path, NEXT);
  const staged = (file: string) => join(next, "set", file);
  const fresh = new Set(manifest.files.map((file) => file.path));
  await writing(path, async () => {
    for (const file of aside?.paths ?? []) {
      const place = join(path, (aside as NonNullable<typeof aside>).folder, file);
      if (await isThere(place)) continue;
      // What has its new file in place already has been moved before.
      if (fresh.has(file) && !(await isThere(staged(file)))) continue;
      if (!(await isThere(join(path, file)))) continue;
      await makeFolders(disk, dirname(place));
      await disk.rename(join(path, file), place);
    }
    const weightsFirst = [...stale].sort((a, b) => Number(isWeights(b.path)) - Number(isWeights(a.path)));
    for (const file of weightsFirst) {
      if (fresh.has(file.path) && !(isWeights(file.path) && (await isThere(staged(file.path))))) continue;
      if (await isListed(path, file)) await disk.unlink(join(path, file.path));
    }
    const weightsLast = [...fresh].sort((a, b) => Number(isWeights(a)) - Number(isWeights(b)));
    for (const file of weightsLast) {
      if (!(await isThere(staged(file)))) continue;
      await makeFolders(disk, dirname(join(path, file)));
      await disk.rename(staged(file), join(path, file));
    }
    for (const folder of new Set([...fresh].map((file) => dirname(join(path, file)))))
      await flushFolder(disk, folder);
    if (await isThere(join(next, MANIFEST))) await disk.rename(join(next, MANIFEST), join(path, MANIFEST));
    await flushFolder(disk, path);
    // Folders of which everything was stale.
    for (const file of stale)
      for (let at = dirname(file.path); at !== "."; at = dirname(at))
        await disk.rmdir(join(path, at)).catch(() => {});
    await disk.unlink(join(next, COMMIT));
    await disk.rm(next, { recursive: true, force: true });
  });
}

/** Ends what a run before this one began: a decided set is moved into place, any other is forgotten. */
async function settle(disk: Disk, path: string, tell: (text: string) => void): Promise<void> {
  const next = join(path, NEXT);
  const info = await lstat(next).catch(() => null);
  if (!info) return;
  const commit = info.isDirectory() ? await readAs(join(next, COMMIT), commitSchema) : null;
  if (commit) {
    tell(`The last run ended while its files were moved into ${path}; they are all there now.`);
    return move(disk, path, commit);
  }
  await writing(path, () => disk.rm(next, { recursive: true, force: true }));
}

/** Where each file of a folder's decided set lies, when it was cut off while being moved into place; else null. */
export async function decidedFiles(path: string): Promise<Map<string, string> | null> {
  const next = join(path, NEXT);
  const commit = await readAs(join(next, COMMIT), commitSchema);
  if (!commit) return null;
  const places = new Map<string, string>();
  for (const { path: file } of commit.manifest.files) {
    const staged = join(next, "set", file);
    places.set(file, (await isThere(staged)) ? staged : join(path, file));
  }
  return places;
}
