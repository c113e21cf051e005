// The main job: a person drops a model and a folder of images, trains on WebGPU, watches blocks open and close,
// compares, plays with gates and strength, and takes the merged weights home.
import { readFileSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, type Page, test } from "@playwright/test";
import { BlobReader, Uint8ArrayWriter, ZipReader } from "@zip.js/zip.js";
import sharp from "sharp";
import {
  demoZips,
  drop,
  dropZone,
  modelFolder,
  openOnWebGPU,
  pictureFolder,
  pressAtStep,
  region,
  scoresOf,
  setNumber,
} from "./support.ts";

const classes = ["animal", "face", "vehicle"];
const sets = ["my-icons", "sketches", "known"];

/** A folder's picture as other cameras and tools would have saved it: a JPEG lying on its side, and a WebP. */
async function otherFormats(folder: string): Promise<void> {
  const wide = sharp({ create: { width: 90, height: 60, channels: 3, background: "#fff" } });
  await wide
    .jpeg()
    .withExif({ IFD0: { Software: "camera" } })
    .withMetadata({ orientation: 6 })
    .toFile(join(folder, "train", "animal", "turned.jpg"));
  writeFileSync(join(folder, "train", "face", "modern.webp"), await wide.webp().toBuffer());
}

interface Stored {
  dtype: string;
  shape: number[];
  bytes: Buffer;
}

/** Every tensor of a safetensors file. */
function tensorsOf(file: Buffer): Map<string, Stored> {
  const start = 8 + Number(file.readBigUInt64LE(0));
  const header: Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }> =
    JSON.parse(file.subarray(8, start).toString());
  return new Map(
    Object.entries(header)
      .filter(([name]) => name !== "__metadata__")
      .map(
        ([
          name,
          {
            dtype,
            shape,
            data_offsets: [begin, end],
          },
        ]) => [name, { dtype, shape, bytes: file.subarray(start + begin, start + end) }],
      ),
  );
}

async function downloaded(page: Page, button: string, name?: RegExp): Promise<Buffer> {
  const [file] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: button }).click(),
  ]);
  if (name) expect(file.suggestedFilename()).toMatch(name);
  return readFile(await file.path());
}

