// The engine always opens, or says why not: each thing that a browser or a host can lack is taken away in turn.
import { expect, type Page, test } from "@playwright/test";
import { loadTiny, runStrip, setNumber } from "./support.ts";

// A page that may not have its service worker says so in the console.
test.use({ serviceWorkers: "allow" });

const device = (page: Page) => page.getByRole("button", { name: /^Device:/ });

/** Puts lines before every script of the engine's worker. */
async function beforeEngine(page: Page, lines: string): Promise<void> {
  await page.route(/\/worker-[^/]*\.js$/, async (route) => {
    const answer = await route.fetch();
    await route.fulfill({ response: answer, body: `${lines}\n${await answer.text()}` });
  });
}

/** What the badge tells of the device. */
async function told(page: Page): Promise<string> {
  await device(page).click();
  const words = await page.getByRole("dialog").innerText();
  await page.keyboard.press("Escape");
  return words;
}

test("a GPU that never answers is none", async ({ page }) => {
  await beforeEngine(page, "GPU.prototype.requestAdapter = () => new Promise(() => {});");
  await page.goto("/");
  await expect(device(page)).toHaveAccessibleName(/WASM/, { timeout: 20_000 });
  expect(await told(page)).toContain("This browser offers no WebGPU adapter, so the CPU computes (WASM).");
});

test("memory that cannot be handed to a thread leaves one thread", async ({ page }) => {
  await beforeEngine(
    page,
    `const was = Worker.prototype.postMessage;
     Worker.prototype.postMessage = function (message) {
       if (message?.memory) throw new DOMException("The object can not be cloned.", "DataCloneError");
       return was.apply(this, arguments);
     };`,
  );
  await page.goto("/");
  await expect(device(page)).toHaveAccessibleName(/WASM, .*1 thread/, { timeout: 20_000 });
  expect(await told(page)).toContain("does not let threads share memory, so one thread computes");
});

test("without SIMD the plain module computes", async ({ page }) => {
  // Engines without it refuse every module that has it: these all begin a v128 or a SIMD instruction somewhere.
  await beforeEngine(page, "WebAssembly.validate = () => false;");
  await page.goto("/");
  await expect(device(page)).toHaveAccessibleName(/WASM, no SIMD, 1 thread/, { timeout: 20_000 });
  expect(await told(page)).toContain("no WebAssembly SIMD, so that training is several times slower");
});

test("an engine that does not come says so, and goes without threads when asked", async ({ page }) => {
  await page.clock.install();
  let hung = true;
  await page.route(/\/worker-[^/]*\.js$/, (route) => (hung ? undefined : route.continue()));
  await page.goto("/#rank=4");
  await page.clock.fastForward(21_000);
  const alert = page.getByRole("alert").filter({ hasText: "The engine has not started" });
  await expect(alert.getByRole("button", { name: "Reload" })).toBeVisible();
  hung = false;
  await alert.getByRole("button", { name: "Try without threads" }).click();
  await expect(device(page)).toHaveAccessibleName(/WASM, .*1 thread/, { timeout: 20_000 });
  expect(await told(page)).toContain("One thread computes, as you asked.");
  // The link's recipe stands beside that.
  await expect(page.getByRole("textbox", { name: "Rank", exact: true })).toHaveValue("4");
  await expect(page.getByText("The link sets")).toHaveCount(0);
  await expect(alert).toBeHidden();
});

test("an engine whose script cannot be had says so at once", async ({ page }) => {
  await page.route(/\/worker-[^/]*\.js$/, (route) => route.fulfill({ status: 404 }));
  await page.goto("/");
  await expect(page.locator(".failures").first()).toContainText("The engine stopped");
  await expect(page.getByRole("button", { name: "Try without threads" })).toBeVisible();
});

test("a host with the wrong kind for .wasm, and no word against it in the console", async ({ page }) => {
  const problems: string[] = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) problems.push(message.text());
  });
  await page.route(/\.wasm$/, async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, headers: { ...response.headers(), "content-type": "text/plain" } });
  });
  await page.goto("/");
  await expect(device(page)).toHaveAccessibleName(/WASM, SIMD/, { timeout: 20_000 });
  expect(problems).toEqual([]);
});

test("a browser that keeps nothing says so, and trains", async ({ page }) => {
  await page.addInitScript(() => {
    const deny = () => {
      throw new DOMException("The operation is insecure.", "SecurityError");
    };
    Object.defineProperty(globalThis, "indexedDB", { get: deny });
    Object.defineProperty(globalThis, "localStorage", { get: deny });
  });
  await page.goto("/");
  await expect(device(page)).toHaveAccessibleName(/WASM/, { timeout: 20_000 });
  await expect(page.getByRole("region", { name: "What is loaded is not kept" })).toBeVisible();
  await loadTiny(page);
  await setNumber(page, "Epochs", 1);
  await page.getByRole("button", { name: "Start", exact: true }).click();
  await expect(runStrip(page)).toContainText("Done", { timeout: 120_000 });
});
