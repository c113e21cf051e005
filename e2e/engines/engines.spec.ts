// The same journey in three engines: the demo is trained to its end, a block is toggled, the file is taken home and read,
// a run is left in its middle and gone on with, a folder is given, a second tab is opened, and the page has nothing to say
// against any of it.
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { expect, test } from "@playwright/test";
import { readSafetensors } from "../../src/checkpoint/safetensors.ts";
import { bundlePixels, manifest } from "../pixels_bundle.ts";
import { demoZips, pictureFolder } from "../support.ts";
import { type Engine, engines, PATIENCE } from "./engine.ts";
import { type Host, PROBLEMS, startHost } from "./host.ts";

const button = (name: string) => ({ selector: "button", name });
/** Text of a region of the page. */
const textOf = (engine: Engine, name: string) =>
  engine.evaluate<string>(
    `const [name] = arguments;
     const named = (one) => one.getAttribute("aria-label")
       ?? document.getElementById(one.getAttribute("aria-labelledby"))?.textContent;
     return [...document.querySelectorAll("section")].find((one) => named(one) === name)?.textContent ?? "";`,
    name,
  );
const strip = (engine: Engine) => textOf(engine, "Run");
const deviceOf = (engine: Engine) =>
  engine.evaluate<string>(
    `return document.querySelector('button[aria-label^="Device:"]')?.getAttribute("aria-label") ?? "";`,
  );
const until = (what: () => Promise<string>, wanted: RegExp, timeout = PATIENCE * 1000) =>
  expect.poll(what, { timeout, intervals: [200] }).toMatch(wanted);

/** Presses a button as soon as the run has come to a step, in the page itself: runs are quicker than drivers. */
const PAUSE_AT = `
  const [step] = arguments;
  const strip = document.querySelector('section[aria-label="Run"]');
  const look = () => {
    const at = Number(/step ([\\d,]+) of/.exec(strip.textContent)?.[1]?.replace(",", "") ?? 0);
    const pause = [...strip.querySelectorAll("button")].find((one) => one.textContent === "Pause");
    if (at < step || !pause) return;
    observer.disconnect();
    pause.click();
  };
  const observer = new MutationObserver(look);
  observer.observe(strip, { subtree: true, childList: true, characterData: true });`;

/** Whether a run is kept in the middle; the answer lies on the page, as not every driver waits for promises. */
const LOOK_KEPT = `
  const asked = indexedDB.open("selora");
  asked.onsuccess = () => {
    const all = asked.result.transaction("states").objectStore("states").getAll();
    all.onsuccess = () => {
      asked.result.close();
      window.seloraKept = all.result.some(({ saved }) => saved.result === null && saved.step > 0);
    };
  };
  return String(window.seloraKept ?? false);`;

/** Gives an input the files that a browser gives it of a folder: no driver but Chromium's hands over a real one. */
const GIVE_FOLDER = `
  const [selector, files] = arguments;
  const input = document.querySelector(selector);
  const list = files.map(([path, base64]) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const file = new File([bytes], path.split("/").at(-1));
    Object.defineProperty(file, "webkitRelativePath", { value: path });
    return file;
  });
  Object.defineProperty(input, "files", { value: list, configurable: true });
  input.dispatchEvent(new Event("change", { bubbles: true }));
  delete input.files;`;

/** Accessible names of what a selector gives, a line each. */
const NAMES = `return [...document.querySelectorAll(arguments[0])]
  .map((one) => one.getAttribute("aria-label") ?? "").join("\\n");`;

