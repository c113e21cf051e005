// Files of 4 GiB and more. They are sparse: nothing but their last bytes takes room on the disk.
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readSafetensors, writeSafetensors } from "./checkpoint/safetensors.ts";
import { writeShards } from "./checkpoint/sharded.ts";
import { walkDirectory } from "./dataset/walk_node.ts";
import { fingerprintOf } from "./fingerprint.ts";
import { joinBlobs } from "./joined_blob.ts";
import { fileBlob } from "./large_file_node.ts";

const GIB = 2 ** 30;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "selora-large-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** A file of `size` bytes, zeros but for `end` and, where it is given, `middle`. */
async function sparse(name: string, size: number, end: string, middle = ""): Promise<string> {
  const path = join(folder, name);
  const file = await open(path, "w");
  await file.truncate(size);
  await file.write(new TextEncoder().encode(middle), 0, middle.length, size / 2);
  await file.write(new TextEncoder().encode(end), 0, end.length, size - end.length);
  await file.close();
  return path;
}

test("a file of 5 GiB has its size and its end", async () => {
  const size = 5 * GIB;
  const [found] = await walkDirectory(await sparse("big.bin", size, "the end"));
  expect(found?.blob.size).toBe(size);
  const end = found?.blob.slice(size - 7, size) as Blob;
  expect([end.size, await end.text()]).toEqual([7, "the end"]);
  expect(await new Response(end.slice(4).stream()).text()).toBe("end");
  expect(await found?.blob.slice(-7, -4).text()).toBe("the");
  expect(found?.blob.slice(10, 5).size).toBe(0);
});

test("tensors that lie in a file of 5 GiB are written with their bytes", async () => {
  const source = await fileBlob(await sparse("source.bin", 5 * GIB, "abcdefgh"));
  const tensors = [source.slice(-8, -4), new Blob(["1234"]), source.slice(-4)].map((bytes, i) => ({
    name: `t${i}`,
    dtype: "F32",
    shape: [1],
    bytes,
  }));
  const written = [
    writeSafetensors(tensors, { format: "pt" }),
    ...writeShards(tensors, {}).map(({ blob }) => blob),
  ];
  for (const blob of written) {
    const read = await readSafetensors(blob, "written");
    expect(await Promise.all(read.tensors.map(({ bytes }) => bytes.text()))).toEqual([
      "abcd",
      "1234",
      "efgh",
    ]);
    expect(new Uint8Array(await new Response(blob.stream()).arrayBuffer())).toEqual(
      new Uint8Array(await blob.arrayBuffer()),
    );
  }
});

test("what is written may be larger than 4 GiB, of small files as of large ones", async () => {
  for (const size of [2 * GIB, 5 * GIB]) {
    const part = await fileBlob(await sparse("part.bin", size, "the end"));
    const joined = joinBlobs(["head", part, part, part, Uint8Array.of(33)]);
    expect(joined.size).toBe(3 * size + 5);
    expect(await joined.slice(0, 6).text()).toBe("head\0\0");
    expect(await joined.slice(-8).text()).toBe("the end!");
    expect(await joined.slice(4 + size - 3, 4 + size + 1).text()).toBe("end\0");
    // The beginning of a stream; nobody waits for the rest.
    const reader = joined.stream().getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe("head");
    expect((await reader.read()).value?.every((byte) => byte === 0)).toBe(true);
    await reader.cancel();
  }
});

test("two files of 5 GiB that differ have other fingerprints", async () => {
  const prints = new Set<string | null>();
  for (const middle of ["one", "two"]) {
    const blob = await fileBlob(await sparse("print.bin", 5 * GIB, "", middle));
    prints.add(await fingerprintOf([{ path: "m/print.bin", blob }]));
  }
  expect([...prints]).toEqual([expect.any(String), expect.any(String)]);
});
