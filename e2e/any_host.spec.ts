// The built studio on a host that knows nothing of it: a plain file server, under a path of its own, that sends no
// headers and calls every file the same. After the first visit the engine has threads, and no server is needed.
import { cpSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import AxeBuilder from "@axe-core/playwright";
import { expect, type Page, test } from "@playwright/test";
import { demoZips, pictureFolder, pressAtStep, region, runStrip, setNumber } from "./support.ts";

// Journeys else do without the page's service worker.
test.use({ serviceWorkers: "allow" });

/** The only kinds that a browser insists on. */
const types: Record<string, string> = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };

let folder: string;
let server: Server;
let port = 0;

/** Serves the folder's files under /x/y/, and nothing else. */
function serve(): Promise<void> {
  server = createServer(({ url = "" }, response) => {
    const path = normalize(decodeURIComponent(url.replace(/\?.*$/, "")));
    const name = path === "/x/y/" ? "index.html" : path.startsWith("/x/y/") ? path.slice(5) : null;
    try {
      const body = readFileSync(join(folder, name ?? "\0"));
      response.writeHead(200, { "Content-Type": types[extname(name ?? "")] ?? "application/octet-stream" });
      response.end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  return new Promise((listening) => {
    server.listen(port, "127.0.0.1", () => {
      port = (server.address() as AddressInfo).port;
      listening();
    });
  });
}

const close = () =>
  new Promise<void>((closed) => {
    server.close(() => closed());
    server.closeAllConnections();
  });

const device = (page: Page) => page.getByRole("button", { name: /^Device:/ });
const newer = (page: Page) => page.getByRole("button", { name: "A new version is ready: reload" });
const isolated = (page: Page) => page.evaluate(() => crossOriginIsolated);

test.beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "selora-host-"));
  cpSync(join(import.meta.dirname, "..", "dist"), folder, { recursive: true });
  await serve();
});
test.afterAll(close);

test("under a path, without headers, then without a server", async ({ page }) => {
  const elsewhere: string[] = [];
  page.on("request", (request) => {
    const { protocol, host } = new URL(request.url());
    if (protocol.startsWith("http") && host !== `127.0.0.1:${port}`) elsewhere.push(request.url());
  });

  await test.step("the first visit computes with one thread, and says how to have more", async () => {
    await page.goto(`http://127.0.0.1:${port}/x/y/`);
    await expect(device(page)).toHaveAccessibleName(/WASM, .*1 thread/);
    expect(await isolated(page)).toBe(false);
    await device(page).click();
    await expect(page.getByRole("dialog")).toContainText("Load it again");
    await page.keyboard.press("Escape");
  });

  await test.step("it can be installed", async () => {
    const found = await page.evaluate(async () => {
      const address = document.querySelector<HTMLLinkElement>("link[rel=manifest]")?.href ?? "";
      const manifest = await (await fetch(address)).json();
      const sizes = await Promise.all(
        (manifest.icons as { src: string }[]).map(async ({ src }) => {
          const picture = await createImageBitmap(await (await fetch(new URL(src, address))).blob());
          return [picture.width, picture.height];
        }),
      );
      return {
        start: new URL(manifest.start_url, address).pathname,
        shares: new URL(manifest.share_target.action, address).pathname,
        sizes,
      };
    });
    expect(found).toEqual({
      start: "/x/y/",
      shares: "/x/y/share",
      sizes: [
        [192, 192],
        [512, 512],
      ],
    });
  });

  await test.step("the demo is loaded once, while there is a server", async () => {
    await page.getByRole("button", { name: "Load the demo only" }).click();
    await expect(runStrip(page)).toContainText("Ready", { timeout: 200_000 });
    await page.evaluate(() => navigator.serviceWorker.ready);
    // There was no older version that a newer one could take over from.
    await expect.poll(() => page.evaluate(() => navigator.serviceWorker.controller !== null)).toBe(true);
    await expect(newer(page)).toBeHidden();
  });

  await test.step("from the second visit on it has threads, with or without a server", async () => {
    await close();
    await page.context().clearCookies();
    await page.reload();
    expect(await isolated(page)).toBe(true);
    await expect(device(page)).toHaveAccessibleName(/WASM, .*\d threads/);
    await expect(runStrip(page)).toContainText("Ready", { timeout: 200_000 });
  });

  await test.step("the demo trains", async () => {
    for (const set of ["OpenMoji, outlines only", "OpenMoji", "Colour emoji the model grew up with"])
      await page.getByRole("button", { name: `Remove ${set}`, exact: true }).click();
    await setNumber(page, "Epochs", 1);
    await page.getByRole("button", { name: "Start", exact: true }).click();
    await expect(runStrip(page)).toContainText("Done", { timeout: 200_000 });
    await expect(region(page, "Model")).toContainText("12, 3, 96");
  });

  await test.step("a newer version waits until it is asked for, and never comes under a run", async () => {
    const paused = pressAtStep(page, "Pause", 1);
    await page.getByRole("button", { name: "Run again", exact: true }).click();
    await paused;
    await expect(runStrip(page)).toContainText("Paused");
    const worker = join(folder, "service_worker.js");
    writeFileSync(worker, readFileSync(worker, "utf8").replace(/"version":"\w+"/, '"version":"newer"'));
    await serve();
    await page.evaluate(async () => (await navigator.serviceWorker.getRegistration())?.update());
    await expect(newer(page)).toHaveAttribute("aria-disabled", "true");
    await newer(page).click({ force: true });
    await page.getByRole("button", { name: "Resume", exact: true }).click();
    await expect(runStrip(page)).toContainText("Done", { timeout: 200_000 });
    expect(await page.evaluate(() => caches.keys())).toContain("selora /x/y/ newer");
    const waits = () =>
      page.evaluate(async () => (await navigator.serviceWorker.getRegistration())?.waiting?.state);
    expect(await waits()).toBe("installed");

    await expect(newer(page)).toHaveAttribute("aria-disabled", "false");
    await newer(page).click();
    await expect(newer(page)).toBeHidden();
    await expect(runStrip(page)).toContainText("Done", { timeout: 60_000 });
    expect(await waits()).toBeUndefined();
  });

  expect(elsewhere).toEqual([]);
});

