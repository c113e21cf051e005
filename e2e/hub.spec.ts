// A model by name, from a server that stands in for the Hub: nothing is asked before Fetch is pressed, a download can be
// cancelled, goes on after a cut, is kept over a reload, works without a network, and can be removed.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, type Page, test } from "@playwright/test";
import { type HubServer, startHub } from "../src/checkpoint/testing/hub_server.ts";
import { open, region, tinyModelFolder } from "./support.ts";

const files: Record<string, Uint8Array> = {};
for (const file of readdirSync(tinyModelFolder)) files[file] = readFileSync(join(tinyModelFolder, file));
const size = (files["model.safetensors"] as Uint8Array).length;

let hub: HubServer;
test.beforeEach(async () => {
  hub = await startHub();
  hub.models.set("org/vit", { revisions: { main: "a".repeat(40), "v1.0": "b".repeat(40) }, files });
  hub.models.set("org/gated", {
    revisions: { main: "c".repeat(40) },
    files,
    token: "hf_secret",
    gated: true,
  });
  hub.plain.set("/somewhere/model.safetensors", files["model.safetensors"] as Uint8Array);
});
test.afterEach(() => hub.close());

/** The same server by another name, which is another origin. */
const elsewhere = () => hub.url.replace("127.0.0.1", "localhost");

/** Opens the place for names; the server is the stand-in. */
async function turnToHub(page: Page): Promise<void> {
  await page.getByRole("button", { name: "From the Hugging Face Hub, or an address" }).click();
  await page.getByRole("button", { name: "Revision, token, another server" }).click();
  await page.getByLabel("Server").fill(hub.url);
}

/** Opens the page anew, where the model stands again, and the place for names beside it. */
async function reopen(page: Page): Promise<void> {
  await page.reload();
  await expectLoaded(page);
  await page.getByRole("button", { name: "Load another model" }).click();
  await turnToHub(page);
}

const nameField = (page: Page) => page.getByLabel("Name on the Hub, or address of a file or folder");
const press = (page: Page) => page.getByRole("button", { name: "Fetch", exact: true }).click();
const kept = (page: Page) => region(page, "Models kept in this browser");

async function expectLoaded(page: Page): Promise<void> {
  await expect(region(page, "Model")).toContainText("2, 3, 24");
}

async function dismissed(page: Page, words: string | RegExp): Promise<void> {
  const alert = page.locator(".failures .failure");
  await expect(alert).toContainText(words);
  await alert.getByRole("button", { name: "Dismiss" }).click();
}

test("fetched by name, cancelled, cut, gone on with, kept, opened offline, removed", async ({ page }) => {
  const origins = new Set<string>();
  page.on("request", (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol.startsWith("http")) origins.add(origin);
  });
  await open(page);
  await turnToHub(page);
  await nameField(page).fill("org/vit");
  // Typing a name asks nobody.
  expect([...origins]).toHaveLength(1);
  expect(hub.requests).toEqual([]);

  await test.step("cancelled in the middle, what came is listed", async () => {
    hub.speed = size / 20;
    await press(page);
    const bar = page.getByRole("progressbar", { name: "Fetching org/vit" });
    await expect.poll(async () => Number(await bar.getAttribute("aria-valuenow"))).toBeGreaterThan(5);
    await expect(region(page, "Model")).toContainText(/Fetching model\.safetensors.* of .*left/);
    await page.getByRole("button", { name: "Cancel fetching org/vit" }).click();
    await expect(kept(page)).toContainText("not whole");
    await expect(page.locator(".failures .failure")).toHaveCount(0);
  });

  await test.step("gone on with, cut twice on the way", async () => {
    hub.speed = size / 2;
    hub.requests.length = 0;
    hub.cuts = [5000, 5000];
    await page.getByRole("button", { name: "Fetch the rest of org/vit" }).click();
    await expectLoaded(page);
    const ranges = hub.requests
      .filter(({ line }) => line === "GET /cdn/org/vit/model.safetensors")
      .map(({ range }) => Number(/bytes=(\d+)-/.exec(range ?? "")?.[1]));
    expect(ranges).toHaveLength(3);
    expect(ranges[0]).toBeGreaterThan(0);
    // What was in the air when the line was cut may be lost, what came before it is not.
    expect(ranges[1]).toBeGreaterThan(ranges[0] as number);
    expect(ranges[2]).toBeGreaterThan(ranges[1] as number);
  });

  await test.step("kept over a reload, and opened while the server is gone", async () => {
    hub.speed = 0;
    await reopen(page);
    await expect(kept(page)).toContainText(/org\/vit a{7}, \d/);
    hub.requests.length = 0;
    await page.getByRole("button", { name: "Open org/vit" }).click();
    await expectLoaded(page);
    expect(hub.requests).toEqual([]);
  });

  await test.step("a model in use cannot be removed, another can", async () => {
    await page.getByRole("button", { name: "Load another model" }).click();
    await turnToHub(page);
    await expect(page.getByRole("button", { name: "Remove org/vit" })).toBeDisabled();
    await nameField(page).fill(`${elsewhere()}/somewhere`);
    await press(page);
    await expect(region(page, "Model")).toContainText("somewhere");
    await page.getByRole("button", { name: "Load another model" }).click();
    await page.getByRole("button", { name: "From the Hugging Face Hub, or an address" }).click();
    await page.getByRole("button", { name: "Remove org/vit" }).click();
    await expect(kept(page)).not.toContainText("org/vit");
    await expect(kept(page)).toContainText("/somewhere");
  });
  expect([...origins].sort()).toEqual([new URL(page.url()).origin, hub.url, elsewhere()].sort());
});

test("what the Hub refuses is said; a token opens it, goes nowhere else and is not kept", async ({
  page,
}) => {
  await open(page);
  await turnToHub(page);
  await nameField(page).fill("org/none");
  await press(page);
  await dismissed(page, "There is no such model on the Hub, or it is private.");
  await nameField(page).fill("org/gated");
  await press(page);
  await dismissed(page, "agree to the terms, and give a token");
  await page.getByLabel("Access token").fill("hf_secret");
  await press(page);
  await expectLoaded(page);
  // The file itself comes from where the Hub redirects to, which is told no token.
  for (const { line, token } of hub.requests) if (line.includes("/cdn/")) expect(token).toBeUndefined();
  const stored = await page.evaluate(async () => {
    const texts = [JSON.stringify({ ...localStorage }), JSON.stringify({ ...sessionStorage }), location.href];
    const walk = async (folder: FileSystemDirectoryHandle): Promise<void> => {
      for await (const handle of folder.values()) {
        if (handle.kind === "directory") await walk(handle as FileSystemDirectoryHandle);
        else texts.push(await (await (handle as FileSystemFileHandle).getFile()).text());
      }
    };
    await walk(await navigator.storage.getDirectory());
    return texts.join("\n");
  });
  expect(stored).toContain("org/gated");
  expect(stored).not.toContain("hf_secret");
  await reopen(page);
  await expect(page.getByLabel("Access token")).toHaveValue("");

  await page.getByLabel("Server").fill("http://example.com");
  await nameField(page).fill("org/vit");
  await press(page);
  await dismissed(page, "is no address that is read from");
});
