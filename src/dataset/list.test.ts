import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Failure } from "../failure.ts";
import type { SourceFile } from "../source_file.ts";
import { classCounts, heldOut, indicesOf } from "./image_set.ts";
import { listImages, listUnlabelled } from "./list.ts";
import type { ImageSet } from "./types.ts";

/** Files whose content is their path, or what stands behind a `=`. Listing looks at names, sizes and copies only. */
function files(...paths: string[]): SourceFile[] {
  return paths.map((entry) => {
    const [path, content] = entry.split("=") as [string, string?];
    return { path, blob: new Blob([content ?? `pixels of ${path}`]) };
  });
}
const numbered = (folder: string, count: number) =>
  Array.from({ length: count }, (_, i) => `${folder}/${String(i).padStart(3, "0")}.jpg`);

const target = { seed: 1, needsSplit: true };
const other = { seed: 1, needsSplit: false };
const texts = (set: ImageSet) => set.issues.map((issue) => issue.text);

describe("structure", () => {
  test("class folders, with a fifth of each class drawn for validation", async () => {
    const set = await listImages("pets", files(...numbered("cat", 10), ...numbered("dog", 20)), target);
    expect(set.classes).toEqual(["cat", "dog"]);
    expect(set.splitOrigin).toBe("drawn");
    expect(classCounts(set)).toEqual([
      { name: "cat", counts: { train: 8, val: 2, test: 0 } },
      { name: "dog", counts: { train: 16, val: 4, test: 0 } },
    ]);
    expect(set.issues).toEqual([]);
    expect(heldOut(set)).toEqual(indicesOf(set, "val"));
  });

  test("train, val and test of class folders, under nested roots, in any common spelling", async () => {
    const names = ["Training", "validation", "TEST"].flatMap((split) => [
      ...numbered(`a/b/${split}/cat`, 3),
      ...numbered(`a/b/${split}/dog`, 3),
    ]);
    const set = await listImages("pets", files(...names), target);
    expect(set.splitOrigin).toBe("folders");
    expect(classCounts(set).map((row) => row.counts)).toEqual([
      { train: 3, val: 3, test: 3 },
      { train: 3, val: 3, test: 3 },
    ]);
    expect(heldOut(set)).toEqual(indicesOf(set, "test"));
    expect(set.items[0]?.path).toBe("a/b/TEST/cat/000.jpg");
  });

  test("train and test only: validation is drawn from train, and the report says so", async () => {
    const names = ["train", "test"].flatMap((split) => [
      ...numbered(`${split}/cat`, 5),
      ...numbered(`${split}/dog`, 5),
    ]);
    const set = await listImages("pets", files(...names), target);
    expect(classCounts(set)[0]?.counts).toEqual({ train: 4, val: 1, test: 5 });
    expect(texts(set)).toEqual([expect.stringContaining("no validation folder")]);
  });

  test("a class called train among other vehicles is a class", async () => {
    const set = await listImages("v", files(...numbered("bus", 3), ...numbered("train", 3)), target);
    expect(set.classes).toEqual(["bus", "train"]);
  });

  test("folders of different splits are one class when they differ as names do", async () => {
    const names = [
      ...numbered("train/T-Shirt", 2),
      ...numbered("train/hat", 2),
      ...numbered("val/t_shirt", 2),
      ...numbered("val/hat", 2),
    ];
    const set = await listImages("c", files(...names), target);
    expect(set.classes).toEqual(["T-Shirt", "hat"]);
    expect(texts(set)).toEqual(["Folder t_shirt is taken as class T-Shirt."]);
    expect(set.reading?.taken).toMatchObject({ layout: "splits", classes: 2, examples: ["T-Shirt", "hat"] });
  });

  test("folders below a class folder belong to the class, where they only group its images", async () => {
    const set = await listImages(
      "c",
      files("cat/batch 1/1.jpg", "cat/2021-04-03/2.jpg", "dog/1.jpg", "dog/2.jpg"),
      target,
    );
    expect(set.classes).toEqual(["cat", "dog"]);
    expect(set.items).toHaveLength(4);
  });

  test("a set that is only scored is all test, and one class will do", async () => {
    const set = await listImages("sketches", files(...numbered("cat", 3)), other);
    expect(set.splitOrigin).toBe("none");
    expect(heldOut(set)).toEqual([0, 1, 2]);
    expect(set.issues).toEqual([]);
  });
});

