import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { walkDirectory } from "./dataset/walk_node.ts";

test("a file of 5 GiB has its size and its end", async () => {
  const folder = await mkdtemp(join(tmpdir(), "selora-large-"));
  try {
    const path = join(folder, "big.bin");
    const file = await open(path, "w");
    const size = 5 * 2 ** 30;
    // Nothing but its last bytes takes room on the disk.
    await file.write(new TextEncoder().encode("the end"), 0, 7, size - 7);
    await file.close();
    const [found] = await walkDirectory(path);
    expect(found?.blob.size).toBe(size);
    const end = found?.blob.slice(size - 7, size) as Blob;
    expect([end.size, await end.text()]).toEqual([7, "the end"]);
    expect(await new Response(end.slice(4).stream()).text()).toBe("end");
    expect(await found?.blob.slice(-7, -4).text()).toBe("the");
    expect(found?.blob.slice(10, 5).size).toBe(0);
  } finally {
    await rm(folder, { recursive: true });
  }
});
