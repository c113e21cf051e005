// A person closes the page in the middle of a run: what was loaded is there again, the run goes on where it stood and
// gives the very file that an unbroken run gives; a run that had ended comes back as it was. A second tab says that it
// is the second, and one button forgets it all.
import { readFileSync } from "node:fs";
import { expect, type Page, test } from "@playwright/test";
import { keptSteps, loadTiny, open, pressAtStep, region, runStrip, scoresOf, setNumber } from "./support.ts";

async function exported(page: Page): Promise<Buffer> {
  const panel = region(page, "Export");
  await panel.getByRole("button", { name: "Export merged weights" }).click();
  const button = panel.getByRole("button", { name: "Download model.safetensors" });
  await expect(button).toBeVisible({ timeout: 120_000 });
  const [download] = await Promise.all([page.waitForEvent("download"), button.click()]);
  return readFileSync(await download.path());
}

const ended = (page: Page) =>
  expect(page.getByRole("button", { name: "Run again" })).toBeVisible({ timeout: 200_000 });
const unfinished = (page: Page) => region(page, "Unfinished run");

test("a run goes on after a reload, bit by bit", async ({ page, context }) => {
  await open(page);
  await loadTiny(page, 20);
  await setNumber(page, "Rank", 2);
  await setNumber(page, "Epochs", 150);
  await setNumber(page, "Batch", 4);

  let broken: Buffer;
  let scores: string[];
  await test.step("close the page in the middle of a run", async () => {
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await pressAtStep(page, "Pause", 10);
    await expect(runStrip(page)).toContainText("Paused");
    await expect.poll(() => keptSteps(page)).toHaveLength(1);
    await page.reload();
  });

  await test.step("what was loaded is there again, and the run asks whether to go on", async () => {
    await expect(unfinished(page)).toContainText(/You were at step [\d,]+ of 1,500 of Selective LoRA/);
    await expect(region(page, "Model")).toContainText("2, 3, 24");
    await expect(region(page, "few")).toContainText("4 to validate, 8 to test");
    await expect(page.getByRole("textbox", { name: "Rank", exact: true })).toHaveValue("2");
    // Asked again after another reload: looking decides nothing.
    await page.reload();
    await expect(unfinished(page)).toContainText(/You were at step [\d,]+ of 1,500/);
  });

  await test.step("go on to the end", async () => {
    await unfinished(page).getByRole("button", { name: "Go on" }).click();
    await expect(unfinished(page)).toBeHidden();
    await ended(page);
    await expect(runStrip(page)).toContainText("1,500 steps");
    scores = await scoresOf(page, "few");
    broken = await exported(page);
  });

  await test.step("the run that had ended comes back after a reload, and exports the same file", async () => {
    await expect.poll(() => keptSteps(page)).toEqual([1500]);
    await page.reload();
    await ended(page);
    // The results come in a part of their own, a moment after the run.
    await expect.poll(() => scoresOf(page, "few")).toEqual(scores);
    expect((await exported(page)).equals(broken)).toBe(true);
    const cell = region(page, "Blocks").getByRole("button", { name: /^Layer 2, Attention, / });
    await cell.click();
    await expect(cell).toHaveAccessibleName(/set by hand/);
  });

  await test.step("an unbroken run gives the same file", async () => {
    await page.getByRole("button", { name: "Run again" }).click();
    await expect(runStrip(page)).toContainText(/step [\d,]+ of 1,500/, { timeout: 120_000 });
    await ended(page);
    expect(await scoresOf(page, "few")).toEqual(scores);
    expect((await exported(page)).equals(broken)).toBe(true);
  });

  await test.step("a second tab says that the table is kept elsewhere", async () => {
    const second = await context.newPage();
    await open(second);
    await second.getByRole("button", { name: /^Device:/ }).click();
    await expect(second.getByText(/open in another tab/)).toBeVisible();
    await expect(region(second, "Model")).not.toContainText("2, 3, 24");
    await second.close();
  });

  await test.step("one button forgets it all", async () => {
    await page.getByRole("button", { name: /^Runs 2/ }).click();
    await page.getByRole("button", { name: "Storage" }).click();
    const dialog = page.getByRole("dialog", { name: "Kept in this browser" });
    await expect(dialog).toContainText("vit");
    await expect(dialog).toContainText("2 kept runs");
    await dialog.getByRole("button", { name: "Forget everything" }).click();
    await dialog.getByRole("button", { name: "Forget it for good" }).click();
    await expect(dialog).toContainText("Nothing is kept.");
    await page.reload();
    await expect(page.getByRole("button", { name: "Try the demo", exact: true }).first()).toBeVisible();
    await expect(page.getByRole("button", { name: "Runs", exact: true })).toBeVisible();
  });
});
