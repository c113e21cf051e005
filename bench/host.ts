// A process that does one library's work for the bench: `tsx bench/host.ts NAME`, asked by process messages.
import type { HostRequest, Library, LibraryName } from "../src/session/benchmark/protocol.ts";
import { serve } from "../src/session/benchmark/serve.ts";
import { provideSoftwareGpu } from "../src/tensor/testing/software_gpu.ts";

/** A browser rounds a GPU's timestamps to 0.1 ms, for privacy; kernels are shorter. */
const exactTimes = ["disable-dawn-features=timestamp_quantization"];

/** Dawn where a browser has WebGPU. jax-js also wants to know which browser it is in. */
async function installDawn(): Promise<void> {
  provideSoftwareGpu();
  const { create, globals } = await import("webgpu");
  Object.assign(globalThis, globals);
  const navigator = { userAgent: `Node ${process.version}`, gpu: create(exactTimes) };
  Object.defineProperty(globalThis, "navigator", { value: navigator, configurable: true, writable: true });
}

const libraries: Partial<Record<LibraryName, () => Promise<Library>>> = {
  ours: async () => (await import("../src/session/benchmark/ours.ts")).createOurs(),
  "stock tfjs": async () => (await import("../src/session/benchmark/peers/stock_tfjs.ts")).createStockTfjs(),
  "jax-js": async () => (await import("../src/session/benchmark/peers/jax.ts")).createJax(),
  "onnxruntime-web": async () => (await import("../src/session/benchmark/peers/onnx.ts")).createOnnx(),
};

const name = process.argv[2] as LibraryName;
const load = libraries[name];
if (!load) throw new Error(`there is no library "${name}"`);
await installDawn();
const answer = serve(await load());
process.on("message", async (request: HostRequest) => process.send?.(await answer(request)));
// What was meant for nobody goes to nobody: the bench's own lines stand alone on standard output.
console.log = console.error;
process.send?.("ready");
