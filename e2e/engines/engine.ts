// The browsers that a journey can be made in, behind one small interface: Chromium by Playwright, Firefox by Marionette,
// which it speaks itself, WebKit by its WebDriver. What a page shows is looked for in the page, by the names people see.
import { type ChildProcess, execFileSync, type SpawnOptions, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { chromium } from "@playwright/test";

/** A thing on the page: what a selector gives, of a certain accessible name, or one that begins with it. */
export interface Wanted {
  selector: string;
  name?: string;
  begins?: string;
}

export interface Engine {
  readonly name: string;
  readonly version: string;
  /** Where downloads go. */
  readonly downloads: string;
  goto(url: string): Promise<void>;
  reload(): Promise<void>;
  /** Opens another tab, and stays in it. */
  openTab(url: string): Promise<void>;
  /** Runs the body of a function in the page; arguments and answer are JSON. */
  evaluate<T>(body: string, ...args: unknown[]): Promise<T>;
  /** Clicks as a mouse does. */
  click(wanted: Wanted): Promise<void>;
  /** Gives files of this machine to an input for them. */
  give(wanted: Wanted, paths: string[]): Promise<void>;
  close(): Promise<void>;
}

/** Seconds that a thing may take to come: one thread on a machine that does other work as well is slow. */
export const PATIENCE = 180;

/** Finds a thing on the page that can be used; null when there is none, or it is not to be pressed yet. */
const FIND = `
  const { selector, name, begins } = arguments[0];
  const nameOf = (one) => one.getAttribute("aria-label")
    ?? document.getElementById(one.getAttribute("aria-labelledby"))?.textContent
    ?? one.textContent.trim();
  const named = (one) => begins === undefined
    ? name === undefined || nameOf(one) === name
    : nameOf(one).startsWith(begins);
  const fits = (one) => named(one) && !one.matches(':disabled, [aria-disabled="true"]');
  const found = [...document.querySelectorAll(selector)].find(fits) ?? null;
  found?.scrollIntoView({ block: "center" });
  return found;`;

/** Where a thing is, as text; once it stays there it can be clicked. */
const PLACE = `
  const found = (function () {${FIND}}).apply(null, arguments);
  if (!found) return null;
  const { x, y, width, height } = found.getBoundingClientRect();
  return [x, y, width, height].join(" ");`;

/**
 * Waits until a thing can be used and stands still: the page may be measuring, when its buttons do nothing, and one that
 * is still being laid out moves it away under the pointer.
 */
async function still(evaluate: Engine["evaluate"], wanted: Wanted): Promise<void> {
  let before: string | null = null;
  await until(
    JSON.stringify(wanted),
    async () => {
      const now = await evaluate<string | null>(PLACE, wanted);
      const stays = now !== null && now === before;
      before = now;
      await sleep(200);
      return stays ? true : null;
    },
    PATIENCE,
  );
}

/** How WebDriver names an element in JSON. */
const ELEMENT = "element-6066-11e4-a52e-4f735466cecf";
type Element = Record<string, string>;

type Send = (
  command: keyof typeof commands,
  params: Record<string, unknown>,
  element?: string,
) => Promise<unknown>;

/** WebDriver's commands: Marionette's name of each, and its place over HTTP. */
const commands = {
  goto: ["WebDriver:Navigate", "/url"],
  reload: ["WebDriver:Refresh", "/refresh"],
  newTab: ["WebDriver:NewWindow", "/window/new"],
  turnTo: ["WebDriver:SwitchToWindow", "/window"],
  evaluate: ["WebDriver:ExecuteScript", "/execute/sync"],
  click: ["WebDriver:ElementClick", "/element/{}/click"],
  keys: ["WebDriver:ElementSendKeys", "/element/{}/value"],
} as const;

function byWebDriver(send: Send): Omit<Engine, "name" | "version" | "downloads" | "close"> {
  const evaluate = async <T>(script: string, ...args: unknown[]) =>
    (await send("evaluate", { script, args })) as T;
  const find = async (wanted: Wanted) => {
    const element = await evaluate<Element | null>(FIND, wanted);
    const id = element?.[ELEMENT];
    if (!id) throw new Error(`there is no ${JSON.stringify(wanted)}`);
    return id;
  };
  return {
    evaluate,
    goto: async (url) => void (await send("goto", { url })),
    reload: async () => void (await send("reload", {})),
    async openTab(url) {
      const { handle } = (await send("newTab", { type: "tab" })) as { handle: string };
      await send("turnTo", { handle });
      await send("goto", { url });
    },
    async click(wanted) {
      await still(evaluate, wanted);
      await send("click", {}, await find(wanted));
    },
    give: async (wanted, paths) => void (await send("keys", { text: paths.join("\n") }, await find(wanted))),
  };
}

const scratch = () => mkdtempSync(join(tmpdir(), "selora-engine-"));

/** Starts a program. What is not there, or ends at once, is told of by whoever waits for it. */
function start(program: string, args: string[], options: SpawnOptions): ChildProcess {
  // Without a listener a program that is not there ends this one.
  return spawn(program, args, options).on("error", () => {});
}

/** Tries until something is there, for as long as the program that it comes from runs. */
async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  seconds = 60,
  from?: ChildProcess,
): Promise<NonNullable<T>> {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(100)) {
    if (from && (from.pid === undefined || from.exitCode !== null || from.signalCode !== null))
      throw new Error(`${from.spawnfile} ${from.pid === undefined ? "is not there" : "ends at once"}`);
    const found = await Promise.resolve()
      .then(look)
      .catch(() => null);
    if (found !== null && found !== undefined) return found;
  }
  throw new Error(`${what} did not come within ${seconds} s`);
}

