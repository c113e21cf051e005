// Zips of every make: what is listed, where it lies and what it holds; those that lie, were cut or come in parts are
// refused; and whatever the bytes, a Failure or contents with the checksum that the zip gives.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Failure } from "./failure.ts";
import { blobSource, crc32, memorySource, readZipDirectory, type ZipDirectory } from "./zip_directory.ts";
import { extraField, joinBytes, numbers, type TestEntry, type TestZip, zipBytes } from "./zip_testing.ts";

const options = { where: "a.zip", remedy: "Make the zip anew.", maxEntries: 1000 };
const open = (bytes: Uint8Array<ArrayBuffer>, more = {}) =>
  readZipDirectory(memorySource(bytes), { ...options, ...more });
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const utf8 = new TextEncoder();

async function contents(directory: ZipDirectory): Promise<Record<string, string>> {
  const all: Record<string, string> = {};
  for (let i = 0; i < directory.count; i++)
    all[text(directory.entry(i).name)] = await (await directory.read(i, "x")).text();
  return all;
}

async function refusal(bytes: Uint8Array<ArrayBuffer>, more = {}): Promise<string> {
  const error = await open(bytes, more).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(Failure);
  expect((error as Failure).parts).toMatchObject({ code: "bad-file", where: "a.zip" });
  return (error as Failure).message;
}

const two: TestEntry[] = [
  { name: "cat/1.txt", content: "one ".repeat(100), deflate: true },
  { name: "dog/2.txt", content: "two" },
];
const held = { "cat/1.txt": "one ".repeat(100), "dog/2.txt": "two" };
const junk = utf8.encode("HTTP/1.1 200 OK\n");

test.each<[string, TestZip]>([
  ["plain", {}],
  ["with a comment", { comment: "made on a Tuesday" }],
  ["with a comment that looks like an end", { comment: `PK\x05\x06${"\0".repeat(18)}` }],
  ["with bytes after it", { suffix: new Uint8Array(100) }],
  ["behind other bytes, places counted from the zip", { prefix: junk }],
  [
    "behind a program, places counted from the file",
    { prefix: new Uint8Array(1000).fill(7), absolute: true },
  ],
  ["with the end of zip64 beside the old one, as torch", { zip64: "end" }],
  ["in zip64 throughout", { zip64: "all" }],
  ["in zip64 behind other bytes", { zip64: "all", prefix: junk }],
  ["in zip64 behind a program", { zip64: "all", prefix: junk, absolute: true, comment: "x" }],
])("a zip %s", async (_, how) => {
  const bytes = zipBytes(two, how);
  expect(await contents(await open(bytes))).toEqual(held);
  expect(await contents(await readZipDirectory(blobSource(new Blob([bytes]), "b"), options))).toEqual(held);
});

test("sizes behind the data, as streams write them", async () => {
  const bytes = zipBytes(two.map((entry) => ({ ...entry, descriptor: true })));
  expect(await contents(await open(bytes))).toEqual(held);
});

test("a header of any length before the data, with and without the end of zip64", async () => {
  for (let length = 0; length < 120; length++) {
    const entries = [{ ...two[0], localExtra: new Uint8Array(length) } as TestEntry, two[1] as TestEntry];
    for (const zip64 of ["none", "end", "all"] as const)
      expect(await contents(await open(zipBytes(entries, { zip64 })))).toEqual(held);
  }
});

test("names as they stand, in UTF-8 by flag or beside the old one", async () => {
  const old = Uint8Array.of(0x8c, 0xa2);
  const beside = (name: Uint8Array) =>
    extraField(0x7075, joinBytes([numbers([1, 1], [crc32(name), 4]), utf8.encode("犬")]));
  const directory = await open(
    zipBytes([
      { name: old, host: 0 },
      { name: "犬", flags: 1 << 11 },
      { name: old, extra: joinBytes([extraField(0x5455, new Uint8Array(5)), beside(old)]) },
      { name: old, extra: beside(Uint8Array.of(1, 2)) },
    ]),
  );
  const all = Array.from({ length: 4 }, (_, i) => directory.entry(i));
  expect(all.map(({ utf8, dos }) => [utf8, dos])).toEqual([
    [false, true],
    [true, false],
    [true, false],
    [false, false],
  ]);
  expect(all.map(({ name }) => [...name])).toEqual([
    [...old],
    [...utf8.encode("犬")],
    [...utf8.encode("犬")],
    [...old],
  ]);
});

