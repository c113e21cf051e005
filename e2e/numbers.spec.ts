// The numbers of one run agree wherever they stand: while it is on, after it, in the trade-off, on the list of runs and in
// the report. What is typed into a field is what is used, or keeps a run from starting.
import { readFileSync } from "node:fs";
import { expect, type Page, test } from "@playwright/test";
import {
  demoZips,
  drop,
  dropZone,
  modelFolder,
  open,
  pictureFolder,
  region,
  runStrip,
  setNumber,
} from "./support.ts";

const classes = ["animal", "food", "object"];

/** Figures as they stand on the page at one moment, in tenths of a per cent; null where there is none. */
interface Seen {
  header: Record<string, { basis: string; value: number | null; change: number | null; sign: string | null }>;
  table: Record<
    string,
    {
      before: number | null;
      latest: number | null;
      change: number | null;
      sign: string | null;
      facts: string;
    }
  >;
  curves: Record<string, number | null>;
  heads: string[];
}

/** Reads all of them in one go, so that nothing moves between two looks. */
const look = (page: Page): Promise<Seen> =>
  page.evaluate(() => {
    const number = (text: string | null | undefined) => {
      const found = /[−-]?\d+\.\d/.exec(text ?? "");
      return found ? Math.round(10 * Number(found[0].replace("−", "-"))) : null;
    };
    const header: Seen["header"] = {};
    for (const cell of document.querySelectorAll("header dl > div")) {
      const [word, basis] = (cell.querySelector("dt")?.textContent ?? "").split(", ");
      const [value, change] = cell.querySelectorAll("dd > span");
      header[word ?? ""] = {
        basis: basis ?? "all",
        value: number(value?.textContent),
        change: number(change?.textContent),
        sign: change?.getAttribute("data-sign") ?? null,
      };
    }
    const heading = (name: string) =>
      [...document.querySelectorAll("section")].find((one) => one.querySelector("h2")?.textContent === name);
    const table: Seen["table"] = {};
    const results = heading("Before and after");
    for (const body of results?.querySelectorAll("tbody[data-chosen], tbody:has(> tr > th button)") ?? []) {
      const [first] = body.querySelectorAll("tr");
      const cells = [...(first?.querySelectorAll("td") ?? [])];
      table[first?.querySelector("th")?.textContent ?? ""] = {
        before: number(cells[0]?.textContent),
        latest: number(cells.at(-2)?.textContent),
        change: number(cells.at(-1)?.textContent),
        sign: cells.at(-1)?.querySelector("[data-sign]")?.getAttribute("data-sign") ?? null,
        facts: [...body.querySelectorAll("tr")].at(-1)?.textContent ?? "",
      };
    }
    const curves: Seen["curves"] = {};
    for (const key of heading("Curves")?.querySelectorAll("figure:first-of-type figcaption > span:has(b)") ??
      [])
      curves[(key.textContent ?? "").replace(/\d+\.\d%$/, "")] = number(key.querySelector("b")?.textContent);
    const heads = [...(results?.querySelectorAll("thead th") ?? [])].map((one) => one.textContent ?? "");
    return { header, table, curves, heads };
  });

/** What is shown adds up, and the same thing is the same number wherever it stands. */
function agrees({ header, table, curves }: Seen): void {
  const sets = { Target: "icons", OOD: "outlines", Retention: "colour" };
  for (const [role, name] of Object.entries(sets)) {
    const row = table[name];
    expect(row, name).toBeDefined();
    if (!row) continue;
    expect(row.latest, name).not.toBeNull();
    expect(row.latest! - row.before!, `change of ${name}`).toBe(row.change);
    expect(header[role]?.value, `${role} in the header`).toBe(row.latest);
    expect(header[role]?.change, `change of ${role} in the header`).toBe(row.change);
    expect(header[role]?.sign, `colour of ${role}`).toBe(row.sign);
    expect(curves[name], `${name} at its curve`).toBe(row.latest);
    if (row.sign === "up") expect(row.change).toBeGreaterThan(0);
    if (row.sign === "down") expect(row.change).toBeLessThan(0);
  }
}

