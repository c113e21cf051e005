// A folder of thousands of pictures: the page stays awake from the drop until the report is there, shows how far it is
// and can be told to leave off at any time. LARGE_FILES and LARGE_CLASSES make it the full size (`npm run test:soak`).
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, type Page, test } from "@playwright/test";
import { drop, dropZone, emptyFolder, open, region, tinyModelFolder } from "./support.ts";

const files = Number(process.env.LARGE_FILES ?? 5_000);
const classes = Number(process.env.LARGE_CLASSES ?? 100);
/** Milliseconds that a task of the page may take. */
const TASK = 200;
/** Bytes that the page with its engine may hold. */
const MEMORY = 400 * 1024 ** 2;

/** A bitmap of 8 x 8 pixels; all are of one size, so that listing has to look into each. */
function picture(seed: number): Uint8Array {
  const bytes = new Uint8Array(54 + 8 * 8 * 3);
  const view = new DataView(bytes.buffer);
  bytes.set([0x42, 0x4d]);
  view.setUint32(2, bytes.length, true);
  view.setUint32(10, 54, true);
  view.setUint32(14, 40, true);
  view.setInt32(18, 8, true);
  view.setInt32(22, 8, true);
  view.setUint16(26, 1, true);
  view.setUint16(28, 24, true);
  for (let i = 54; i < bytes.length; i++) bytes[i] = (seed >> (8 * (i % 4))) & 255;
  return bytes;
}

function largeFolder(): string {
  const root = emptyFolder("many");
  for (let c = 0; c < classes; c++) mkdirSync(join(root, `class ${c}`));
  for (let i = 0; i < files; i++)
    writeFileSync(join(root, `class ${i % classes}`, `${i}.bmp`), picture(i + 1));
  return root;
}

/** How many times longer than on an idle machine work takes here just now: a long piece of it by its shortest parts. */
const slowness = (page: Page): Promise<number> =>
  page.evaluate(() => {
    const part = () => {
      const began = performance.now();
      let sum = 0;
      for (let i = 0; i < 1_000_000; i++) sum = (Math.imul(sum, 31) + i) | 0;
      // The sum is used, so that it has to be made.
      return performance.now() - began + (sum === 1 ? 1e-9 : 0);
    };
    const times = Array.from({ length: 200 }, part);
    const quick = times.toSorted((a, b) => a - b)[10] || 0.1;
    return Math.max(1, times.reduce((total, one) => total + one, 0) / times.length / quick);
  });

/** Bytes of memory of its own that the largest page process holds; null where the system does not tell. */
async function memoryOf(page: Page): Promise<number | null> {
  const browser = await page.context().browser()?.newBrowserCDPSession();
  const { processInfo } = (await browser?.send("SystemInfo.getProcessInfo")) ?? { processInfo: [] };
  await browser?.detach();
  const sizes = processInfo.flatMap(({ type, id }) => {
    if (type !== "renderer") return [];
    try {
      const status = readFileSync(`/proc/${id}/status`, "utf8");
      return [Number(/RssAnon:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024];
    } catch {
      return [];
    }
  });
  return sizes.length > 0 ? Math.max(...sizes) : null;
}

/** Milliseconds of the longest task since it was asked last. */
const longestTask = (page: Page): Promise<number> =>
  page.evaluate(() => {
    const seen = window as unknown as { tasks: number[] };
    const longest = Math.max(0, ...seen.tasks);
    seen.tasks = [];
    return longest;
  });

test("a large folder is listed while the page stays awake, and can be left off at any time", async ({
  page,
}) => {
  const folder = largeFolder();
  await page.addInitScript(() => {
    const seen = window as unknown as { tasks: number[] };
    seen.tasks = [];
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) seen.tasks.push(duration);
    }).observe({ type: "longtask" });
  });
  await open(page);
  await drop(page, dropZone(page, "Model"), [tinyModelFolder]);
  await expect(region(page, "Model")).toContainText("2, 3, 24");
  const panel = region(page, "Target images");

  // Cancel is there from the first moment, and leaves nothing behind.
  await drop(page, dropZone(page, "Target images"), [folder]);
  await panel.getByRole("button", { name: "Cancel reading many" }).click();
  await expect(dropZone(page, "Target images")).toBeVisible();
  await expect(region(page, "many")).toHaveCount(0);
  await expect(page.getByRole("alert")).toHaveCount(0);

  const before = await slowness(page);
  await longestTask(page);
  const began = Date.now();
  await drop(page, dropZone(page, "Target images"), [folder]);
  await expect(region(page, "many")).toContainText(`${files.toLocaleString("en")} images`, {
    timeout: 250_000,
  });
  const seconds = (Date.now() - began) / 1000;
  // What is kept of it is written now.
  await page.waitForTimeout(3_000);
  const longest = await longestTask(page);
  const slow = Math.max(before, await slowness(page));
  const memory = await memoryOf(page);
  console.log(
    `${files} files: ready after ${seconds.toFixed(1)} s, longest task ${Math.round(longest)} ms, ` +
      `${Math.round((memory ?? 0) / 2 ** 20)} MB, machine ${slow.toFixed(1)} times slower than idle`,
  );
  expect(longest).toBeLessThan(TASK * slow);
  expect(memory ?? 0).toBeLessThan(MEMORY);
  expect(seconds).toBeLessThan(20 * slow);
});
