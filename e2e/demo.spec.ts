// The built-in demo: one button loads everything, a run on it starts, and can be stopped without losing anything.
import { expect, test } from "@playwright/test";
import { open, pressAtStep, region, runStrip, scoresOf, setNumber } from "./support.ts";

const target = "Fluent Emoji High Contrast";
const others = [
  "EmojiOne Monotone",
  "OpenMoji, outlines only",
  "OpenMoji",
  "Colour emoji the model grew up with",
];

test("try the demo, stop a run on it, and keep what was learned", async ({ page }) => {
  await open(page);

  await test.step("one button loads model, target, OOD and retention", async () => {
    await page.getByRole("button", { name: "Try the demo", exact: true }).first().click();
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