describe("what is left out", () => {
  test("hidden and system files, silently", async () => {
    const junk = [
      "x/.DS_Store",
      "x/cat/Thumbs.db",
      "x/__MACOSX/cat/._1.jpg",
      "x/.git/a.jpg",
      "x/dog/desktop.ini",
    ];
    const set = await listImages(
      "x",
      files(...numbered("x/cat", 3), ...numbered("x/dog", 3), ...junk),
      target,
    );
    expect(set.classes).toEqual(["cat", "dog"]);
    expect(set.issues).toEqual([]);
  });

  test("files that are no images, by name; a JPEG without an extension is one", async () => {
    const jpeg = {
      path: "cat/photo",
      blob: new Blob([new Uint8Array([0xff, 0xd8, 0xff, 0xe0, ...Array(20).fill(0)])]),
    };
    const rest = files(
      ...numbered("cat", 3),
      ...numbered("dog", 3),
      "labels.csv",
      "cat/notes.txt",
      "dog/a.heic",
    );
    const set = await listImages("x", [jpeg, ...rest], target);
    expect(set.items.map((item) => item.path)).toContain("cat/photo");
    expect(set.issues).toEqual([
      {
        severity: "warning",
        text: "1 picture of a kind that is not read (HEIC) is left out; PNG and JPEG are read.",
        paths: ["dog/a.heic"],
      },
      {
        severity: "note",
        text: "2 files that are no image are left out.",
        paths: ["cat/notes.txt", "labels.csv"],
      },
    ]);
  });

  test("images outside class folders", async () => {
    const set = await listImages(
      "x",
      files("x/1.jpg", ...numbered("x/cat", 3), ...numbered("x/dog", 3)),
      target,
    );
    expect(set.issues).toEqual([
      { severity: "warning", text: "1 image outside the class folders is left out.", paths: ["x/1.jpg"] },
    ]);
  });

  test("a second file of one name", async () => {
    const set = await listImages(
      "x",
      files("cat/1.jpg=first", "cat/1.jpg=second", "dog/1.jpg", "dog/2.jpg"),
      target,
    );
    expect(await (await set.items[0]?.read())?.text()).toBe("first");
    expect(set.issues[0]).toEqual({
      severity: "warning",
      text: "1 file came twice under one name; the first of each is used.",
      paths: ["cat/1.jpg"],
    });
  });

  test("names that climb out", async () => {
    const set = await listImages(
      "x",
      files("../cat/1.jpg", ...numbered("cat", 3), ...numbered("dog", 3)),
      target,
    );
    expect(set.items).toHaveLength(6);
    expect(set.issues[0]?.paths).toEqual(["../cat/1.jpg"]);
  });

  test("a class without training images", async () => {
    const names = [
      ...numbered("train/cat", 2),
      ...numbered("train/dog", 2),
      ...numbered("val/cat", 1),
      "val/cow/1.jpg",
    ];
    const set = await listImages("x", files(...names), target);
    expect(set.classes).toEqual(["cat", "dog"]);
    expect(texts(set)).toEqual([
      "Class cow has no training image; its 1 image elsewhere is left out.",
      "1 class without a validation image cannot be scored there: dog.",
    ]);
  });
});

