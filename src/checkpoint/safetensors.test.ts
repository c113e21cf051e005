// Round trips, and headers that lie in every way a header can.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Failure } from "../failure.ts";
import { dtypeBytes } from "./dtypes.ts";
import { fixture } from "./fixtures/load.ts";
import { readSafetensors, writeSafetensors } from "./safetensors.ts";
import type { NamedTensor } from "./types.ts";

const real = fixture("vit").find(({ path }) => path.endsWith(".safetensors"))!.blob;
const realBytes = new Uint8Array(await real.arrayBuffer());
const headerLength = Number(new DataView(realBytes.buffer).getBigUint64(0, true));
const headerText = new TextDecoder().decode(realBytes.subarray(8, 8 + headerLength));

/** A file with this header text and this much data; `claimed` overrides the length field. */
function file(header: string, data: number | Uint8Array<ArrayBuffer> = 0, claimed?: bigint): Blob {
  const text = new TextEncoder().encode(header);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, claimed ?? BigInt(text.length), true);
  return new Blob([length, text, typeof data === "number" ? new Uint8Array(data) : data]);
}

async function failure(blob: Blob): Promise<Failure> {
  const error = await readSafetensors(blob, "model.safetensors").catch((e: unknown) => e);
  expect(error).toBeInstanceOf(Failure);
  return error as Failure;
}

/** Seconds of processor time, so that a busy machine does not fail the bound. */
function seconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

const bytes = async (blob: Blob) => new Uint8Array(await blob.arrayBuffer());

test("a file from safetensors' own writer is read, and written again it holds the same", async () => {
  const { tensors, metadata } = await readSafetensors(real, "model.safetensors");
  expect(metadata).toEqual({ format: "pt" });
  expect(tensors.map(({ name }) => name)).toContain("vit.encoder.layer.1.output.dense.bias");
  const again = writeSafetensors(tensors, metadata);
  const reread = await readSafetensors(again, "again");
  expect(reread.metadata).toEqual(metadata);
  expect(reread.tensors.map(({ bytes: _, ...rest }) => rest)).toEqual(
    tensors.map(({ bytes: _, ...rest }) => rest),
  );
  // The data is the same byte for byte, whatever the header looks like.
  expect((await bytes(again)).slice(-(real.size - 8 - headerLength))).toEqual(
    realBytes.slice(8 + headerLength),
  );
});

const tensorArbitrary = fc
  .record({
    name: fc
      .string({ unit: "grapheme", minLength: 0, maxLength: 12 })
      .filter((name) => name !== "__metadata__"),
    dtype: fc.constantFrom(...dtypeBytes.keys()),
    shape: fc.array(fc.nat(4), { maxLength: 4 }),
    fill: fc.nat(255),
  })
  .map(({ fill, ...rest }): NamedTensor => {
    const size = rest.shape.reduce((a, b) => a * b, 1) * dtypeBytes.get(rest.dtype)!;
    return { ...rest, bytes: new Blob([new Uint8Array(size).fill(fill)]) };
  });

test("whatever is written is read back: names, order, shapes, bytes and metadata", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(tensorArbitrary, { selector: ({ name }) => name, maxLength: 6 }),
      fc.dictionary(fc.string(), fc.string(), { maxKeys: 3 }),
      async (tensors, metadata) => {
        const blob = writeSafetensors(tensors, metadata);
        const header = Number(new DataView(await blob.slice(0, 8).arrayBuffer()).getBigUint64(0, true));
        expect(header % 8).toBe(0);
        const back = await readSafetensors(blob, "file");
        expect({ ...back.metadata }).toEqual({ ...metadata });
        // Empty tensors share their place with a neighbour, so only the others have an order.
        const filled = (list: NamedTensor[]) => list.filter(({ bytes }) => bytes.size > 0);
        expect(filled(back.tensors).map(({ name }) => name)).toEqual(filled(tensors).map(({ name }) => name));
        for (const tensor of tensors) {
          const same = back.tensors.find(({ name }) => name === tensor.name)!;
          expect([same.dtype, same.shape]).toEqual([tensor.dtype, tensor.shape]);
          expect(await bytes(same.bytes)).toEqual(await bytes(tensor.bytes));
        }
      },
    ),
    { numRuns: 200 },
  );
});

const entry = (dtype: string, shape: unknown, data_offsets: unknown) => ({ dtype, shape, data_offsets });

