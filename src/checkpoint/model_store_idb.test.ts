// Fetched models in a database: files grow and go on where they stood, and a model goes as a whole.
import "fake-indexeddb/auto";
import { expect, test } from "vitest";
import { idbModelStore } from "./model_store_idb.ts";

const bytes = (...values: number[]) => Uint8Array.from(values);
let made = 0;
const fresh = () => idbModelStore(`models ${made++}`);
const read = async (blob: Blob | null) => blob && [...new Uint8Array(await blob.arrayBuffer())];

test("a file grows, across openings, and can be begun again", async () => {
  const store = fresh();
  const first = await store.open("a", "weights");
  const reused = bytes(1, 2);
  await first.append(reused);
  reused.fill(9);
  await first.append(bytes(3));
  expect(first.size).toBe(3);
  await first.close();
  const second = await store.open("a", "weights");
  expect(second.size).toBe(3);
  await second.append(bytes(4));
  await second.close();
  expect(await read(await store.blob("a", "weights"))).toEqual([1, 2, 3, 4]);
  const third = await store.open("a", "weights");
  await third.restart();
  await third.append(bytes(5));
  await third.close();
  expect(await read(await store.blob("a", "weights"))).toEqual([5]);
});

test("large files are parts in their order", async () => {
  const store = fresh();
  const file = await store.open("a", "weights");
  for (let part = 0; part < 12; part++) await file.append(new Uint8Array(2 ** 20 * 8).fill(part));
  await file.append(bytes(99));
  await file.close();
  const blob = await store.blob("a", "weights");
  expect(blob?.size).toBe(12 * 8 * 2 ** 20 + 1);
  const at = async (part: number) =>
    (await read(blob?.slice(part * 8 * 2 ** 20, part * 8 * 2 ** 20 + 1) ?? null))?.[0];
  expect(await Promise.all(Array.from({ length: 13 }, (_, part) => at(part)))).toEqual([
    ...Array(12).keys(),
    99,
  ]);
});

test("records are written whole, models are listed and go alone, and what is not there is null", async () => {
  const store = fresh();
  await store.write("a", "record", "first, longer");
  await store.write("a", "record", "second");
  await store.write("ab", "record", "another");
  expect(await (await store.blob("a", "record"))?.text()).toBe("second");
  expect((await store.ids()).sort()).toEqual(["a", "ab"]);
  await store.remove("a");
  expect(await store.ids()).toEqual(["ab"]);
  expect(await store.blob("a", "record")).toBe(null);
  expect(await (await store.blob("ab", "record"))?.text()).toBe("another");
});