describe("what is only told", () => {
  test("uneven classes", async () => {
    const set = await listImages("x", files(...numbered("few", 3), ...numbered("many", 300)), target);
    expect(texts(set)).toEqual([
      "The classes are uneven: many has 240 training images, few 2. What is learned leans towards the large ones; look at the balanced accuracy.",
    ]);
    expect((await listImages("x", files(...numbered("a", 9), ...numbered("b", 60)), target)).issues).toEqual(
      [],
    );
  });

  test("class folders that are empty, or hold nothing that is read", async () => {
    const empty = { path: "x/wolf/", blob: new Blob() };
    const given = files(...numbered("x/cat", 3), ...numbered("x/dog", 3), "x/bear/a.heic");
    expect(texts(await listImages("x", [...given, empty], target))).toContain(
      "2 folders without an image that is read are no class: bear, wolf.",
    );
  });

  test("names that differ by case alone", async () => {
    const set = await listImages("x", files("cat/a.jpg", "cat/A.jpg", ...numbered("dog", 3)), target);
    expect(set.items).toHaveLength(5);
    expect(set.issues[0]?.text).toContain("differ in name only by upper and lower case");
    expect(set.issues[0]?.paths).toEqual(["cat/A.jpg", "cat/a.jpg"]);
  });

  test("class folders that differ as little as names may", async () => {
    const set = await listImages("x", files(...numbered("Cat", 2), ...numbered("cat_", 2)), target);
    expect(set.classes).toEqual(["Cat", "cat_"]);
    expect(set.issues[0]?.text).toContain("The folders Cat, cat_ differ only in case, space, - or _");
  });

  test("classes too small to learn", async () => {
    const set = await listImages("x", files("cat/1.jpg", ...numbered("dog", 5)), target);
    expect(texts(set)).toEqual([
      "1 class with fewer than 2 training images will hardly be learned: cat.",
      "1 class without a validation image cannot be scored there: cat.",
    ]);
  });

  test("exact copies across split folders, and one image in two classes", async () => {
    const names = [
      "train/cat/1.jpg=A",
      "train/cat/2.jpg=B",
      "train/dog/1.jpg=C",
      "train/dog/2.jpg=B",
      "val/cat/9.jpg=A",
      "val/dog/9.jpg=D",
    ];
    const set = await listImages("x", files(...names), target);
    expect(set.issues).toEqual([
      {
        severity: "warning",
        text: "1 image is in more than one class (cat, dog), so that no model can be right there.",
        paths: ["train/cat/2.jpg", "train/dog/2.jpg"],
      },
      {
        severity: "warning",
        text: "1 image is in more than one of train, val; scores will look better than they are.",
        paths: ["train/cat/1.jpg", "val/cat/9.jpg"],
      },
    ]);
  });

  test("files are hashed only when their size agrees, and of large ones the middle", async () => {
    let reads: number[] = [];
    class Counted extends Blob {
      override arrayBuffer() {
        reads.push(this.size);
        return super.arrayBuffer();
      }
    }
    const large = (fill: string) => fill.repeat(200_000);
    const list = (...contents: string[]) => {
      reads = [];
      const dropped = contents.map((text, i) => ({ path: `${i % 2}/${i}.jpg`, blob: new Counted([text]) }));
      return listImages("x", dropped, other);
    };
    expect((await list("a", "bb", "ccc", "ccc")).issues).toHaveLength(1);
    expect(reads).toEqual([3, 3]);
    expect((await list(large("a"), large("b"))).issues).toEqual([]);
    expect(reads).toEqual([]);
    expect((await list(large("a"), large("a"))).issues).toHaveLength(1);
    expect(reads).toEqual([200_000, 200_000]);
  });
});

describe("the drawn split", () => {
  const names = [...numbered("cat", 40), ...numbered("dog", 40)];
  const drawn = (set: ImageSet) => indicesOf(set, "val").map((i) => set.items[i]?.path);

  test("is the same for a seed, whatever order the files come in, and another for another", async () => {
    const once = await listImages("x", files(...names), target);
    const again = await listImages("x", files(...names.toReversed()), target);
    const differently = await listImages("x", files(...names), { ...target, seed: 2 });
    expect(drawn(again)).toEqual(drawn(once));
    expect(drawn(differently)).not.toEqual(drawn(once));
  });

  test("of one class does not depend on the others", async () => {
    const cats = drawn(await listImages("x", files(...names), target)).filter((path) =>
      path?.startsWith("cat"),
    );
    const more = await listImages("x", files(...names, ...numbered("ant", 7)), target);
    expect(drawn(more).filter((path) => path?.startsWith("cat"))).toEqual(cats);
  });

  test("keeps copies of an image on one side", async () => {
    const copied = [...Array(30).keys()].flatMap((i) => [`cat/a${i}.jpg=cat ${i}`, `cat/b${i}.jpg=cat ${i}`]);
    const set = await listImages("x", files(...copied, ...numbered("dog", 5)), target);
    expect(texts(set).filter((text) => text.includes("more than one of"))).toEqual([]);
    const cats = set.items.filter((item) => item.split === "val" && item.path.startsWith("cat"));
    expect(cats).toHaveLength(12);
  });
});

