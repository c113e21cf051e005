import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { Failure } from "../failure.ts";
import { decodeImage } from "./decode_node.ts";
import { PixelStore } from "./pixels.ts";
import { preprocess } from "./preprocess.ts";
import type { DecodeImage, ImageSet, ResizeSpec } from "./types.ts";

const spec: ResizeSpec = {
  resize: { mode: "shortest", edge: 8 },
  crop: { height: 6, width: 6 },
  interpolation: "bilinear",
};
const BYTES = 6 * 6 * 3;

/** Images of a colour ramp each; a content of `broken` cannot be decoded. */
function set(contents: string[]): ImageSet {
  return {
    name: "x",
    classes: ["a", "b"],
    items: contents.map((content, i) => ({
      path: `${i % 2 ? "b" : "a"}/${i}.jpg`,
      label: i % 2,
      split: "train",
      read: async () => new Blob([content]),
    })),
    splitOrigin: "drawn",
    reading: null,
    issues: [],
  };
}

function decoder() {
  const seen = { calls: 0, atOnce: 0, most: 0 };
  const decode: DecodeImage = async (blob, path) => {
    seen.calls++;
    seen.most = Math.max(seen.most, ++seen.atOnce);
    const text = await blob.text();
    await new Promise((resume) => setTimeout(resume, 1));
    seen.atOnce--;
    if (text === "broken") {
      throw new Failure({ code: "bad-file", what: "It is broken.", where: path, remedy: "Mend it." });
    }
    if (text === "bug") throw new TypeError("our own fault");
    const data = new Uint8Array(20 * 10 * 3);
    for (let i = 0; i < data.length; i++) data[i] = (Number(text) * 31 + i) & 255;
    return { width: 20, height: 10, data };
  };
  return { decode, seen };
}

test("a batch is each image's prepared pixels, in order", async () => {
  const { decode } = decoder();
  const store = new PixelStore(set(["0", "1", "2"]), spec, decode);
  expect([store.height, store.width]).toEqual([6, 6]);
  const batch = await store.pixels([2, 0]);
  const expected = preprocess(await decode(new Blob(["2"]), "x"), spec);
  expect(batch.subarray(0, BYTES)).toEqual(expected);
  expect(batch.length).toBe(2 * BYTES);
});

test("an image is decoded once, even when two batches ask at the same time", async () => {
  const { decode, seen } = decoder();
  const store = new PixelStore(set(["0", "1"]), spec, decode);
  await Promise.all([store.pixels([0, 1]), store.pixels([1, 0, 1])]);
  await store.pixels([0, 1]);
  expect(seen.calls).toBe(2);
  expect(store.keptBytes).toBe(2 * BYTES);
});

test("a batch that is written into leaves the next one alone", async () => {
  const { decode } = decoder();
  const store = new PixelStore(set(["5"]), spec, decode);
  const first = await store.pixels([0]);
  const before = first.slice();
  first.fill(0);
  expect(await store.pixels([0])).toEqual(before);
});

test("memory stays within its bound, and what is kept survives an epoch over everything", async () => {
  const { decode, seen } = decoder();
  const contents = Array.from({ length: 10 }, (_, i) => String(i));
  const store = new PixelStore(set(contents), spec, decode, { cacheBytes: 4 * BYTES + 1 });
  const all = contents.map((_, i) => i);
  await store.prepare(all);
  expect(store.keptBytes).toBe(4 * BYTES);
  seen.calls = 0;
  await store.pixels(all);
  expect(seen.calls).toBe(6);
});

test("a few images at a time are decoded", async () => {
  const { decode, seen } = decoder();
  const store = new PixelStore(set(Array.from({ length: 30 }, (_, i) => String(i))), spec, decode);
  const all = [...Array(30).keys()];
  await Promise.all([store.prepare(all), store.pixels(all.toReversed())]);
  expect(seen.most).toBe(4);
});

describe("unreadable files", () => {
  test("are named, left out, and stop nothing", async () => {
    const { decode } = decoder();
    const store = new PixelStore(set(["0", "broken", "2", "3", "broken"]), spec, decode);
    const progress: [number, number][] = [];
    const found = await store.prepare([0, 1, 2, 3, 4], (done, total) => progress.push([done, total]));
    expect(found).toEqual([
      { index: 1, path: "b/1.jpg", reason: "b/1.jpg: It is broken. Mend it." },
      { index: 4, path: "a/4.jpg", reason: "a/4.jpg: It is broken. Mend it." },
    ]);
    expect(progress.map(([done]) => done)).toEqual([1, 2, 3, 4, 5]);
    expect(store.usable([4, 3, 2, 1, 0])).toEqual([3, 2, 0]);
    expect(store.issues()).toEqual([
      {
        severity: "warning",
        text: "2 images cannot be read and are left out. The first: b/1.jpg: It is broken. Mend it.",
        paths: ["b/1.jpg", "a/4.jpg"],
      },
    ]);
  });

  test("that were a class's last are an error", async () => {
    const { decode } = decoder();
    const store = new PixelStore(set(["0", "broken"]), spec, decode);
    await store.prepare([0, 1]);
    expect(store.issues()[1]).toMatchObject({
      severity: "error",
      text: "No training image of b can be read, so there is nothing to learn it from.",
    });
  });

  test("fail by name in a batch that was not prepared", async () => {
    const { decode } = decoder();
    const store = new PixelStore(set(["0", "broken"]), spec, decode);
    await expect(store.pixels([0, 1])).rejects.toThrow("b/1.jpg: It is broken.");
  });

  test("are told from faults of our own", async () => {
    const { decode } = decoder();
    const store = new PixelStore(set(["0", "bug"]), spec, decode);
    await expect(store.prepare([0, 1])).rejects.toThrow("our own fault");
    expect(store.unreadable).toEqual([]);
  });
});

