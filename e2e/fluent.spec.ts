// The page stays alive while the worker trains: its own thread has time left for every frame, whatever the cores are
// busy with. Frames are counted and printed; on a machine whose cores are all taken they are the machine's affair,
// so what is judged is how much work the page makes for itself.
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

const SECONDS = 5;

test("the page's thread is free while a run is on", async ({ page }) => {
  const classes = ["animal", "face", "vehicle"];
  const target = await pictureFolder("icons", demoZips.target, classes, { train: 8, val: 1 });
  await open(page);
  await drop(page, dropZone(page, "Model"), [modelFolder]);
  await expect(region(page, "Model")).toContainText("12, 3, 96");
  await drop(page, dropZone(page, "Target images"), [target]);
  await expect(region(page, "icons")).toBeVisible();
  await setNumber(page, "Epochs", 500);
  await setNumber(page, "Batch", 2);
  await page.getByRole("button", { name: "Start", exact: true }).click();
  const steps = async () =>
    Number(/step ([\d,]+) of/.exec(await runStrip(page).innerText())?.[1]?.replaceAll(",", "") ?? 0);
  await expect.poll(steps, { timeout: 120_000 }).toBeGreaterThan(0);
  const before = await steps();

  // Seconds this thread has computed, not seconds that passed: other programs' share of the cores is left out.
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("Performance.enable", { timeDomain: "threadTicks" });
  const computed = async () => {
    const { metrics } = await cdp.send("Performance.getMetrics");
    return metrics.find(({ name }) => name === "TaskDuration")?.value ?? Number.NaN;
  };
  const start = await computed();
  await page.waitForTimeout(1000 * SECONDS);
  const share = ((await computed()) - start) / SECONDS;
  // Apart from that, as asking for every frame is work that the page does not do of itself.
  const { frames, long } = await page.evaluate(async (milliseconds) => {
    let long = 0;
    const observer = new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) long += duration;
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
    return { frames, long };
  }, 1000 * SECONDS);
  await expect.poll(steps, { timeout: 120_000 }).toBeGreaterThan(before);

  console.log(
    `while training: ${(frames / SECONDS).toFixed(1)} frames/s, the page's thread busy ${(100 * share).toFixed(1)} % ` +
      `of the time, tasks over 50 ms ${(long / 10 / SECONDS).toFixed(1)} %`,
  );
  expect(share).toBeLessThan(0.15);
  await page.getByRole("button", { name: "Stop" }).click();
  await expect(runStrip(page)).toContainText("Stopped early", { timeout: 60_000 });
});
