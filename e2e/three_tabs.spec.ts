// Three tabs: one has the table, two watch. When the first is killed, one of the others has it and the third still watches;
// when that closes, the last has it, and the run ends there with the file of a run in one tab.
import { expect, type Page, test } from "@playwright/test";
import { exported, keptSteps, loadTiny, open, pressAtStep, region, runStrip, setNumber } from "./support.ts";

const elsewhere = (page: Page) => region(page, "Selora is open in another tab");
const unfinished = (page: Page) => region(page, "Unfinished run");
const ended = (page: Page) =>
  expect(page.getByRole("button", { name: "Run again" })).toBeVisible({ timeout: 200_000 });

/** Waits until one of the pages has the table and its run; that one, and those that watch. */
async function heir(pages: Page[]): Promise<{ one: Page; others: Page[] }> {
  const has = async () => Promise.all(pages.map((page) => unfinished(page).isVisible()));
  await expect.poll(async () => (await has()).filter(Boolean).length, { timeout: 60_000 }).toBe(1);
  const at = (await has()).indexOf(true);
  return { one: pages[at] as Page, others: pages.toSpliced(at, 1) };
}

test("of three tabs one trains; whichever is lost, the run goes on in another, to the same file", async ({
  page: first,
  context,
}) => {
  await open(first);
  await loadTiny(first);
  await setNumber(first, "Rank", 2);
  await setNumber(first, "Epochs", 120);
  await setNumber(first, "Batch", 2);
  await first.getByRole("button", { name: "Start", exact: true }).click();
  await ended(first);
  const expected = await exported(first);

  const rest = [await context.newPage(), await context.newPage()];
  for (const page of rest) {
    await page.goto("/");
    await expect(elsewhere(page)).toBeVisible();
    await expect(runStrip(page)).toBeHidden();
  }
  // A tab behind others looks at its run more seldom, and might miss the step.
  await first.bringToFront();
  await first.getByRole("button", { name: "Run again" }).click();
  await pressAtStep(first, "Pause", 20);
  for (const page of rest) await expect(region(page, "Selective LoRA")).toContainText("Paused");
  await expect.poll(() => keptSteps(first), { timeout: 60_000 }).toHaveLength(2);

  const cdp = await context.newCDPSession(first);
  // A page that crashes never answers the call.
  void cdp.send("Page.crash").catch(() => {});
  const { one, others } = await heir(rest);
  await expect(elsewhere(one)).toBeHidden();
  for (const page of others) await expect(elsewhere(page)).toBeVisible();

  await one.close();
  const [last] = others as [Page];
  await expect(elsewhere(last)).toBeHidden({ timeout: 60_000 });
  await unfinished(last).getByRole("button", { name: "Go on" }).click();
  await ended(last);
  expect((await exported(last)).equals(expected)).toBe(true);
  await expect(last.getByRole("button", { name: "Runs 2" })).toBeVisible();
});
