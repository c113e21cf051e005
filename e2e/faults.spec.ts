// What a person sees when the device fails a run: which op it was and what to do, that memory ran out and the run goes
// on all the same; and nothing that was loaded is lost. The faults are planted in the engine's worker.
import { expect, type Page, test } from "@playwright/test";
import {
  keptSteps,
  loadTiny,
  openOnWebGPU,
  pressAtStep,
  region,
  runStrip,
  scoresOf,
  setNumber,
} from "./support.ts";

/** Runs a piece of script in the engine's worker before its own. */
async function plant(page: Page, script: string): Promise<void> {
  await page.route(/\/assets\/worker-[^/]*\.js$/, async (route) => {
    const response = await route.fetch();
    // Imports may stand anywhere at the top level, so the planted lines go first.
    await route.fulfill({ response, body: `${script}\n${await response.text()}` });
  });
}

const start = (page: Page) => page.getByRole("button", { name: "Start", exact: true }).click();

test("a shader that does not compile ends the run, names the op, and leaves everything loaded", async ({
  page,
}) => {
  await plant(
    page,
    `const compile = GPUDevice.prototype.createShaderModule;
    GPUDevice.prototype.createShaderModule = function (about) {
      const broken = about.label?.startsWith("attentionInputGradient");
      return compile.call(this, broken ? { ...about, code: about.code.replace("fn main(", "fn main(broken ") } : about);
    };`,
  );
  await openOnWebGPU(page);
  await loadTiny(page);
  await start(page);
  const alert = page.getByRole("alert", { name: "The graphics device failed" });
  await expect(alert).toContainText("A shader does not compile on this graphics device", {
    timeout: 240_000,
  });
  await expect(alert).toContainText("attentionInputGradient");
  await expect(alert).toContainText("Switch to the WASM backend");
  await test.step("on a phone nothing of it is cut off", async () => {
    const { width = 1280, height = 720 } = page.viewportSize() ?? {};
    await page.setViewportSize({ width: 390, height: 844 });
    await expect(alert.getByRole("button", { name: "Dismiss" })).toBeInViewport({ ratio: 1 });
    expect(await alert.evaluate((box) => box.scrollWidth - box.clientWidth)).toBe(0);
    await page.setViewportSize({ width, height });
  });
  await expect(page.getByRole("button", { name: "Start", exact: true })).toBeEnabled();

  await test.step("and on WASM the same run goes through", async () => {
    await page.getByRole("button", { name: "Dismiss" }).click();
    await page.getByRole("button", { name: /^Device:/ }).click();
    await page.getByText("WASM", { exact: true }).last().click();
    await page.keyboard.press("Escape");
    await expect(region(page, "few")).toContainText("8 to test");
    await setNumber(page, "Epochs", 1);
    await start(page);
    await expect(runStrip(page)).toContainText("Done", { timeout: 120_000 });
  });
});

test("memory that runs out halves what goes through at once, says so, and the run goes on", async ({
  page,
}) => {
  // The device finds no memory the first time that a step is watched.
  await plant(
    page,
    `const scopes = [];
    let failed = false;
    const { pushErrorScope, popErrorScope } = GPUDevice.prototype;
    GPUDevice.prototype.pushErrorScope = function (filter) {
      scopes.push(filter);
      return pushErrorScope.call(this, filter);
    };
    GPUDevice.prototype.popErrorScope = async function () {
      const filter = scopes.pop();
      const error = await popErrorScope.call(this);
      if (failed || filter !== "out-of-memory") return error;
      failed = true;
      return new GPUOutOfMemoryError("not enough memory left");
    };`,
  );
  await openOnWebGPU(page);
  await loadTiny(page);
  await setNumber(page, "Epochs", 1);
  await setNumber(page, "Batch", 4);
  await start(page);
  await expect(runStrip(page)).toContainText("Done", { timeout: 240_000 });
  await page.getByRole("button", { name: /^Device:/ }).click();
  await expect(page.getByRole("dialog")).toContainText(
    /Memory ran out with [\d,]+ bytes in use\. From here on 2 images go through the network at a time/,
  );
});

/** Lets a test take the open device away, as a driver that is reset does; the page itself says "destroyed". */
const plantLoss = (page: Page) =>
  plant(
    page,
    `const ask = GPUAdapter.prototype.requestDevice;
    GPUAdapter.prototype.requestDevice = async function (...args) {
      const device = await ask.apply(this, args);
      const lost = new Promise((tell) => {
        self.takeAway = () => {
          tell({ reason: "unknown", message: "the driver was reset" });
          device.destroy();
        };
      });
      Object.defineProperty(device, "lost", { value: lost });
      return device;
    };`,
  );
const takeAway = (page: Page) =>
  page.workers()[0]?.evaluate(() => (self as unknown as { takeAway: () => void }).takeAway());
const lossOf = (page: Page) => page.getByRole("alert", { name: "The graphics device failed" });
const badge = (page: Page) => page.getByRole("button", { name: /^Device:/ });