test("images that another app shares arrive without a server, and go where they are put", async ({
  page,
}) => {
  const studio = `http://127.0.0.1:${port}/x/y/`;
  const pictures = await pictureFolder("few", demoZips.target, ["animal", "vehicle"], { test: 4 });
  const waiting = region(page, "Shared images");

  /** As the system does: a form, sent from outside of the page. */
  async function share(files: string[]): Promise<void> {
    await page.goto("about:blank");
    await page.setContent(
      `<form action="${studio}share" method="post" enctype="multipart/form-data"><input type="file" name="images" multiple><button>Share</button></form>`,
    );
    await page.locator("input").setInputFiles(files);
    await page.getByRole("button", { name: "Share" }).click();
    await expect(device(page)).toBeVisible();
  }
  const picturesOf = (name: string) =>
    readdirSync(join(pictures, "test", name)).map((file) => join(pictures, "test", name, file));

  await page.goto(studio);
  await expect(device(page)).toHaveAccessibleName(/WASM/);
  await page.evaluate(() => navigator.serviceWorker.ready);
  await close();

  await share(picturesOf("animal"));
  await expect(waiting).toContainText("4 images from another app");
  const put = waiting.getByRole("button", { name: "Put them there" });
  await expect(put).toBeDisabled();
  expect(new URL(page.url()).search).toBe("");
  await share(picturesOf("vehicle"));
  await expect(waiting).toContainText("8 images from another app");
  const found = await new AxeBuilder({ page }).analyze();
  expect(found.violations.map(({ id, nodes }) => [id, nodes[0]?.html])).toEqual([]);
  const names = waiting.getByRole("textbox");
  await names.first().fill("animal");
  await names.last().fill("animal");
  await expect(waiting).toContainText("Two classes or more");
  await names.last().fill("vehicle");
  await put.click();
  await expect(waiting).toContainText("2 classes (animal, vehicle)");
  await expect(put).toBeHidden();

  await share(picturesOf("animal").slice(0, 2));
  await expect(waiting.first()).toContainText("2 images from another app");
  await waiting.first().getByRole("button", { name: "Let them go" }).click();
  await page.reload();
  await expect(waiting).toContainText("2 classes (animal, vehicle)");
  await expect(put).toBeHidden();

  await share([]);
  await expect(page.getByRole("alert").first()).toContainText("What was shared could not be kept");
  expect(new URL(page.url()).search).toBe("");
});
