// A zip of 5 GB. It is sparse: pictures and the directory take room on the disk, what lies between them none.
// LARGE_ZIP makes it as many pictures, of which each is large where there are many (`npm run test:soak -- files`).
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestEntry, writeZip } from "../zip_testing.ts";
import { decodeImage } from "./decode_node.ts";
import { listImages } from "./list.ts";
import { picture } from "./pictures_testing.ts";
import { walkDirectory } from "./walk_node.ts";

const count = Number(process.env.LARGE_ZIP ?? 400);
const SIZE = 5_000_000_000;
const FEW = 1_000;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "selora-zip-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** Where there are many pictures each is large, else the zip has one hole. */
function entries(): TestEntry[] {
  const each = Math.floor(SIZE / count);
  return Array.from({ length: count }, (_, i) => {
    const name = `pets/class ${i % 20}/${i}.bmp`;
    const content = picture(i + 1);
    if (count >= FEW) return { name, content, zeros: each - content.length };
    return { name, content, gap: i === count >> 1 ? SIZE : 0 };
  });
}

test("a zip of 5 GB is listed by its directory alone, and its pictures are read wherever they lie", async () => {
  const path = join(folder, "pets.zip");
  await writeZip(path, entries(), { zip64: "all" });
  expect((await stat(path)).size).toBeGreaterThan(SIZE);
  const files = await walkDirectory(path);
  const began = performance.now();
  const set = await listImages("pets", files, { seed: 0, needsSplit: true });
  expect(performance.now() - began).toBeLessThan(60_000);
  expect(set.items).toHaveLength(count);
  expect(set.classes).toHaveLength(20);
  expect(set.issues).toEqual([]);
  for (const i of [0, 1, count >> 1, count - 2, count - 1]) {
    const item = set.items.find(({ path }) => path.endsWith(`/${i}.bmp`));
    const read = await decodeImage(await (item as (typeof set.items)[number]).read(), String(i));
    expect([read.width, read.height]).toEqual([8, 8]);
    expect(read.data).toEqual((await decodeImage(new Blob([picture(i + 1)]), "")).data);
  }
});
