// What was measured comes back as it was; what is damaged is measured anew, and stays.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { keepTuned, readTuned } from "./tuning_store.ts";

let cache: string;
beforeEach(() => {
  cache = mkdtempSync(join(tmpdir(), "selora-tuned-"));
  vi.stubEnv("XDG_CACHE_HOME", cache);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(cache, { recursive: true });
});
const place = () => join(cache, "selora", "gpu-forms.json");
const forms = { "x Wᵀ, large": "64 x 64", attention: "tiled" };

test("what was measured is kept once for each adapter, and read as it was", async () => {
  expect(await readTuned("a")).toEqual({ kept: null, damaged: false });
  expect(await keepTuned("a", forms)).toEqual(forms);
  expect(await keepTuned("b", {})).toEqual({});
  expect(await keepTuned("a", { attention: "other" })).toEqual(forms);
  expect(await readTuned("a")).toEqual({ kept: forms, damaged: false });
  expect(JSON.parse(readFileSync(place(), "utf8")).a).toMatchObject({
    version: 1,
    sum: expect.stringMatching(/^sha256:/),
  });
});

test("what was kept before there were versions is read", async () => {
  await keepTuned("b", {});
  writeFileSync(place(), JSON.stringify({ a: forms }));
  expect(await readTuned("a")).toEqual({ kept: forms, damaged: false });
});

test("damaged in any place, it is read as it was or said to be damaged, and never lost", async () => {
  await keepTuned("a", forms);
  const whole = readFileSync(place());
  await fc.assert(
    fc.asyncProperty(fc.nat(whole.length - 1), fc.nat(7), async (at, bit) => {
      const bytes = Uint8Array.from(whole);
      bytes[at]! ^= 1 << bit;
      writeFileSync(place(), bytes);
      const { kept, damaged } = await readTuned("a");
      if (kept) expect([kept, damaged]).toEqual([forms, false]);
      // A key that is another one now is another adapter's.
      else if (!damaged) expect(Object.keys(JSON.parse(readFileSync(place(), "utf8")))).not.toContain("a");
      expect(await keepTuned("a", forms)).toEqual(forms);
      expect((await readTuned("a")).kept).toEqual(forms);
      if (!damaged) return;
      const files = readdirSync(join(cache, "selora"));
      const aside = files.filter((name) => name.includes("set-aside"));
      const inFile = Object.keys(JSON.parse(readFileSync(place(), "utf8"))).length > 1;
      expect(aside.length === 1 || inFile).toBe(true);
      for (const name of aside) {
        expect(readFileSync(join(cache, "selora", name)).equals(bytes)).toBe(true);
        rmSync(join(cache, "selora", name));
      }
    }),
    { numRuns: 100 },
  );
});
