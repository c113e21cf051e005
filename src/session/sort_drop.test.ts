// What is dropped anywhere is known by its names, whatever else lies beside it; nothing of it is lost on the way.
import fc from "fast-check";
import { expect, test } from "vitest";
import { folderHandle, type Tree } from "../open_folders_testing.ts";
import { zipBytes } from "../zip_testing.ts";
import { type SortedDrop, sortDrop } from "./sort_drop.ts";

const file = (path: string, content: BlobPart = "x") => ({ path, blob: new Blob([content]) });
const zip = (path: string, names: string[]) => file(path, zipBytes(names.map((name) => ({ name }))));
const paths = ({ model, images, either }: SortedDrop) => ({
  model: model.map(({ path }) => path),
  images: images.map((set) => set.map(({ path }) => path)),
  either: either.map(({ path }) => path),
});
const sorted = async (...files: ReturnType<typeof file>[]) => paths(await sortDrop(files));
const nothing = { model: [], images: [], either: [] };

test.each([
  [["vit/model.safetensors", "vit/config.json"], { model: ["vit/model.safetensors", "vit/config.json"] }],
  // A config beside its weights is the model's, in whichever order they come.
  [["config.json", "model.safetensors"], { model: ["config.json", "model.safetensors"] }],
  [["a/adapter_config.json", "w/base.pth"], { model: ["w/base.pth", "a/adapter_config.json"] }],
  [["pets/cat/1.JPG", "pets/dog/2.png"], { images: [["pets/cat/1.JPG", "pets/dog/2.png"]] }],
  // Class folders that were taken hold of together are one set.
  [["cat/1.png", "dog/2.png", "3.webp"], { images: [["cat/1.png", "dog/2.png", "3.webp"]] }],
  [["vit/model.bin", "pets/cat/1.png"], { model: ["vit/model.bin"], images: [["pets/cat/1.png"]] }],
  [["repo/model.safetensors", "repo/cat.png"], { either: ["repo/model.safetensors", "repo/cat.png"] }],
  // What a system leaves beside files says nothing of them.
  [["pets/cat/1.png", "pets/.cache/model.bin"], { images: [["pets/cat/1.png", "pets/.cache/model.bin"]] }],
])("%j", async (names, expected) => {
  expect(await sorted(...names.map((name) => file(name)))).toEqual({ ...nothing, ...expected });
});

test("a zip is what lies in it, and each zip of pictures is a set of its own", async () => {
  const files = [
    zip("model.zip", ["m/model.safetensors", "m/config.json"]),
    zip("pets.zip", ["cat/1.png", "__MACOSX/._1.png"]),
    zip("drawn.zip", ["cat/1.jpg"]),
    zip("both.zip", ["model.pth", "cat/1.jpg"]),
  ];
  expect(await sorted(...files)).toEqual({
    model: ["model.zip"],
    images: [["pets.zip"], ["drawn.zip"]],
    either: ["both.zip"],
  });
});

/** A folder that came unopened; `read` tells how many entries were asked for, of it and of the folders in it. */
function unopened(name: string, tree: Tree) {
  const folder = { path: `${name}/`, blob: new Blob(), inside: folderHandle(name, tree), read: 0 };
  const count = (handle: FileSystemDirectoryHandle) => {
    const values = handle.values.bind(handle);
    async function* counted() {
      for await (const one of values()) {
        folder.read += 1;
        if (one.kind === "directory") count(one);
        yield one;
      }
    }
    handle.values = counted as unknown as typeof handle.values;
  };
  count(folder.inside);
  return folder;
}
const many = (count: number, name: (i: number) => string): Tree =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [name(i), "x"]));

test("a large folder is known by the first names in it and is not looked through", async () => {
  const pets = { cat: many(9_000, (i) => `${i}.png`), dog: many(9_000, (i) => `${i}.png`) };
  const annotated = {
    Annotations: many(9_000, (i) => `${i}.xml`),
    JPEGImages: many(9_000, (i) => `${i}.jpg`),
  };
  const model = { "model.safetensors": "x", tokens: many(9_000, (i) => `${i}.txt`) };
  const both = { ".git": many(9_000, (i) => `${i}`), "model.pth": "x", cat: many(9_000, (i) => `${i}.png`) };
  const classes = Object.fromEntries(
    Array.from({ length: 3_000 }, (_, i) => [`class ${i}`, { "1.png": "x" }]),
  );
  for (const [tree, expected] of [
    [pets, { images: [["it/"]] }],
    [annotated, { images: [["it/"]] }],
    [classes, { images: [["it/"]] }],
    [model, { model: ["it/"] }],
    [both, { either: ["it/"] }],
    // Nothing tells: whoever reads the images says what is wrong with them.
    [many(9_000, (i) => `${i}.xml`), { images: [["it/"]] }],
  ] as const) {
    const folder = unopened("it", tree);
    expect(await sorted(folder)).toEqual({ ...nothing, ...expected });
    expect(folder.read).toBeLessThan(2_300);
  }
  expect(await sorted(unopened("vit", model), unopened("pets", pets), file("config.json"))).toEqual({
    model: ["vit/", "config.json"],
    images: [["pets/"]],
    either: [],
  });
  const locked = { path: "locked/", blob: new Blob(), inside: folderHandle("locked", null) };
  expect(await sorted(locked)).toEqual({ ...nothing, images: [["locked/"]] });
});

test("what is neither is refused in a sentence that says what it is, where that can be told", async () => {
  await expect(sortDrop([file("song.mp3"), file("notes.txt")])).rejects.toThrow(
    /"song.mp3" and 1 more: no weights of a model and no pictures/,
  );
  await expect(sortDrop([file("pets.rar", "Rar!\x1a\x07")])).rejects.toThrow(/This is a RAR archive/);
  await expect(sortDrop([])).rejects.toThrow(/nothing/);
  await expect(sortDrop([file("broken.zip", "PK\x03\x04 and no more")])).rejects.toMatchObject({
    parts: { code: "bad-file" },
  });
});

test("whatever is dropped, every picture and every weight is in one place or named as unread", () =>
  fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(
        fc.tuple(
          fc.constantFrom("", "a/", "b/c/", "d/"),
          fc.constantFrom("model.safetensors", "1.png", "2.jpeg", "config.json", "x.txt", ".DS_Store"),
        ),
        { selector: (parts) => parts.join(""), minLength: 1, maxLength: 12 },
      ),
      async (parts) => {
        const names = parts.map((one) => one.join(""));
        const telling = names.filter((name) => /\.(safetensors|png|jpeg)$/.test(name));
        if (telling.length === 0) {
          await expect(sorted(...names.map((name) => file(name)))).rejects.toThrow();
          return;
        }
        const { model, images, either } = await sorted(...names.map((name) => file(name)));
        const all = [...model, ...images.flat(), ...either];
        expect(new Set(all).size).toBe(all.length);
        for (const name of telling) expect(all).toContain(name);
      },
    ),
    { numRuns: 200 },
  ));
