// tfjs's WASM backend in a browser as tfjs ships it for a script tag. It sends the text of one of its own functions to
// its threads, which a bundler's new names break; and it gets the .wasm files that our own engine has no use for.

import type * as Wasm from "@tensorflow/tfjs-backend-wasm";
import script from "@tensorflow/tfjs-backend-wasm/dist/tf-backend-wasm.es2017.min.js?url";
import plain from "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm?url";
import simd from "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm?url";
import threaded from "@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-threaded-simd.wasm?url";
import type * as tf from "@tensorflow/tfjs-core";

/** Registers the backend with `core`, and returns what the package exports. */
export async function loadStockWasm(core: typeof tf): Promise<typeof Wasm> {
  const page = globalThis as unknown as { tf: typeof tf & { wasm?: typeof Wasm } };
  page.tf = { ...core };
  await import(/* @vite-ignore */ script);
  const { wasm } = page.tf;
  if (!wasm) throw new Error("tfjs's WASM backend did not load");
  wasm.setWasmPaths({
    "tfjs-backend-wasm.wasm": plain,
    "tfjs-backend-wasm-simd.wasm": simd,
    "tfjs-backend-wasm-threaded-simd.wasm": threaded,
  });
  return wasm;
}
