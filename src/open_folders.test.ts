import { afterEach, expect, test, vi } from "vitest";
import { Failure } from "./failure.ts";
import { opened } from "./joined_blob.ts";
import { openFolders } from "./open_folders.ts";
import { folderHandle, type Tree } from "./open_folders_testing.ts";

afterEach(() => void vi.unstubAllGlobals());
/** Whether files that were found are open still when they are read: the browser decides. */
const both = test.each([true, false]);
function stay(open: boolean): void {
  const gone = class {
    deref() {}
  };
  if (!open) vi.stubGlobal("WeakRef", gone);
}

const unopened = (name: string, tree: Tree) => ({
  path: `${name}/`,
  blob: new Blob(),
  inside: folderHandle(name, tree),
});
const numbered = (count: number): Tree =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`${i}.png`, `no ${i}`]));

test("unopened folders are looked through to their ends; other files stay, and what cannot be opened is named", async () => {
  const tree: Tree = {
    cat: numbered(300),
    dog: { deep: numbered(4), ".DS_Store": "x", empty: {} },
    "gone.png": null,
  };
  const loose = { path: "note.txt", blob: new Blob(["{}"]) };
  const { files, lost } = await openFolders([loose, unopened("pets", tree)]);
  expect(files.map(({ path }) => path).sort()).toEqual(
    [
      "note.txt",
      ...Array.from({ length: 300 }, (_, i) => `pets/cat/${i}.png`),
      ...Array.from({ length: 4 }, (_, i) => `pets/dog/deep/${i}.png`),
    ].sort(),
  );
  expect(files).toContain(loose);
  expect(lost).toEqual(["pets/gone.png"]);
});

both(
  "a file in a folder is a Blob: its size is known, its bytes and any part are read when asked for",
  async (open) => {
    stay(open);
    const { files } = await openFolders([unopened("f", { "a.txt": "0123456789", "none.txt": "" })]);
    const [blob, empty] = ["f/a.txt", "f/none.txt"].map(
      (path) => files.find((file) => file.path === path)?.blob as Blob,
    ) as [Blob, Blob];
    expect(blob).toBeInstanceOf(Blob);
    expect(blob.size).toBe(10);
    expect(await blob.text()).toBe("0123456789");
    expect(await blob.slice(2, 6).slice(-3).text()).toBe("345");
    expect(await new Response(blob.slice(7).stream()).text()).toBe("789");
    expect(await (await opened(blob.slice(1, 3))).text()).toBe("12");
    expect([empty.size, await empty.text()]).toEqual([0, ""]);
  },
);

both("a file that has changed since it was found is not read as if it had not", async (open) => {
  stay(open);
  const tree: Tree = { "a.txt": "as it was" };
  const { files } = await openFolders([unopened("f", tree)]);
  tree["a.txt"] = "longer than it was";
  const why = open ? "changed since" : "not as long as it was";
  await expect(files[0]?.blob.arrayBuffer()).rejects.toThrow(why);
  await expect(files[0]?.blob.slice(1).arrayBuffer()).rejects.toThrow(why);
});

test("a folder that cannot be looked into is named, and what lies beside it is found", async () => {
  const folder = { path: "locked/", blob: new Blob(), inside: folderHandle("locked", null) };
  const { files, lost } = await openFolders([folder, unopened("open", { a: "1" })]);
  expect(files.map(({ path }) => path)).toEqual(["open/a"]);
  expect(lost).toEqual(["locked/"]);
});

test("a search tells how far it is, gives others their turn, and ends as soon as it is told to", async () => {
  const many = unopened("many", { a: numbered(3_000), b: { c: numbered(3_000) } });
  const told: number[] = [];
  await openFolders([many], (found) => told.push(found));
  expect(told.length).toBeGreaterThan(1);
  expect(told.at(-1)).toBe(6_000);

  let last = 0;
  const giveUp = (found: number) => {
    last = found;
    throw new Failure({ code: "cancelled", what: "x", remedy: "y" });
  };
  await expect(openFolders([many], giveUp)).rejects.toMatchObject({ parts: { code: "cancelled" } });
  expect(last).toBeLessThan(6_000);
});
