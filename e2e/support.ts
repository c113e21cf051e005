// What journeys share: real folders of image files, dropping them as a person does, and a page that has the software
// GPU chosen.
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, type Locator, type Page } from "@playwright/test";
import { BlobReader, Uint8ArrayWriter, ZipReader } from "@zip.js/zip.js";

const root = join(import.meta.dirname, "..");
const demo = join(root, "public", "demo");

/** The demo's model as a folder on disk. */
export const modelFolder = join(demo, "model");

/** A ViT of two layers and random weights, for journeys in which nothing has to be learned. */
export const tinyModelFolder = join(root, "src", "checkpoint", "fixtures", "vit");

const index: { target: { file: string }; ood: { file: string }[]; retention: { file: string }[] } =
  JSON.parse(readFileSync(join(demo, "data", "index.json"), "utf8"));

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

/** An empty folder that nobody else uses. */
export const emptyFolder = (name: string): string => {
  const path = join(mkdtempSync(join(tmpdir(), "selora-")), name);
  mkdirSync(path, { recursive: true });
  return path;
};

/** Where a place is once it stays there: a panel above it may still be growing, and a hand would wait, too. */
async function restingBox(place: Locator) {
  let last = await place.boundingBox();
  for (;;) {
    await place.page().waitForTimeout(60);
    const box = await place.boundingBox();
    if (!box) throw new Error("there is no place to drop on");
    if (last && box.x === last.x && box.y === last.y && box.height === last.height) return box;
    last = box;
  }
}

/** Drops files or folders of this machine on a place, as the mouse does. */
export async function drop(page: Page, place: Locator, paths: string[]): Promise<void> {
  await place.scrollIntoViewIfNeeded();
  const box = await restingBox(place);
  const cdp = await page.context().newCDPSession(page);
  const x = box.x + box.width / 2;
  const y = box.y + box.height / 2;
  const data = { items: [], files: paths, dragOperationsMask: 1 };
  for (const type of ["dragEnter", "dragOver", "drop"] as const)
    await cdp.send("Input.dispatchDragEvent", { type, x, y, data });
  await cdp.detach();
}

/** A region of the page by its exact name: a panel, a set in it, a column. */
export const region = (page: Page, name: string) => page.getByRole("region", { name, exact: true });

/** The drop zone of a panel, by the panel's heading. */
export const dropZone = (page: Page, panel: string) => region(page, panel).locator(".drop").first();

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

/** Exports the run on the page: the bytes of its weights. */
export async function exported(page: Page): Promise<Buffer> {
  const panel = region(page, "Export");
  await panel.getByRole("button", { name: "Export merged weights" }).click();
  const button = panel.getByRole("button", { name: "Download model.safetensors" });
  await expect(button).toBeVisible({ timeout: 120_000 });
  const [download] = await Promise.all([page.waitForEvent("download"), button.click()]);
  return readFileSync(await download.path());
}

/** Sets a number of the recipe, as the keyboard does. */
export async function setNumber(page: Page, label: string, value: number): Promise<void> {
  const field = page.getByRole("textbox", { name: label, exact: true });
  await field.fill(String(value));
  await field.blur();
}

/** Opens the studio on the backend that "auto" takes here: WASM, as the only adapter runs on the CPU. */
export async function open(page: Page): Promise<void> {
  await page.goto("/");
  await expect(page.getByRole("button", { name: /^Device:/ })).toHaveAccessibleName(/WASM/);
}

/** Drops the tiny model and a few pictures of two classes, and waits until both are there. */
export async function loadTiny(page: Page, train = 6): Promise<void> {
  const classes = ["animal", "vehicle"];
  const target = await pictureFolder("few", demoZips.target, classes, { train, val: 2, test: 4 });
  await drop(page, dropZone(page, "Model"), [tinyModelFolder]);
  await expect(region(page, "Model")).toContainText("2, 3, 24");
  await drop(page, dropZone(page, "Target images"), [target]);
  await expect(region(page, "few")).toContainText("4 to validate, 8 to test");
}

/** Loads the demo with its smallest set in place of every other, where only looks matter. */
export async function loadSmallDemo(page: Page): Promise<void> {
  const small = { title: "Some emoji", file: demoZips.ood };
  const named = (title: string) => [{ ...small, title }];
  await page.route("**/demo/data/index.json", (route) =>
    route.fulfill({ json: { target: small, ood: named("Other emoji"), retention: named("Known emoji") } }),
  );
  await page.getByRole("button", { name: "Load the demo only" }).click();
  await expect(runStrip(page)).toContainText("Ready", { timeout: 120_000 });
}

/** The page's own words in the run's line: Ready, Warm-up, Done ... */
export const runStrip = (page: Page) => region(page, "Run");

/**
 * Presses a button of the run's line at once when the run has come to a step. In the page itself, as a fast machine makes
 * hundreds of steps between two looks from outside.
 */
export const pressAtStep = (page: Page, button: "Pause" | "Stop", step: number): Promise<void> =>
  runStrip(page).evaluate(
    (strip, [button, step]) =>
      new Promise<void>((resolve) => {
        const observer = new MutationObserver(look);
        function look() {
          const at = Number(/step ([\d,]+) of/.exec(strip.textContent)?.[1]?.replace(",", "") ?? 0);
          const found = [...strip.querySelectorAll("button")].find((one) => one.textContent === button);
          if (at < step || !found) return;
          observer.disconnect();
          found.click();
          resolve();
        }
        observer.observe(strip, { subtree: true, childList: true, characterData: true });
        look();
      }),
    [button, step] as const,
  );

/** Percentages that the table of sets shows of one set: before, after and, once something was adjusted, now. */
export async function scoresOf(page: Page, set: string): Promise<string[]> {
  const body = region(page, "Before and after").locator("tbody", {
    has: page.getByRole("button", { name: set, exact: true }),
  });
  const cells = await body.locator("tr").first().locator("td").allInnerTexts();
  // The last one is the change.
  return cells.slice(0, -1);
}

/** How many runs' tensors are kept, and up to which step the last one is. */
export const keptSteps = (page: Page): Promise<number[]> =>
  page.evaluate(
    () =>
      new Promise<number[]>((resolve, reject) => {
        const asked = indexedDB.open("selora");
        asked.onerror = () => reject(asked.error);
        asked.onsuccess = () => {
          const all = asked.result.transaction("states").objectStore("states").getAll();
          all.onsuccess = () => {
            asked.result.close();
            resolve(all.result.map(({ saved }) => saved.step));
          };
        };
      }),
  );
