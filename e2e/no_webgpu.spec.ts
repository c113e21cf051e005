// A browser without WebGPU: the studio says so, and does everything on WASM.
import { expect, test } from "@playwright/test";
import { loadTiny, open, runStrip, scoresOf, setNumber } from "./support.ts";

test.use({
  launchOptions: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the pattern to know which fixtures are wanted
    async ({}, use, { project }) => {
      const { launchOptions } = project.use;
      const args = launchOptions?.args?.filter((arg) => !/webgpu|swiftshader/.test(arg));
      await use({ ...launchOptions, args: [...(args ?? []), "--disable-features=WebGPU,WebGPUService"] });
    },
    { scope: "worker" },
  ],
});

test("without WebGPU the studio says so and runs on WASM", async ({ page }) => {
  await open(page);
  const adapter = await page.evaluate(async () => (await navigator.gpu?.requestAdapter()) ?? null);
  expect(adapter).toBe(null);

  const badge = page.getByRole("button", { name: /^Device:/ });
  await badge.click();
  await expect(
    page.getByText("This browser offers no WebGPU adapter, so the CPU computes (WASM)."),
  ).toBeVisible();
  await page.getByText("WebGPU", { exact: true }).click();
  await expect(page.locator(".failures:visible")).toContainText(
    "This browser offers no WebGPU adapter. Choose the WASM backend, or a browser and driver with WebGPU.",
  );
  await expect(badge).toHaveAccessibleName(/WASM/);
  await page.getByRole("button", { name: "Dismiss" }).click();

  await loadTiny(page);
  await setNumber(page, "Epochs", 1);
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await expect(runStrip(page)).toContainText("Done", { timeout: 120_000 });
  for (const score of await scoresOf(page, "few")) expect(score).toMatch(/^\d+\.\d%$/);
});
