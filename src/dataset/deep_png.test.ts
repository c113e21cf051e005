// PNG of 8 bits with alpha, which browsers would each round in their own way, to the pixels of PIL. Those of 16 bits:
// odd_files.test.ts.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { decodePng, hasAlpha } from "./deep_png.ts";
import { readHeader } from "./header.ts";

const fixtures = join(import.meta.dirname, "fixtures");
const { images } = JSON.parse(readFileSync(join(fixtures, "preprocess.json"), "utf8")) as {
  images: { name: string; sha256: string }[];
};
const read = (name: string) => new Uint8Array(readFileSync(join(fixtures, name)));

test.each(["rgba.png", "grey_alpha.png"])("%s", async (name) => {
  const bytes = read(name);
  expect(hasAlpha(bytes)).toBe(true);
  const { data, bits } = await decodePng(bytes, readHeader(bytes, name));
  expect(bits).toBeUndefined();
  expect(createHash("sha256").update(data).digest("hex")).toBe(
    images.find((image) => image.name === name)?.sha256,
  );
});

test("a picture without alpha is the platform's to decode", () => {
  expect(hasAlpha(read("palette.png"))).toBe(false);
});
