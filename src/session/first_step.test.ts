// How long it takes from the start in a terminal to the first step. LARGE_SET makes the set a large one, as files x classes
// (`npm run test:soak -- files`).
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fixture } from "../checkpoint/fixtures/load.ts";
import { picture } from "../dataset/pictures_testing.ts";
import { createNodeSession, walk } from "./node.ts";
import { defaultRecipe } from "./recipe.ts";

const [count = 0, classes = 0] = (process.env.LARGE_SET ?? "400x20").split("x").map(Number);
/** Milliseconds to the first step on an idle machine. */
const PATIENCE = 30_000;
/** Training images up to which the probe looks at all. */
const PROBED = 8_000;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "selora-first-"));
  for (let c = 0; c < classes; c++) await mkdir(join(folder, "many", `class ${c}`), { recursive: true });
  for (let i = 0; i < count; i++)
    await writeFile(join(folder, "many", `class ${i % classes}`, `${i}.bmp`), picture(i + 1));
}, 300_000);
afterAll(() => rm(folder, { recursive: true }));

/** How many times longer than on an idle machine work takes here just now: a long piece of it by its shortest parts. */
function slowness(): number {
  let sum = 0;
  const times = Array.from({ length: 200 }, () => {
    const began = performance.now();
    for (let i = 0; i < 1_000_000; i++) sum = (Math.imul(sum, 31) + i) | 0;
    // The sum is used, so that it has to be made.
    return performance.now() - began + (sum === 1 ? 1e-9 : 0);
  });
  const quick = times.toSorted((a, b) => a - b)[10] || 0.1;
  return Math.max(1, times.reduce((total, one) => total + one, 0) / times.length / quick);
}

test("the first step is made within half a minute of the start, and what the probe did not look at is told", async () => {
  const before = slowness();
  const began = performance.now();
  const session = createNodeSession();
  let first = 0;
  const told: string[] = [];
  session.subscribe((event) => {
    if (event.kind === "notice") told.push(event.text);
    if (event.kind !== "step" || first > 0) return;
    first = performance.now() - began;
    void session.stop();
  });
  await session.open("wasm");
  await session.loadModel(fixture("vit"), {});
  const report = await session.loadData("target", "many", await walk(join(folder, "many")), 0);
  expect([report.count, report.classes.length]).toEqual([count, classes]);
  const result = await session.train({ ...defaultRecipe, rank: 2, epochs: 1 });
  const slow = Math.max(before, slowness());
  console.log(
    `${count} images: first step after ${(first / 1000).toFixed(1)} s, machine ${slow.toFixed(1)} times slower than idle`,
  );
  expect(first).toBeGreaterThan(0);
  expect(first).toBeLessThan(PATIENCE * slow);
  const of = report.classes.reduce((sum, { counts }) => sum + counts.train, 0);
  const probe = told.filter((text) => text.includes("linear probe"));
  if (of <= PROBED) expect([result.probed, probe]).toEqual([undefined, []]);
  else {
    expect(result.probed).toEqual({ images: PROBED, of });
    expect(probe).toEqual([
      expect.stringContaining(`8,000 of the ${of.toLocaleString("en")} training images`),
    ]);
  }
}, 600_000);