test("preparing can be stopped", async () => {
  const { decode, seen } = decoder();
  const store = new PixelStore(set(Array.from({ length: 50 }, (_, i) => String(i))), spec, decode);
  const stop = new AbortController();
  const preparing = store.prepare([...Array(50).keys()], (done) => done === 5 && stop.abort(), stop.signal);
  await expect(preparing).rejects.toMatchObject({ parts: { code: "cancelled" } });
  expect(seen.calls).toBeLessThan(12);
});

describe("augmentation", () => {
  const all = [...Array(8).keys()];
  const store = () => new PixelStore(set(all.map(String)), spec, decoder().decode);

  test.each(["flip", "crop-flip"] as const)(
    "%s: seed, epoch and image decide, and nothing else",
    async (kind) => {
      const once = await store().pixels(all, { kind, seed: 3, epoch: 1 });
      const other = store();
      await other.pixels([5, 1], { kind, seed: 3, epoch: 0 });
      const backwards = await other.pixels(all.toReversed(), { kind, seed: 3, epoch: 1 });
      for (const i of all) {
        const at = 7 - i;
        expect(backwards.subarray(at * BYTES, (at + 1) * BYTES)).toEqual(
          once.subarray(i * BYTES, (i + 1) * BYTES),
        );
      }
      expect(await store().pixels(all, { kind, seed: 3, epoch: 2 })).not.toEqual(once);
      expect(await store().pixels(all, { kind, seed: 4, epoch: 1 })).not.toEqual(once);
    },
  );

  test("a flip is the image or its mirror image", async () => {
    const mirrored = (pixels: Uint8Array) => {
      const copy = pixels.slice();
      for (let y = 0; y < 6; y++)
        for (let x = 0; x < 6; x++)
          copy.set(pixels.subarray((y * 6 + 5 - x) * 3, (y * 6 + 6 - x) * 3), (y * 6 + x) * 3);
      return copy;
    };
    const plain = await store().pixels(all);
    const flipped = await store().pixels(all, { kind: "flip", seed: 0, epoch: 0 });
    let turned = 0;
    for (const i of all) {
      const before = plain.subarray(i * BYTES, (i + 1) * BYTES);
      const after = flipped.subarray(i * BYTES, (i + 1) * BYTES);
      const same = before.every((byte, k) => byte === after[k]);
      if (!same) expect(new Uint8Array(after)).toEqual(mirrored(before));
      turned += same ? 0 : 1;
    }
    expect(turned).toBeGreaterThan(0);
    expect(turned).toBeLessThan(8);
  });

  test("crops make room for themselves where memory is full of plain pixels", async () => {
    const { decode, seen } = decoder();
    const crops = new PixelStore(set(["0", "1"]), spec, decode, { cacheBytes: 1200 });
    await crops.prepare([0, 1]);
    await crops.pixels([0, 1], { kind: "crop-flip", seed: 0, epoch: 0 });
    expect(crops.keptBytes).toBeLessThanOrEqual(1200);
    seen.calls = 0;
    await crops.pixels([0, 1], { kind: "crop-flip", seed: 0, epoch: 1 });
    expect(seen.calls).toBeLessThan(2);
  });
});

test("files of 16 bits that use fewer are told of", async () => {
  const bits = [undefined, 12, 8, 12];
  const data = new Uint8Array(20 * 10 * 3);
  const decode: DecodeImage = async (blob) => {
    const used = bits[Number(await blob.text())];
    return { width: 20, height: 10, data, ...(used && { bits: used }) };
  };
  const store = new PixelStore(set(["0", "1", "2", "3"]), spec, decode);
  await store.prepare([0]);
  expect(store.issues()).toEqual([]);
  await store.prepare([0, 1, 2, 3]);
  expect(store.issues()).toEqual([
    {
      severity: "warning",
      text: expect.stringMatching(/^1 image uses only 8, 2 images use only 12 of their 16 bits\. /),
      paths: ["b/1.jpg", "a/2.jpg", "b/3.jpg"],
    },
  ]);
});

test("a real file among texts that call themselves images", async () => {
  const jpeg = readFileSync(new URL("fixtures/fine.jpg", import.meta.url));
  const mixed = set(["0", "1"]);
  mixed.items[0] = { path: "a/fine.jpg", label: 0, split: "train", read: async () => new Blob([jpeg]) };
  const store = new PixelStore(mixed, spec, decodeImage);
  expect(await store.prepare([0, 1])).toEqual([
    {
      index: 1,
      path: "b/1.jpg",
      reason: "b/1.jpg: This is not a PNG, JPEG, WebP, GIF or BMP image. Replace or remove this file.",
    },
  ]);
  expect((await store.pixels(store.usable([0, 1]))).length).toBe(BYTES);
});
