// Room of so many bytes for the page, as a full disk leaves it: whatever part fits, training and export work, what is not
// kept is told of, what is not told of is there after a reload, and all is kept once there is room.
import { expect, type Page, test } from "@playwright/test";
import { keptSteps, loadSmallDemo, loadTiny, open, region, runStrip, setNumber } from "./support.ts";

/** One size between those at which nothing and everything fits; ten in `npm run test:soak`. */
const sizes = process.env.SELORA_SOAK
  ? [0, 2_000, 10_000, 40_000, 80_000, 120_000, 200_000, 400_000, 800_000, 2_000_000]
  : [120_000];

const table = (page: Page) => region(page, "What is loaded is not kept");
const run = (page: Page) => region(page, "The run is not kept");
const isThere = (page: Page) => expect(runStrip(page)).toContainText("Done", { timeout: 60_000 });

for (const size of sizes)
  test(`${size} bytes of room: what is not kept is told of, and what is kept comes back`, async ({
    page,
    context,
    baseURL,
  }) => {
    const cdp = await context.newCDPSession(page);
    const { origin } = new URL(baseURL ?? "");
    const quota = (quotaSize: number) => cdp.send("Storage.overrideQuotaForOrigin", { origin, quotaSize });
    // Before the page opens its database: Chromium asks for the room that is left once, and remembers it.
    await quota(size);
    await open(page);
    await loadTiny(page);
    await setNumber(page, "Rank", 2);
    await setNumber(page, "Epochs", 1);
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await isThere(page);
    const panel = region(page, "Export");
    await panel.getByRole("button", { name: "Export merged weights" }).click();
    await expect(panel.getByRole("button", { name: "Download model.safetensors" })).toBeVisible({
      timeout: 120_000,
    });

    // Each is told of, or kept: never neither.
    await expect
      .poll(async () => (await run(page).isVisible()) || (await stored(page, "states")) === 1)
      .toBe(true);
    await expect
      .poll(async () => (await table(page).isVisible()) || (await stored(page, "packs")) === 2)
      .toBe(true);
    await quota(500_000_000);
    // One press may do for both.
    await expect(async () => {
      for (const note of [table(page), run(page)]) {
        const again = note.getByRole("button", { name: "Try again" });
        if (await again.isVisible()) await again.click({ timeout: 2_000 });
        await expect(note).toBeHidden();
      }
    }).toPass({ timeout: 60_000 });
    await expect.poll(() => stored(page, "states")).toBe(1);
    await expect.poll(() => stored(page, "packs")).toBe(2);
    await expect(page.getByRole("button", { name: "Runs 1" })).toBeVisible();
    await page.reload();
    await isThere(page);
    await expect(region(page, "few")).toContainText("4 to validate, 8 to test");
  });

test("20 MB of room for the demo: all of it is kept, and comes back", async ({ page, context, baseURL }) => {
  const cdp = await context.newCDPSession(page);
  const { origin } = new URL(baseURL ?? "");
  await cdp.send("Storage.overrideQuotaForOrigin", { origin, quotaSize: 20_000_000 });
  await open(page);
  await loadSmallDemo(page);
  await setNumber(page, "Epochs", 1);
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await isThere(page);
  // The state of its end, in place of the one from under way.
  await expect.poll(() => keptSteps(page)).toEqual([8]);
  await expect(run(page)).toBeHidden();
  await expect(table(page)).toBeHidden();
  await page.reload();
  await isThere(page);
  for (const set of ["Some emoji", "Other emoji", "Known emoji"])
    await expect(region(page, set)).toContainText("141 images");
});

/** How many entries of a kind are in the page's database; none where it has none. */
const stored = (page: Page, room: "states" | "packs"): Promise<number> =>
  page.evaluate(
    (room) =>
      new Promise<number>((resolve) => {
        const asked = indexedDB.open("selora");
        asked.onerror = () => resolve(0);
        // There is none, and looking must not make one.
        asked.onupgradeneeded = () => asked.transaction?.abort();
        asked.onsuccess = () => {
          const all = asked.result.transaction(room).objectStore(room).count();
          all.onsuccess = () => {
            asked.result.close();
            resolve(all.result);
          };
        };
      }),
    room,
  );