test("folders, links, packings and passwords are told", async () => {
  const directory = await open(
    zipBytes([
      { name: "a/" },
      { name: "b", mode: 0x41ed },
      { name: "c", mode: 0xa1ff, content: "target" },
      { name: "d", method: 14 },
      { name: "e", method: 93 },
      { name: "f", method: 1234 },
      { name: "g", flags: 1 },
    ]),
  );
  const all = Array.from({ length: 7 }, (_, i) => directory.entry(i));
  expect(all.map(({ kind }) => kind)).toEqual(["folder", "folder", "link", "file", "file", "file", "file"]);
  expect(all.map(({ packing }) => packing)).toEqual([null, null, null, "LZMA", "zstd", "method 1234", null]);
  expect(all.map(({ encrypted }) => encrypted)).toEqual([...Array(6).fill(false), true]);
});

test("what is stored is a slice, and the beginning of either kind is had without the rest", async () => {
  const content = joinBytes([utf8.encode("beginning"), new Uint8Array(1_000_000)]);
  const bytes = zipBytes([
    { name: "a", content },
    { name: "b", content, deflate: true },
  ]);
  let read = 0;
  const source = memorySource(bytes);
  const counted = {
    ...source,
    read: (begin: number, end: number) => {
      read += end - begin;
      return source.read(begin, end);
    },
  };
  const directory = await readZipDirectory(counted, options);
  read = 0;
  expect(text(await directory.head(0, 9))).toBe("beginning");
  expect(text(await directory.head(1, 9))).toBe("beginning");
  expect(read).toBeLessThan(4000);
  expect((await directory.read(0, "a")).size).toBe(content.length);
});

test.each<[string, RegExp, Uint8Array<ArrayBuffer>]>([
  ["nothing", /empty \(0 bytes\)/, new Uint8Array(0)],
  ["no zip", /not a zip/, utf8.encode("hello, this is no zip at all, only words")],
  ["one that was cut off", /cut off/, zipBytes(two).slice(0, -30)],
  ["the last part of several", /the last part of a zip that was split/, splitPart()],
  ["the first part of several", /the first part of a zip that was split/, firstPart()],
  ["names that are encrypted", /password/, zipBytes([{ name: "a", flags: 1 << 13 }])],
  ["two zips behind one another", /damaged/, joinBytes([zipBytes(two), zipBytes(two)])],
  [
    "a zip of zips that was cut off",
    /damaged/,
    zipBytes([{ name: "i.zip", content: zipBytes(two) }, ...two]).slice(0, 35 + zipBytes(two).length),
  ],
])("%s is refused", async (_, sentence, bytes) => {
  expect(await refusal(bytes)).toMatch(sentence);
});

function splitPart(): Uint8Array<ArrayBuffer> {
  const bytes = zipBytes(two);
  const end = new DataView(bytes.buffer, bytes.length - 22);
  end.setUint16(4, 3, true);
  return bytes;
}

function firstPart(): Uint8Array<ArrayBuffer> {
  return joinBytes([numbers([0x08074b50, 4]), zipBytes(two).slice(0, 60)]);
}

test("entries over one another, outside, or too many are refused", async () => {
  const plain = [two[1], { ...two[1], name: "x" }, { ...two[1], name: "y" }] as TestEntry[];
  const bytes = zipBytes(plain);
  const directory = [...bytes.keys()].filter(
    (at) => at + 4 <= bytes.length && new DataView(bytes.buffer).getUint32(at, true) === 0x02014b50,
  );
  const altered = (entry: number, field: number, value: number) => {
    const copy = bytes.slice();
    new DataView(copy.buffer).setUint32((directory[entry] as number) + field, value, true);
    return copy;
  };
  expect(await refusal(altered(1, 42, 0))).toMatch(/lie over one another/);
  expect(await refusal(altered(0, 20, 100))).toMatch(/lie over one another/);
  expect(await refusal(altered(2, 20, 1_000_000))).toMatch(/reaches past its end/);
  expect(await refusal(altered(2, 42, 1_000_000))).toMatch(/reaches past its end/);
  expect(await refusal(bytes, { maxEntries: 2 })).toMatch(/more than 2 files/);
  const moved = await open(altered(1, 42, 43));
  await expect(moved.read(1, "x")).rejects.toThrow(
    "x: This file inside the zip is not where the zip says it is.",
  );
});

test("what is damaged inside is named, and a bomb is stopped", async () => {
  const wrong = await open(
    zipBytes([
      { name: "a", content: "abc", crc: 1 },
      { name: "b", content: "abc", crc: 1, deflate: true },
      { name: "c", content: new Uint8Array(50_000_000), size: 1000, deflate: true },
      { name: "d", content: utf8.encode("this is no deflated stream"), method: 8 },
      { name: "e", content: "abc", size: 4, deflate: true },
    ]),
  );
  for (let i = 0; i < 5; i++) {
    const memory = process.memoryUsage().arrayBuffers;
    await expect(wrong.read(i, `f${i}`)).rejects.toThrow(`f${i}: This file inside the zip is damaged.`);
    expect(process.memoryUsage().arrayBuffers - memory).toBeLessThan(40_000_000);
  }
});

