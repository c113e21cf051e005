// Everyone can use the page: axe finds nothing on it, empty, loaded and after a run, wide and narrow, light and dark;
// a keyboard reaches everything; nothing scrolls sideways on a telephone.
import AxeBuilder from "@axe-core/playwright";
import { expect, type Page, test } from "@playwright/test";
import { loadSmallDemo, loadTiny, open, region, setNumber } from "./support.ts";

const wide = { width: 1440, height: 900 };
const narrow = { width: 390, height: 844 };
const tabs = ["Input", "Watch", "Results"];

/** What axe finds, as lines fit for a failed test's message. */
async function violations(page: Page, where: string): Promise<string[]> {
  // Colours fade over into each other when the scheme changes; what is judged is where they end.
  await page.evaluate(() =>
    Promise.all(document.getAnimations().map((one) => one.finished.catch(() => null))),
  );
  const { violations: found } = await new AxeBuilder({ page }).analyze();
  return found.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${where}: ${id} at ${target.join(" ")}: ${failureSummary}`),
  );
}

async function sidewaysScroll(page: Page): Promise<string[]> {
  return page.evaluate(() =>
    [document.documentElement, document.body, document.querySelector("main")]
      .filter((one) => one !== null && one.scrollWidth > one.clientWidth)
      .map((one) => `${one?.tagName} ${one?.scrollWidth} > ${one?.clientWidth}`),
  );
}

/** Every size, scheme and tab of the page as it stands. */
async function check(page: Page): Promise<void> {
  const found: string[] = [];
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await expect(page.locator("html")).toHaveAttribute("data-mantine-color-scheme", colorScheme);
    await page.setViewportSize(wide);
    found.push(...(await violations(page, `wide, ${colorScheme}`)));
    await page.setViewportSize(narrow);
    for (const tab of tabs) {
      await page.getByRole("tab", { name: tab }).click();
      found.push(...(await violations(page, `narrow, ${colorScheme}, ${tab}`)));
      expect(await sidewaysScroll(page)).toEqual([]);
    }
  }
  expect(found).toEqual([]);
  await page.setViewportSize(wide);
}

/** Presses Tab until the focus is where it is wanted. */
async function tabTo(page: Page, wanted: string, most: number): Promise<void> {
  for (let n = 0; n < most; n++) {
    await page.keyboard.press("Tab");
    if (await page.evaluate((selector) => document.activeElement?.matches(selector), wanted)) return;
  }
  throw new Error(`${most} presses of Tab do not reach ${wanted}`);
}

test("axe finds nothing on the empty page", async ({ page }) => {
  await open(page);
  await check(page);
});

test("axe finds nothing with the demo loaded", async ({ page }) => {
  await open(page);
  await loadSmallDemo(page);
  await check(page);
});

test("axe finds nothing where a model is fetched, and where it is set", async ({ page }) => {
  await open(page);
  await loadTiny(page);
  await page.getByRole("button", { name: "Image size, preparation and what files cannot tell" }).click();
  await page.getByRole("button", { name: "Load another model" }).click();
  await page.getByRole("button", { name: "From the Hugging Face Hub, or an address" }).click();
  await page.getByRole("button", { name: "Revision, token, another server" }).click();
  await expect(page.getByLabel("Access token")).toBeVisible();
  await check(page);
});

test("a run by keyboard alone, and axe finds nothing after it", async ({ page }) => {
  await page.setViewportSize(wide);
  await open(page);
  await loadTiny(page);
  const corruptions = region(page, "Corruptions of the target");
  await corruptions.getByRole("switch").press("Space");
  await setNumber(page, "Epochs", 2);

  await test.step("Tab reaches Start, Enter presses it", async () => {
    const start = page.getByRole("button", { name: "Start", exact: true });
    await page.locator("h1").click();
    await tabTo(page, 'section[aria-label="Run"] button', 30);
    await expect(start).toBeFocused();
    await page.keyboard.press("Enter");
    await expect(page.getByRole("button", { name: "Run again" })).toBeVisible({ timeout: 120_000 });
  });

  await test.step("arrows move through the heatmap, Enter opens and closes", async () => {
    await tabTo(page, "button[data-gate]", 80);
    const cell = (name: RegExp) => region(page, "Blocks").getByRole("button", { name });
    await expect(cell(/^layer 1.*attention/i)).toBeFocused();
    await page.keyboard.press("ArrowDown");
    await expect(cell(/^layer 2.*attention/i)).toBeFocused();
    await page.keyboard.press("ArrowRight");
    const last = cell(/^layer 2.*mlp/i);
    await expect(last).toBeFocused();
    const was = await last.getAttribute("aria-pressed");
    await page.keyboard.press("Enter");
    await expect(last).toHaveAttribute("aria-pressed", was === "true" ? "false" : "true");
    await page.keyboard.press("Home");
    await expect(last).not.toBeFocused();
  });

  await test.step("Enter opens all there is of corruptions and results", async () => {
    await corruptions.getByRole("button", { name: "5 corruptions" }).press("Enter");
    const curve = region(page, "How few blocks");
    await curve.getByRole("button", { name: "Measure the trade-off" }).press("Enter");
    await expect(curve).toContainText("are enough", { timeout: 60_000 });
    const strange = region(page, "Strange images");
    await strange.getByRole("button", { name: "Measure effective robustness" }).press("Enter");
    await expect(strange).toContainText("β is local", { timeout: 60_000 });
    const results = region(page, "What came out");
    for (const part of ["corruptions, each for itself", "Class by class", "taken for what", "How sure it is"])
      await results.getByRole("button", { name: part }).press("Enter");
    for (const table of await results.getByRole("button", { name: "as a table" }).all())
      await table.press("Enter");
  });

  await check(page);
});
