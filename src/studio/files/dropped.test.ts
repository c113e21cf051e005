import { expect, test } from "vitest";
import { folderHandle } from "../../open_folders_testing.ts";
import { nameOfDrop, splitDrop, takeDrop } from "./dropped.ts";

const drop = (...paths: string[]) => paths.map((path) => ({ path, blob: new Blob() }));

test("a drop is named after its one folder or file", () => {
  expect(nameOfDrop(drop("sketches/cat/1.png", "sketches/dog/1.png"))).toBe("sketches");
  expect(nameOfDrop(drop("photos.v2.zip"))).toBe("photos.v2");
  expect(nameOfDrop(drop("cat/1.png", "dog/1.png"))).toBeNull();
  expect(nameOfDrop([])).toBeNull();
});

test("several zips are several sets; anything else is one", () => {
  expect(splitDrop(drop("a.zip", "B.ZIP"))).toHaveLength(2);
  expect(splitDrop(drop("a.zip"))).toHaveLength(1);
  expect(splitDrop(drop("cat/1.png", "dog/2.png"))).toHaveLength(1);
  expect(splitDrop(drop("folder/a.zip", "folder/b.zip"))).toHaveLength(1);
});

/** What a browser hands over of a folder: its entries a few at a time, each answered in a later turn. */
type Tree = { [name: string]: Tree | string | null };
function entry(name: string, tree: Tree | string | null, parent = ""): FileSystemEntry {
  const fullPath = `${parent}/${name}`;
  const later = (work: () => void) => void setTimeout(work, 0);
  if (tree === null || typeof tree === "string")
    return {
      name,
      fullPath,
      isDirectory: false,
      file: (found: (file: File) => void, fail: (error: Error) => void) =>
        later(() => (tree === null ? fail(new Error("gone")) : found(new File([tree], name)))),
    } as unknown as FileSystemEntry;
  const inner = Object.entries(tree).map(([child, below]) => entry(child, below, fullPath));
  const createReader = () => {
    const rest = [...inner];
    return {
      readEntries: (found: (some: FileSystemEntry[]) => void) => later(() => found(rest.splice(0, 3))),
    };
  };
  return { name, fullPath, isDirectory: true, createReader } as unknown as FileSystemEntry;
}

const event = (
  ...dropped: ({ folder: FileSystemEntry; handle?: Promise<FileSystemHandle> } | { file: File })[]
) =>
  ({
    dataTransfer: {
      items: dropped.map((one) => ({
        kind: "file",
        webkitGetAsEntry: () => ("folder" in one ? one.folder : null),
        getAsFile: () => ("file" in one ? one.file : null),
        ...("handle" in one && { getAsFileSystemHandle: () => one.handle }),
      })),
    },
  }) as unknown as DragEvent;
const numbered = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`${i}.png`, String(i)]));

test("folders are walked to their ends, loose files taken along, and what cannot be opened is named", async () => {
  const tree = { cat: numbered(7), dog: { deep: numbered(4), ".DS_Store": "x" }, "gone.png": null };
  const drop = takeDrop(event({ folder: entry("pets", tree) }, { file: new File(["{}"], "note.txt") }));
  expect(drop.name).toBe("pets");
  const counts: number[] = [];
  const { files, lost } = await drop.search((count) => counts.push(count), new AbortController().signal);
  expect(files.map(({ path }) => path).sort()).toEqual(
    [
      "note.txt",
      ...Object.keys(numbered(7)).map((name) => `pets/cat/${name}`),
      ...Object.keys(numbered(4)).map((name) => `pets/dog/deep/${name}`),
    ].sort(),
  );
  expect(await files.find(({ path }) => path === "pets/cat/5.png")?.blob.text()).toBe("5");
  expect(lost).toEqual(["pets/gone.png"]);
  expect(counts).toEqual(Array.from({ length: 11 }, (_, i) => i + 2));
});

test("a search that is cancelled ends soon", async () => {
  const drop = takeDrop(event({ folder: entry("many", { a: numbered(2000), b: numbered(2000) }) }));
  const stop = new AbortController();
  let found = 0;
  const search = drop.search((count) => {
    found = count;
    if (count === 100) stop.abort();
  }, stop.signal);
  await expect(search).rejects.toMatchObject({ parts: { code: "cancelled" } });
  expect(found).toBeLessThan(300);
});

test("no drop at all is no file", async () => {
  const { files } = await takeDrop(event()).search(() => {}, new AbortController().signal);
  expect(files).toEqual([]);
});

test("a large folder stays unopened where the browser gives a handle of it; a small one never does", async () => {
  const many = { a: numbered(1500), b: { c: numbered(1500) } };
  const handle = folderHandle("many", many);
  const given = { folder: entry("many", many), handle: Promise.resolve(handle) };
  const signal = new AbortController().signal;
  const large = await takeDrop(event(given, { file: new File(["{}"], "note.txt") })).search(() => {}, signal);
  expect(large.files.map(({ path, inside }) => [path, inside])).toEqual([
    ["note.txt", undefined],
    ["many/", handle],
  ]);
  expect(nameOfDrop(large.files.slice(1))).toBe("many");

  const few = numbered(20);
  const small = { folder: entry("few", few), handle: Promise.resolve(folderHandle("few", few)) };
  const { files } = await takeDrop(event(small)).search(() => {}, signal);
  expect(files).toHaveLength(20);
});

test("where one folder of a large drop has no handle, all are walked", async () => {
  const many = { a: numbered(1200), b: { c: numbered(1200) } };
  const folder = entry("many", many);
  const refused = () => ({ folder, handle: Promise.reject(new Error("not this one")) });
  for (const given of [() => ({ folder }), refused]) {
    const { files } = await takeDrop(event(given())).search(() => {}, new AbortController().signal);
    expect(files).toHaveLength(2400);
  }
});