async function openChromium(executablePath: string): Promise<Engine> {
  const downloads = scratch();
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--headless=new"] });
  const context = await browser.newContext({
    viewport: { width: 1440, height: 900 },
    serviceWorkers: "allow",
  });
  let page = await context.newPage();
  page.on("download", (download) => void download.saveAs(join(downloads, download.suggestedFilename())));
  const body = (script: string, args: unknown[]) =>
    `(function () {${script}}).apply(null, ${JSON.stringify(args)})`;
  const find = async (wanted: Wanted) => {
    const handle = await page.evaluateHandle<Node | null>(body(FIND, [wanted]));
    const element = handle.asElement();
    if (!element) throw new Error(`there is no ${JSON.stringify(wanted)}`);
    return element;
  };
  const evaluate = <T>(script: string, ...args: unknown[]) => page.evaluate(body(script, args)) as Promise<T>;
  return {
    name: "Chromium",
    version: browser.version(),
    downloads,
    goto: async (url) => void (await page.goto(url)),
    reload: async () => void (await page.reload()),
    async openTab(url) {
      page = await context.newPage();
      await page.goto(url);
    },
    evaluate,
    async click(wanted) {
      await still(evaluate, wanted);
      await (await find(wanted)).click();
    },
    give: async (wanted, paths) => (await find(wanted)).setInputFiles(paths),
    close: () => browser.close(),
  };
}

async function openFirefox(executable: string): Promise<Engine> {
  const profile = scratch();
  const downloads = scratch();
  const preferences = {
    "marionette.port": 0,
    "browser.download.dir": downloads,
    "browser.download.folderList": 2,
    "browser.shell.checkDefaultBrowser": false,
    "datareporting.policy.dataSubmissionEnabled": false,
    "app.update.enabled": false,
    "network.captive-portal-service.enabled": false,
    "network.connectivity-service.enabled": false,
    "dom.webgpu.enabled": true,
    // Events that go by way of the window are not answered without a screen.
    "remote.events.async.enabled": false,
  };
  const lines = Object.entries(preferences).map(
    (pair) => `user_pref(${pair.map((one) => JSON.stringify(one))});`,
  );
  writeFileSync(join(profile, "user.js"), lines.join("\n"));
  const args = ["--headless", "--marionette", "--no-remote", "--profile", profile];
  const browser = start(executable, args, { stdio: "ignore" });
  const port = await until(
    "Firefox",
    () => Number(readFileSync(join(profile, "MarionetteActivePort"), "utf8")) || null,
    PATIENCE,
    browser,
  );
  const socket = connect(port, "127.0.0.1");
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  let received: Buffer = Buffer.alloc(0);
  // A message is its length in bytes, a colon, and JSON.
  socket.on("data", (data) => {
    received = Buffer.concat([received, data]);
    for (let colon = received.indexOf(":"); colon > 0; colon = received.indexOf(":")) {
      const end = colon + 1 + Number(received.subarray(0, colon));
      if (received.length < end) return;
      const message = JSON.parse(received.subarray(colon + 1, end).toString());
      received = received.subarray(end);
      // The greeting is no answer.
      if (!Array.isArray(message)) continue;
      const [, id, error, value] = message;
      const call = waiting.get(id);
      waiting.delete(id);
      if (error) call?.reject(new Error(`${error.error}: ${error.message}`));
      else call?.resolve(value);
    }
  });
  let last = 0;
  const say = (name: string, params: Record<string, unknown> = {}) =>
    new Promise<unknown>((resolve, reject) => {
      waiting.set(++last, { resolve, reject });
      const bytes = Buffer.from(JSON.stringify([0, last, name, params]));
      socket.write(Buffer.concat([Buffer.from(`${bytes.length}:`), bytes]));
    });
  const { capabilities } = (await say("WebDriver:NewSession")) as {
    capabilities: { browserVersion: string };
  };
  await say("WebDriver:SetWindowRect", { width: 1440, height: 1000 });
  const driver = byWebDriver(async (command, params, id) => {
    const more = { ...params, ...(id && { id }), ...(command === "evaluate" && { sandbox: null }) };
    const answer = (await say(commands[command][0], more)) as object;
    return "value" in answer ? answer.value : answer;
  });
  return {
    ...driver,
    name: "Firefox",
    version: capabilities.browserVersion,
    downloads,
    async close() {
      void say("Marionette:Quit", { flags: ["eForceQuit"] }).catch(() => {});
      await until("the end of Firefox", () => browser.exitCode ?? browser.signalCode, 10).catch(() =>
        browser.kill(),
      );
      socket.destroy();
    },
  };
}