test("adapt a dropped model to a dropped folder on WebGPU, compare, and export", async ({ page }) => {
  const target = await pictureFolder("my-icons", demoZips.target, classes, { train: 6, val: 2, test: 3 });
  await otherFormats(target);
  const sketches = await pictureFolder("sketches", demoZips.ood, classes, { test: 2 });
  const known = await pictureFolder("known", demoZips.retention, classes, { test: 3 });

  await openOnWebGPU(page);

  await test.step("load a model", async () => {
    await drop(page, dropZone(page, "Model"), [modelFolder]);
    await expect(region(page, "Model").getByText("12, 3, 96")).toBeVisible();
  });

  await test.step("load data", async () => {
    await drop(page, dropZone(page, "Target images"), [target]);
    const set = region(page, "my-icons");
    await expect(set).toContainText("20 to train on, 6 to validate, 9 to test");
    await expect(set).not.toContainText("cannot be read");
    await drop(page, dropZone(page, "OOD images"), [sketches]);
    await expect(region(page, "sketches")).toContainText("all matched");
    await drop(page, dropZone(page, "Retention images"), [known]);
    await expect(region(page, "known")).toContainText("all matched");
  });

  await test.step("adapt, and watch", async () => {
    await setNumber(page, "Rank", 4);
    await setNumber(page, "Epochs", 2);
    await setNumber(page, "Batch", 7);
    await page.getByRole("button", { name: "More settings" }).click();
    // Fast enough to change some answers within a few steps.
    await setNumber(page, "Learning rate", 0.01);
    await page.getByRole("button", { name: "Start", exact: true }).click();
    const blocks = region(page, "Blocks");
    await expect(blocks.getByRole("button", { name: /layer 12.*attention/i })).toBeVisible({
      timeout: 120_000,
    });
    await pressAtStep(page, "Pause", 1);
    await page.getByRole("button", { name: "Resume" }).click();
    await expect(page.getByRole("button", { name: "Run again" })).toBeVisible({ timeout: 200_000 });
  });

  await test.step("compare", async () => {
    for (const set of sets) {
      const scores = await scoresOf(page, set);
      expect(scores).toHaveLength(2);
      for (const score of scores) expect(score).toMatch(/^\d+\.\d%$/);
    }
    const table = region(page, "Before and after");
    const moved = table.locator("tbody").filter({ hasText: /[1-9]\d* (fixed|broken)/ });
    await moved.first().getByRole("button").first().click();
    const images = region(page, "Image by image");
    const kinds = images.getByRole("radiogroup", { name: "Which change" });
    await kinds
      .getByText(/^(Fixed|Broken) [1-9]/)
      .first()
      .click();
    // A picture is fetched when its place comes into sight.
    const card = images.getByRole("listitem").first();
    await card.scrollIntoViewIfNeeded();
    const picture = card.locator("img");
    await expect(picture).toBeVisible();
    await expect
      .poll(() => picture.evaluate((img: HTMLImageElement) => img.complete && img.naturalWidth))
      .toBeGreaterThan(0);
  });

  await test.step("open or close a block by hand", async () => {
    const cell = region(page, "Blocks").getByRole("button", { name: /^Layer 12, Attention, / });
    const was = await cell.getAttribute("aria-pressed");
    await cell.click();
    await expect(cell).toHaveAttribute("aria-pressed", was === "true" ? "false" : "true");
    await expect(cell).toHaveAccessibleName(/set by hand/);
    await expect.poll(async () => (await scoresOf(page, "my-icons")).length, { timeout: 60_000 }).toBe(3);
  });

  await test.step("none of the change is the model before, to the last answer", async () => {
    await page.getByRole("slider", { name: "Strength of the change" }).press("Home");
    for (const set of sets)
      await expect
        .poll(
          async () => {
            const [before, , now] = await scoresOf(page, set);
            return now === before;
          },
          { timeout: 60_000 },
        )
        .toBe(true);
    await expect(region(page, "Before and after")).not.toContainText(/[1-9]\d* (fixed|broken)/);
    await page.getByRole("button", { name: "As trained" }).click();
    await expect.poll(async () => (await scoresOf(page, "my-icons")).length, { timeout: 60_000 }).toBe(2);
  });

  await test.step("export, and read the files again", async () => {
    const panel = region(page, "Export");
    await panel.getByRole("button", { name: "Export merged weights" }).click();
    await expect(panel.getByRole("button", { name: "Download model.safetensors" })).toBeVisible({
      timeout: 120_000,
    });
    const weights = await downloaded(page, "Download model.safetensors");
    const merged = tensorsOf(weights);
    const source = tensorsOf(readFileSync(join(modelFolder, "model.safetensors")));
    expect([...merged.keys()].sort()).toEqual([...source.keys()].sort());
    for (const [name, { dtype, shape }] of merged) {
      expect(dtype).toBe("F16");
      const rows = name.startsWith("classifier.") ? [classes.length] : source.get(name)?.shape.slice(0, 1);
      expect(shape).toEqual([...(rows ?? []), ...(source.get(name)?.shape.slice(1) ?? [])]);
    }
    const changed = [...merged].filter(([name, { bytes }]) => !bytes.equals(source.get(name)!.bytes));
    // Adapters reach the six matrices of a layer and nothing else; the classifier is new.
    for (const [name] of changed) expect(name).toMatch(/^classifier\.|\.(query|key|value|dense)\.weight$/);
    expect(changed.length).toBeGreaterThan(2);
    await expect(panel).toContainText(`${changed.length} of ${source.size}`);

    const config = JSON.parse((await downloaded(page, "Download config.json")).toString());
    expect(config.id2label).toEqual({ 0: "animal", 1: "face", 2: "vehicle" });
    expect(config.label2id).toEqual({ animal: 0, face: 1, vehicle: 2 });
    expect(config.architectures).toEqual(["ViTForImageClassification"]);
    const preparation = await downloaded(page, "Download preprocessor_config.json");
    const size = (text: Buffer) => JSON.parse(text.toString()).size;
    expect(size(preparation)).toEqual(size(readFileSync(join(modelFolder, "preprocessor_config.json"))));

    // Named after the demo's model as it was dropped, the folder of images, and what was done.
    const name = /^[a-z0-9-]+-my-icons-selective-\d+of\d+\.zip$/;
    const bytes = await downloaded(page, "Download all as a zip", name);
    const zip = new ZipReader(new BlobReader(new Blob([new Uint8Array(bytes)])));
    const entries = (await zip.getEntries()).flatMap((entry) => (entry.directory ? [] : [entry]));
    expect(entries.map(({ filename }) => filename.split("/").at(-1)).sort()).toEqual([
      "config.json",
      "model.safetensors",
      "preprocessor_config.json",
    ]);
    const packed = entries.find(({ filename }) => filename.endsWith("model.safetensors"));
    expect(weights.equals(await packed!.getData(new Uint8ArrayWriter()))).toBe(true);

    // The zip as it was taken home is a model to start from.
    await page.getByRole("button", { name: "Load another model" }).click();
    const buffer = bytes;
    await page
      .getByLabel("Files for model")
      .setInputFiles({ name: "adapted-icons.zip", mimeType: "application/zip", buffer });
    await page.getByRole("button", { name: "Drop it and go on" }).click();
    await expect(page.getByText("adapted-icons", { exact: true })).toBeVisible();
    await expect(page.getByText("3 labels")).toBeVisible();
  });
});
