// The browser, or the page in it, is killed at a random moment between Start and the end of a run: opened again, the run
// goes on, starts again or stands there done, and its export is the file of the run that nobody disturbed. One kill a
// backend here, many in `npm run test:soak`.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type BrowserContext, chromium, expect, type Page, test } from "@playwright/test";
import { exported, loadTiny, open, openOnWebGPU, region, setNumber } from "./support.ts";

const kills = Number(process.env.SELORA_KILLS ?? 1);
/** Epochs of a run of so many seconds that it is kept under way, which it is first after three. */
const backends = [
  { name: "WASM", epochs: 200, opened: open },
  { name: "WebGPU", epochs: 4, opened: openOnWebGPU },
];

test.describe.configure({ timeout: 300_000 + kills * 120_000 });

/** A browser with a profile of its own. */
async function browserOn(profile: string): Promise<{ context: BrowserContext; page: Page }> {
  const { baseURL, launchOptions } = test.info().project.use;
  const context = await chromium.launchPersistentContext(profile, { ...launchOptions, baseURL });
  return { context, page: context.pages()[0] ?? (await context.newPage()) };
}

/** Kills the browser of a profile, as the system does when memory is out; its children go with it. Linux alone has /proc,
 *  and elsewhere this fails rather than passes. */
function killBrowser(profile: string): void {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "latin1");
      if (command.includes(`--user-data-dir=${profile}\0`) && !command.includes("--type="))
        process.kill(Number(pid), "SIGKILL");
    } catch {
      // It has ended meanwhile.
    }
  }
}

const ended = (page: Page) => page.getByRole("button", { name: "Run again" });
const unfinished = (page: Page) => region(page, "Unfinished run");
const startButton = (page: Page) => page.getByRole("button", { name: "Start", exact: true });

async function start(page: Page, { epochs, opened }: (typeof backends)[number]): Promise<void> {
  await opened(page);
  await loadTiny(page, 20);
  await setNumber(page, "Rank", 2);
  await setNumber(page, "Epochs", epochs);
  await setNumber(page, "Batch", 4);
  await startButton(page).click();
}

for (const backend of backends)
  test(`${kills} kills on ${backend.name}: the run ends with the file of one that was never killed`, async () => {
    const profiles = mkdtempSync(join(tmpdir(), "selora-killed-"));
    const whole = await browserOn(join(profiles, "whole"));
    await start(whole.page, backend);
    const began = performance.now();
    await expect(ended(whole.page)).toBeVisible({ timeout: 200_000 });
    const length = performance.now() - began;
    const expected = await exported(whole.page);
    await whole.context.close();

    const seen: Record<string, number> = {};
    for (let kill = 0; kill < kills; kill++) {
      const profile = join(profiles, String(kill));
      let { context, page } = await browserOn(profile);
      await start(page, backend);
      const moment = Math.random() * length;
      await sleep(moment);
      const told = `kill ${kill}, ${Math.round(moment)} ms after Start`;
      if (kill % 3 === 2) {
        const cdp = await context.newCDPSession(page);
        // A page that crashes never answers the call.
        void cdp.send("Page.crash").catch(() => {});
        await page.waitForEvent("crash");
        page = await context.newPage();
      } else {
        const gone = context.waitForEvent("close");
        killBrowser(profile);
        await gone;
        ({ context, page } = await browserOn(profile));
      }
      await page.goto("/");
      await expect(region(page, "few"), told).toContainText("4 to validate, 8 to test", { timeout: 60_000 });
      const offer = unfinished(page).getByRole("button", { name: /^(Go on|Start it again)/ });
      // Start is there beside the offer; alone it is where it had been pressed at the very moment.
      const known = await expect(offer.or(ended(page)))
        .toBeVisible({ timeout: 10_000 })
        .then(() => true)
        .catch(() => false);
      const isEnded = known && (await ended(page).isVisible());
      const way = isEnded ? "Done" : known ? await offer.innerText() : "Start";
      seen[way] = (seen[way] ?? 0) + 1;
      if (known && !isEnded) await offer.click();
      if (!known) {
        expect(moment, told).toBeLessThan(1000);
        await startButton(page).click();
      }
      await expect(ended(page), told).toBeVisible({ timeout: 200_000 });
      expect((await exported(page)).equals(expected), told).toBe(true);
      await context.close();
    }
    console.log(`${backend.name}: ${JSON.stringify(seen)}`);
    rmSync(profiles, { recursive: true, force: true });
  });
