// A person closes the page in the middle of a run: what was loaded is there again, the run goes on where it stood and
// gives the very file that an unbroken run gives; a run that had ended comes back as it was. A second tab says that it
// is the second, and one button forgets it all.
import { expect, type Page, test } from "@playwright/test";
import {
  exported,
  keptSteps,
  loadTiny,
  open,
  openOnWebGPU,
  pressAtStep,
  region,
  runStrip,
  scoresOf,
  setNumber,
} from "./support.ts";

const ended = (page: Page) =>
  expect(page.getByRole("button", { name: "Run again" })).toBeVisible({ timeout: 200_000 });
const unfinished = (page: Page) => region(page, "Unfinished run");

/** Name of the run that the table says is under way. */
const begun = (page: Page): Promise<string | null> =>
  page.evaluate(
    () =>
      new Promise<string | null>((resolve, reject) => {
        const asked = indexedDB.open("selora");
        asked.onerror = () => reject(asked.error);
        asked.onsuccess = () => {
          const now = asked.result.transaction("sitting").objectStore("sitting").get("now");
          now.onsuccess = () => {
            asked.result.close();
            resolve(now.result?.begun?.name ?? null);
          };
        };
      }),
  );

test("a run goes on after a reload, bit by bit", async ({ page, context }) => {
  await open(page);
  await loadTiny(page, 20);
  await setNumber(page, "Rank", 2);
  await setNumber(page, "Epochs", 150);
  await setNumber(page, "Batch", 4);

  let broken: Buffer;
  let scores: string[];
  await test.step("close the page in the middle of a run", async () => {
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await pressAtStep(page, "Pause", 10);
    await expect(runStrip(page)).toContainText("Paused");
    await expect.poll(() => keptSteps(page)).toHaveLength(1);
    await page.reload();
  });

  await test.step("what was loaded is there again, and the run asks whether to go on", async () => {
    await expect(unfinished(page)).toContainText(/You were at step [\d,]+ of 1,500 of Selective LoRA/);
    await expect(region(page, "Model")).toContainText("2, 3, 24");
    await expect(region(page, "few")).toContainText("4 to validate, 8 to test");
    await expect(page.getByRole("textbox", { name: "Rank", exact: true })).toHaveValue("2");
    // Asked again after another reload: looking decides nothing.
    await page.reload();
    await expect(unfinished(page)).toContainText(/You were at step [\d,]+ of 1,500/);
  });

  await test.step("go on to the end", async () => {
    await unfinished(page).getByRole("button", { name: "Go on" }).click();
    await expect(unfinished(page)).toBeHidden();
    await ended(page);
    await expect(runStrip(page)).toContainText("1,500 steps");
    scores = await scoresOf(page, "few");
    broken = await exported(page);
  });

  await test.step("the run that had ended comes back after a reload, and exports the same file", async () => {
    await expect.poll(() => keptSteps(page)).toEqual([1500]);
    await page.reload();
    await ended(page);
    // The results come in a part of their own, a moment after the run.
    await expect.poll(() => scoresOf(page, "few")).toEqual(scores);
    expect((await exported(page)).equals(broken)).toBe(true);
    const cell = region(page, "Blocks").getByRole("button", { name: /^Layer 2, Attention, / });
    await cell.click();
    await expect(cell).toHaveAccessibleName(/set by hand/);
  });

  await test.step("an unbroken run gives the same file", async () => {
    await page.getByRole("button", { name: "Run again" }).click();
    await expect(runStrip(page)).toContainText(/step [\d,]+ of 1,500/, { timeout: 120_000 });
    await ended(page);
    expect(await scoresOf(page, "few")).toEqual(scores);
    expect((await exported(page)).equals(broken)).toBe(true);
  });

  await test.step("a second tab says that the table is kept elsewhere", async () => {
    const second = await context.newPage();
    await second.goto("/");
    await expect(region(second, "Selora is open in another tab")).toBeVisible();
    await second.close();
  });

  await test.step("one button forgets it all", async () => {
    await page.getByRole("button", { name: /^Runs 2/ }).click();
    await page.getByRole("button", { name: "Storage" }).click();
    const dialog = page.getByRole("dialog", { name: "Kept in this browser" });
    await expect(dialog).toContainText("vit");
    await expect(dialog).toContainText("2 kept runs");
    await dialog.getByRole("button", { name: "Forget everything" }).click();
    await dialog.getByRole("button", { name: "Forget it for good" }).click();
    await expect(dialog).toContainText("Nothing is kept.");
    await page.reload();
    await expect(page.getByRole("button", { name: "Try the demo", exact: true }).first()).toBeVisible();
    await expect(page.getByRole("button", { name: "Runs", exact: true })).toBeVisible();
  });
});

/** Comes back by the bare address, as from a bookmark. */
async function comeBack(page: Page): Promise<void> {
  await page.goto("about:blank");
  await page.goto("/");
}

test("a run that was left before its first step is offered again, with the recipe that lay on the table", async ({
  page,
}) => {
  // The software GPU takes seconds to the first step, which are more than enough to leave in.
  await openOnWebGPU(page);
  await loadTiny(page);
  await setNumber(page, "Epochs", 2);
  await setNumber(page, "Rank", 2);
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await expect.poll(() => begun(page)).toBe("Selective LoRA");
  await comeBack(page);
  await expect(unfinished(page)).toContainText(
    "Selective LoRA had been started when the page was closed, and nothing of it was kept yet.",
  );
  await expect(page.getByRole("textbox", { name: "Rank", exact: true })).toHaveValue("2");
  await expect(page.getByRole("textbox", { name: "Epochs", exact: true })).toHaveValue("2");
  await unfinished(page).getByRole("button", { name: "Start it again" }).click();
  await expect(unfinished(page)).toBeHidden();
  await ended(page);
  await expect.poll(() => begun(page)).toBeNull();
});

test("a demo that was being loaded is there whole, or offered anew", async ({ page }) => {
  const offered = page.getByRole("button", { name: "Load the demo only" });
  await open(page);
  for (const moment of ["demo-vit", "to validate"]) {
    await expect(offered).toBeVisible();
    await offered.click();
    await expect(region(page, "What goes in")).toContainText(moment, { timeout: 60_000 });
    await comeBack(page);
    await expect(page.getByRole("button", { name: /^Device:/ })).toHaveAccessibleName(/WASM/);
    if (!(await offered.isVisible())) {
      // A fast machine had all of it.
      await expect(runStrip(page)).toContainText("Ready", { timeout: 60_000 });
      await expect(region(page, "Retention images")).toContainText("to test");
      break;
    }
    await expect(region(page, "Model")).not.toContainText("demo-vit");
  }
});