test("no two numbers of one run contradict each other", async ({ page }) => {
  const target = await pictureFolder("icons", demoZips.target, classes, { train: 12, val: 6, test: 10 });
  const ood = await pictureFolder("outlines", demoZips.ood, classes, { test: 30 });
  const retention = await pictureFolder("colour", demoZips.retention, classes, { test: 30 });
  await open(page);
  await drop(page, dropZone(page, "Model"), [modelFolder]);
  await expect(region(page, "Model")).toContainText("12, 3, 96");
  await drop(page, dropZone(page, "Target images"), [target]);
  await expect(region(page, "icons")).toContainText("18 to validate, 30 to test");
  await drop(page, dropZone(page, "OOD images"), [ood]);
  await expect(region(page, "outlines")).toBeVisible();
  await drop(page, dropZone(page, "Retention images"), [retention]);
  await expect(region(page, "colour")).toBeVisible();

  await test.step("while it is on, everything stands on the same few images, and says on which", async () => {
    await setNumber(page, "Epochs", 8);
    await page.getByRole("button", { name: "More settings" }).click();
    await setNumber(page, "Learning rate", 0.003);
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await expect(runStrip(page)).toContainText("epoch 3", { timeout: 120_000 });
    await page.getByRole("button", { name: "Pause", exact: true }).click();
    await expect(runStrip(page)).toContainText("Paused");
    // Curves are drawn once a second.
    await page.waitForTimeout(1500);
    const seen = await look(page);
    expect(seen.heads).toContain("Live");
    agrees(seen);
    expect(seen.header.Target?.basis).toBe("validation");
    expect(seen.header.OOD?.basis).toBe("sample");
    expect(seen.table.icons?.facts).toContain("18 validation images");
    expect(seen.table.outlines?.facts).toMatch(/64 of \d\d images/);
    await expect(region(page, "Curves")).toContainText("18 validation images");
    await page.getByRole("button", { name: "Resume" }).click();
  });

  await expect(page.getByRole("button", { name: "Run again" })).toBeVisible({ timeout: 120_000 });
  await page.waitForTimeout(1500);
  const done = await look(page);

  await test.step("after it, all of them are of all held-out images", async () => {
    agrees(done);
    for (const { basis } of Object.values(done.header)) expect(basis).toBe("all");
    expect(done.heads).toContain("After");
    expect(done.table.icons?.facts).toContain("30 images");
    await expect(region(page, "Curves")).toContainText("all held-out images");
  });

  await test.step("the trade-off names its images, and adds up", async () => {
    const panel = region(page, "How few blocks");
    await panel.getByRole("button", { name: "Measure the trade-off" }).click();
    const row = panel.getByRole("row", { name: /^icons/ }).first();
    await expect(row).toContainText("18 validation images", { timeout: 120_000 });
    await expect(panel.getByRole("button", { name: "Measure the trade-off" })).toBeHidden();
    const [before, then, change] = (await row.getByRole("cell").allInnerTexts()).map((text) =>
      Math.round(10 * Number(/[−-]?\d+\.\d/.exec(text)?.[0].replace("−", "-"))),
    );
    expect(then! - before!).toBe(change);
  });

  await test.step("the list of runs and the report say the same", async () => {
    const report = region(page, "Report");
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      report.getByRole("button", { name: "JSON" }).click(),
    ]);
    const { sets, curves } = JSON.parse(readFileSync(await download.path(), "utf8"));
    for (const { name, before, after } of sets) {
      expect(Number((1000 * before.accuracy).toFixed(0)), name).toBe(done.table[name]?.before);
      expect(Number((1000 * after.accuracy).toFixed(0)), name).toBe(done.table[name]?.latest);
    }
    for (const { name, after } of curves.sets)
      expect(Number((1000 * after).toFixed(0)), name).toBe(done.table[name]?.latest);
    await page.getByRole("button", { name: "Runs 1" }).click();
    const row = page.getByRole("region", { name: "List of runs" }).getByRole("row").nth(1);
    const text = await row.innerText();
    for (const { latest, change } of Object.values(done.table)) {
      expect(text).toContain(`${(latest! / 10).toFixed(1)}%`);
      expect(text).toContain(Math.abs(change! / 10).toFixed(1));
    }
  });
});

test("a field shows what is used, or says what would do and lets no run start", async ({ page }) => {
  await open(page);
  const target = await pictureFolder("icons", demoZips.target, classes, { train: 4, val: 2, test: 2 });
  await drop(page, dropZone(page, "Model"), [modelFolder]);
  await expect(region(page, "Model")).toContainText("12, 3, 96");
  await drop(page, dropZone(page, "Target images"), [target]);
  await expect(runStrip(page)).toContainText("Ready");
  await page.getByRole("button", { name: "More settings" }).click();
  const field = (name: string) => page.getByRole("textbox", { name, exact: true });
  const start = page.getByRole("button", { name: "Start", exact: true });

  for (const [typed, shown] of [
    ["1e-4", "0.0001"],
    ["0,5", "0.5"],
    [".002", "0.002"],
  ] as const) {
    await field("Learning rate").fill(typed);
    await field("Learning rate").blur();
    await expect(field("Learning rate")).toHaveValue(shown);
    expect(page.url()).toContain(`learningRate=${Number(shown)}`);
    await expect(start).toHaveAttribute("aria-disabled", "false");
  }
  for (const [name, typed, words] of [
    ["Rank", "5000", "a whole number from 1 to 128"],
    ["Epochs", "0", "a whole number from 1 to 1,000"],
    ["Batch", "100000", "a whole number from 1 to 512"],
  ] as const) {
    await field(name).fill(typed);
    await field(name).blur();
    await expect(field(name)).toHaveAttribute("aria-invalid", "true");
    await expect(page.getByText(`Give ${words}.`).first()).toBeVisible();
    await expect(start).toHaveAttribute("aria-disabled", "true");
    await expect(runStrip(page)).toContainText(`${name}: Give ${words}.`);
    await page.getByRole("button", { name: "All settings to their defaults" }).click();
    await expect(field(name)).not.toHaveAttribute("aria-invalid", "true");
    await expect(start).toHaveAttribute("aria-disabled", "false");
  }
});
