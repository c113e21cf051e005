// `npm test`: types, lint, unit tests (WASM, and WebGPU through Dawn over SwiftShader) and journeys in Chromium, some of
// them in Firefox and WebKit too.
// Each of types and lint counts as one test. Closes with one line `N passed, N failed`.
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import {
  ensureChromium,
  ensureOtherEngines,
  installPackages,
  notTried,
  renderDemo,
  root,
  run,
  tool,
} from "./setup.mjs";
import { tryPackage } from "./try_package.mjs";

installPackages();
renderDemo();
const gpu = await ensureChromium();
ensureOtherEngines();
let untried = [];
const results = join(root, ".cache", "test-results");
rmSync(results, { recursive: true, force: true });
mkdirSync(results, { recursive: true });

let passed = 0;
let failed = 0;
const count = (ok) => {
  if (ok) passed++;
  else failed++;
};

/** A runner that exits badly without reporting a failed test (it crashed, or found none) is one failure itself. */
function add(exitCode, file, read) {
  const [p, f] = existsSync(file) ? read(JSON.parse(readFileSync(file, "utf8"))) : [0, 0];
  passed += p;
  failed += f;
  if ((exitCode !== 0 && f === 0) || p + f === 0) failed++;
}

count(run(tool("tsc"), ["--noEmit"]) === 0);
count(run(tool("biome"), ["ci", "--error-on-warnings"]) === 0);

const unit = join(results, "unit.json");
const unitCode = run(
  tool("vitest"),
  ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${unit}`],
  gpu,
);
add(unitCode, unit, (r) => [
  r.numPassedTests,
  r.numFailedTests + r.numFailedTestSuites * (r.numFailedTests === 0),
]);

const journeys = join(results, "journeys.json");
const built = run(tool("vite"), ["build", "--logLevel", "warn"]) === 0;
count(built);
if (built) {
  count(await tryPackage());
  const code = run(tool("playwright"), ["test", "--reporter=list,json"], {
    ...gpu,
    PLAYWRIGHT_JSON_OUTPUT_NAME: journeys,
  });
  add(code, journeys, (r) => {
    if (r.stats.flaky > 0) console.log(`${r.stats.flaky} of the journeys passed only at the second try`);
    untried = notTried(r);
    return [r.stats.expected + r.stats.flaky, r.stats.unexpected];
  });
}

for (const why of untried) console.log(`NOT TRIED: ${why}`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
