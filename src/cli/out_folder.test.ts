// The folder for results: what it refuses, and that whatever ends a program in the middle leaves one whole set.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { afterAll, expect, test, vi } from "vitest";
import { type Disk, nodeDisk } from "./disk.ts";
import { LOCK } from "./lock.ts";
import { isInside, MANIFEST } from "./manifest.ts";
import { decidedFiles, type OutFolder, openElsewhere, openOut, requireRoom } from "./out_folder.ts";

const root = realpathSync(mkdtempSync(join(tmpdir(), "selora-out-")));
afterAll(() => rmSync(root, { recursive: true }));
let folders = 0;
const fresh = () => join(root, String(folders++));

const quiet = { reads: [], overwrite: false, tell: () => {} };
type Files = Record<string, string>;
const blobs = (files: Files) =>
  Object.entries(files).map(([path, text]) => ({ path, blob: new Blob([text]) }));

async function put(out: OutFolder, files: Files, replacing = true, without: string[] = []): Promise<void> {
  const stage = await out.stage();
  try {
    await stage.add(blobs(files));
    await stage.commit({ replacing, without });
  } finally {
    await stage.discard();
  }
}
/** Opens, puts a set and closes. */
async function exported(path: string, files: Files, options: object = {}): Promise<void> {
  const out = await openOut(path, { ...quiet, ...options });
  try {
    await put(out, files);
  } finally {
    await out.close();
  }
}
/** All files of a folder by their paths; hidden ones only where they are asked for. */
function contents(path: string, hidden = false, under = ""): Files {
  const files: Files = {};
  for (const entry of readdirSync(join(path, under), { withFileTypes: true })) {
    const name = under ? `${under}/${entry.name}` : entry.name;
    if (entry.name.startsWith(".") && !hidden) continue;
    if (entry.isDirectory()) Object.assign(files, contents(path, hidden, name));
    else if (entry.name !== MANIFEST) files[name] = readFileSync(join(path, name), "utf8");
  }
  return files;
}

const older = {
  "model.safetensors": "old",
  "config.json": "old",
  "seed-1/gates.json": "old",
  "shard.bin": "old",
};
const newer = { "model.safetensors": "new", "config.json": "new", "seed-2/gates.json": "new" };

test("a set takes the place of an earlier one whole, and leaves what is not its own", async () => {
  const path = fresh();
  await exported(path, older);
  writeFileSync(join(path, "notes.txt"), "mine");
  await exported(path, newer);
  expect(contents(path, true)).toEqual({ ...newer, "notes.txt": "mine" });
  expect(existsSync(join(path, "seed-1"))).toBe(false);
  const { files } = JSON.parse(readFileSync(join(path, MANIFEST), "utf8"));
  const sha256 = createHash("sha256").update("new").digest("hex");
  expect(files).toContainEqual({ path: "model.safetensors", size: 3, sha256 });
});

test("a run adds to its own set, and a snapshot goes when the run is done", async () => {
  const path = fresh();
  await exported(path, older);
  const out = await openOut(path, quiet);
  await put(out, { "saved_run.json": "half way" }, false);
  expect(contents(path)).toEqual({ ...older, "saved_run.json": "half way" });
  await put(out, newer, true, ["saved_run.json"]);
  await put(out, { "summary.json": "more" });
  await put(out, { "config.json": "newest" });
  await out.close();
  expect(contents(path)).toEqual({ ...newer, "summary.json": "more", "config.json": "newest" });
});

test("a file that a person changed in an earlier export is theirs", async () => {
  const path = fresh();
  await exported(path, { ...older, "readme.md": "old" });
  writeFileSync(join(path, "readme.md"), "my own words");
  const told: string[] = [];
  await exported(path, newer, { tell: (text: string) => told.push(text) });
  expect(contents(path)).toEqual({ ...newer, "readme.md": "my own words" });

  writeFileSync(join(path, "config.json"), "my own");
  await expect(openOut(path, quiet)).rejects.toThrow('did not write: "config.json"');
  await exported(path, older, { overwrite: true, tell: (text: string) => told.push(text) });
  expect(contents(path)).toEqual({ ...older, "readme.md": "my own words" });
  expect(told.at(-1)).toContain("config.json");
  const aside = readdirSync(path).find((name) => name.startsWith(".replaced-")) as string;
  expect(readFileSync(join(path, aside, "config.json"), "utf8")).toBe("my own");
});

