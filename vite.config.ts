// How the studio is served and built. The page is cross-origin isolated, so that the WASM engine may use threads;
// everything comes from this origin, so that it works offline.
import type { IncomingMessage, ServerResponse } from "node:http";
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
 * A worker takes its policy from its own answer and not from the page: only the library's may speak to other servers,
 * and what it speaks must be encrypted, or go to this very machine.
 */
const connects: Plugin = {
  name: "selora-connect-policy",
  configureServer: ({ middlewares }) => void middlewares.use(connectPolicy),
  configurePreviewServer: ({ middlewares }) => void middlewares.use(connectPolicy),
};

function connectPolicy({ url = "" }: IncomingMessage, response: ServerResponse, next: () => void): void {
  const library = /\/library_worker[^/]*$/.test(url.replace(/\?.*$/, ""));
  const elsewhere = library ? " https: http://localhost:* http://127.0.0.1:*" : "";
  response.setHeader("Content-Security-Policy", `connect-src 'self'${elsewhere}`);
  next();
}

export default defineConfig({
  plugins: [react(), inlineScriptsWhileDeveloping, connects],
  // A file that is not there answers 404, and not with the page.
  appType: "mpa",
  server: { port: Number(process.env.PORT ?? 5173), headers: isolation },
  preview: { port: Number(process.env.PORT ?? 5173), headers: isolation },
  // The engine is imported by the worker alone, hence a chunk of its own.
  worker: { format: "es" },
  build: { target: "esnext", chunkSizeWarningLimit: 2000 },
});
