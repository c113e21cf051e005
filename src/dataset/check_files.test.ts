import { readFileSync } from "node:fs";
import { describe, expect, test, vi } from "vitest";
import type { SourceFile } from "../source_file.ts";
import { checkFiles, LOOKED_INTO } from "./check_files.ts";
import { decodeImage } from "./decode_node.ts";
import { listImages } from "./list.ts";
import { kindOf } from "./other_kinds.ts";
import type { DataIssue } from "./types.ts";
import type { FoundFile } from "./zip.ts";

const read = (name: string) => new Uint8Array(readFileSync(new URL(`fixtures/${name}`, import.meta.url)));
const letters = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));
const brand = (name: string) => letters(`\0\0\0\x18ftyp${name}\0\0\0\0`);

const others: [string, Uint8Array<ArrayBuffer>][] = [
  ["a web page", letters("\r\n  <!DOCTYPE html><html>")],
  ["a web page", letters("\xef\xbb\xbf<html lang='en'>")],
  ["a PDF", letters("%PDF-1.7\n....")],
  ["a zip", letters("PK\x03\x04..........")],
  ["a HEIC picture", brand("heic")],
  ["a HEIC picture", brand("mif1")],
  ["an AVIF picture", brand("avif")],
  ["a video", brand("isom")],
  ["a TIFF picture", letters("II*\0\x08\0\0\0\0\0\0\0")],
  ["a TIFF picture", letters("MM\0*\0\0\0\x08\0\0\0\0")],
  ["a PGM picture", letters("P5\n4 4\n255\n....")],
  ["a pointer of Git LFS, not the file itself", letters("version https://git-lfs.github.com/spec/v1")],
  ["nothing but zeros", new Uint8Array(64)],
];

test.each(others)("%s is known by how it begins, and named by the decoder too", async (kind, bytes) => {
  expect(kindOf(bytes)).toBe(kind);
  await expect(decodeImage(new Blob([bytes]), "cat.jpg")).rejects.toThrow(`This is ${kind} and not a PNG`);
});

test("pictures that are read, texts and noise are none of them", () => {
  const names = ["smooth.png", "photo.jpg", "lossy.webp", "frames.gif", "plain.bmp"];
  for (const name of names) expect(kindOf(read(name)), name).toBeNull();
  expect(kindOf(letters("pixels of a cat"))).toBeNull();
  expect(kindOf(new Uint8Array())).toBeNull();
});

describe("a folder", () => {
  const jpeg = read("fine.jpg");
  const file = (path: string, bytes: Uint8Array<ArrayBuffer>): SourceFile => ({
    path,
    blob: new Blob([bytes]),
  });
  const options = { seed: 0, needsSplit: true };
  const good = ["cat", "dog"].flatMap((name) =>
    [1, 2, 3].map((i) => file(`pets/${name}/${i}.png`, new Uint8Array([...jpeg, i, name.charCodeAt(0)]))),
  );

  test("tells what is empty or something else, and goes on with the rest", async () => {
    const set = await listImages(
      "pets",
      [
        ...good,
        file("pets/cat/0.jpg", new Uint8Array()),
        file("pets/cat/page.jpg", letters("<!DOCTYPE html>")),
        file("pets/dog/phone.jpg", brand("heic")),
        file("pets/dog/scan.jpg", brand("heic")),
        file("pets/cow/1.jpg", letters("%PDF-1.4 and more")),
      ],
      options,
    );
    expect(set.classes).toEqual(["cat", "dog"]);
    expect(set.items.map(({ path }) => path)).toEqual(good.map(({ path }) => path));
    expect(set.issues).toEqual([
      {
        severity: "warning",
        text: "1 image is an empty file and is left out.",
        paths: ["pets/cat/0.jpg"],
      },
      {
        severity: "warning",
        text: "4 files are called an image and each is a web page (1), a PDF (1), a HEIC picture (2); left out.",
        paths: ["pets/cat/page.jpg", "pets/cow/1.jpg", "pets/dog/phone.jpg", "pets/dog/scan.jpg"],
      },
      {
        severity: "warning",
        text: "No file of pets/cow is an image, so that there is no such class.",
        paths: [],
      },
    ]);
  });

  test("of web pages alone is no folder of images", async () => {
    const pages = ["a/1.jpg", "b/1.jpg"].map((path) => file(path, letters("<html><body>404")));
    await expect(listImages("x", pages, options)).rejects.toThrow("None of the 2 files is an image");
  });

  test("of 50,000 images is looked into here and there, and every empty file in it is found", async () => {
    const head = vi.fn(async () => jpeg.subarray(0, 12));
    const page = async () => letters("<html>12345");
    const many = Array.from({ length: 50_000 }, (_, i): FoundFile => {
      const fields = { path: `a/${i}.jpg`, size: i % 1000 === 7 ? 0 : 10, origin: "file" as const };
      const unused = (): never => {
        throw new Error("not to be read");
      };
      return { ...fields, read: unused, fingerprint: unused, head: i % 100 < 50 ? head : page };
    });
    const issues: DataIssue[] = [];
    const kept = await checkFiles(many, issues);
    expect(head.mock.calls.length).toBeLessThan(LOOKED_INTO);
    expect(issues[0]?.text).toBe("50 images are empty files and are left out.");
    expect(issues[1]?.text).toMatch(
      /^\d\d\d files are called an image and each is a web page; left out\. 1,000 of 49,950 were looked into; the others are when they are decoded\.$/,
    );
    expect(kept.length).toBeGreaterThan(48_950);
  });
});
