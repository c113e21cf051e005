// Folders as people have them: domains are asked about and become a target and OOD sets in one act, a doubt is answered
// by the keyboard, a reading that was taken can be changed, and a reload reads the same.
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, type Page, test } from "@playwright/test";
import { dosLetters } from "../src/dataset/dos_letters.ts";
import { encodingChoices } from "../src/dataset/zip_names.ts";
import { zipBytes } from "../src/zip_testing.ts";
import { demoZips, drop, dropZone, emptyFolder, open, pictureFolder, region } from "./support.ts";

const classes = ["animal", "vehicle"];

/** A folder made of the pictures of each class, put where `placeOf` says. */
async function arranged(name: string, places: (className: string) => string[]): Promise<string> {
  const source = await pictureFolder("source", demoZips.target, classes, { train: 4 });
  const root = emptyFolder(name);
  for (const className of classes)
    for (const place of places(className)) {
      mkdirSync(join(root, place), { recursive: true });
      cpSync(join(source, "train", className), join(root, place), { recursive: true });
    }
  return root;
}

const target = (page: Page) => region(page, "Target images");

test("domains become a target and OOD sets in one act, and are the same after a reload", async ({ page }) => {
  const root = await arranged("styles", (name) => [`photo/${name}`, `sketch/${name}`, `toy/${name}`]);
  await open(page);
  await drop(page, dropZone(page, "Target images"), [root]);
  const form = page.getByRole("form", { name: "How styles is to be read" });
  await expect(form).toContainText("2 classes (animal, vehicle) in 3 domains (photo, sketch, toy)");
  await form.getByRole("combobox", { name: "Which one is learned?" }).selectOption("sketch");
  await expect(form.getByRole("checkbox", { name: "The other 2 domains become OOD sets" })).toBeChecked();
  await form.getByRole("button", { name: "Read it so" }).click();
  await expect(form).toBeHidden();
  await expect(region(page, "styles")).toContainText("in 3 domains (photo, sketch, toy): sketch");
  await expect(region(page, "styles")).toContainText("8 images");
  for (const name of ["photo", "toy"]) await expect(region(page, name)).toContainText("all matched");

  await page.waitForTimeout(1_000);
  await page.reload();
  await expect(region(page, "styles")).toContainText("in 3 domains (photo, sketch, toy): sketch", {
    timeout: 30_000,
  });
  for (const name of ["photo", "toy"]) await expect(region(page, name)).toContainText("8 images");
});

test("a doubt is answered by the keyboard, and a reading that was taken can be changed", async ({ page }) => {
  const root = await arranged("zoo", (name) =>
    name === "animal" ? ["living/cat", "living/dog"] : ["made/car"],
  );
  await open(page);
  await drop(page, dropZone(page, "Target images"), [root]);
  const form = page.getByRole("form", { name: "How zoo is to be read" });
  const [upper, inner] = [
    /2 classes \(living, made\), a folder each/,
    /3 classes \(car, cat, dog\), the innermost/,
  ];
  await form.getByRole("radio", { name: upper }).focus();
  await page.keyboard.press("ArrowDown");
  await expect(form.getByRole("radio", { name: inner })).toBeChecked();
  await page.keyboard.press("Enter");
  const set = region(page, "zoo");
  await expect(set).toContainText("3 classes (car, cat, dog), the innermost folders.");

  await set.getByRole("button", { name: "Read it otherwise" }).click();
  const change = page.getByRole("form", { name: "Read zoo otherwise" });
  await change.getByRole("radio", { name: upper }).check();
  await change.getByRole("button", { name: "Read it so" }).click();
  await expect(set).toContainText("2 classes (living, made), a folder each.");
});

test("split folders of other names and a table are told in a line; a question can be put aside", async ({
  page,
}) => {
  const kaggle = await arranged("kaggle", (name) => [
    `seg_train/seg_train/${name}`,
    `seg_test/seg_test/${name}`,
  ]);
  const flat = await arranged("flat", () => ["images"]);
  const names = readdirSync(join(flat, "images"));
  const rows = names.map((name, i) => `${name},${i % 2 ? "odd" : "even"}`);
  writeFileSync(join(flat, "labels.csv"), `file_name,label\n${rows.join("\n")}\n`);
  await open(page);
  await drop(page, dropZone(page, "Target images"), [kaggle]);
  await expect(region(page, "kaggle")).toContainText("seg_test to test, seg_train to train on");
  await drop(page, dropZone(page, "Target images"), [flat]);
  await expect(region(page, "flat")).toContainText(
    "2 classes (even, odd) by the table flat/labels.csv, column label.",
  );

  const zoo = await arranged("zoo", (name) =>
    name === "animal" ? ["living/cat", "living/dog"] : ["made/car"],
  );
  await drop(page, dropZone(page, "Target images"), [zoo]);
  const form = page.getByRole("form", { name: "How zoo is to be read" });
  await form.getByRole("button", { name: "Cancel" }).click();
  await expect(form).toBeHidden();
  // What was loaded before is still there.
  await expect(target(page)).toContainText("2 classes (even, odd)");
});

test("names in a zip that do not say their encoding are read, can be read otherwise, and stay so", async ({
  page,
}) => {
  const root = await pictureFolder("source", demoZips.target, classes, { train: 4 });
  // 表示 and 予定 in Shift-JIS; the second byte of both first letters is a backslash.
  const bytes = [
    [0x95, 0x5c, 0x8e, 0xa6],
    [0x97, 0x5c, 0x92, 0xe8],
  ];
  const entries = classes.flatMap((name, i) => {
    const folder = join(root, "train", name);
    return readdirSync(folder).map((file) => ({
      name: Uint8Array.from([...(bytes[i] as number[]), ...new TextEncoder().encode(`/${file}`)]),
      content: new Uint8Array(readFileSync(join(folder, file))),
      host: 0,
    }));
  });
  const zip = join(emptyFolder("zips"), "signs.zip");
  writeFileSync(zip, zipBytes(entries));
  await open(page);
  await drop(page, dropZone(page, "Target images"), [zip]);
  const set = region(page, "signs");
  await expect(set).toContainText("2 classes (予定, 表示), a folder each.");
  await expect(set).toContainText("they are read as Shift-JIS (Japanese)");
  const select = set.getByRole("combobox", { name: "Names in signs are read as" });
  await expect(select).toHaveValue("shift_jis");
  await select.selectOption("ibm866");
  // A zip made on DOS, where a backslash is a separator: what stands before it is the class.
  await expect(set).toContainText("2 classes (Х, Ч)");
  await expect(set).toContainText("DOS 866 (Cyrillic)");

  await page.waitForTimeout(1_000);
  await page.reload();
  await expect(select).toHaveValue("ibm866", { timeout: 30_000 });
  await select.selectOption("shift_jis");
  await expect(set).toContainText("2 classes (予定, 表示), a folder each.");
});

test("this browser knows every encoding that names are read in", async ({ page }) => {
  await open(page);
  const labels = encodingChoices.map(({ label }) => label).filter((label) => !dosLetters.has(label));
  const unknown = await page.evaluate(
    (all) =>
      all.filter((label) => {
        try {
          return new TextDecoder(label).encoding === "";
        } catch {
          return true;
        }
      }),
    labels,
  );
  expect(labels.length).toBeGreaterThan(10);
  expect(unknown).toEqual([]);
});
