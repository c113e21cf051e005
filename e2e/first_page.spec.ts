// How much script a visitor waits for: what is fetched until the demo can be pressed and the engine is open. The rest is
// fetched after that, when the page has nothing to do.
import { gzipSync } from "node:zlib";
import { expect, test } from "@playwright/test";
import { open } from "./support.ts";

/** Most bytes of script, packed with gzip, that the first page takes with its engine. */
const LIMIT = 600_000;

test("the first page can be used after at most 600 KB of script, and fetches the rest when idle", async ({
  page,
}) => {
  // The page is idle when this test says so.
  await page.addInitScript(() => {
    const idle = globalThis as unknown as { letIdle: () => void };
    const waiting: (() => void)[] = [];
    idle.letIdle = () => {
      for (const call of waiting) call();
    };
    globalThis.requestIdleCallback = (call) =>
      waiting.push(() => call({ didTimeout: false, timeRemaining: () => 50 }));
    globalThis.cancelIdleCallback = () => {};
  });
  const scripts = new Set<string>();
  page.on("request", (request) => {
    const { pathname } = new URL(request.url());
    if (pathname.endsWith(".js")) scripts.add(pathname);
  });
  const fetched = (name: string) => [...scripts].some((path) => path.startsWith(`/assets/${name}-`));

  await open(page);
  await expect(page.getByRole("button", { name: "Try the demo", exact: true }).first()).toBeEnabled();
  const first = [...scripts];
  let total = 0;
  for (const path of first) total += gzipSync(await (await page.request.get(path)).body()).length;
  console.log(`first page: ${total} bytes of script with gzip, in ${first.length} files`);
  expect(fetched("worker"), "the engine comes in a chunk of its own").toBe(true);
  expect(total).toBeGreaterThan(100_000);
  expect(total).toBeLessThanOrEqual(LIMIT);
  for (const part of ["Watch", "Compare", "Runs", "Benchmark"]) expect(fetched(part), part).toBe(false);

  await page.evaluate(() => (globalThis as unknown as { letIdle: () => void }).letIdle());
  for (const part of ["Watch", "Compare", "Runs", "Benchmark"])
    await expect.poll(() => fetched(part), { message: part }).toBe(true);
});
