// A folder of thousands of pictures: the page stays awake from the drop until the report is there, shows how far it is
// and can be told to leave off at any time. LARGE_FOLDERS makes it the full size (`npm run test:soak -- files`).
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, type Page, test } from "@playwright/test";
import { picture } from "../src/dataset/pictures_testing.ts";
import { drop, dropZone, emptyFolder, open, region, tinyModelFolder } from "./support.ts";

/** Milliseconds that a task of the page may take. */
const TASK = 200;
/** Bytes that the page with its engine may hold, up to so many files; each further one is a path and a size. */
const MEMORY = { bytes: 400 * 1024 ** 2, files: 50_000, more: 2 * 1024 };
/** Seconds that the same files may take. */
const SECONDS = 20;

interface Shape {
  files: number;
  classes: number;
}
/** Folders that are dropped, as files x classes. Beside one class lies another of ten files: a target needs two. */
const shapes = (process.env.LARGE_FOLDERS ?? "5000x100").split(" ").map((text): Shape => {
  const [files = 0, classes = 0] = text.split("x").map(Number);
  return { files, classes };
});

function largeFolder({ files, classes }: Shape): { folder: string; count: number } {
  const root = emptyFolder("many");
  const lone = classes === 1 ? 10 : 0;
  for (let c = 0; c < classes + Math.sign(lone); c++) mkdirSync(join(root, `class ${c}`));
  for (let i = 0; i < files + lone; i++)
    writeFileSync(join(root, `class ${i < files ? i % classes : 1}`, `${i}.bmp`), picture(i + 1));
  return { folder: root, count: files + lone };
}

/** How many times longer work takes here just now than with a core to itself: seconds that pass while the page's thread
 *  computes for one. */
async function slowness(page: Page): Promise<number> {
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("Performance.enable", { timeDomain: "threadTicks" });
  const computed = async () => {
    const { metrics } = await cdp.send("Performance.getMetrics");
    return metrics.find(({ name }) => name === "TaskDuration")?.value ?? Number.NaN;
  };
  const before = await computed();
  const passed = await page.evaluate(async () => {
    let sum = 0;
    // In parts that are no long tasks themselves.
    for (let part = 0; part < 12; part++) {
      const began = performance.now();
      while (performance.now() - began < 25);
      sum += performance.now() - began;
      await new Promise((resolve) => setTimeout(resolve));
    }
    return sum / 1000;
  });
  const share = passed / ((await computed()) - before);
  await cdp.detach();
  return Math.max(1, share);
}

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

for (const shape of shapes) {
  test(`a folder of ${shape.files} files in ${shape.classes} classes is listed while the page stays awake, and can be left off at any time`, async ({
    page,
  }) => {
    test.setTimeout(300_000 * Math.max(1, shape.files / MEMORY.files));
    const { folder, count } = largeFolder(shape);
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
    await expect(region(page, "many")).toContainText(`${count.toLocaleString("en")} images`, {
      timeout: 250_000 * Math.max(1, shape.files / MEMORY.files),
    });
    const seconds = (Date.now() - began) / 1000;
    // What is kept of it is written now.
    await page.waitForTimeout(3_000);
    const longest = await longestTask(page);
    const slow = Math.max(before, await slowness(page));
    const memory = await memoryOf(page);
    console.log(
      `${count} files: ready after ${seconds.toFixed(1)} s, longest task ${Math.round(longest)} ms, ` +
        `${Math.round((memory ?? 0) / 2 ** 20)} MB, machine ${slow.toFixed(1)} times slower than idle`,
    );
    expect(longest).toBeLessThan(TASK * slow);
    expect(memory ?? 0).toBeLessThan(MEMORY.bytes + Math.max(0, count - MEMORY.files) * MEMORY.more);
    expect(seconds).toBeLessThan(SECONDS * Math.max(1, count / MEMORY.files) * slow);
  });
}