test.each<[string, Blob, RegExp]>([
  ["an empty file", new Blob([]), /empty/],
  ["three bytes", new Blob([new Uint8Array(3)]), /no file of weights that is known/],
  ["a Git LFS pointer", new Blob(["version https://git-lfs.github.com/spec/v1\noid sha256:0\n"]), /Git LFS/],
  ["a zip", new Blob(["PK\x03\x04 something or other"]), /zip/],
  [
    "a web page",
    new Blob(["<!DOCTYPE html><html></html>"]),
    /This is a web page \(HTML\)\. Download the file itself/,
  ],
  ["a header of 100 MB", file("{}", 0, 100_000_000n), /header should be longer than the 25000000 bytes/],
  ["a header of 2^63 bytes", file("{}", 0, 1n << 63n), /header should be longer/],
  ["a header longer than the file", file("{}", 0, 3000n), /cut off/],
  ["a header cut in the middle", file('{"a":{"dtype":"F3'), /not valid JSON/],
  ["a header that is a list", file("[]"), /no file of weights that is known/],
  ["a length and nothing after it", file("{}").slice(0, 8), /cut off/],

  ["metadata that is a list", file('{"__metadata__":[]}'), /not an object/],
  ["a tensor that is a number", file('{"a":1}'), /"a" has no description/],
  ["no dtype", file('{"a":{"shape":[],"data_offsets":[0,0]}}'), /no dtype/],
  ["an unknown dtype", file(JSON.stringify({ a: entry("F99", [1], [0, 4]) }), 4), /"F99"/],
  ["a dtype named __proto__", file(JSON.stringify({ a: entry("__proto__", [1], [0, 4]) }), 4), /__proto__/],
  ["a negative side", file(JSON.stringify({ a: entry("F32", [-1], [0, 4]) }), 4), /no usable shape/],
  ["a broken side", file(JSON.stringify({ a: entry("F32", [0.5], [0, 4]) }), 4), /no usable shape/],
  ["nine sides", file(JSON.stringify({ a: entry("F32", Array(9).fill(1), [0, 4]) }), 4), /no usable shape/],
  ["a shape beyond counting", file('{"a":{"dtype":"F32","shape":[1e300],"data_offsets":[0,4]}}', 4), /shape/],
  [
    "a product that wraps around",
    file(JSON.stringify({ a: entry("F32", [2 ** 32, 2 ** 30], [0, 0]) })),
    /needs 18446744073709551616 bytes/,
  ],
  [
    "offsets the wrong way round",
    file(JSON.stringify({ a: entry("F32", [1], [4, 0]) }), 4),
    /before it begins/,
  ],
  ["offsets past the end", file(JSON.stringify({ a: entry("F32", [2], [0, 8]) }), 4), /cut off/],
  ["three offsets", file(JSON.stringify({ a: entry("F32", [1], [0, 4, 4]) }), 4), /data_offsets/],
  [
    "bytes that do not fit the shape",
    file(JSON.stringify({ a: entry("F32", [2], [0, 4]) }), 4),
    /needs 8 bytes/,
  ],
  [
    "overlapping tensors",
    file(JSON.stringify({ a: entry("F32", [2], [0, 8]), b: entry("F32", [2], [4, 12]) }), 12),
    /"b" begins at byte 4.*overlap/,
  ],
  [
    "two tensors in one place",
    file(JSON.stringify({ a: entry("F32", [1], [0, 4]), b: entry("F32", [1], [0, 4]) }), 4),
    /overlap/,
  ],
  ["a hole at the start", file(JSON.stringify({ a: entry("F32", [1], [4, 8]) }), 8), /hole/],
  ["bytes no tensor owns", file(JSON.stringify({ a: entry("F32", [1], [0, 4]) }), 8), /end at byte 4 of 8/],
  [
    "one name twice",
    file(
      '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}',
      4,
    ),
    /"a" stands twice/,
  ],
  [
    "one name twice, spelt differently",
    file(
      '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\\u0061":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
      4,
    ),
    /"a" stands twice/,
  ],
  [
    "offsets twice in one tensor",
    file('{"a":{"dtype":"U8","dtype":"F32","shape":[],"data_offsets":[0,4]}}', 4),
    /twice/,
  ],
])("%s is refused by what it is", async (_, blob, sentence) => {
  const { message, parts } = await failure(blob);
  expect(message).toMatch(sentence);
  expect(parts.code).toBe("bad-file");
  expect(parts.where).toBe("model.safetensors");
});

test("metadata that is no text is left out, and told", async () => {
  const odd = { format: "pt", epoch: 3, labels: ["a"], none: null, nested: { a: "b" } };
  const { metadata, notes } = await readSafetensors(file(JSON.stringify({ __metadata__: odd })), "m");
  expect(metadata).toEqual({ format: "pt" });
  expect(notes).toEqual([
    expect.stringMatching(/no text \("epoch", "labels", "none", "nested"\).*it is left out/),
  ]);
});

