// The main job: a person drops a model and a folder of images, trains on WebGPU, watches blocks open and close,
// compares, plays with gates and strength, and takes the merged weights home.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "@playwright/test";
import { demoZips, drop, dropZone, modelFolder, openOnWebGPU, pictureFolder, setNumber } from "./support.ts";

const classes = ["animal", "face", "vehicle"];

test("adapt a dropped model to a dropped folder on WebGPU, compare, and export", async ({ page }) => {
  const target = await pictureFolder("my-icons", demoZips.target, classes, { train: 6, val: 2, test: 4 });
  const sketches = await pictureFolder("sketches", demoZips.ood, classes, { test: 3 });
  const known = await pictureFolder("known", demoZips.retention, classes, { test: 4 });

  await openOnWebGPU(page);

  await test.step("load a model", async () => {
    await drop(page, dropZone(page, "Model"), [modelFolder]);
    const panel = page.getByRole("region", { name: "Model", exact: true });
    await expect(panel.getByText("12, 3, 96")).toBeVisible();
  });

  await test.step("load data", async () => {
    await drop(page, dropZone(page, "Target images"), [target]);
    const panel = page.getByRole("region", { name: "Target images", exact: true });
    await expect(panel.getByRole("region", { name: "my-icons" })).toContainText("18 to train on, 6 to validate, 12 to test");
    await drop(page, dropZone(page, "OOD images"), [sketches]);
    await expect(page.getByRole("region", { name: "sketches" })).toBeVisible();
    await drop(page, dropZone(page, "Retention images"), [known]);
    await expect(page.getByRole("region", { name: "known", exact: true })).toBeVisible();
  });

  await test.step("adapt, and watch", async () => {
    await setNumber(page, "Rank", 4);
    await setNumber(page, "Epochs", 3);
    await setNumber(page, "Batch", 6);
    await page.getByRole("button", { name: "Start" }).click();
    const blocks = page.getByRole("region", { name: "Blocks", exact: true });
    await expect(blocks.getByRole("button", { name: /layer 12.*attention/i })).toBeVisible({ timeout: 120_000 });
    await expect(page.getByText(/step \d+ of 9/i).first()).toBeVisible({ timeout: 120_000 });
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByRole("button", { name: "Resume" }).click();
    await expect(page.getByRole("button", { name: "Run again" })).toBeVisible({ timeout: 200_000 });
  });

  await test.step("compare", async () => {
    const out = page.getByRole("region", { name: "What came out" });
    await expect(out.getByText("my-icons").first()).toBeVisible();
    await expect(out.getByText("sketches").first()).toBeVisible();
    await expect(out.getByText("known").first()).toBeVisible();
  });

  await test.step("export, and read the file again", async () => {
    await page.getByRole("button", { name: "Export merged weights" }).click();
    const download = page.getByRole("button", { name: "Download model.safetensors" });
    await expect(download).toBeVisible({ timeout: 120_000 });
    const [file] = await Promise.all([page.waitForEvent("download"), download.click()]);
    const bytes = await readFile(await file.path());
    const source = await readFile(join(modelFolder, "model.safetensors"));
    const headerOf = (all: Buffer) => JSON.parse(all.subarray(8, 8 + Number(all.readBigUInt64LE(0))).toString());
    const header = headerOf(bytes);
    expect(Object.keys(header).sort()).toEqual(Object.keys(headerOf(source)).sort());
    expect(header["classifier.weight"].shape).toEqual([classes.length, 96]);
  });
});