async function openWebKit(executable: string): Promise<Engine> {
  const home = scratch();
  const downloads = join(home, "Downloads");
  mkdirSync(downloads);
  mkdirSync(join(home, ".config"));
  writeFileSync(join(home, ".config", "user-dirs.dirs"), 'XDG_DOWNLOAD_DIR="$HOME/Downloads"\n');
  // It has no mode without a screen, so it gets one in memory, whose number the server picks and says.
  const screen = start("Xvfb", ["-displayfd", "3", "-screen", "0", "1440x1000x24", "-nolisten", "tcp"], {
    stdio: ["ignore", "ignore", "ignore", "pipe"],
  });
  let display = "";
  screen.stdio[3]?.on("data", (data) => {
    display += data;
  });
  await until("a screen", () => (display.endsWith("\n") ? true : null), 60, screen);
  const port = 20_000 + (process.pid % 20_000);
  const env = {
    ...process.env,
    DISPLAY: `:${display.trim()}`,
    HOME: home,
    XDG_CONFIG_HOME: join(home, ".config"),
    XDG_DATA_HOME: join(home, ".local"),
    XDG_CACHE_HOME: join(home, ".cache"),
    LD_LIBRARY_PATH: "",
    WEBKIT_DISABLE_DMABUF_RENDERER: "1",
    LIBGL_ALWAYS_SOFTWARE: "1",
    NO_AT_BRIDGE: "1",
  };
  const driver = start(executable, [`--port=${port}`], { env, stdio: "ignore" });
  const http = async (method: string, path: string, body?: unknown) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      signal: AbortSignal.timeout(120_000),
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const { value } = (await answer.json()) as { value: { error?: string; message?: string } | null };
    if (value?.error) throw new Error(`${value.error}: ${value.message}`);
    return value as unknown;
  };
  const close = () => {
    driver.kill();
    screen.kill();
  };
  const open = async () => {
    await until("WebKit's driver", () => http("GET", "/status"), 60, driver);
    const found = execFileSync("sh", [
      "-c",
      "ls /usr/lib/*/webkit2gtk-4.*/MiniBrowser 2>/dev/null | tail -n 1",
    ]);
    const binary = found.toString().trim();
    if (!binary) throw new Error("WebKit's MiniBrowser is not there");
    const wanted = { "webkitgtk:browserOptions": { binary, args: ["--automation"] } };
    return (await http("POST", "/session", { capabilities: { alwaysMatch: wanted } })) as {
      sessionId: string;
      capabilities: { browserVersion: string };
    };
  };
  const session = await open().catch((error) => {
    close();
    throw error;
  });
  const base = `/session/${session.sessionId}`;
  await http("POST", `${base}/timeouts`, { script: 60_000, pageLoad: 120_000 });
  await http("POST", `${base}/window/rect`, { width: 1440, height: 1000 });
  return {
    ...byWebDriver((command, params, id = "") =>
      http("POST", base + commands[command][1].replace("{}", id), params),
    ),
    name: "WebKit",
    version: session.capabilities.browserVersion,
    downloads,
    async close() {
      await http("DELETE", base).catch(() => {});
      close();
    },
  };
}

/** The engines, and how each is opened; that fails where one is not there, or not whole. */
export const engines: { name: string; open: () => Promise<Engine> }[] = [
  { name: "Chromium", at: process.env.SELORA_CHROMIUM || "/usr/bin/chromium", opens: openChromium },
  { name: "Firefox", at: process.env.SELORA_FIREFOX || "/usr/bin/firefox-esr", opens: openFirefox },
  { name: "WebKit", at: process.env.SELORA_WEBKIT || "/usr/bin/WebKitWebDriver", opens: openWebKit },
].map(({ name, at, opens }) => ({ name, open: () => opens(at) }));
