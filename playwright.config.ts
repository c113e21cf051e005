// Journeys: one file per thing a person does, in a real Chromium with a real (software) WebGPU device.
import { defineConfig } from "@playwright/test";

const port = 5183;

export default defineConfig({
  testDir: "e2e",
  timeout: 300_000,
  expect: { timeout: 30_000 },
  // A software GPU takes every core there is; two journeys at once would only wait for each other.
  workers: 1,
  // Headless Chromium, which has no screen, has been seen to stop drawing frames, and a page without frames answers no
  // click. A second try is in a fresh browser; what passes only then is said at the end of `npm test`.
  retries: 1,
  outputDir: ".cache/playwright",
  use: {
    actionTimeout: 60_000,
    // A journey sees what the server sends; the one that goes offline lets the service worker in.
    serviceWorkers: "block",
    baseURL: `http://localhost:${port}`,
    launchOptions: {
      executablePath: process.env.SELORA_CHROMIUM || "/usr/bin/chromium",
      args: [
        "--no-sandbox",
        "--headless=new",
        "--enable-unsafe-webgpu",
        "--use-webgpu-adapter=swiftshader",
        "--enable-unsafe-swiftshader",
        "--disable-background-networking",
      ],
    },
  },
  webServer: {
    command: `npx vite preview --port ${port} --strictPort`,
    url: `http://localhost:${port}`,
    reuseExistingServer: false,
  },
});
