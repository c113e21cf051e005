// The page stays alive while the worker trains: its own thread is hardly ever busy for long, and frames keep coming.
import { expect, test } from "@playwright/test";
import {
  demoZips,
  drop,
  dropZone,
  modelFolder,
  open,
  pictureFolder,
  region,
  runStrip,
  setNumber,
} from "./support.ts";

const SECONDS = 4;

test("the page's thread is free while a run is on", async ({ page }) => {
  const classes = ["animal", "face", "vehicle"];
  const target = await pictureFolder("icons", demoZips.target, classes, { train: 8, val: 2 });
  await open(page);
  await drop(page, dropZone(page, "Model"), [modelFolder]);
  await expect(region(page, "Model")).toContainText("12, 3, 96");
  await drop(page, dropZone(page, "Target images"), [target]);
  await expect(region(page, "icons")).toBeVisible();
  await setNumber(page, "Epochs", 500);
  await setNumber(page, "Batch", 4);
  await page.getByRole("button", { name: "Start" }).click();
  await expect(runStrip(page)).toContainText(/step [1-9]\d* of/, { timeout: 120_000 });

  const { busy, frames, steps } = await page.evaluate(async (milliseconds) => {
    const step = () => Number(/step ([\d,]+) of/.exec(document.body.innerText)?.[1]?.replace(",", ""));
    const before = step();
    let busy = 0;
    // A long task is one of more than 50 ms, in which the page answers nothing.
    const observer = new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) busy += duration;
    });
    observer.observe({ type: "longtask" });
    let frames = 0;
    const end = performance.now() + milliseconds;
    await new Promise<void>((resolve) => {
      const frame = (now: number) => {
        frames++;
        if (now < end) requestAnimationFrame(frame);
        else resolve();
      };
      requestAnimationFrame(frame);
    });
    observer.disconnect();
    return { busy, frames, steps: step() - before };
  }, 1000 * SECONDS);

  console.log(
    `${(frames / SECONDS).toFixed(1)} frames/s, long tasks ${(busy / 10 / SECONDS).toFixed(1)} % of the time, ${steps} steps meanwhile`,
  );
  expect(busy / 1000 / SECONDS).toBeLessThan(0.15);
  expect(steps).toBeGreaterThan(0);
  await page.getByRole("button", { name: "Stop" }).click();
  await expect(runStrip(page)).toContainText("Stopped early", { timeout: 60_000 });
});
