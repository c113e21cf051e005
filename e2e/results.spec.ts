// What a person makes of a run: how few blocks are enough, which point to take home, and how the model fares on
// corrupted images where there are no others.
import { expect, test } from "@playwright/test";
import { loadTiny, open, region, runStrip, scoresOf, setNumber } from "./support.ts";

test("corrupt the target, find the knee, pick a point and export it", async ({ page }) => {
  await open(page);
  await loadTiny(page);

  await test.step("one switch makes an OOD set of the target's images", async () => {
    const set = region(page, "Corruptions of the target");
    await set.getByRole("switch", { name: "Corruptions of the target" }).press("Space");
    await expect(set).toContainText("5 corruptions, severity 3");
    await expect(set).toContainText("40 images");
    await set.getByRole("button", { name: "5 corruptions" }).click();
    await set.getByText("Glare", { exact: true }).click();
    await expect(set).toContainText("6 corruptions, severity 3");
    await set.getByRole("radiogroup", { name: "Severity" }).getByText("5", { exact: true }).click();
    await expect(set).toContainText("6 corruptions, severity 5");
    await expect(set).toContainText("48 images");
  });

  await test.step("adapt", async () => {
    await setNumber(page, "Rank", 2);
    await setNumber(page, "Epochs", 2);
    await setNumber(page, "Batch", 6);
    await page.getByRole("textbox", { name: "Budget", exact: true }).fill("3");
    await page.getByRole("textbox", { name: "Budget", exact: true }).blur();
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await expect(page.getByRole("button", { name: "Run again" })).toBeVisible({ timeout: 120_000 });
  });

  await test.step("the mean is a row, and each corruption is behind it", async () => {
    for (const score of await scoresOf(page, "Corruptions of the target"))
      expect(score).toMatch(/^\d+\.\d%$/);
    const table = region(page, "Before and after");
    await table.getByRole("button", { name: "6 corruptions, each for itself" }).click();
    await expect(table.getByRole("row", { name: /^JPEG \d/ })).toBeVisible();
    await expect(table.getByRole("row", { name: /^Glare \d/ })).toBeVisible();
  });

  const panel = region(page, "How few blocks");
  await test.step("the curve, its knee and its table", async () => {
    await panel.getByRole("button", { name: "Measure the trade-off" }).click();
    await expect(panel).toContainText(/[0-3] of 3 blocks are enough/, { timeout: 60_000 });
    await panel.getByRole("button", { name: "All points as a table" }).click();
    for (const count of [0, 1, 2, 3])
      await expect(panel.getByRole("rowheader", { name: new RegExp(`^${count}(, knee)?$`) })).toBeVisible();
  });

  await test.step("pick a point by keyboard", async () => {
    const slider = panel.getByRole("slider", { name: "Blocks open on the trade-off curve" });
    await slider.press("Home");
    await slider.press("ArrowRight");
    await expect(slider).toHaveAttribute("aria-valuenow", "1");
    await panel.getByRole("button", { name: "Open just 1 block" }).click();
    await expect(region(page, "What if")).toContainText("Open blocks: 1 of 4");
    await expect(panel.getByRole("button", { name: "These blocks are open" })).toBeDisabled();
    await expect.poll(async () => (await scoresOf(page, "few")).length, { timeout: 60_000 }).toBe(3);
    await expect(runStrip(page)).not.toContainText("Measuring", { timeout: 60_000 });
  });

  await test.step("robustness and detection are there", async () => {
    const strange = region(page, "Strange images");
    await expect(strange.getByRole("row", { name: /Corruptions of the target/ }).first()).toContainText(
      /0\.\d{3} → [01]\.\d{3}/,
    );
    await strange.getByRole("button", { name: "Measure effective robustness" }).click();
    await expect(strange).toContainText("β is local", { timeout: 60_000 });
  });

  await test.step("what is not at once in sight opens by keyboard", async () => {
    const images = region(page, "Image by image");
    await expect(images.getByRole("columnheader", { name: "right now" })).toBeVisible();
    for (const [part, inside] of [
      ["Class by class", "Class"],
      ["What is taken for what", "Before → now"],
      ["How sure it is", "Calibration error"],
    ] as const) {
      await images.getByRole("button", { name: part }).press("Enter");
      await expect(images.getByText(inside, { exact: true }).first()).toBeVisible();
    }
  });

  await test.step("the export is the point that was picked", async () => {
    const files = region(page, "Export");
    await files.getByRole("button", { name: "Export merged weights" }).click();
    await expect(files.getByRole("button", { name: "Download model.safetensors" })).toBeVisible({
      timeout: 120_000,
    });
    await expect(files).toContainText("The same score");
    // One block of four has at most four matrices, beside weight and bias of the new classifier.
    await expect(files).toContainText(/[3-6] of 40/);
  });

  await test.step("a reload brings back the corrupted set, and the run that was measured on it", async () => {
    await page.getByRole("button", { name: "As trained" }).click();
    await expect(region(page, "What if")).toContainText("Open blocks: 3 of 4");
    await expect.poll(async () => (await scoresOf(page, "few")).length, { timeout: 60_000 }).toBe(2);
    const before = await scoresOf(page, "Corruptions of the target");
    await page.reload();
    const set = region(page, "Corruptions of the target");
    await expect(set).toContainText("6 corruptions, severity 5", { timeout: 60_000 });
    await expect(region(page, "What if")).toContainText("Open blocks: 3 of 4", { timeout: 60_000 });
    expect(await scoresOf(page, "Corruptions of the target")).toEqual(before);
  });
});