test("a file that can no longer be read is said to be so", async () => {
  const bytes = zipBytes(two);
  const blob = new Blob([bytes]);
  const gone = new Blob([bytes]);
  gone.slice = () =>
    ({ arrayBuffer: () => Promise.reject(new DOMException("gone", "NotReadableError")) }) as never;
  await expect(readZipDirectory(blobSource(gone, "g.zip"), options)).rejects.toThrow(
    /g.zip: .*no longer be read/,
  );
  expect((await readZipDirectory(blobSource(blob, "g.zip"), options)).count).toBe(2);
});

const anyZip = fc.record({
  entries: fc.uniqueArray(
    fc.record({
      name: fc.stringMatching(/^[a-z]{1,6}(\/[a-z]{1,6}){0,2}$/),
      content: fc.uint8Array({ maxLength: 400, size: "max" }),
      deflate: fc.boolean(),
      descriptor: fc.boolean(),
      localExtra: fc.uint8Array({ maxLength: 100 }),
    }),
    { selector: ({ name }) => name, maxLength: 8 },
  ),
  how: fc.record({
    prefix: fc.oneof(fc.constant(new Uint8Array(0)), fc.uint8Array({ minLength: 1, maxLength: 100 })),
    absolute: fc.boolean(),
    comment: fc.string({ maxLength: 50 }),
    suffix: fc.oneof(fc.constant(new Uint8Array(0)), fc.uint8Array({ maxLength: 100 })),
    zip64: fc.constantFrom("none" as const, "end" as const, "all" as const),
  }),
});

test("any zip, whatever stands around it, gives back what went in", async () => {
  await fc.assert(
    fc.asyncProperty(anyZip, async ({ entries, how }) => {
      // A comment's length counts bytes, and what follows must not begin another record.
      const directory = await open(zipBytes(entries, how));
      const found: [string, string][] = [];
      for (let i = 0; i < directory.count; i++)
        found.push([
          text(directory.entry(i).name),
          String(new Uint8Array(await (await directory.read(i, "x")).arrayBuffer())),
        ]);
      expect(found).toEqual(entries.map(({ name, content }) => [name, String(content)]));
    }),
    { numRuns: 500 },
  );
});

test("whatever the bytes: a Failure, or contents with the checksum that the zip gives", async () => {
  const seen = { refused: 0, damaged: 0, read: 0 };
  const edits = fc.array(
    fc.tuple(
      fc.constantFrom("put", "put", "put", "cut", "double", "swap"),
      fc.nat(999_999),
      fc.nat(999_999),
      fc.nat(255),
    ),
    { minLength: 1, maxLength: 4 },
  );
  await fc.assert(
    fc.asyncProperty(anyZip, edits, async ({ entries, how }, changes) => {
      let bytes: Uint8Array<ArrayBuffer> = zipBytes(entries, how);
      for (const [kind, from, to, value] of changes) {
        const [a, b] = [from, to]
          .map((at) => Math.floor((at / 1e6) * bytes.length))
          .sort((x, y) => x - y) as [number, number];
        if (kind === "put")
          bytes = joinBytes([bytes.subarray(0, a), Uint8Array.of(value), bytes.subarray(a + 1)]);
        else if (kind === "cut")
          bytes = joinBytes([bytes.subarray(0, a), bytes.subarray(Math.min(b, a + 50))]);
        else if (kind === "double") bytes = joinBytes([bytes.subarray(0, b), bytes.subarray(a)]);
        else bytes = joinBytes([bytes.subarray(0, a), bytes.subarray(b), bytes.subarray(a, b)]);
      }
      const directory = await open(bytes).catch((error: unknown) => {
        expect(error).toBeInstanceOf(Failure);
        seen.refused++;
        return null;
      });
      for (let i = 0; directory && i < directory.count; i++) {
        const { size, crc32: expected, packing } = directory.entry(i);
        expect((await directory.head(i, 12)).length).toBeLessThanOrEqual(12);
        if (packing !== null) continue;
        const content = await directory.read(i, "x").catch((error: unknown) => error);
        if (content instanceof Blob) {
          const whole = new Uint8Array(await content.arrayBuffer());
          expect([whole.length, crc32(whole)]).toEqual([size, expected]);
          seen.read++;
        } else {
          expect(content).toBeInstanceOf(Failure);
          seen.damaged++;
        }
      }
    }),
    { numRuns: 600 },
  );
  expect(seen.refused).toBeGreaterThan(50);
  expect(seen.damaged).toBeGreaterThan(20);
  expect(seen.read).toBeGreaterThan(100);
});
