// A person opens the studio twice: the second tab says so and shows the run live, lists follow each other, and it takes
// over, when it is asked to or when the first is killed, and goes on where that one stood.
import AxeBuilder from "@axe-core/playwright";
import { expect, type Page, test } from "@playwright/test";
import { keptSteps, loadTiny, open, pressAtStep, region, runStrip, setNumber } from "./support.ts";

const elsewhere = (page: Page) => region(page, "Selora is open in another tab");
const listOf = (page: Page) => region(page, "List of runs");

test("one tab trains; the other watches, follows the list of runs, and takes over", async ({
  page: first,
  context,
}) => {
  await open(first);
  await loadTiny(first);
  await setNumber(first, "Rank", 2);
  await setNumber(first, "Epochs", 1);
  await first.getByRole("button", { name: "Start", exact: true }).click();
  await expect(runStrip(first)).toContainText("Done", { timeout: 120_000 });

  const second = await context.newPage();
  await test.step("the second says what the first has, and has no run of its own", async () => {
    await second.goto("/");
    await expect(elsewhere(second)).toContainText("One tab at a time trains");
    await expect(runStrip(second)).toBeHidden();
    await expect(second.getByRole("button", { name: "Try the demo" })).toHaveCount(0);
    const found = await new AxeBuilder({ page: second }).analyze();
    expect(found.violations.map(({ id, nodes }) => [id, nodes[0]?.html])).toEqual([]);
  });

  await test.step("names, deletions and new runs are on the other list at once", async () => {
    await second.getByRole("button", { name: "Runs 1" }).click();
    await expect(listOf(second)).toContainText("Selective LoRA");
    await first.getByRole("button", { name: "Runs 1" }).click();
    await first.getByRole("button", { name: "What to do with Selective LoRA" }).click();
    await first.getByRole("menuitem", { name: "Rename" }).click();
    await first.getByRole("textbox", { name: "Name of the run" }).fill("The first");
    await first.keyboard.press("Enter");
    await expect(listOf(second)).toContainText("The first");
    await first.getByRole("button", { name: "What to do with The first" }).click();
    await first.getByRole("menuitem", { name: "Delete" }).click();
    await expect(listOf(second)).toBeHidden();
    await first.getByRole("button", { name: "Undo" }).click();
    await expect(listOf(second)).toContainText("The first");
    await second.getByRole("button", { name: "Runs 1" }).click();
    await first.getByRole("button", { name: "Runs 1" }).click();
  });

  await test.step("it shows the run of the first as it goes", async () => {
    await setNumber(first, "Epochs", 1000);
    await setNumber(first, "Batch", 2);
    await first.getByRole("button", { name: "Run again" }).click();
    const watched = region(second, "Selective LoRA");
    await expect(watched).toContainText(/step [\d,]+ of 6,?000/, { timeout: 120_000 });
    await expect(watched.getByRole("row", { name: /few/ })).toContainText("%");
    await pressAtStep(first, "Pause", 20);
    await expect(watched).toContainText("Paused");
    const step = /step [\d,]+/.exec(await watched.innerText())?.[0] ?? "";
    await expect(runStrip(first)).toContainText(step);
  });

  await test.step("it takes over, and the first is the one that watches", async () => {
    await elsewhere(second).getByRole("button", { name: "Take over here" }).click();
    await expect(region(second, "Unfinished run")).toContainText(/You were at step [\d,]+ of 6,?000/, {
      timeout: 60_000,
    });
    await expect(region(second, "few")).toContainText("4 to validate, 8 to test");
    await expect(elsewhere(first)).toBeVisible();
    await region(second, "Unfinished run").getByRole("button", { name: "Go on" }).click();
    await expect(region(first, "Selective LoRA")).toContainText(/step [\d,]+ of 6,?000/, {
      timeout: 120_000,
    });
    await expect.poll(() => keptSteps(second), { timeout: 60_000 }).toHaveLength(2);
  });

  await test.step("a tab that is killed leaves the table and the run to the other", async () => {
    const cdp = await context.newCDPSession(second);
    // A renderer that crashes never answers the call.
    void cdp.send("Page.crash").catch(() => {});
    await expect(region(first, "Unfinished run")).toContainText(/You were at step [\d,]+ of 6,?000/, {
      timeout: 60_000,
    });
    await expect(region(first, "few")).toContainText("4 to validate, 8 to test");
    await expect(first.getByRole("button", { name: "Runs 1" })).toBeVisible();
  });
});
