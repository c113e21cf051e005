// The GPU's adapter: where it comes from, what it is called, whether it is one. Apart from the backend, so that whoever
// only asks need not load everything that computes.

const inNode = typeof process !== "undefined" && process.versions?.node !== undefined;

/** Most milliseconds that a browser may take to say what GPU it has, or to hand it over. */
const PATIENCE = 4_000;

/** What a browser promised, or a rejection once that has taken too long; what comes late is handed to `late`. */
export function inTime<T>(promised: Promise<T>, late: (value: T) => void = () => {}): Promise<T> {
  return new Promise((resolve, reject) => {
    let over = false;
    const timer = setTimeout(() => {
      over = true;
      reject(new Error(`nothing came within ${PATIENCE / 1000} seconds`));
    }, PATIENCE);
    promised
      .then((value) => (over ? late(value) : resolve(value)), reject)
      .finally(() => clearTimeout(timer));
  });
}

/** `navigator.gpu`, or Dawn's in Node; null where there is neither, no adapter, or no answer. */
export async function requestAdapter(): Promise<GPUAdapter | null> {
  if (inNode && !globalThis.navigator?.gpu) await installDawn();
  const gpu = globalThis.navigator?.gpu;
  if (!gpu) return null;
  try {
    return await inTime(gpu.requestAdapter({ powerPreference: "high-performance" }));
  } catch {
    return null;
  }
}

/** Puts Dawn where a browser has WebGPU. Where its native library does not load, there is simply no GPU. */
async function installDawn(): Promise<void> {
  // On Linux Dawn speaks Vulkan and nothing else. Without it there is no adapter, and Dawn would write a warning on
  // stderr, where a terminal's events are read.
  if (process.platform === "linux" && !isVulkanThere()) return;
  // The name is not a literal so that a bundler for browsers leaves the native package alone.
  const dawn = "webgpu";
  try {
    const { create, globals } = (await import(/* @vite-ignore */ dawn)) as typeof import("webgpu");
    Object.assign(globalThis, globals);
    if (!globalThis.navigator) {
      Object.defineProperty(globalThis, "navigator", { value: {}, configurable: true, writable: true });
    }
    Object.defineProperty(globalThis.navigator, "gpu", { value: create([]), configurable: true });
  } catch {
    // no adapter: the caller decides what that means
  }
}

/** Whether the loader of Vulkan drivers can be opened. It is no add-on, which Node says once it is loaded. */
function isVulkanThere(): boolean {
  try {
    process.dlopen({ exports: {} }, "libvulkan.so.1");
    return true;
  } catch (error) {
    return error instanceof Error && error.message.includes("did not self-register");
  }
}

/** Chrome moved the flag from the adapter to its info; Dawn in Node has it there as well. */
export function isSoftware(adapter: GPUAdapter): boolean {
  const info = adapter.info as GPUAdapterInfo & { isFallbackAdapter?: boolean };
  return (
    info.isFallbackAdapter ??
    (adapter as GPUAdapter & { isFallbackAdapter?: boolean }).isFallbackAdapter ??
    false
  );
}

export function adapterName(adapter: GPUAdapter): string {
  const { description, vendor, architecture, device } = adapter.info;
  const name =
    [description, [vendor, architecture].filter(Boolean).join(" "), device].find((part) => part) ??
    "WebGPU adapter";
  return isSoftware(adapter) ? `${name} (software)` : name;
}
