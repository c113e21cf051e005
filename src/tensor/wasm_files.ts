// Where the browser finds tfjs's .wasm files: Vite copies them beside our own script, so that nothing is fetched
// from elsewhere. Only ever imported in a browser; Node reads the files from the package itself.

import plain from "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm?url";
import simd from "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm?url";

export const wasmFiles = {
  "tfjs-backend-wasm.wasm": plain,
  "tfjs-backend-wasm-simd.wasm": simd,
  // tfjs wants a place for it; its threads are never asked for (wasm/machine.ts has ours)
  "tfjs-backend-wasm-threaded-simd.wasm": simd,
};
