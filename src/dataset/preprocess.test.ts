// Parity with transformers' image processors (PIL backend), and with PIL's decoding, on images in every format.
// The fixtures come from interop/make_fixtures_preprocess.py.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { decodeImage } from "./decode_node.ts";
import { outputSize, preprocess, resizedSize } from "./preprocess.ts";
import type { ResizeSpec } from "./types.ts";

const read = (name: string) => readFileSync(new URL(`fixtures/${name}`, import.meta.url));

interface Manifest {
  images: { name: string; width: number; height: number; lossy: boolean; sha256: string }[];
  specs: { name: string; spec: ResizeSpec; images: string[] }[];
}
const manifest = JSON.parse(read("preprocess.json").toString()) as Manifest;
const decode = (name: string) => decodeImage(new Blob([read(name)]), name);

describe("decoding gives PIL's pixels", () => {
  test.each(manifest.images)("$name", async ({ name, width, height, sha256 }) => {
    const image = await decode(name);
    expect([image.width, image.height]).toEqual([width, height]);
    expect(createHash("sha256").update(image.data).digest("hex")).toBe(sha256);
  });
});

describe.each(manifest.specs)("$name gives the image processor's pixels", ({ name, spec, images }) => {
  const { height, width } = outputSize(spec);
  const length = height * width * 3;
  const expected = new Uint8Array(read(`${name}.bin`));

  test("the fixture holds one picture for each image", () => {
    expect(expected.length).toBe(images.length * length);
  });

  test.each(images)("%s", async (image) => {
    const at = images.indexOf(image) * length;
    const actual = preprocess(await decode(image), spec);
    expect(actual.length).toBe(length);
    let worst = 0;
    let total = 0;
    for (let i = 0; i < length; i++) {
      const difference = Math.abs((actual[i] as number) - (expected[at + i] as number));
      worst = Math.max(worst, difference);
      total += difference;
    }
    // A lossy format leaves a decoder some freedom (1/255 mean and 3/255 at most are allowed); the rest leave none.
    const lossy = manifest.images.find((entry) => entry.name === image)?.lossy;
    expect(worst).toBeLessThanOrEqual(lossy ? 3 : 0);
    expect(total / length).toBeLessThanOrEqual(lossy ? 1 : 0);
  });
});

test("the longer edge is cut down to a whole number", () => {
  expect(resizedSize(640, 427, { mode: "shortest", edge: 256 })).toEqual({ width: 383, height: 256 });
  expect(resizedSize(427, 640, { mode: "shortest", edge: 256 })).toEqual({ width: 256, height: 383 });
  expect(resizedSize(640, 427, { mode: "exact", width: 10, height: 20 })).toEqual({ width: 10, height: 20 });
});

test("without a crop, the middle square of the shorter edge is kept, so that batches have one size", () => {
  const spec: ResizeSpec = { resize: { mode: "shortest", edge: 2 }, crop: null, interpolation: "nearest" };
  const row = [1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4];
  const image = { width: 4, height: 2, data: new Uint8Array([...row, ...row]) };
  const middle = [2, 2, 2, 3, 3, 3];
  expect([...preprocess(image, spec)]).toEqual([...middle, ...middle]);
});

test("what is returned is never the decoder's own array", () => {
  const spec: ResizeSpec = {
    resize: { mode: "exact", height: 1, width: 1 },
    crop: null,
    interpolation: "bilinear",
  };
  const image = { width: 1, height: 1, data: new Uint8Array([1, 2, 3]) };
  preprocess(image, spec)[0] = 9;
  expect(image.data[0]).toBe(1);
});
