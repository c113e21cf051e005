// The built-in demo: one press loads and runs it, one shows what a run comes to, one only loads it; a run on it can be
// stopped without losing anything.
import { expect, type Page, test } from "@playwright/test";
import { loadTiny, open, pressAtStep, region, runStrip, scoresOf, setNumber } from "./support.ts";

const target = "Fluent Emoji High Contrast";
const others = [
  "EmojiOne Monotone",
  "OpenMoji, outlines only",
  "OpenMoji",
  "Colour emoji the model grew up with",
];

test("load the demo, stop a run on it, and keep what was learned", async ({ page }) => {
  await open(page);

  await test.step("one button loads model, target, OOD and retention", async () => {
    await page.getByRole("button", { name: "Load the demo only" }).click();
    await expect(runStrip(page)).toContainText("Ready", { timeout: 200_000 });
    await expect(region(page, "Model")).toContainText("12, 3, 96");
    await expect(region(page, target)).toContainText("290 to train on, 116 to validate, 193 to test");
    for (const set of others) await expect(region(page, set)).toContainText("all matched");
    await expect(page.getByRole("alert")).toBeHidden();
  });

  await test.step("its artists and their licences are named", async () => {
    await page.getByRole("button", { name: /^Glossary/ }).click();
    const credits = page.getByRole("dialog");
    for (const artist of ["Microsoft", "OpenMoji", "Google"]) await expect(credits).toContainText(artist);
    await expect(credits).toContainText("CC-BY-SA-4.0");
    await page.keyboard.press("Escape");
  });

  await test.step("fewer images to measure: big sets can be taken out", async () => {
    for (const set of others.slice(1)) {
      await page.getByRole("button", { name: `Remove ${set}`, exact: true }).click();
      await expect(region(page, set)).toBeHidden();
    }
  });

  await test.step("from here on no server is needed", async () => {
    await page.context().setOffline(true);
  });

  await test.step("a run is stopped after a few steps and measured as it stands", async () => {
    await setNumber(page, "Epochs", 1);
    await setNumber(page, "Batch", 8);
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await pressAtStep(page, "Stop", 2);
    await expect(runStrip(page)).toContainText("Stopped early", { timeout: 120_000 });
    for (const set of [target, "EmojiOne Monotone"]) {
      const scores = await scoresOf(page, set);
      expect(scores).toHaveLength(2);
      for (const score of scores) expect(score).toMatch(/^\d+\.\d%$/);
    }
    await expect(region(page, "Model")).toContainText("12, 3, 96");
    await expect(region(page, target)).toBeVisible();
    await expect(page.getByRole("button", { name: "Export merged weights" })).toBeEnabled();
    await expect(page.getByRole("button", { name: "Run again" })).toBeEnabled();
  });
});

/** Milliseconds from now to the first change of the heatmap's cells, and to the first gate that closes, in the page. */
const watchCells = (page: Page) =>
  page.evaluate(() => {
    const began = performance.now();
    const times: Record<string, number> = { moved: 0, closed: 0 };
    const first: Record<string, string> = {};
    const look = () => {
      const now = performance.now() - began;
      const words = document.querySelector(".strip-status strong")?.textContent ?? "";
      times[words] ??= now;
      for (const cell of document.querySelectorAll<HTMLElement>("button[data-gate]")) {
        const label = cell.getAttribute("aria-label") ?? "";
        const gate = cell.dataset.gate ?? "";
        if (/not measured yet/.test(label)) continue;
        first[gate] ??= label;
        if (label !== first[gate]) times.moved ||= now;
        if (/closed/i.test(label)) times.closed ||= now;
      }
      if (times.closed === 0) requestAnimationFrame(look);
    };
    look();
    Object.assign(window, { cellTimes: times });
  });
const cellTimes = (page: Page) =>
  page.evaluate(() => (window as unknown as { cellTimes: Record<string, number> }).cellTimes);

test("one press loads and runs the demo: cells move before the rest is measured, and gates close", async ({
  page,
}) => {
  await open(page);
  await page.getByRole("button", { name: "Try the demo", exact: true }).first().click();
  await expect(runStrip(page)).toContainText(/Getting ready|Loading|Looking|Fitting/, { timeout: 60_000 });
  await watchCells(page);
  await expect.poll(async () => (await cellTimes(page)).moved, { timeout: 90_000 }).toBeGreaterThan(0);
  await expect.poll(async () => (await cellTimes(page)).closed, { timeout: 120_000 }).toBeGreaterThan(0);
  const { moved = 0, closed = 0, ...words } = await cellTimes(page);
  console.log(
    `from Start to the first cell that moves ${moved.toFixed(0)} ms, that closes ${closed.toFixed(0)} ms`,
    words,
  );
  expect(closed).toBeGreaterThanOrEqual(moved);
  // All held-out images are measured after the last step.
  expect(Object.keys(words)).not.toContain("Measuring before");
  await page.getByRole("button", { name: "Stop", exact: true }).click();
  await expect(runStrip(page)).toContainText("Stopped early", { timeout: 180_000 });
  await expect.poll(async () => (await scoresOf(page, target)).length, { timeout: 60_000 }).toBe(2);
  await expect(page.getByRole("alert")).toBeHidden();
});

test("a finished run is there at once, and all that can be done with one", async ({ page }) => {
  await open(page);
  await page.getByRole("button", { name: "See a finished run" }).click();
  await expect(runStrip(page)).toContainText("Done", { timeout: 60_000 });
  await expect(page.getByRole("alert")).toBeHidden();
  await expect.poll(async () => (await scoresOf(page, target)).length, { timeout: 60_000 }).toBe(2);
  const before = await scoresOf(page, target);

  await test.step("a block is opened or closed, and everything is measured anew", async () => {
    const cell = region(page, "Blocks").locator("button[data-gate]").last();
    const was = await cell.getAttribute("aria-pressed");
    await cell.click();
    await expect(cell).toHaveAttribute("aria-pressed", was === "true" ? "false" : "true");
    await expect.poll(async () => (await scoresOf(page, target)).length, { timeout: 120_000 }).toBe(3);
  });
  await test.step("it comes back after a reload", async () => {
    await page.reload();
    await expect(runStrip(page)).toContainText("Done", { timeout: 60_000 });
    await expect.poll(() => scoresOf(page, target), { timeout: 60_000 }).toEqual(before);
  });
});

test("on a phone the first screen says what this is, then comes the run, then its results", async ({
  page,
}) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await open(page);
  await expect(page.getByRole("heading", { name: /^Teach a model a new domain/ })).toBeInViewport();
  await expect(page.getByRole("button", { name: "Try the demo", exact: true }).last()).toBeInViewport();
  await page.getByRole("tab", { name: "Input" }).click();
  await loadTiny(page);
  await setNumber(page, "Epochs", 2);
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await expect(page.getByRole("tab", { name: "Watch" })).toHaveAttribute("aria-selected", "true");
  await expect(runStrip(page)).toContainText("Done", { timeout: 120_000 });
  await expect(page.getByRole("tab", { name: "Results" })).toHaveAttribute("aria-selected", "true");
  await expect(region(page, "Before and after")).toBeVisible();
});
