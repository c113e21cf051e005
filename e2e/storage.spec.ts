// A browser that keeps nothing, or has no room, or has kept something that is damaged: it is said where the thing is, and
// training and export go on all the same. A link that cannot be read says what is used instead.
import { readFileSync } from "node:fs";
import AxeBuilder from "@axe-core/playwright";
import { expect, type Page, test } from "@playwright/test";
import { keptSteps, loadTiny, open, region, runStrip, setNumber } from "./support.ts";

async function train(page: Page): Promise<void> {
  await setNumber(page, "Rank", 2);
  await setNumber(page, "Epochs", 1);
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await expect(runStrip(page)).toContainText("Done", { timeout: 120_000 });
}
async function exports(page: Page): Promise<void> {
  const panel = region(page, "Export");
  await panel.getByRole("button", { name: "Export merged weights" }).click();
  await expect(panel.getByRole("button", { name: "Download model.safetensors" })).toBeVisible({
    timeout: 120_000,
  });
}
async function accessible(page: Page): Promise<void> {
  const found = await new AxeBuilder({ page }).analyze();
  expect(found.violations.map(({ id, nodes }) => [id, nodes[0]?.html])).toEqual([]);
}

for (const [how, script] of [
  ["refuses", `IDBFactory.prototype.open = () => { throw new DOMException("denied", "SecurityError"); };`],
  ["never answers", `IDBFactory.prototype.open = () => new EventTarget();`],
] as const)
  test(`a browser whose database ${how} is told of, and the studio works`, async ({ page }) => {
    await page.addInitScript(script);
    await open(page);
    await expect(region(page, "What is loaded is not kept")).toContainText("keeps nothing for the page");
    if (how === "never answers") return;
    await loadTiny(page);
    await train(page);
    await accessible(page);
    await exports(page);
    await page.getByRole("button", { name: "Runs", exact: true }).click();
    const note = region(page, "1 run not stored");
    await expect(note).toContainText("Export what should stay");
    await expect(region(page, "List of runs")).toContainText("not stored");
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      note.getByRole("button", { name: "Download it" }).click(),
    ]);
    expect(JSON.parse(readFileSync(await download.path(), "utf8")).runs[0].details.final).toBeDefined();
    await accessible(page);
  });

test("20 kB of room: the table and the run say that they are not kept, and are once there is room", async ({
  page,
  context,
  baseURL,
}) => {
  const cdp = await context.newCDPSession(page);
  const { origin } = new URL(baseURL ?? "");
  const quota = (quotaSize: number) => cdp.send("Storage.overrideQuotaForOrigin", { origin, quotaSize });
  // Before the page opens its database: Chromium asks for the room that is left once, and remembers it.
  await quota(20_000);
  await open(page);
  await loadTiny(page);
  const table = region(page, "What is loaded is not kept");
  await expect(table).toContainText("the browser has no more room for this page");
  await train(page);
  await expect(region(page, "The run is not kept")).toContainText("Training and export work as ever");
  await exports(page);
  await quota(500_000_000);
  await table.getByRole("button", { name: "Try again" }).click();
  await expect(table).toBeHidden();
  await expect(region(page, "The run is not kept")).toBeHidden();
  await expect(page.getByRole("button", { name: "Runs 1" })).toBeVisible();
  await page.reload();
  await expect(runStrip(page)).toContainText("Done", { timeout: 60_000 });
});

test("what was kept and is damaged is set aside, named, and can be taken along", async ({ page }) => {
  await open(page);
  await loadTiny(page);
  await train(page);
  await expect.poll(() => keptSteps(page)).toHaveLength(1);
  // One bit of each pack and of the run's tensors.
  await page.evaluate(
    () =>
      new Promise<void>((resolve, reject) => {
        const opening = indexedDB.open("selora");
        opening.onsuccess = async () => {
          const all = (store: string) =>
            new Promise<{ id: string; blob?: Blob; saved?: { snapshot: Blob } }[]>((done) => {
              const asked = opening.result.transaction(store).objectStore(store).getAll();
              asked.onsuccess = () => done(asked.result);
            });
          const flipped = async (blob: Blob) => {
            const bytes = new Uint8Array(await blob.arrayBuffer());
            bytes[bytes.length - 1]! ^= 1;
            return new Blob([bytes]);
          };
          for (const store of ["packs", "states"])
            for (const entry of await all(store)) {
              if (entry.blob) entry.blob = await flipped(entry.blob);
              if (entry.saved) entry.saved.snapshot = await flipped(entry.saved.snapshot);
              const write = opening.result.transaction(store, "readwrite");
              write.objectStore(store).put(entry);
              await new Promise((done) => {
                write.oncomplete = done;
              });
            }
          opening.result.close();
          resolve();
        };
        opening.onerror = () => reject(opening.error);
      }),
  );
  await page.reload();
  const note = region(page, "Something did not come back");
  await expect(note).toContainText(
    "The model vit, the images of few, what was kept of the run could not be read again",
  );
  await note.getByRole("button", { name: "Storage" }).click();
  const aside = region(page, "Set aside");
  await expect(aside.getByRole("listitem")).toHaveCount(3);
  await expect(aside).toContainText("checksum");
  await accessible(page);
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    aside
      .getByRole("button", { name: /^Download/ })
      .first()
      .click(),
  ]);
  expect(readFileSync(await download.path()).length).toBeGreaterThan(1000);
});

test("a link that cannot be read says what was used instead", async ({ page }) => {
  await page.goto("/#rank=none&magic=1&epochs=3");
  const recipe = region(page, "Recipe");
  await expect(recipe).toContainText(
    'The link sets rank to "none", which cannot be; the default 16 is used.',
  );
  await expect(recipe).toContainText('The link sets "magic", which is no setting of a recipe');
  await expect(page.getByRole("textbox", { name: "Epochs", exact: true })).toHaveValue("3");
  await recipe.getByRole("button", { name: "Dismiss" }).click();
  await expect(recipe).not.toContainText("The link sets");
});