/** The loss is told of in one alert and no other, with these words. */
async function toldOnce(page: Page, words: RegExp): Promise<void> {
  await expect(lossOf(page)).toContainText(words, { timeout: 60_000 });
  await expect(page.locator(".failure")).toHaveCount(1);
  await expect(badge(page)).toHaveAccessibleName(/WebGPU/);
}

test("a GPU that is lost thrice: the run starts again, goes on from its last step, and ends on the CPU", async ({
  page,
}) => {
  await plantLoss(page);
  await openOnWebGPU(page);
  await loadTiny(page);
  await setNumber(page, "Epochs", 150);
  await setNumber(page, "Rank", 2);
  const offer = region(page, "Unfinished run");

  await test.step("before anything of it is kept", async () => {
    await start(page);
    await expect(page.getByRole("button", { name: "Stop" })).toBeEnabled();
    await takeAway(page);
    await toldOnce(page, /the driver was reset.*It is open again\. Go on with the run just below\./);
    await expect(offer).toContainText(
      "Selective LoRA had been started when the device was lost, and nothing of it was kept yet.",
    );
    await offer.getByRole("button", { name: "Start it again" }).click();
    await expect(offer).toBeHidden();
  });

  await test.step("after a step was kept", async () => {
    await expect.poll(() => keptSteps(page), { timeout: 120_000 }).toHaveLength(1);
    await takeAway(page);
    await toldOnce(page, /the second time in a row/);
    await expect(offer).toContainText(
      /Selective LoRA failed; what it had learned by step \d+ of \d+ is kept/,
    );
    await expect(page.getByRole("button", { name: "Compute on the CPU" })).toBeHidden();
    await offer.getByRole("button", { name: /^Go on from step \d+$/ }).click();
    await expect(offer).toBeHidden();
  });

  await test.step("a third time: the CPU is offered", async () => {
    await takeAway(page);
    await toldOnce(page, /the third time in a row/);
    await page.getByRole("button", { name: "Compute on the CPU" }).click();
    await expect(badge(page)).toHaveAccessibleName(/WASM/);
    await expect(lossOf(page)).toBeHidden();
    await offer.getByRole("button", { name: /^Go on from step \d+$/ }).click();
    await expect(runStrip(page)).toContainText("Done", { timeout: 240_000 });
  });
});

test("a GPU that is lost after a run leaves the run as it was, and the next one cannot touch it", async ({
  page,
}) => {
  await plantLoss(page);
  await openOnWebGPU(page);
  await loadTiny(page);
  await setNumber(page, "Epochs", 6);
  await setNumber(page, "Rank", 2);
  await start(page);
  await expect(runStrip(page)).toContainText("Done", { timeout: 240_000 });
  // The state of its end, in place of the one from under way.
  const steps = 6;
  await expect.poll(() => keptSteps(page)).toEqual([steps]);
  let adjusted: string[] = [];
  const cell = region(page, "Blocks").getByRole("button", { name: /^Layer 2, Attention, / });

  await test.step("while nothing is going on", async () => {
    await takeAway(page);
    await toldOnce(page, /It is open again\. Your run is as it was/);
    await expect(runStrip(page)).toContainText("Done");
    await cell.click();
    await expect(cell).toHaveAccessibleName(/set by hand/);
    // A third column, once it has been measured.
    await expect.poll(async () => (await scoresOf(page, "few")).join(" ")).toMatch(/%.*%.*%/);
    adjusted = await scoresOf(page, "few");
    const panel = region(page, "Export");
    await panel.getByRole("button", { name: "Export merged weights" }).click();
    await expect(panel.getByRole("button", { name: "Download model.safetensors" })).toBeVisible({
      timeout: 120_000,
    });
    await page.getByRole("button", { name: "Dismiss" }).click();
    await expect(lossOf(page)).toBeHidden();
  });

  await test.step("while the next run settles", async () => {
    await setNumber(page, "Epochs", 40);
    await page.getByRole("button", { name: "Run again" }).click();
    await pressAtStep(page, "Pause", 34);
    await expect(runStrip(page)).toContainText("Paused", { timeout: 120_000 });
    await takeAway(page);
    await toldOnce(page, /Go on with the run just below\. The run before it is as it was\./);
    await expect(runStrip(page)).toContainText("Done");
    await expect(cell).toHaveAccessibleName(/set by hand/);
    await expect.poll(() => scoresOf(page, "few")).toEqual(adjusted);
    await region(page, "Unfinished run")
      .getByRole("button", { name: /^Go on from step \d+$/ })
      .click();
    await expect(page.getByRole("button", { name: "Run again" })).toBeVisible({ timeout: 240_000 });
    await expect.poll(async () => (await keptSteps(page)).sort((a, b) => a - b)).toEqual([steps, 40]);
    await expect(page.getByRole("button", { name: /^Runs 2/ })).toBeVisible();
  });
});