test("another folder is refused with --overwrite named, and with it nothing is deleted", async () => {
  const path = fresh();
  const theirs = {
    "pytorch_model.bin": "theirs",
    "tokenizer.json": "theirs",
    "config.json": "theirs",
    "a.txt": "a",
  };
  mkdirSync(path);
  for (const [name, text] of Object.entries(theirs)) writeFileSync(join(path, name), text);
  await expect(openOut(path, quiet)).rejects.toThrow("--overwrite");
  expect(contents(path, true)).toEqual(theirs);
  await exported(path, newer, { overwrite: true });
  expect(contents(path)).toEqual({ ...newer, "a.txt": "a" });
  const kept = Object.values(contents(path, true)).filter((text) => text === "theirs");
  expect(kept).toHaveLength(3);
});

test("what appears in the way meanwhile is left alone", async () => {
  const path = fresh();
  const out = await openOut(path, quiet);
  writeFileSync(join(path, "config.json"), "theirs");
  await expect(put(out, newer)).rejects.toThrow('"config.json" is in the way');
  await out.close();
  expect(contents(path, true)).toEqual({ "config.json": "theirs" });
});

/** A disk that is gone after so many calls, as the program with it. */
function endingAfter(calls: number): { disk: Disk; ended: () => boolean } {
  let left = calls;
  const act =
    <A extends unknown[], R>(work: (...args: A) => R) =>
    (...args: A): R => {
      if (left-- <= 0) throw new Error("killed");
      return work(...args);
    };
  const disk = Object.fromEntries(Object.entries(nodeDisk).map(([name, work]) => [name, act(work as never)]));
  return { disk: disk as unknown as Disk, ended: () => left < 0 };
}

test("a program that ends at any moment leaves the earlier set or the new one, whole", async () => {
  let news = 0;
  for (let calls = 1; ; calls++) {
    const path = fresh();
    await exported(path, older);
    writeFileSync(join(path, "notes.txt"), "mine");
    const { disk, ended } = endingAfter(calls);
    await exported(path, newer, { disk }).catch(() => {});
    const lived = !ended();
    rmSync(join(path, LOCK), { force: true });
    // A reader that knows nothing of this sees no model, or all of one.
    const plain = contents(path);
    if (plain["model.safetensors"]) expect(plain["config.json"]).toBe(plain["model.safetensors"]);
    // Ours sees one of the two sets.
    const decided = await decidedFiles(path);
    const seen = decided
      ? Object.fromEntries([...decided].map(([file, place]) => [file, readFileSync(place, "utf8")]))
      : plain;
    const { "notes.txt": _, ...set } = seen;
    const isNew = set["model.safetensors"] === "new";
    expect(set).toEqual(isNew ? newer : older);
    if (isNew) news++;
    // And the next run finds it so.
    await (await openOut(path, quiet)).close();
    expect(contents(path, true)).toEqual({ ...(isNew ? newer : older), "notes.txt": "mine" });
    if (lived) break;
  }
  expect(news).toBeGreaterThan(3);
});

/** A disk with room for so many bytes. */
function roomFor(bytes: number): Disk {
  let left = bytes;
  const open: typeof nodeDisk.open = async (path, flags) => {
    const handle = await nodeDisk.open(path, flags);
    const write = handle.write.bind(handle) as (...args: unknown[]) => Promise<{ bytesWritten: number }>;
    handle.write = (async (chunk: Uint8Array, at: number) => {
      left -= chunk.length - at;
      if (left < 0) throw Object.assign(new Error("full"), { code: "ENOSPC" });
      return write(chunk, at);
    }) as never;
    return handle;
  };
  return { ...nodeDisk, open };
}

