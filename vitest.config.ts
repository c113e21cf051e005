// Unit tests run in Node; journeys through a real browser are Playwright's (playwright.config.ts).
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "src/**/*.test.tsx", "scripts/*.test.mjs"],
    // A GPU device cannot be shared between worker threads, and two cores gain nothing from more files at once.
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
