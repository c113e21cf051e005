// What journeys share: real folders of image files, dropping them as a person does, and a page that has the software
// GPU chosen.
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, type Locator, type Page } from "@playwright/test";
import { BlobReader, Uint8ArrayWriter, ZipReader } from "@zip.js/zip.js";

const demo = join(import.meta.dirname, "..", "public", "demo");

/** The demo's model as a folder on disk. */
export const modelFolder = join(demo, "model");

const index: { target: { file: string }; ood: { file: string }[]; retention: { file: string }[] } = JSON.parse(
  readFileSync(join(demo, "data", "index.json"), "utf8"),
);

/** File names of the demo's zips. */
export const demoZips = {
  target: index.target.file,
  ood: index.ood[0]?.file ?? "",
  retention: index.retention[0]?.file ?? "",
};

/**
 * A folder of real pictures, unpacked from one of the demo's zips.
 * @param perClass pictures of each class to take from each split; a split that is not named is left out
 */
export async function pictureFolder(
  name: string,
  zip: string,
  classes: readonly string[],
  perClass: Partial<Record<"train" | "val" | "test", number>>,
): Promise<string> {
  const root = join(mkdtempSync(join(tmpdir(), "selora-")), name);
  const reader = new ZipReader(new BlobReader(new Blob([readFileSync(join(demo, "data", zip))])));
  const taken = new Map<string, number>();
  for (const entry of await reader.getEntries()) {
    if (entry.directory) continue;
    const parts = entry.filename.split("/");
    const className = parts.at(-2) ?? "";
    const split = (parts.length > 2 ? parts[0] : "test") as keyof typeof perClass;
    const key = `${split}/${className}`;
    const count = taken.get(key) ?? 0;
    if (!classes.includes(className) || count >= (perClass[split] ?? 0)) continue;
    taken.set(key, count + 1);
    const path = join(root, entry.filename);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, await entry.getData(new Uint8ArrayWriter()));
  }
  await reader.close();
  if (taken.size === 0) throw new Error(`${zip} holds nothing of ${classes.join(", ")}`);
  return root;
}

/** Drops files or folders of this machine on a place, as the mouse does. */
export async function drop(page: Page, place: Locator, paths: string[]): Promise<void> {
  await place.scrollIntoViewIfNeeded();
  const box = await place.boundingBox();
  if (!box) throw new Error("there is no place to drop on");
  const cdp = await page.context().newCDPSession(page);
  const x = box.x + box.width / 2;
  const y = box.y + box.height / 2;
  const data = { items: [], files: paths, dragOperationsMask: 1 };
  for (const type of ["dragEnter", "dragOver", "drop"] as const)
    await cdp.send("Input.dispatchDragEvent", { type, x, y, data });
  await cdp.detach();
}

/** The drop zone of a panel, by the panel's heading. */
export const dropZone = (page: Page, panel: string) =>
  page.getByRole("region", { name: panel, exact: true }).locator(".drop").first();

/** Opens the studio and chooses WebGPU by hand, since the only adapter of a test machine runs on the CPU. */
export async function openOnWebGPU(page: Page): Promise<void> {
  await page.goto("/");
  const badge = page.getByRole("button", { name: /^Device:/ });
  await expect(badge).toHaveAccessibleName(/WASM/);
  await badge.click();
  await page.getByText("WebGPU", { exact: true }).click();
  await expect(badge).toHaveAccessibleName(/WebGPU, .*swiftshader/i);
  await page.keyboard.press("Escape");
}

/** Sets a number of the recipe, as the keyboard does. */
export async function setNumber(page: Page, label: string, value: number): Promise<void> {
  const field = page.getByRole("textbox", { name: label, exact: true });
  await field.fill(String(value));
  await field.blur();
}
