// A WebGPU device for Node where the machine has no GPU: Dawn over the SwiftShader that ships with Chromium.
import { existsSync, readdirSync } from "node:fs";
import { constants, homedir } from "node:os";
import { join } from "node:path";

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
