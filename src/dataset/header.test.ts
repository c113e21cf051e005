import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Failure } from "../failure.ts";
import { decodeBmp } from "./bmp.ts";
import { decodeImage } from "./decode_node.ts";
import { MAX_PIXELS, readHeader, sniffFormat } from "./header.ts";

const read = (name: string) => new Uint8Array(readFileSync(new URL(`fixtures/${name}`, import.meta.url)));

const samples = [
  ["smooth.png", "png", 131, 97],
  ["palette_clear.png", "png", 90, 61],
  ["photo.jpg", "jpeg", 640, 427],
  ["fine.jpg", "jpeg", 131, 97],
  ["turned6.jpg", "jpeg", 120, 81],
  ["lossless.webp", "webp", 77, 55],
  ["lossy.webp", "webp", 131, 97],
  ["frames.gif", "gif", 90, 61],
  ["plain.bmp", "bmp", 67, 45],
] as const;

/** The header read, or the Failure thrown; anything else thrown is a crash. */
function attempt(bytes: Uint8Array) {
  try {
    return readHeader(bytes, "x");
  } catch (error) {
    expect(error).toBeInstanceOf(Failure);
    return error as Failure;
  }
}

test.each(samples)("%s is %s, %i x %i", (name, format, width, height) => {
  expect(readHeader(read(name), name)).toEqual({ format, width, height });
});

test.each(samples.filter(([, format]) => format !== "gif"))("%s cut in half is refused", async (name) => {
  const bytes = read(name);
  const half = new Blob([bytes.slice(0, bytes.length >> 1)]);
  await expect(decodeImage(half, name)).rejects.toThrow(`${name}: The image file is cut short.`);
});

test.each(samples)("%s with its middle overwritten is decoded or refused in words", async (name) => {
  const bytes = read(name);
  bytes.fill(0xaa, bytes.length >> 2, (bytes.length >> 2) + 40);
  const outcome = await decodeImage(new Blob([bytes]), name).catch((error: unknown) => error);
  if (outcome instanceof Error) expect(outcome).toBeInstanceOf(Failure);
  else expect(outcome).toHaveProperty("width");
});

test("a PNG with damaged pixels is named", async () => {
  const bytes = read("texture.png");
  bytes.fill(0xaa, bytes.length >> 1, (bytes.length >> 1) + 40);
  await expect(decodeImage(new Blob([bytes]), "cat/broken.png")).rejects.toThrow(
    "cat/broken.png: The image is damaged and cannot be decoded.",
  );
});

test("a JPEG of 12 bits is named, not called damaged", () => {
  const jpeg = read("fine.jpg");
  const frame = jpeg.findIndex((byte, i) => byte === 0xff && jpeg[i + 1] === 0xc2);
  jpeg[frame + 4] = 12;
  expect(attempt(jpeg)).toMatchObject({ parts: { what: "A JPEG of 12 bits is not read; save it as PNG." } });
});

test("20,000 x 20,000 pixels are refused by the header alone, in every format", async () => {
  const big = 20_000;
  const png = read("smooth.png");
  new DataView(png.buffer).setUint32(16, big);
  new DataView(png.buffer).setUint32(20, big);
  const jpeg = read("fine.jpg");
  const frame = jpeg.findIndex((byte, i) => byte === 0xff && jpeg[i + 1] === 0xc2);
  new DataView(jpeg.buffer).setUint16(frame + 5, big);
  new DataView(jpeg.buffer).setUint16(frame + 7, big);
  const gif = read("frames.gif");
  new DataView(gif.buffer).setUint16(6, big, true);
  new DataView(gif.buffer).setUint16(8, big, true);
  const bmp = read("plain.bmp");
  new DataView(bmp.buffer).setInt32(18, big, true);
  new DataView(bmp.buffer).setInt32(22, -big, true);
  for (const bytes of [png, jpeg, gif, bmp]) {
    await expect(decodeImage(new Blob([bytes]), "huge")).rejects.toThrow(
      "huge: The image is 20000 x 20000 pixels; at most 100 megapixels are decoded. Scale it down",
    );
  }
});

test("an empty file and a text are refused", () => {
  expect(attempt(new Uint8Array())).toMatchObject({ parts: { what: "The file is empty." } });
  const text = new TextEncoder().encode("BM is how this text begins, but it is no bitmap.");
  expect(sniffFormat(text)).toBeNull();
  expect(attempt(text)).toMatchObject({
    parts: { what: "This is not a PNG, JPEG, WebP, GIF or BMP image." },
  });
});

describe("whatever the bytes, a header is sane or a Failure", () => {
  const signatures = samples.map(([name]) => read(name).slice(0, 60));

  test("random bytes behind a real signature", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...signatures),
        fc.integer({ min: 0, max: 60 }),
        fc.uint8Array({ maxLength: 300 }),
        (signature, keep, rest) => {
          const bytes = new Uint8Array([...signature.slice(0, keep), ...rest]);
          const outcome = attempt(bytes);
          if (!(outcome instanceof Failure)) {
            expect(outcome.width).toBeGreaterThan(0);
            expect(outcome.width * outcome.height).toBeLessThanOrEqual(MAX_PIXELS);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test("real files with bytes changed", () => {
    const files = samples.map(([name]) => read(name));
    fc.assert(
      fc.property(
        fc.constantFrom(...files),
        fc.array(fc.tuple(fc.nat({ max: 80 }), fc.nat({ max: 255 })), { maxLength: 6 }),
        (file, changes) => {
          const bytes = file.slice();
          for (const [at, value] of changes) bytes[at] = value;
          attempt(bytes);
        },
      ),
      { numRuns: 500 },
    );
  });

  test("bitmaps with bytes changed decode to as many pixels as they say, or are refused", () => {
    const files = ["plain.bmp", "palette.bmp", "alpha.bmp"].map(read);
    fc.assert(
      fc.property(
        fc.constantFrom(...files),
        fc.array(fc.tuple(fc.integer({ min: 10, max: 140 }), fc.nat({ max: 255 })), { maxLength: 5 }),
        (file, changes) => {
          const bytes = file.slice();
          for (const [at, value] of changes) bytes[at] = value;
          const header = attempt(bytes);
          if (header instanceof Failure || header.format !== "bmp") return;
          try {
            const image = decodeBmp(bytes, "x");
            expect(image.data.length).toBe(header.width * header.height * 3);
          } catch (error) {
            expect(error).toBeInstanceOf(Failure);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
