// `npm run test:soak [part ...]`: what `npm test` asks once, asked for long, an hour at most in all. Without a word every
// part is run; `npm run test:soak -- kills parsers` runs those. Closes with one line `N passed, N failed`.
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ensureChromium, installPackages, renderDemo, root, run, tool } from "./setup.mjs";

/** Each part in the order of running: its unit tests, its journeys, and how long or often they are to ask. */
const parts = {
  parsers: { units: ["src/outside_files.test.ts"], env: { SELORA_INPUTS: "100000" } },
  kills: { units: ["src/cli/kills.test.ts"], journeys: ["e2e/kills.spec.ts"], env: { SELORA_KILLS: "8" } },
  losses: {
    units: [
      "src/studio/state/lost_device.test.ts",
      "src/session/faults.test.ts",
      "src/training/faults.test.ts",
    ],
    journeys: ["e2e/faults.spec.ts"],
  },
  storage: {
    units: ["src/session/keep.test.ts", "src/studio/state/sitting.test.ts", "src/studio/state/tabs.test.ts"],
    journeys: [
      "e2e/storage.spec.ts",
      "e2e/quota.spec.ts",
      "e2e/two_tabs.spec.ts",
      "e2e/three_tabs.spec.ts",
      "e2e/reload.spec.ts",
    ],
    env: { SELORA_DAMAGES: "1000" },
  },
  files: {
    units: [
      "src/dataset/many_files.test.ts",
      "src/dataset/large_zip.test.ts",
      "src/session/first_step.test.ts",
    ],
    journeys: ["e2e/large.spec.ts"],
    env: {
      LARGE_FILES: "200000",
      LARGE_ZIP: "25000",
      LARGE_SET: "40000x100",
      LARGE_FOLDERS: "50000x1000 20000x1 200000x1000",
    },
  },
  growth: { units: ["src/training/soak.test.ts"], env: { SELORA_STEPS: "10000" } },
};

const asked = process.argv.slice(2);
const unknown = asked.filter((word) => !Object.hasOwn(parts, word));
if (unknown.length > 0) {
  console.error(`${unknown.join(", ")}: no such part. There are ${Object.keys(parts).join(", ")}.`);
  process.exit(2);
}
const chosen = Object.entries(parts).filter(([name]) => asked.length === 0 || asked.includes(name));

installPackages();
renderDemo();
const gpu = await ensureChromium();
const results = join(root, ".cache", "soak-results");
rmSync(results, { recursive: true, force: true });
mkdirSync(results, { recursive: true });

// Another beginning each time, said so that it can be given again.
const seed = process.env.SELORA_SEED ?? String(Date.now() % 1_000_000);
const began = performance.now();
/** What is not done by then has failed. */
const HOUR = 3_600_000;
const minutes = () => `${Math.round((performance.now() - began) / 60_000)} min`;
let passed = 0;
let failed = 0;
let built = false;

/** Runs tests and adds what came of them; a runner that exits badly without a failed test is one failure itself. */
function ask(name, args, often, read) {
  const file = join(results, `${name}.json`);
  // What the caller says of how often stands above the part's own.
  const env = Object.fromEntries(
    Object.entries(often).map(([key, value]) => [key, process.env[key] ?? value]),
  );
  const told = { SELORA_SOAK: "1", SELORA_SEED: seed, PLAYWRIGHT_JSON_OUTPUT_NAME: file };
  const left = Math.max(1, Math.round(HOUR - (performance.now() - began)));
  const code = run(tool(args[0]), args.slice(1), { ...gpu, ...env, ...told }, left);
  if (performance.now() - began > HOUR) console.error(`The hour is over: ${name} is not done.`);
  const [p, f] = existsSync(file) ? read(JSON.parse(readFileSync(file, "utf8"))) : [0, 0];
  passed += p;
  failed += f + ((code !== 0 && f === 0) || p + f === 0 ? 1 : 0);
}

for (const [i, [name, { units = [], journeys = [], env = {} }]] of chosen.entries()) {
  console.log(`\n${name}: part ${i + 1} of ${chosen.length}, ${minutes()}, seed ${seed}`);
  if (units.length > 0) {
    const file = join(results, `${name}-units.json`);
    const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
    ask(`${name}-units`, ["vitest", "run", ...units, ...reporters], env, (r) => [
      r.numPassedTests,
      r.numFailedTests + r.numFailedTestSuites * (r.numFailedTests === 0),
    ]);
  }
  if (journeys.length > 0) {
    if (!built) built = run(tool("vite"), ["build", "--logLevel", "warn"]) === 0;
    // No second try: what passes only sometimes is what is looked for.
    ask(
      `${name}-journeys`,
      ["playwright", "test", ...journeys, "--retries=0", "--reporter=list,json"],
      env,
      (r) => [r.stats.expected, r.stats.unexpected],
    );
  }
  console.log(`${name}: ${passed} passed, ${failed} failed so far, ${minutes()}`);
}

console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
