// A person measures their own machine: the demo's model on the software GPU, every peer on WASM, figures copied as
// JSON; too much is refused with a reason, and nothing is measured while a run is training.
import AxeBuilder from "@axe-core/playwright";
import { expect, type Page, test } from "@playwright/test";
import { loadTiny, open, runStrip, setNumber } from "./support.ts";

const keys = "what model batch backend adapter unit ours peer theirs ratio runs".split(" ");

type Line = { [key: string]: unknown; what: string; unit: string; ours: number };

const start = (page: Page) => page.getByRole("button", { name: "Start the benchmark" });
const place = (page: Page, name: "WebGPU" | "WASM") => page.getByRole("checkbox", { name, exact: true });

async function openBenchmark(page: Page): Promise<void> {
  await page.getByRole("link", { name: "Benchmark", exact: true }).click();
  await expect(page.getByRole("main", { name: "Benchmark" })).toBeVisible();
  await expect(place(page, "WASM")).toBeVisible();
}

/** Presses Start, waits for the end and reads what Copy gives. */
async function measure(page: Page): Promise<Line[]> {
  await start(page).click();
  await expect(page.getByText("Figures are medians; everyone took turns, a step each.")).toBeVisible({
    timeout: 250_000,
  });
  await page.getByRole("button", { name: "Copy as JSON" }).click();
  const text = await page.evaluate(() => navigator.clipboard.readText());
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

test.use({ permissions: ["clipboard-read", "clipboard-write"] });

test("measures the demo's model on the GPU there is, and its figures can be copied", async ({ page }) => {
  await open(page);
  await openBenchmark(page);
  await setNumber(page, "Batch", 1);
  await setNumber(page, "Steps of each", 1);
  await place(page, "WASM").uncheck();
  await place(page, "WebGPU").check();
  for (const peer of ["stock tfjs", "jax-js", "onnxruntime-web"])
    await page.getByRole("checkbox", { name: peer, exact: true }).uncheck();
  const lines = await measure(page);
  for (const line of lines) {
    expect(Object.keys(line)).toEqual(keys);
    expect(line).toMatchObject({ model: "The demo's ViT 96/12/3 at 64/8", batch: 1, backend: "webgpu" });
    expect(line.adapter).toMatch(/swiftshader/i);
    expect(line.ours).toBeGreaterThanOrEqual(0);
  }
  const units = new Map(lines.map(({ what, unit }) => [what, unit]));
  for (const work of ["training step", "inference"]) {
    expect(units.get(work)).toBe("images/s");
    expect(units.get(`${work}: dispatches`)).toBe("dispatches");
    expect(units.get(`${work}: memory held`)).toBe("MB");
    expect(units.get(`${work}: arithmetic`)).toBe("GFLOP/s");
  }
  const figures = page.getByRole("region", { name: "The demo's ViT 96/12/3 at 64/8 on WebGPU" });
  await expect(figures.getByRole("row", { name: /^Selora/ })).toHaveCount(2);

  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    for (const width of [1440, 390]) {
      await page.setViewportSize({ width, height: 900 });
      await page.evaluate(() =>
        Promise.all(document.getAnimations().map((one) => one.finished.catch(() => null))),
      );
      const { violations } = await new AxeBuilder({ page }).analyze();
      expect(violations.map(({ id, nodes }) => `${id} ${nodes[0]?.target}`)).toEqual([]);
      const main = page.getByRole("main", { name: "Benchmark" });
      expect(await main.evaluate((one) => one.scrollWidth <= one.clientWidth)).toBe(true);
    }
  }
});

test("every peer does the same work in a browser, from our own origin, and the way back is the browser's", async ({
  page,
  baseURL,
}) => {
  const origins = new Set<string>();
  page.on("request", (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol.startsWith("http")) origins.add(origin);
  });
  await page.goto("/?benchmark");
  await expect(place(page, "WASM")).toBeChecked();
  await setNumber(page, "Batch", 1);
  await setNumber(page, "Steps of each", 1);
  const lines = await measure(page);
  const beside = (what: string) =>
    lines.filter((line) => line.what === what && line.theirs !== null).map(({ peer }) => peer);
  expect(beside("training step")).toEqual(["stock tfjs", "jax-js"]);
  expect(beside("inference")).toEqual(["stock tfjs", "jax-js", "onnxruntime-web"]);
  expect([...origins]).toEqual([new URL(baseURL ?? "").origin]);

  await page.getByRole("button", { name: "Studio", exact: true }).click();
  await expect(runStrip(page)).toBeVisible();
  await page.goBack();
  await expect(page.getByRole("button", { name: "Copy as JSON" })).toBeVisible();
});

test("says why a model is too big, can be cancelled, and stays away from a run", async ({ page }) => {
  await open(page);
  await openBenchmark(page);
  const figures = page.getByRole("region", { name: "Figures" });
  await page.getByRole("checkbox", { name: "ViT-B/16 at 224" }).check();
  await expect(
    page.getByText(/ViT-B\/16 at 224 is left out on WASM.*On a CPU a single step takes/),
  ).toBeVisible();
  await page.getByRole("checkbox", { name: "ViT-B/16 at 224" }).uncheck();
  await start(page).click();
  await page.getByRole("button", { name: "Cancel" }).click();
  await expect(figures.getByText("Cancelled").first()).toBeVisible();
  await expect(start(page)).toBeEnabled();
  await page.goBack();

  await loadTiny(page, 20);
  await setNumber(page, "Epochs", 1000);
  await setNumber(page, "Batch", 1);
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await expect(runStrip(page)).toContainText(/step [1-9][\d,]* of/, { timeout: 120_000 });
  await openBenchmark(page);
  await expect(page.getByText("A run is training. Each would slow the other")).toBeVisible();
  await expect(start(page)).toHaveAttribute("aria-disabled", "true");
  await start(page).click({ force: true });
  await expect(figures.getByRole("status")).toHaveText("Cancelled");
});
