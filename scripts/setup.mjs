// What `npm start` and `npm test` need before they can do anything: packages, the demo's pictures and, for tests,
// a Chromium. Plain JavaScript on Node's own modules alone, because on a fresh machine nothing else is there yet.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = join(dirname(fileURLToPath(import.meta.url)), "..");

/** Runs a command in the project's root with its output shown, for so many ms at most; returns its exit code. */
export function run(command, args, env = {}, timeout = undefined) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, ...env },
    timeout,
  });
  if (error) console.error(`${command}: ${error.message}`);
  return status ?? 1;
}

function must(what, remedy, command, args) {
  if (run(command, args) === 0) return;
  console.error(`\n${what} failed. ${remedy}`);
  process.exit(1);
}

/** Path of a tool that an npm package brings. */
export const tool = (name) => join(root, "node_modules", ".bin", name);

/** Installs the locked packages, unless exactly these are there. */
export function installPackages() {
  const lock = createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
  const stamp = join(root, "node_modules", ".selora-lock");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === lock) return;
  console.log("Installing packages ...");
  must(
    "Installing the packages",
    "Check that the npm registry can be reached, then run the command again.",
    "npm",
    ["ci", "--no-audit", "--no-fund", "--ignore-scripts"],
  );
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, lock);
}

/** Draws the demo's pictures from the icon packages; quick when they are there already. */
export function renderDemo() {
  must("Drawing the demo's pictures", "The message above says why.", process.execPath, ["demo/render.mjs"]);
}

/** Engines that journeys are made in beside Chromium's: the programs each needs, and what brings them on Debian. */
const others = [
  {
    name: "Firefox",
    programs: [process.env.SELORA_FIREFOX || "/usr/bin/firefox-esr"],
    packages: ["firefox-esr"],
  },
  {
    name: "WebKit",
    // It has no mode without a screen. Its browser comes with the library that the driver needs.
    programs: [process.env.SELORA_WEBKIT || "/usr/bin/WebKitWebDriver", "/usr/bin/Xvfb"],
    packages: ["webkit2gtk-driver", "xvfb"],
  },
];

/** Milliseconds after which a server of packages is given up: tests can do without. */
const LONGEST_INSTALL = 300_000;

/** Engines of which a program is missing, with those that are. */
export const incomplete = (there = existsSync) =>
  others
    .map((one) => ({ ...one, lacks: one.programs.filter((path) => !there(path)) }))
    .filter(({ lacks }) => lacks.length > 0);

/** Installs Firefox and WebKit where something of them is missing and Debian's packages can be had. */
export function ensureOtherEngines() {
  const wanted = incomplete();
  if (wanted.length > 0 && existsSync("/etc/debian_version") && process.getuid?.() === 0) {
    console.log(`Installing ${wanted.map(({ name }) => name).join(" and ")} ...`);
    run("apt-get", ["update", "-q"], {}, LONGEST_INSTALL);
    // One after the other: where one cannot be had, the other can.
    for (const { packages } of wanted)
      run(
        "apt-get",
        ["install", "-y", "-q", "--no-install-recommends", ...packages],
        { DEBIAN_FRONTEND: "noninteractive" },
        LONGEST_INSTALL,
      );
  }
  for (const { name, lacks } of incomplete())
    console.log(
      `\nNO ${name.toUpperCase()} HERE: its journeys are not made. ${lacks.join(" and ")}: not there.\n`,
    );
}

/**
 * Why journeys were not made, of Playwright's report: a browser that could not be started here has neither passed nor
 * failed. Each reason once.
 */
export function notTried({ suites = [] }) {
  const ofSuite = (suite) => [...(suite.specs ?? []), ...(suite.suites ?? []).flatMap(ofSuite)];
  const skipped = suites
    .flatMap(ofSuite)
    .flatMap(({ title, tests }) =>
      tests
        .filter(({ status }) => status === "skipped")
        .map(({ annotations }) => annotations.find(({ type }) => type === "skip")?.description ?? title),
    );
  return [...new Set(skipped)];
}

/**
 * Finds a Chromium with a software WebGPU device, installing one where there is none.
 * @returns environment for tests: where Chromium is, and its SwiftShader for Dawn in Node
 */
export async function ensureChromium() {
  const debian = "/usr/bin/chromium";
  if (!existsSync(debian) && existsSync("/etc/debian_version") && process.getuid?.() === 0) {
    console.log("Installing Chromium ...");
    run("apt-get", ["update", "-q"]);
    run("apt-get", ["install", "-y", "-q", "chromium"], { DEBIAN_FRONTEND: "noninteractive" });
  }
  let executable = debian;
  let libraries = "/usr/lib/chromium";
  if (!existsSync(debian)) {
    must("Installing a Chromium", "Install one by hand and run the tests again.", tool("playwright"), [
      "install",
      "--with-deps",
      "chromium",
    ]);
    const { chromium } = await import("@playwright/test");
    executable = chromium.executablePath();
    libraries = dirname(executable);
  }
  return {
    SELORA_CHROMIUM: executable,
    VK_ICD_FILENAMES: process.env.VK_ICD_FILENAMES ?? join(libraries, "vk_swiftshader_icd.json"),
    LD_LIBRARY_PATH: [libraries, process.env.LD_LIBRARY_PATH].filter(Boolean).join(":"),
  };
}
