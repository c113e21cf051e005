// A drop lands anywhere on the page: it is sorted, put where it belongs or asked about, and what was wrong stands where it
// was dropped until the next try.
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import AxeBuilder from "@axe-core/playwright";
import { expect, type Page, test } from "@playwright/test";
import { picture } from "../src/dataset/pictures_testing.ts";
import { demoZips, drop, emptyFolder, open, pictureFolder, region, tinyModelFolder } from "./support.ts";

const middle = (page: Page) => page.getByRole("heading", { name: /^Teach a model/ });
const card = (page: Page) => region(page, "What was dropped");
const classes = ["animal", "vehicle"];
const violations = async (page: Page) =>
  (await new AxeBuilder({ page }).analyze()).violations.map(({ id, nodes }) => [id, nodes[0]?.html]);

test("model and images find their places, and a second set is asked about", async ({ page }) => {
  await open(page);
  const target = await pictureFolder("few", demoZips.target, classes, { train: 4, val: 2, test: 3 });
  const drawn = await pictureFolder("drawn", demoZips.ood, classes, { test: 3 });

  await drop(page, middle(page), [tinyModelFolder, target]);
  await expect(region(page, "Model")).toContainText("2, 3, 24");
  await expect(region(page, "few")).toContainText("4 to validate, 6 to test");
  await expect(page.getByText("few goes to Target images.")).toBeVisible();
  await expect(card(page)).toBeHidden();

  await drop(page, middle(page), [drawn]);
  await expect(card(page)).toContainText("Where do the images of drawn go?");
  expect(await violations(page)).toEqual([]);
  await card(page).getByRole("button", { name: "OOD", exact: true }).press("Enter");
  await expect(region(page, "OOD images")).toContainText("drawn");
  await expect(card(page)).toBeHidden();
});

test("a folder that is too large to be looked through on the page finds its place too", async ({ page }) => {
  await open(page);
  const many = emptyFolder("many");
  for (const name of classes) mkdirSync(join(many, name));
  for (let i = 0; i < 2_400; i++)
    writeFileSync(join(many, classes[i % 2] as string, `${i}.bmp`), picture(i + 1));
  await drop(page, middle(page), [many, tinyModelFolder]);
  await expect(page.getByText("many goes to Target images.")).toBeVisible();
  await expect(region(page, "Model")).toContainText("2, 3, 24", { timeout: 30_000 });
  await expect(region(page, "many")).toContainText("2,400 images", { timeout: 60_000 });
  await expect(card(page)).toBeHidden();
});

test("what is neither is told of where it was dropped, once, and the next try takes its place", async ({
  page,
}) => {
  await open(page);
  const folder = mkdtempSync(join(tmpdir(), "selora-"));
  const named = (name: string, text: string) => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
  await drop(page, middle(page), [named("song.mp3", "la la")]);
  const failure = page.locator(".failures .failure");
  await expect(failure).toContainText('"song.mp3": no weights of a model and no pictures');
  await expect(card(page).locator(".failure")).toHaveCount(1);
  expect(await violations(page)).toEqual([]);
  await drop(page, middle(page), [named("pets.rar", "Rar!\x1a\x07 and so on")]);
  await expect(failure).toContainText("This is a RAR archive");
  await expect(failure).toHaveCount(1);

  // In a panel of its own it stands there.
  await drop(page, region(page, "Target images").locator(".drop"), [emptyFolder("nothing")]);
  await expect(region(page, "Target images").locator(".failure")).toHaveCount(1);
  const target = await pictureFolder("few", demoZips.target, classes, { train: 4, val: 2, test: 3 });
  await drop(page, middle(page), [target]);
  await expect(region(page, "few")).toBeVisible();
  await expect(failure).toHaveCount(0);
});
