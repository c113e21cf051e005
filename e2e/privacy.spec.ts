// Images and weights never leave the machine: the page asks nothing of any other origin, and its own policy forbids it.
// A model that is asked for by name is fetched by a worker of its own (hub.spec.ts), which is not there before that.
import { expect, test } from "@playwright/test";
import { demoZips, open, region } from "./support.ts";

test("from opening to the loaded demo, nothing is asked of another origin", async ({ page, baseURL }) => {
  const origins = new Set<string>();
  const paths = new Set<string>();
  page.on("request", (request) => {
    const { protocol, origin, pathname } = new URL(request.url());
    // Data and blob addresses are made by the page and go nowhere.
    if (protocol === "data:" || protocol === "blob:") return;
    origins.add(origin);
    paths.add(pathname);
  });
  const sockets: string[] = [];
  page.on("websocket", (socket) => sockets.push(socket.url()));

  await open(page);
  await page.getByRole("button", { name: "Load the demo only" }).click();
  // Everything has been fetched by the time the first set has been read.
  await expect(region(page, "Fluent Emoji High Contrast")).toBeVisible({ timeout: 200_000 });
  await page.getByRole("button", { name: /^Glossary/ }).click();
  await expect(page.getByText("OpenMoji, outlines only", { exact: true }).last()).toBeVisible();

  for (const file of [demoZips.target, demoZips.ood, demoZips.retention, "model.safetensors"])
    expect([...paths].filter((path) => path.endsWith(`/${file}`))).toHaveLength(1);
  expect([...origins]).toEqual([new URL(baseURL ?? "").origin]);
  expect(sockets).toEqual([]);
});

test("the page's policy forbids it, in the page and in its engine", async ({ page }) => {
  await open(page);
  const policy = await page
    .locator('meta[http-equiv="Content-Security-Policy"]')
    .evaluate((meta: HTMLMetaElement) => meta.content);
  expect(policy).toContain("default-src 'none'");
  expect(policy).toMatch(/connect-src 'self'(;|$)/);
  expect(policy).toMatch(/script-src 'self' 'wasm-unsafe-eval'(;|$)/);
  const [engine, ...others] = page.workers();
  expect(engine?.url()).toContain("/worker-");
  expect(others.filter((worker) => worker.url().includes("library"))).toEqual([]);
  const askElsewhere = async () => {
    const violation = new Promise<string>((resolve) =>
      addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective)),
    );
    await fetch("https://example.invalid/").catch(() => null);
    return violation;
  };
  expect(await page.evaluate(askElsewhere)).toBe("connect-src");
  expect(await engine?.evaluate(askElsewhere)).toBe("connect-src");
});