test("no script imports a worker's own, which WebKit would run once more", () => {
  const assets = join(import.meta.dirname, "..", "..", "dist", "assets");
  const scripts = readdirSync(assets).filter((file) => file.endsWith(".js"));
  const codes = scripts.map((file) => readFileSync(join(assets, file), "utf8"));
  const workers = codes.flatMap((code) =>
    [...code.matchAll(/new Worker\(new URL\((?:new URL\()?[`"']([^`"']+\.js)/g)].map(
      (found) => found[1] ?? "",
    ),
  );
  expect(workers.length).toBeGreaterThan(1);
  for (const worker of workers) {
    const importing = scripts.filter((_, i) =>
      new RegExp(`(from|import)\\(?["'\`]\\./${worker}`).test(codes[i] ?? ""),
    );
    expect(importing, worker).toEqual([]);
  }
});

for (const { name, open } of engines) {
  test.describe(name, () => {
    let engine: Engine;
    let host: Host;
    const pixels = bundlePixels();
    test.beforeAll(async () => {
      host = await startHost({
        "/pixels/page.html": "<!doctype html><title>Pixels</title>",
        "/pixels/module.js": await pixels,
      });
      try {
        engine = await open();
      } catch (error) {
        // `npm test` says so in its closing lines. What fails from here on is a failure.
        test.skip(true, `${name}: ${(error as Error).message.split("\n")[0]}`);
      }
    });
    test.afterAll(async () => {
      await engine?.close();
      await host?.close();
    });

    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the pattern to know which fixtures are wanted
    test.afterEach(async ({}, { status, expectedStatus }) => {
      if (status === expectedStatus || !engine) return;
      console.log(
        `${name} shows: ${await engine.evaluate("return document.body.innerText.slice(0, 1500);").catch(String)}`,
      );
      console.log(`${name} has noted: ${await engine.evaluate(PROBLEMS).catch(String)}`);
    });

    test("the journey", async () => {
      // Each wait is for a state, and has its own limit.
      test.setTimeout(600_000);
      const { url } = host;
      await test.step("it opens", async () => {
        await engine.goto(url);
        await until(() => deviceOf(engine), /WASM|WebGPU/);
        console.log(`${name} ${engine.version}: ${await deviceOf(engine)}`);
      });

      await test.step("the demo trains to its end", async () => {
        await engine.click(button("Load the demo only"));
        await until(() => strip(engine), /Ready/);
        await engine.click(button("Start"));
        await until(() => strip(engine), /Done/);
        // Nobody has been here before, so there is no older version.
        expect(await engine.evaluate("return document.body.innerText;")).not.toContain("new version");
        console.log(`${name}: ${/\d+ steps? in [^x]*?s/.exec(await strip(engine))?.[0]}`);
      });

      await test.step("a block is toggled", async () => {
        const block = { selector: "button[data-gate]", begins: "Layer 12, Attention," };
        await engine.click(block);
        await until(
          () => engine.evaluate<string>(NAMES, block.selector),
          /Layer 12, Attention, [^\n]*set by hand/,
        );
        await until(() => textOf(engine, "What if"), /Open blocks: \d+ of \d+/);
      });

      await test.step("the file is taken home and read", async () => {
        await engine.click(button("Export merged weights"));
        // It is there once the file has been written, read back and measured.
        await engine.click(button("Download model.safetensors"));
        const arrived = () =>
          readdirSync(engine.downloads).find((file) => file === "model.safetensors") ?? "";
        await until(async () => arrived(), /./);
        const file = join(engine.downloads, arrived());
        const names = async () => {
          const { tensors } = await readSafetensors(new Blob([readFileSync(file)]), file);
          return tensors.map((tensor) => tensor.name);
        };
        // The last bytes may come after the name.
        await expect(async () => expect(await names()).toContain("classifier.weight")).toPass({
          timeout: 30_000,
        });
      });

      await test.step("a run that is left in its middle is gone on with", async () => {
        await engine.evaluate(PAUSE_AT, 2);
        await engine.click(button("Run again"));
        await until(() => strip(engine), /Paused/);
        await until(() => engine.evaluate<string>(LOOK_KEPT), /true/);
        const problems = await engine.evaluate<string[]>(PROBLEMS);
        expect(problems).toEqual([]);
        await engine.reload();
        await until(() => textOf(engine, "Unfinished run"), /You were at step/);
        await engine.click({ selector: 'section[aria-label="Unfinished run"] button', begins: "Go on" });
        await until(() => strip(engine), /Done/);
      });

      await test.step("a zip is given", async () => {
        const zip = join(import.meta.dirname, "..", "..", "public", "demo", "data", demoZips.ood);
        await engine.give({ selector: 'input[aria-label="Files for OOD images"]' }, [zip]);
        // What the run was made of is about to change.
        await engine.click(button("Drop it and go on"));
        await until(() => textOf(engine, demoZips.ood.replace(/\.zip$/, "")), /141 images/);
      });

      await test.step("a folder is given", async () => {
        const classes = ["animal", "vehicle"];
        const folder = await pictureFolder("few", demoZips.target, classes, { train: 6, val: 2, test: 4 });
        const files = readdirSync(folder, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => join(entry.parentPath, entry.name))
          .map((path) => [`few/${relative(folder, path)}`, readFileSync(path).toString("base64")]);
        await engine.evaluate(GIVE_FOLDER, 'input[aria-label="Folder for target images"]', files);
        await until(() => textOf(engine, "few"), /4 to validate, 8 to test/);
      });

      expect(await engine.evaluate<string[]>(PROBLEMS)).toEqual([]);

      await test.step("a second tab leaves it to the first", async () => {
        await engine.openTab(url);
        await until(() => textOf(engine, "Selora is open in another tab"), /One tab at a time trains/);
        expect(await engine.evaluate<string[]>(PROBLEMS)).toEqual([]);
      });
    });

    test("the reference's pixels", async () => {
      await engine.goto(`${host.url}pixels/page.html`);
      await engine.evaluate(
        `const [names] = arguments;
         const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
         window.seloraPixels = "";
         (async () => {
           const { decodeImage } = await import("/pixels/module.js");
           const found = [];
           for (const name of names) {
             const { width, height, data } = await decodeImage(await (await fetch("/pixels/" + name)).blob(), name);
             const sha256 = hex(new Uint8Array(await crypto.subtle.digest("SHA-256", data)));
             found.push({ name, width, height, sha256 });
           }
           window.seloraPixels = JSON.stringify(found);
         })().catch((error) => { window.seloraPixels = String(error); });`,
        manifest.images.map((image) => image.name),
      );
      const answer = () => engine.evaluate<string>("return window.seloraPixels;");
      await until(answer, /./);
      expect(JSON.parse(await answer())).toEqual(manifest.images.map(({ lossy: _, ...rest }) => rest));
    });
  });
}
