import { BlobWriter, TextReader, Uint8ArrayReader, ZipWriter } from "@zip.js/zip.js/lib/zip-core-native.js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Failure } from "../failure.ts";
import { listImages } from "./list.ts";
import { openZip, safePath } from "./zip.ts";

async function zip(entries: Record<string, string | Uint8Array>, options = {}): Promise<Blob> {
  const writer = new ZipWriter(new BlobWriter(), { useWebWorkers: false, ...options });
  for (const [name, content] of Object.entries(entries)) {
    if (name.endsWith("/")) await writer.add(name, undefined, { directory: true });
    else
      await writer.add(
        name,
        typeof content === "string" ? new TextReader(content) : new Uint8ArrayReader(content),
      );
  }
  return writer.close();
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
      { severity: "warning", text: "1 folder without an image is no class.", paths: ["pets/pets/cow"] },
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
    expect(await refusal(new Blob(["not a zip"]))).toContain("not a zip that can be read, or it is damaged");
    const whole = await zip(pets);
    expect(await refusal(whole.slice(0, whole.size - 30))).toContain("damaged");
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
    expect(listing.unsafe).toEqual(["evil/../../etc/1.jpg", "evil/C:/x/1.jpg"]);
    expect(listing.files.map((file) => file.path)).toEqual(["evil/a/b/1.jpg", "evil/abs/1.jpg"]);
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
