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
  await writeFile(join(folder, "set/cat/b.jpg"), "b");
  await writeFile(join(folder, "set/cat/a.jpg"), "a");
  await symlink(join(folder, "set/cat/a.jpg"), join(folder, "set/cat/link.jpg"));
  await symlink(join(folder, "set"), join(folder, "set/cat/loop"));
  await symlink(join(folder, "nowhere"), join(folder, "set/dangling"));
});
afterAll(() => rm(folder, { recursive: true }));

test("finds files in order, follows links, and ends where a folder holds itself", async () => {
  const files = await walkDirectory(join(folder, "set"));
  expect(files.map((file) => file.path)).toEqual(["set/cat/a.jpg", "set/cat/b.jpg", "set/cat/link.jpg"]);
  expect(await files[2]?.blob.text()).toBe("a");
});

test("takes a single file as well", async () => {
  expect((await walkDirectory(join(folder, "set/cat/a.jpg"))).map((file) => file.path)).toEqual(["a.jpg"]);
});

test("says when there is nothing", async () => {
  const error = await walkDirectory(join(folder, "nowhere")).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(Failure);
  expect((error as Failure).message).toContain("There is no such file or folder.");
});
