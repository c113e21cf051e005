// What platforms read differently is read alike: each EXIF orientation in every format, as PIL turns it, and PNG of 16
// bits by the bits that are used. The fixtures come from interop/make_fixtures_images.py; e2e/pixels.spec.ts holds the
// browser to the same.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { Failure } from "../failure.ts";
import { decodeImage } from "./decode_node.ts";
import { type Orientation, takeOrientation, turn } from "./orientation.ts";

interface OddFile {
  name: string;
  file: string;
  width: number;
  height: number;
  pixels: string;
  bits?: number | null;
}
const { deep, turned } = JSON.parse(
  readFileSync(new URL("fixtures/odd_files.json", import.meta.url), "utf8"),
) as Record<"deep" | "turned", OddFile[]>;

const bytesOf = (text: string) => new Uint8Array(Buffer.from(text, "base64"));
const decode = ({ file, name }: OddFile) => decodeImage(new Blob([bytesOf(file)]), name);

describe("16 bits a channel", () => {
  test.each(deep)("$name", async (odd) => {
    const image = await decode(odd);
    expect([image.width, image.height, image.bits ?? null]).toEqual([odd.width, odd.height, odd.bits]);
    expect(image.data).toEqual(bytesOf(odd.pixels));
  });

  test("a whole file of all bits is what a decoder for 8 bits makes of it", async () => {
    const whole = deep.filter(
      ({ bits, name }) => bits === null && !name.includes("alpha") && !name.includes("rgba"),
    );
    for (const odd of whole) {
      const { data, info } = await sharp(bytesOf(odd.file))
        .toColourspace("srgb")
        .raw({ depth: "uchar" })
        .toBuffer({ resolveWithObject: true });
      const rgb = info.channels === 3 ? data : Uint8Array.from(data, (value) => value);
      const mine = (await decode(odd)).data;
      for (let i = 0; i < info.width * info.height; i++) expect(mine[3 * i]).toBe(rgb[info.channels * i]);
    }
  });

  test("a damaged one is refused in words, whatever is damaged", () =>
    fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...deep),
        fc.array(fc.tuple(fc.nat({ max: 400 }), fc.nat({ max: 255 })), { minLength: 1, maxLength: 6 }),
        async (odd, changes) => {
          const bytes = bytesOf(odd.file);
          for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
          try {
            const image = await decodeImage(new Blob([bytes]), "x.png");
            expect(image.data.length).toBe(image.width * image.height * 3);
          } catch (error) {
            expect(error).toBeInstanceOf(Failure);
          }
        },
      ),
      { numRuns: 150 },
    ));

  test("one whose pixels are fewer, more or other than its checksum says is refused", async () => {
    const odd = deep[0] as OddFile;
    const height = bytesOf(odd.file);
    for (const more of [1, -1]) {
      const bytes = height.slice();
      bytes[23] = (bytes[23] as number) + more;
      await expect(decodeImage(new Blob([bytes]), "x.png")).rejects.toThrow("damaged");
    }
  });
});

describe("EXIF orientation", () => {
  test.each(turned)("$name", async (odd) => {
    const image = await decode(odd);
    expect([image.width, image.height]).toEqual([odd.width, odd.height]);
    const expected = bytesOf(odd.pixels);
    const worst = image.data.reduce(
      (most, value, i) => Math.max(most, Math.abs(value - (expected[i] ?? 999))),
      0,
    );
    expect(worst).toBeLessThanOrEqual(odd.name.endsWith("jpeg") ? 1 : 0);
  });

  test("is gone from the file that a platform's decoder is given", async () => {
    for (const { name, file } of turned) {
      const format = name.split(".")[1] as "jpeg" | "png" | "webp";
      const { orientation, bytes } = takeOrientation(bytesOf(file), format);
      expect(orientation).toBe(Number(name[7]));
      expect((await sharp(bytes).metadata()).orientation ?? 1).toBe(1);
      expect(takeOrientation(bytes, format).orientation).toBe(1);
    }
  });

  test("turning is undone by its opposite, and moves every pixel once", () =>
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 8 }),
        (width, height, orientation) => {
          const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => i);
          const there = turn({ width, height, data }, orientation as Orientation);
          const opposite = { 6: 8, 8: 6 }[orientation] ?? orientation;
          const back = turn(there, opposite as Orientation);
          expect(back).toEqual({ width, height, data });
          expect([...there.data].sort()).toEqual([...data].sort());
        },
      ),
    ));

  test("whatever the bytes, there is an orientation", () =>
    fc.assert(
      fc.property(
        fc.constantFrom(...turned),
        fc.array(fc.tuple(fc.nat({ max: 200 }), fc.nat({ max: 255 })), { maxLength: 8 }),
        fc.nat({ max: 300 }),
        ({ name, file }, changes, cut) => {
          const whole = bytesOf(file);
          for (const [at, value] of changes) if (at < whole.length) whole[at] = value;
          const bytes = whole.slice(0, whole.length - cut);
          const { orientation, bytes: rest } = takeOrientation(bytes, name.split(".")[1] as "png");
          expect(orientation).toBeGreaterThanOrEqual(1);
          expect(orientation).toBeLessThanOrEqual(8);
          expect(rest.length).toBeLessThanOrEqual(bytes.length);
        },
      ),
      { numRuns: 500 },
    ));
});
