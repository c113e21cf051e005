// Thousands of files of one size, the worst that listing meets: each has to be looked into. LARGE_FILES makes it more.
import { expect, test } from "vitest";
import { Failure } from "../failure.ts";
import type { SourceFile } from "../source_file.ts";
import { listImages } from "./list.ts";

const count = Number(process.env.LARGE_FILES ?? 5_000);
const PNG = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** What lies in a file decides its number's middle; heads and tails are all alike. */
function file(path: string, content: number): SourceFile {
  const bytes = new Uint8Array(200);
  bytes.set(PNG);
  new DataView(bytes.buffer).setUint32(100, content);
  return { path, blob: new Blob([bytes]) };
}
const many = (n: number) => Array.from({ length: n }, (_, i) => file(`many/class ${i % 50}/${i}.png`, i));

/** A file that is gone when it is read. */
class Gone extends Blob {
  override slice(): Blob {
    return new Gone([new Uint8Array(64)]);
  }
  override async arrayBuffer(): Promise<ArrayBuffer> {
    throw new DOMException("gone", "NotReadableError");
  }
}

test("copies are found among files of one size, and others get their turn meanwhile", async () => {
  const files = many(count);
  files.push(file("many/class 0/copy.png", 51), file("many/class 0/own copy.png", 100));
  const told: number[] = [];
  let turns = 0;
  const clock = setInterval(() => turns++, 1);
  const set = await listImages("many", files, { seed: 0, needsSplit: true, tell: (done) => told.push(done) });
  clearInterval(clock);
  expect(set.items).toHaveLength(count + 2);
  expect(set.issues.map(({ text }) => text)).toEqual([
    "1 image is in more than one class (class 0, class 1), so that no model can be right there.",
  ]);
  expect(Math.max(...told)).toBeGreaterThan(count / 2);
  expect(turns).toBeGreaterThan(3);
  const split = (path: string) => set.items.find((item) => item.path === path)?.split;
  // Copies of one image go the same way.
  expect(split("many/class 0/own copy.png")).toBe(split("many/class 0/100.png"));
});

test("a file that cannot be read while listing spoils nothing beside it", async () => {
  const files = many(300);
  files[7] = { path: "many/class 7/7.png", blob: new Gone([new Uint8Array(200)]) };
  files.push(file("many/class 0/copy.png", 51));
  const set = await listImages("many", files, { seed: 0, needsSplit: true });
  expect(set.items).toHaveLength(301);
  expect(set.issues[0]?.text).toContain("1 image is in more than one class");
});

test("listing ends as soon as it is told to, wherever it is", async () => {
  const files = many(2_000);
  let calls = 0;
  await listImages("many", files, { seed: 0, needsSplit: true, tell: () => calls++ });
  for (const last of [0, 1, 2, Math.floor(calls / 2), calls - 1]) {
    let seen = 0;
    const tell = () => {
      // As a job that was cancelled: from then on at each look.
      if (seen++ >= last) throw new Failure({ code: "cancelled", what: "x", remedy: "y" });
    };
    await expect(listImages("many", files, { seed: 0, needsSplit: true, tell })).rejects.toMatchObject({
      parts: { code: "cancelled" },
    });
    expect(seen).toBeLessThan(last + 20);
  }
});