test("invalid UTF-8 in a header is refused", async () => {
  const header = new TextEncoder().encode('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}');
  header[2] = 0xff;
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(header.length), true);
  expect((await failure(new Blob([length, header]))).message).toMatch(/UTF-8/);
});

test("a name that would break a sentence is shown harmless", async () => {
  const { message } = await failure(file(JSON.stringify({ [`\u202e\n${"x".repeat(5000)}`]: 1 })));
  expect(message).not.toMatch(/[\n\u202e]/);
  expect(message.length).toBeLessThan(300);
});

test.each<[string, () => string]>([
  ["24 MB of open brackets", () => `{"a":${"[".repeat(24_000_000)}`],
  ["24 MB of nested objects", () => `{"a":${'{"a":'.repeat(4_800_000)}`],
  ["a million empty objects", () => `{"a":[${"{},".repeat(6_000_000)}{}]}`],
  ["24 MB of numbers", () => `{"a":[${"1,".repeat(12_000_000)}1]}`],
  ["24 MB of spaces", () => `{${" ".repeat(24_000_000)}}`],
  ["one name of 24 MB", () => `{"${"a".repeat(24_000_000)}":1}`],
  ["24 MB of escapes", () => `{"${"\\u0061".repeat(4_000_000)}":1}`],
  ["a string that never ends", () => `{"${"\\".repeat(24_000_000)}`],
  [
    "100,000 tensors",
    () =>
      `{${Array.from({ length: 100_000 }, (_, i) => `"${i}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`).join()}}`,
  ],
])("%s in a header are settled within a second", async (_, header) => {
  const blob = file(header());
  const before = seconds();
  const result = await readSafetensors(blob, "f").catch((e: unknown) => e);
  expect(seconds() - before).toBeLessThan(1);
  if (!(result instanceof Failure))
    expect(result).toEqual({ where: "f", tensors: [], metadata: {}, notes: [] });
});

/** Reads a mutated file: a Failure, or tensors that tile the data and have the bytes their shape needs. */
async function failsOrHolds(blob: Blob): Promise<"failed" | "held"> {
  const before = seconds();
  const result = await readSafetensors(blob, "f").catch((e: unknown) => e);
  expect(seconds() - before).toBeLessThan(1);
  if (result instanceof Failure) return "failed";
  const { tensors } = result as Awaited<ReturnType<typeof readSafetensors>>;
  const length = Number(new DataView(await blob.slice(0, 8).arrayBuffer()).getBigUint64(0, true));
  expect(tensors.reduce((sum, { bytes }) => sum + bytes.size, 0)).toBe(blob.size - 8 - length);
  for (const { dtype, shape, bytes } of tensors) {
    expect(bytes.size).toBe(shape.reduce((a, b) => a * b, 1) * dtypeBytes.get(dtype)!);
  }
  expect(new Set(tensors.map(({ name }) => name)).size).toBe(tensors.length);
  return "held";
}

test("bytes flipped anywhere in a real header: a Failure, or a file that holds together", async () => {
  const seen = { failed: 0, held: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(8 + headerLength - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      async (flips) => {
        const copy = realBytes.slice();
        for (const [at, value] of flips) copy[at] = value;
        seen[await failsOrHolds(new Blob([copy]))]++;
      },
    ),
    { numRuns: 600 },
  );
  // Both ends must be reached, or the property says nothing.
  expect(seen.failed).toBeGreaterThan(50);
  expect(seen.held).toBeGreaterThan(5);
});

test("a real file cut off anywhere, or with bytes added, is a Failure", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(real.size - 1), async (length) => {
      expect(await failsOrHolds(real.slice(0, length))).toBe("failed");
    }),
    { numRuns: 300 },
  );
  expect(await failsOrHolds(new Blob([real, "x"]))).toBe("failed");
});

test("any number in a real header replaced by another: a Failure, or the same file", async () => {
  const numbers = [...headerText.matchAll(/\d+/g)].filter(
    ({ index }) => /[[,]$/.test(headerText.slice(0, index)) && /^\d+[\],]/.test(headerText.slice(index)),
  );
  expect(numbers.length).toBeGreaterThan(100);
  const data = realBytes.slice(8 + headerLength);
  await fc.assert(
    fc.asyncProperty(
      fc.nat(numbers.length - 1),
      fc.oneof(fc.nat(64), fc.nat(real.size), fc.maxSafeNat(), fc.integer(), fc.double().map(Math.abs)),
      async (which, value) => {
        const { index, 0: old } = numbers[which]!;
        const text =
          headerText.slice(0, index) + JSON.stringify(value) + headerText.slice(index + old.length);
        const result = await failsOrHolds(file(text, data));
        expect(result).toBe(String(value) === old || (value === 0 && old === "0") ? "held" : "failed");
      },
    ),
    { numRuns: 400 },
  );
});
