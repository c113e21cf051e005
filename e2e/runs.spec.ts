// A person lets the standard line-up run by itself, compares what came out, names and deletes, and takes tables and a
// report along.
import { readFileSync } from "node:fs";
import AxeBuilder from "@axe-core/playwright";
import { expect, type Locator, type Page, test } from "@playwright/test";
import { loadTiny, open, region, runStrip, setNumber } from "./support.ts";

async function text(page: Page, button: Locator): Promise<string> {
  const [download] = await Promise.all([page.waitForEvent("download"), button.click()]);
  return readFileSync(await download.path(), "utf8");
}

test("the suite, its comparison, and what is taken along", async ({ page }) => {
  await open(page);
  await loadTiny(page);
  await setNumber(page, "Rank", 2);
  await setNumber(page, "Epochs", 2);
  await setNumber(page, "Batch", 4);

  await test.step("run the line-up", async () => {
    await page.getByRole("button", { name: "Suite" }).click();
    await expect(runStrip(page)).toContainText(/of 7, /);
    await expect(page.getByRole("button", { name: "Run again" })).toBeVisible({ timeout: 200_000 });
  });

  const list = region(page, "List of runs");
  await test.step("all of it is kept and compared", async () => {
    await page.getByRole("button", { name: "Runs 7" }).click();
    await expect(list.getByRole("row")).toHaveCount(8);
    const table = region(page, "Results and differences");
    await expect(table.getByRole("columnheader", { name: "Method" })).toBeVisible();
    await expect(table.getByRole("columnheader", { name: "Budget" })).toBeVisible();
    await expect(table.getByRole("columnheader", { name: "Rank" })).toHaveCount(0);
    await expect(page.getByRole("img", { name: /^Open blocks of / })).toHaveCount(7);
    const found = await new AxeBuilder({ page }).analyze();
    expect(found.violations.map(({ id, nodes }) => [id, nodes[0]?.html])).toEqual([]);
  });

  await test.step("tables to take along", async () => {
    const csv = await text(page, page.getByRole("button", { name: "CSV" }));
    expect(csv.trim().split("\r\n")).toHaveLength(8);
    const { runs } = JSON.parse(await text(page, page.getByRole("button", { name: "JSON" })));
    expect(runs).toHaveLength(7);
    expect(runs[0].details.path).toHaveLength(5);
  });

  const menu = (name: string) => page.getByRole("button", { name: `What to do with ${name}` });
  await test.step("rename, delete and take it back", async () => {
    await menu("TAPS").click();
    await page.getByRole("menuitem", { name: "Rename" }).click();
    await page.getByRole("textbox", { name: "Name of the run" }).fill("The rival");
    await page.keyboard.press("Enter");
    await expect(list).toContainText("The rival");
    await menu("The rival").click();
    await page.getByRole("menuitem", { name: "Delete" }).click();
    await expect(list).not.toContainText("The rival");
    await page.getByRole("button", { name: "Undo" }).click();
    await expect(list).toContainText("The rival");
    await page.reload();
    await expect(list).toContainText("The rival");
  });

  await test.step("open an earlier run again, and take its report", async () => {
    await expect(runStrip(page)).toContainText("Done", { timeout: 60_000 });
    await menu("LoRA on all").click();
    await page.getByRole("menuitem", { name: "Open again" }).click();
    const report = region(page, "Report");
    await expect(report).toBeVisible();
    await report.getByRole("checkbox").check();
    const html = await text(page, report.getByRole("button", { name: "Report (HTML)" }));
    expect(html).toContain("<h1>LoRA on all</h1>");
    expect(html).not.toMatch(/https?:|<script|<link/);
    const json = JSON.parse(await text(page, report.getByRole("button", { name: "JSON" })));
    expect(json.recipe.method).toBe("lora");
    expect(json.path).toHaveLength(5);
  });

  await test.step("measure the way between of the run on the page", async () => {
    const panel = region(page, "What if");
    await panel.getByRole("button", { name: "Measure the way between", exact: true }).click();
    await expect(panel.getByRole("button", { name: "Measure the way between again" })).toBeVisible();
    await expect(page.getByRole("alert")).toBeHidden();
  });
});
