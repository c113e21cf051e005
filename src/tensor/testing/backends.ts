// Runs a test file's cases on both backends, WASM and a real WebGPU device. In Node that device is Dawn, over whatever
// driver the machine has or else over the SwiftShader that ships with Chromium. Without an adapter tests fail.
import { existsSync, readdirSync } from "node:fs";
import { constants, homedir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect } from "vitest";
import { type Backend, openBackend } from "../backend.ts";
import { throwIfFaulty } from "../faults.ts";

/** dlopen's RTLD_NODELETE on Linux, which Node does not name. */
const NO_DELETE = 0x1000;

/**
 * Makes SwiftShader reachable for this process, unless the environment already names a Vulkan driver. The loader
 * library is opened by hand because LD_LIBRARY_PATH is only read when a process starts.
 */
export function provideSoftwareGpu(): void {
  if (process.platform !== "linux" || process.env.VK_ICD_FILENAMES || process.env.VK_DRIVER_FILES) return;
  const folder = chromiumFolders().find((f) => existsSync(join(f, "vk_swiftshader_icd.json")));
  if (!folder) return;
  process.env.VK_ICD_FILENAMES = join(folder, "vk_swiftshader_icd.json");
  process.env.XDG_RUNTIME_DIR ??= "/tmp";
  const loader = join(folder, "libvulkan.so.1");
  if (!existsSync(loader)) return;
  try {
    process.dlopen(
      { exports: {} },
      loader,
      constants.dlopen.RTLD_NOW | constants.dlopen.RTLD_GLOBAL | NO_DELETE,
    );
  } catch {
    // It is no Node add-on, which Node says once it is loaded; loaded is all we want.
  }
}

function chromiumFolders(): string[] {
  const folders = [
    "/usr/lib/chromium",
    "/usr/lib/chromium-browser",
    "/usr/lib64/chromium-browser",
    "/opt/google/chrome",
  ];
  const cache = process.env.PLAYWRIGHT_BROWSERS_PATH ?? join(homedir(), ".cache", "ms-playwright");
  if (existsSync(cache)) {
    for (const name of readdirSync(cache).sort().reverse()) {
      if (name.startsWith("chromium")) {
        folders.push(join(cache, name, "chrome-linux64"), join(cache, name, "chrome-linux"));
      }
    }
  }
  return folders;
}

/**
 * Declares the same tests for each backend. After every test the device must have reported no fault and no tensor may
 * be left over.
 */
export function onEveryBackend(declare: (backend: "wasm" | "webgpu") => void): void {
  for (const name of ["wasm", "webgpu"] as const) {
    describe(`on ${name}`, () => {
      let backend: Backend;
      let tensors = 0;
      beforeAll(async () => {
        if (name === "webgpu") provideSoftwareGpu();
        backend = await openBackend(name);
        expect(backend.name).toBe(name);
      });
      beforeEach(() => {
        tensors = tf.memory().numTensors;
      });
      afterEach(() => {
        throwIfFaulty();
        expect(tf.memory().numTensors, "tensors left behind by the test").toBe(tensors);
      });
      afterAll(() => backend?.close());
      declare(name);
    });
  }
}
