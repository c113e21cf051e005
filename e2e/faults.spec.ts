// What a person sees when the device fails a run: which op it was and what to do, that memory ran out and the run goes
// on all the same; and nothing that was loaded is lost. The faults are planted in the engine's worker.
import { expect, type Page, test } from "@playwright/test";
import { keptSteps, loadTiny, openOnWebGPU, region, runStrip, setNumber } from "./support.ts";

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

test("a GPU that is lost ends the run, which goes on at once from its last good step on a fresh device", async ({
  page,
}) => {
  await plant(
    page,
    // As a driver that is reset takes a device away; the page itself says "destroyed" when it closes one.
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
  await openOnWebGPU(page);
  await loadTiny(page);
  await setNumber(page, "Epochs", 150);
  await setNumber(page, "Rank", 2);
  await start(page);
  await expect.poll(() => keptSteps(page), { timeout: 120_000 }).toHaveLength(1);
  await page.workers()[0]?.evaluate(() => (self as unknown as { takeAway: () => void }).takeAway());
  await expect(page.getByRole("alert", { name: "The graphics device failed" })).toContainText("was lost");
  const offer = region(page, "Unfinished run");
  await expect(offer).toContainText(/Selective LoRA failed; what it had learned by step \d+ of \d+ is kept/);
  await offer.getByRole("button", { name: /^Go on from step \d+$/ }).click();
  await expect(offer).toBeHidden();
  await expect(page.getByRole("button", { name: /^Device:/ })).toHaveAccessibleName(/WebGPU/);
  await expect(runStrip(page)).toContainText("Done", { timeout: 240_000 });
});