describe("nothing to work with", () => {
  const refusal = async (given: SourceFile[], options = target) => {
    const error = await listImages("my set", given, options).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Failure);
    return (error as Failure).message;
  };

  test("an empty folder", async () => {
    expect(await refusal([])).toBe(
      "my set: The folder is empty. Give a folder with one folder of PNG, JPEG, WebP, GIF or BMP images for each class.",
    );
  });
  test("no image among the files", async () => {
    expect(await refusal(files("a/readme.md", "a/x.csv"))).toContain("None of the 2 files is an image");
  });
  test("archives that are to be unpacked, tables of images, a drop that only its person can read", async () => {
    expect(await refusal(files("x/flowers.tgz"))).toBe(
      "my set: There is no image here, but flowers.tgz (a tar archive). Unpack it first, and give the folder that comes out.",
    );
    expect(await refusal(files("train-00000-of-00001.parquet"))).toContain(
      "(a parquet table). Save its images",
    );
    const styles = files(
      ...["photo", "sketch"].flatMap((style) => [`${style}/cat/1.jpg`, `${style}/dog/1.jpg`]),
    );
    const error = (await listImages("x", styles, target).catch((thrown: unknown) => thrown)) as Failure;
    expect(error.parts.question).toMatchObject({
      doubt: "same-classes",
      readings: [
        { layout: "domains", domains: ["photo", "sketch"], classes: 2 },
        { layout: "classes" },
        { layout: "leaves" },
      ],
    });
    const set = await listImages("x", styles, { ...target, answers: { domain: "Sketch" } });
    expect(set.items.map(({ path }) => path)).toEqual(["sketch/cat/1.jpg", "sketch/dog/1.jpg"]);
    expect(await refusal(styles, { ...target, answers: { layout: "folds" } } as typeof target)).toContain(
      'cannot be read as "folds"',
    );
  });
  test("images without class folders", async () => {
    expect(await refusal(files("1.jpg", "2.jpg"))).toContain("2 images but no class folders");
  });
  test("one class", async () => {
    expect(await refusal(files(...numbered("root/cat", 3)))).toContain("All images belong to one class, cat");
  });
  test("val and test but no train", async () => {
    expect(await refusal(files(...numbered("val/a", 2), ...numbered("test/a", 2)))).toContain(
      "none called train",
    );
  });
});

test("50,000 images are listed without reading one of them", async () => {
  class Sealed extends Blob {
    readonly #size: number;
    constructor(size: number) {
      super();
      this.#size = size;
    }
    // All of different sizes, so that not one of them can be a copy.
    override get size() {
      return this.#size;
    }
    override slice(): Blob {
      throw new Error("read");
    }
    override arrayBuffer(): Promise<ArrayBuffer> {
      throw new Error("read");
    }
  }
  const many = Array.from({ length: 50_000 }, (_, i) => ({
    path: `drop/class ${i % 100}/${i}.jpg`,
    blob: new Sealed(i + 1),
  }));
  const set = await listImages("many", many, target);
  expect(set.items).toHaveLength(50_000);
  expect(indicesOf(set, "val")).toHaveLength(10_000);
});

test("whatever the paths: a Failure, or every image once, with a class and a split", async () => {
  const part = fc.oneof(
    fc.constantFrom(
      "train",
      "val",
      "test",
      "cat",
      "Cat",
      "dog",
      ".",
      "..",
      ".git",
      "",
      "__MACOSX",
      "__proto__",
    ),
    fc.string({ maxLength: 4 }),
  );
  const path = fc
    .tuple(
      fc.array(part, { maxLength: 4 }),
      fc.constantFrom("1.jpg", "2.png", "notes.txt", "photo", "x.zip.jpg"),
    )
    .map(([folders, name]) => [...folders, name].join("/"));
  await fc.assert(
    fc.asyncProperty(fc.array(path, { maxLength: 12 }), fc.boolean(), async (paths, needsSplit) => {
      try {
        const given = paths.map((path) => ({ path, blob: new Blob([path]) }));
        const set = await listImages("x", given, { seed: 0, needsSplit });
        expect(new Set(set.items.map((item) => item.path)).size).toBe(set.items.length);
        expect(new Set(set.classes).size).toBe(set.classes.length);
        if (needsSplit) expect(set.classes.length).toBeGreaterThanOrEqual(2);
        for (const item of set.items) {
          expect(set.classes[item.label]).toBeDefined();
          expect(item.path).not.toMatch(/(^|\/)(\.\.?|)(\/|$)/);
        }
        for (const { counts } of classCounts(set)) {
          expect(counts.train + counts.val + counts.test).toBeGreaterThan(0);
          if (needsSplit) expect(counts.train).toBeGreaterThan(0);
        }
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
      }
    }),
    { numRuns: 300 },
  );
});

test("images without classes are every picture of a drop, in whatever folders", async () => {
  const set = await listUnlabelled(
    "any",
    files("a.jpg", "deep/er/b.png", "notes.txt", ".hidden/c.jpg", "train/d.jpg"),
  );
  expect(set.items.map(({ path, label, split }) => [path, label, split])).toEqual([
    ["a.jpg", 0, "train"],
    ["deep/er/b.png", 0, "train"],
    ["train/d.jpg", 0, "train"],
  ]);
  expect(texts(set)).toEqual(["1 file that is no image is left out."]);
  await expect(listUnlabelled("none", files("notes.txt"))).rejects.toThrow(/The one file is no image/);
  await expect(listUnlabelled("none", [])).rejects.toThrow(/empty/);
});
