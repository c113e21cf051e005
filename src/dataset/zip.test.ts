import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Failure } from "../failure.ts";
import { type TestEntry, zipBytes } from "../zip_testing.ts";
import { listImages } from "./list.ts";
import { openZip, safePath } from "./zip.ts";
import { encode, wordLists } from "./zip_names_testing.ts";

async function zip(
  entries: Record<string, string | Uint8Array>,
  { level = 6, ...how }: Partial<TestEntry> & { level?: number } = {},
): Promise<Blob> {
  const all = Object.entries(entries).map(([name, content]) => ({
    name,
    content,
    deflate: level > 0,
    host: 0,
    ...how,
  }));
  return new Blob([zipBytes(all)]);
}

/** Changes the central directory's record of every entry; `offset` counts from the record's signature. */
async function tamper(blob: Blob, offset: number, value: number, bytes: 2 | 4): Promise<Blob> {
  const data = new DataView(await blob.arrayBuffer());
  for (let at = 0; at + 4 <= data.byteLength; at++) {
    if (data.getUint32(at, true) !== 0x02014b50) continue;
    if (bytes === 2) data.setUint16(at + offset, value, true);
    else data.setUint32(at + offset, value, true);
  }
  return new Blob([data.buffer]);
}

const pets = {
  "pets/cat/1.jpg": "cat one",
  "pets/cat/2.jpg": "cat two",
  "pets/cat/3.jpg": "cat three",
  "pets/dog/1.jpg": "dog one",
  "pets/dog/2.jpg": "dog two",
  "pets/dog/3.jpg": "dog three",
};