test("a full disk leaves the earlier set, whatever fills it, and says so", async () => {
  const path = fresh();
  await exported(path, older);
  let full = 0;
  for (let bytes = 0; ; bytes += 16) {
    const error = await exported(path, newer, { disk: roomFor(bytes) }).catch((error: Error) => error);
    if (!error) break;
    full++;
    expect(error.message).toContain("There is no space left on this disk.");
    expect(contents(path, true)).toEqual(older);
  }
  expect(full).toBeGreaterThan(10);
  expect(contents(path, true)).toEqual(newer);
  const out = await openOut(path, quiet);
  await expect(requireRoom(out, 1e18)).rejects.toThrow("There is no room for the result");
  await requireRoom(out, 1);
  await out.close();
});

test("one run at a time; what a dead one left is taken over, and told", async () => {
  const path = fresh();
  const first = await openOut(path, quiet);
  await expect(openOut(path, quiet)).rejects.toThrow(`process ${process.pid} on ${hostname()}`);
  await first.close();
  expect(existsSync(path)).toBe(false);

  const dead = spawnSync(process.execPath, ["-e", ""]).pid;
  const lock = { pid: dead, host: hostname(), began: null, since: "2026-01-01", token: "t" };
  mkdirSync(path);
  writeFileSync(join(path, LOCK), JSON.stringify(lock));
  const told: string[] = [];
  const both = await Promise.allSettled(
    [1, 2].map(() => openOut(path, { ...quiet, tell: (text) => told.push(text) })),
  );
  expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  expect(told[0]).toContain(`process ${dead}`);
  for (const one of both) if (one.status === "fulfilled") await one.value.close();

  mkdirSync(path, { recursive: true });
  for (const text of [JSON.stringify({ ...lock, host: "elsewhere" }), "half of a lo"]) {
    writeFileSync(join(path, LOCK), text);
    await expect(openOut(path, quiet)).rejects.toThrow("Another run is writing into this folder");
    expect(readFileSync(join(path, LOCK), "utf8")).toBe(text);
  }
});

test("a folder that was made for a run that wrote nothing goes, and no other", async () => {
  const above = fresh();
  mkdirSync(above);
  await (await openOut(join(above, "b/c"), quiet)).close();
  expect(readdirSync(above)).toEqual([]);
  await (await openOut(above, quiet)).close();
  expect(existsSync(above)).toBe(true);
});

test("a list of ours that lies leads nowhere", async () => {
  await fc.assert(
    fc.property(
      fc.array(fc.constantFrom("..", ".", "", "a", "/", "\\", "\0", "C:", ".hidden"), { maxLength: 4 }),
      (parts) => {
        const path = parts.join("/");
        if (isInside(path)) expect(parts.every((part) => part === "a")).toBe(true);
      },
    ),
  );
  const path = fresh();
  const victim = join(dirname(path), "victim");
  writeFileSync(victim, "theirs");
  mkdirSync(path);
  const sha256 = createHash("sha256").update("theirs").digest("hex");
  const files = [{ path: "../victim", size: 6, sha256 }];
  writeFileSync(join(path, MANIFEST), JSON.stringify({ selora: 1, kind: "export", made: "", files }));
  await expect(openOut(path, quiet)).rejects.toThrow("--overwrite");
  await exported(path, newer, { overwrite: true });
  expect(readFileSync(victim, "utf8")).toBe("theirs");
});

test("a second place is one of its own among the temporary files, or a sentence", async () => {
  vi.stubEnv("TMPDIR", root);
  const out = await openElsewhere("vit-pets", () => {});
  await put(out, newer);
  await out.close();
  expect(dirname(out.path)).toBe(root);
  expect(contents(out.path)).toEqual(newer);
  vi.stubEnv("TMPDIR", join(root, "none"));
  await expect(openElsewhere("vit-pets", () => {})).rejects.toThrow("Nothing can be made here.");
  vi.unstubAllEnvs();
});
