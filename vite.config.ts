// How the studio is served and built. The page is cross-origin isolated, so that the WASM engine may use threads;
// everything comes from this origin, so that it works offline.
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

const isolation = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
};

/** The dev server puts an inline script into the page (hot reload), which the page's own policy rightly forbids. */
const inlineScriptsWhileDeveloping: Plugin = {
  name: "selora-dev-policy",
  apply: "serve",
  transformIndexHtml: (html, { server }) =>
    server ? html.replace("script-src 'self'", "script-src 'self' 'unsafe-inline'") : html,
};

/**
 * tfjs starts its WASM threads from the text of this module's inner function. That function uses one variable of the
 * scope around it, which a minified text no longer finds; a variable of its own, undefined as in any worker, mends it.
 */
const threadsFromTheirOwnText: Plugin = {
  name: "selora-wasm-threads",
  transform(code, id) {
    if (!/tfjs-backend-wasm-threaded-simd\.js$/.test(id)) return null;
    const start = "function(WasmBackendModuleThreadedSimd) {";
    if (!code.includes(start)) this.error("tfjs-backend-wasm changed: its threads need another look.");
    return { code: code.replace(start, `${start} var _scriptDir;`), map: null };
  },
};

export default defineConfig({
  plugins: [react(), inlineScriptsWhileDeveloping],
  // A file that is not there answers 404, and not with the page.
  appType: "mpa",
  server: { port: Number(process.env.PORT ?? 5173), headers: isolation },
  preview: { port: Number(process.env.PORT ?? 5173), headers: isolation },
  // The engine is imported by the worker alone, hence a chunk of its own.
  worker: { format: "es", plugins: () => [threadsFromTheirOwnText] },
  build: { target: "esnext", chunkSizeWarningLimit: 2000 },
});