describe("a zip of images", () => {
  test.each([0, 6])("lists like a folder and inflates on demand, at level %i", async (level) => {
    const blob = await zip({ ...pets, "__MACOSX/pets/cat/._1.jpg": "junk", "pets/cow/": "" }, { level });
    const set = await listImages("pets", [{ path: "pets.zip", blob }], { seed: 0, needsSplit: true });
    expect(set.classes).toEqual(["cat", "dog"]);
    expect(set.items.map((item) => item.path)).toContain("pets/pets/cat/1.jpg");
    expect(await (await set.items[0]?.read())?.text()).toBe("cat one");
    expect(set.issues).toEqual([
      {
        severity: "warning",
        text: "1 folder without an image that is read is no class: cow.",
        paths: ["pets/pets/cow"],
      },
    ]);
  });

  test("one for each split works together", async () => {
    const train = await zip({
      "train/a/1.jpg": "1",
      "train/a/2.jpg": "2",
      "train/b/1.jpg": "3",
      "train/b/2.jpg": "4",
    });
    const test = await zip({ "a/1.jpg": "5", "b/1.jpg": "6" });
    const set = await listImages(
      "x",
      [
        { path: "train.zip", blob: train },
        { path: "test.zip", blob: test },
      ],
      { seed: 0, needsSplit: true },
    );
    expect(set.classes).toEqual(["a", "b"]);
    expect(set.items.filter((item) => item.split === "test")).toHaveLength(2);
  });

  test("an image without an extension is known by its first bytes", async () => {
    const png = new Uint8Array(40);
    png.set([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
    const blob = await zip({
      ...pets,
      "pets/cat/drawing": png,
      "pets/cat/notes": "only words, and a good many",
    });
    const set = await listImages("x", [{ path: "a.zip", blob }], { seed: 0, needsSplit: false });
    const paths = set.items.map((item) => item.path);
    expect(paths).toContain("a/pets/cat/drawing");
    expect(paths).not.toContain("a/pets/cat/notes");
  });

  test("a file damaged inside the zip is named when it is read", async () => {
    const blob = await tamper(await zip(pets, { level: 6 }), 16, 0x12345678, 4);
    const set = await listImages("x", [{ path: "a.zip", blob }], { seed: 0, needsSplit: false });
    await expect(set.items[0]?.read()).rejects.toThrow(
      "a/pets/cat/1.jpg: This file inside the zip is damaged.",
    );
  });

  test("an entry that inflates to more than it declares is stopped", async () => {
    const blob = await tamper(await zip({ "a/1.jpg": "x".repeat(5000), "b/1.jpg": "y" }), 24, 10, 4);
    const listing = await openZip({ path: "a.zip", blob });
    await expect(listing.files[0]?.read()).rejects.toBeInstanceOf(Failure);
  });
});

describe("hostile zips", () => {
  const refusal = async (blob: Blob) => {
    const error = await openZip({ path: "evil.zip", blob }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Failure);
    return (error as Failure).message;
  };

  test("no zip at all, and one cut short", async () => {
    expect(await refusal(new Blob(["not a zip"]))).toContain("This is not a zip.");
    const whole = await zip(pets);
    expect(await refusal(whole.slice(0, whole.size - 30))).toMatch(/cut off.*Download it again/);
  });

  test.each<[string, string | Uint8Array, RegExp]>([
    [
      "a web page",
      "<!DOCTYPE html><html>Google Drive - Virus scan warning</html>",
      /a web page .*download the file/,
    ],
    ["gzip", Uint8Array.of(0x1f, 0x8b, 8, 0), /a gzip file .*not a zip.* Unpack it first/],
    ["RAR", "Rar!\x1a\x07\x01\0", /a RAR archive, not a zip. Unpack it first/],
    ["7z", Uint8Array.of(0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c), /a 7z archive, not a zip. Unpack it first/],
    ["tar", `${"\0".repeat(257)}ustar`, /a tar archive, not a zip. Unpack it first/],
    [
      "a pointer",
      "version https://git-lfs.github.com/spec/v1\noid sha256:0",
      /Git LFS pointer.*git lfs pull/,
    ],
    ["a server's message", '{"error": "quota"}', /answer of a server.*Open it to read/],
    ["nothing", "", /empty \(0 bytes\)/],
  ])("%s under a zip's name is said to be it", async (_, content, sentence) => {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content.slice();
    expect(await refusal(new Blob([bytes]))).toMatch(sentence);
  });

  test("other packings are named; a few such files are left out, a zip of them is refused", async () => {
    const lzma = { content: "x", method: 14 };
    const bzip2 = { content: "x", method: 12 };
    const all = zipBytes(["a/1.jpg", "a/2.jpg", "b/3.jpg"].map((name) => ({ name, ...lzma })));
    expect(await refusal(new Blob([all]))).toMatch(
      /whole, but packed by LZMA.*make the zip anew with Deflate/,
    );
    const few = zipBytes([
      { name: "a/1.jpg", content: "x" },
      { name: "b/2.jpg", content: "x" },
      { name: "b/3.jpg", content: "x" },
      { name: "b/4.jpg", ...bzip2 },
      { name: "b/5.jpg", content: "x", flags: 1 },
    ]);
    const listing = await openZip({ path: "z.zip", blob: new Blob([few]) });
    expect(listing.files).toHaveLength(3);
    expect(listing.issues.map(({ severity, text, paths }) => [severity, text, paths])).toEqual([
      ["warning", "1 file in the zip (packed by bzip2) is left out.", ["z/b/4.jpg"]],
      ["warning", "1 file in the zip (protected by a password) is left out.", ["z/b/5.jpg"]],
    ]);
  });

  test("links are left out by name", async () => {
    const blob = new Blob([
      zipBytes([
        { name: "a/1.jpg", content: "x" },
        { name: "a/l.jpg", content: "1.jpg", mode: 0xa1ff },
      ]),
    ]);
    const listing = await openZip({ path: "z.zip", blob });
    expect(listing.issues.map(({ text, paths }) => [text, paths])).toEqual([
      ["1 file in the zip (links to other files) is left out.", ["z/a/l.jpg"]],
    ]);
  });

  test("a password", async () => {
    const blob = await tamper(await zip(pets), 8, 1, 2);
    expect(await refusal(blob)).toContain("protected by a password");
  });

  test("a bomb: entries that say they are 128 MB each in a zip of a few hundred bytes", async () => {
    const entries = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`a/${i}.jpg`, "x"]));
    const blob = await tamper(await zip(entries), 24, 0x08000000, 4);
    expect(await refusal(blob)).toContain("unpacks to more than 200 times its own size");
  });

  test("a single entry larger than any image is left out by name", async () => {
    const blob = await tamper(await zip({ "a/1.jpg": "x" }), 24, 0x20000000, 4);
    const listing = await openZip({ path: "evil.zip", blob });
    expect(listing.files).toEqual([]);
    expect(listing.oversized).toEqual(["evil/a/1.jpg"]);
  });

  test("names that climb out, and names of other machines", async () => {
    const blob = await zip({
      "../../etc/1.jpg": "1",
      "C:/x/1.jpg": "2",
      "a\\b\\1.jpg": "3",
      "/abs/1.jpg": "4",
    });
    const listing = await openZip({ path: "evil.zip", blob });
    expect(listing.unsafe).toEqual(["evil/../../etc/1.jpg"]);
    expect(listing.files.map((file) => file.path)).toEqual([
      "evil/x/1.jpg",
      "evil/a/b/1.jpg",
      "evil/abs/1.jpg",
    ]);
    expect(await refusal(await zip({ "../a/1.jpg": "1" }))).toMatch(/Every name in the zip leads out of it/);
  });

  test("whatever the bytes of a zip, a listing or a Failure, and no file beyond the bounds", async () => {
    const bytes = new Uint8Array(await (await zip(pets)).arrayBuffer());
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat({ max: bytes.length - 1 }), fc.nat({ max: 255 })), {
          minLength: 1,
          maxLength: 8,
        }),
        async (changes) => {
          const changed = bytes.slice();
          for (const [at, value] of changes) changed[at] = value;
          try {
            const listing = await openZip({ path: "a.zip", blob: new Blob([changed]) });
            for (const file of listing.files) {
              expect(safePath(file.path)).toBe(file.path);
              const content = await file.read().catch((error: unknown) => error);
              if (content instanceof Blob) expect(content.size).toBeLessThanOrEqual(file.size);
              else expect(content).toBeInstanceOf(Failure);
            }
          } catch (error) {
            if (!(error instanceof Failure)) throw error;
          }
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe("names that do not say their encoding", () => {
  const sjis: Record<string, number[]> = {
    犬: [0x8c, 0xa2],
    表示: [0x95, 0x5c, 0x8e, 0xa6],
    予定: [0x97, 0x5c, 0x92, 0xe8],
  };
  const files = (separator: number, host: number) =>
    Object.values(sjis).flatMap((bytes) =>
      [0, 1].map((i) => ({
        name: Uint8Array.from([...bytes, separator, 48 + i, 0x2e, 0x70, 0x6e, 0x67]),
        content: `${bytes}${i}`,
        host,
      })),
    );
  const open = (entries: TestEntry[], encoding?: string) =>
    openZip({ path: "z.zip", blob: new Blob([zipBytes(entries)]) }, encoding);

  test("a letter whose second byte is a backslash stays whole, whatever separates folders", async () => {
    for (const [separator, host] of [
      [0x2f, 0],
      [0x5c, 0],
      [0x5c, 3],
      [0x2f, 3],
    ] as const) {
      const listing = await open(files(separator, host));
      expect(listing.files.map(({ path }) => path)).toEqual(
        Object.keys(sjis).flatMap((name) => [`z/${name}/0.png`, `z/${name}/1.png`]),
      );
      expect(listing.names).toMatchObject({ encoding: "shift_jis", sure: true });
      expect(listing.issues[0]?.text).toMatch(
        /^The names in z.zip do not say their encoding; they are read as Shift-JIS \(Japanese\): "/,
      );
    }
  });

  test("what a person says stands above what is guessed; UTF-8 is said by nobody", async () => {
    const listing = await open(files(0x2f, 0), "cp437");
    expect(listing.names?.encoding).toBe("cp437");
    expect(listing.names?.others[0]).toMatchObject({ encoding: "shift_jis", example: "犬" });
    expect(listing.files[0]?.path).toBe("z/îó/0.png");
    await expect(open(files(0x2f, 0), "klingon")).rejects.toThrow(/"klingon" is no encoding/);
    const plain = await open([
      { name: "café/1.png", content: "x" },
      { name: "thé/1.png", content: "x" },
    ]);
    expect([plain.names, plain.issues, plain.files[0]?.path]).toEqual([null, [], "z/café/1.png"]);
  });

  test("a backslash is a letter of names from Unix, beside slashes", async () => {
    const listing = await open([
      { name: "cat/a\\b.png", content: "x" },
      { name: "dog/c.png", content: "x" },
    ]);
    expect(listing.files.map(({ path }) => path)).toEqual(["z/cat/a\\b.png", "z/dog/c.png"]);
  });
});

test("any archive of class folders, in any language, encoding and make, is read right or said to be unsure", async () => {
  const tally = { right: 0, unsure: 0 };
  const archives = fc.constantFrom(...wordLists).chain(({ labels, list }) =>
    fc.record({
      label: fc.constantFrom(...labels, "utf-8"),
      classes: fc.uniqueArray(fc.constantFrom(...list), { minLength: 2, maxLength: 6 }),
      separator: fc.constantFrom("/", "/", "\\"),
      root: fc.constantFrom("", "data"),
      flag: fc.boolean(),
      deflate: fc.boolean(),
      descriptor: fc.boolean(),
      prefix: fc.constantFrom(new Uint8Array(0), new TextEncoder().encode("MZ junk")),
      absolute: fc.boolean(),
      zip64: fc.constantFrom("none" as const, "end" as const, "all" as const),
      comment: fc.constantFrom("", "a comment"),
    }),
  );
  await fc.assert(
    fc.asyncProperty(
      archives,
      async ({ label, classes, separator, root, flag, deflate, descriptor, ...how }) => {
        const paths = classes.flatMap((name) => [0, 1].map((i) => [root, name, `${i}.png`].filter(Boolean)));
        const names = paths.map((parts) => encode(parts.join(separator), label));
        fc.pre(!names.includes(null));
        const flags = flag && label === "utf-8" ? 1 << 11 : 0;
        const entries = (names as Uint8Array[]).map((name, i) => ({
          name,
          content: `${i}`,
          host: 0,
          flags,
          deflate,
          descriptor,
        }));
        const blob = new Blob([zipBytes(entries, how)]);
        const truth = paths.map((parts) => `z/${parts.join("/")}`);
        const read = async (encoding?: string) =>
          (await openZip({ path: "z.zip", blob }, encoding)).files.map(({ path }) => path);
        const listing = await openZip({ path: "z.zip", blob });
        const found = listing.files.map(({ path }) => path);
        for (const [i, file] of listing.files.entries())
          expect(await (await file.read()).text()).toBe(`${i}`);
        if (String(found) === String(truth)) tally.right++;
        else {
          expect(listing.names?.sure).toBe(false);
          expect(listing.issues.some(({ severity }) => severity === "warning")).toBe(true);
          const others = await Promise.all(
            (listing.names?.others ?? []).map(({ encoding }) => read(encoding)),
          );
          expect(others.map(String)).toContain(String(truth));
          tally.unsure++;
        }
      },
    ),
    { numRuns: 500 },
  );
  expect(tally.right).toBeGreaterThan(450);
});

test("a safe path stays inside and is its own safe path", () => {
  const part = fc.oneof(
    fc.constantFrom("..", ".", "", "C:", "a", "\\", "\u0000"),
    fc.string({ maxLength: 5 }),
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
      const path = safePath(parts.join("/"));
      if (path === null) return;
      expect(path.split("/").some((name) => name === ".." || name === "." || name === "")).toBe(false);
      expect(path).not.toMatch(/\\/);
      expect(safePath(path)).toBe(path);
    }),
    { numRuns: 1000 },
  );
});
