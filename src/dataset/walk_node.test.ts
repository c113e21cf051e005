import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Failure } from "../failure.ts";
import { walkDirectory } from "./walk_node.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "selora-walk-"));
  await mkdir(join(folder, "set/cat"), { recursive: true });
  await mkdir(join(folder, "set/empty"));
  await mkdir(join(folder, "elsewhere"));
  await writeFile(join(folder, "set/cat/b.jpg"), "b");
  await writeFile(join(folder, "set/cat/a.jpg"), "a");
  await writeFile(join(folder, "elsewhere/c.jpg"), "c");
  await symlink(join(folder, "set/cat/a.jpg"), join(folder, "set/cat/link.jpg"));
  await symlink(join(folder, "set"), join(folder, "set/cat/loop"));
  await symlink(join(folder, "nowhere"), join(folder, "set/dangling"));
  await symlink("cat", join(folder, "set/kitty"));
  await symlink("../elsewhere", join(folder, "set/out"));
});
afterAll(() => rm(folder, { recursive: true }));

const cats = (name: string) => ["a.jpg", "b.jpg", "link.jpg"].map((file) => `set/${name}/${file}`);

test("finds files in order, follows links, a folder under both of its names, and ends where one holds itself", async () => {
  const told: string[] = [];
  const files = await walkDirectory(join(folder, "set"), { tell: (sentence) => told.push(sentence) });
  expect(files.map((file) => file.path)).toEqual([...cats("cat"), ...cats("kitty"), "set/out/c.jpg"]);
  expect(await files[2]?.blob.text()).toBe("a");
  expect(told).toEqual([
    `A link leads nowhere and is left out: set/dangling -> ${join(folder, "nowhere")}.`,
    "2 links lead back into their own folder and are not followed: set/cat/loop, set/kitty/loop.",
    "A link leads out of the folder and is followed: set/out.",
  ]);
});

test("gives empty folders where they are asked for", async () => {
  const files = await walkDirectory(join(folder, "set"), { emptyFolders: true });
  expect(files.map((file) => file.path)).toContain("set/empty/");
});

test("takes a single file as well", async () => {
  expect((await walkDirectory(join(folder, "set/cat/a.jpg"))).map((file) => file.path)).toEqual(["a.jpg"]);
});

test("says when there is nothing", async () => {
  const error = await walkDirectory(join(folder, "nowhere")).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(Failure);
  expect((error as Failure).message).toContain("There is no such file or folder.");
});
