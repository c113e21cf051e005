// How the studio is served and built. The page is cross-origin isolated, so that the WASM engine may use threads;
// everything comes from this origin, under whatever path, so that it works on any static host, and offline.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Resvg } from "@resvg/resvg-js";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";
import { headersFor } from "./src/serving.ts";
import { icon, manifest } from "./src/studio/offline/manifest.ts";

/** The dev server puts an inline script into the page (hot reload), which the page's own policy rightly forbids. */
const inlineScriptsWhileDeveloping: Plugin = {
  name: "selora-dev-policy",
  apply: "serve",
  transformIndexHtml: (html, { server }) =>
    server ? html.replace("script-src 'self'", "script-src 'self' 'unsafe-inline'") : html,
};

/**
 * The page's policy forbids code made of strings. Zod tries whether it may make some as soon as a schema is written, which
 * browsers report as a breach; told here, it does not.
 */
const noEval: Plugin = {
  name: "selora-no-eval",
  transform: (code, id) =>
    id.endsWith("/zod/v4/core/core.js") ? `${code}\nglobalConfig.jitless = true;\n` : undefined,
};

const headers: Plugin = {
  name: "selora-headers",
  configureServer: ({ middlewares }) => void middlewares.use(setHeaders),
  configurePreviewServer: ({ middlewares }) => void middlewares.use(setHeaders),
};

function setHeaders({ url = "" }: IncomingMessage, response: ServerResponse, next: () => void): void {
  for (const [name, value] of Object.entries(headersFor(url))) response.setHeader(name, value);
  next();
}

/** Adds what makes the page installable, and tells the service worker which files the page is. */
const offline: Plugin = {
  name: "selora-offline",
  apply: "build",
  generateBundle: {
    order: "post",
    handler(_, bundle) {
      for (const edge of [192, 512]) {
        const source = new Resvg(icon(edge)).render().asPng();
        this.emitFile({ type: "asset", fileName: `icon-${edge}.png`, source });
      }
      this.emitFile({ type: "asset", fileName: "licences.md", source: licences() });
      this.emitFile({ type: "asset", fileName: "manifest.webmanifest", source: JSON.stringify(manifest) });
      const worker = bundle["service_worker.js"];
      if (worker?.type !== "chunk" || worker.imports.length > 0)
        throw new Error("the service worker must be one script");
      const size = (name: string) => {
        const file = bundle[name];
        return Buffer.byteLength(file?.type === "chunk" ? file.code : (file?.source ?? ""));
      };
      const files = Object.keys(bundle).filter((name) => name !== worker.fileName && size(name) <= MOST_KEPT);
      const hash = createHash("sha256");
      for (const name of files.sort()) {
        const file = bundle[name];
        hash.update(name).update(file?.type === "chunk" ? file.code : (file?.source ?? ""));
      }
      const version = hash.update(worker.code).digest("hex").slice(0, 16);
      worker.code = `const PRECACHE = ${JSON.stringify({ version, files })};\n${worker.code}`;
    },
  },
};

/** Folders of the packages that something of the build comes from: the page, and the workers, which are built apart. */
const packages = new Set<string>();
const collectPackages = (): Plugin => ({
  name: "selora-packages",
  moduleParsed({ id }) {
    const found = /^\0?(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(id.replaceAll("\\", "/"))?.[1];
    if (found && existsSync(`${found}/package.json`)) packages.add(found);
  },
});

/** The licence of every package that the build holds a part of, in its own words. */
function licences(): string {
  const texts = [...packages].map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
    const file = readdirSync(folder).find((one) => /^licen[cs]e(\.|$|-)/i.test(one));
    const text = file ? readFileSync(`${folder}/${file}`, "utf8").trim() : "The package holds no text of it.";
    return `## ${name} ${version}, ${license}\n\n${text}\n`;
  });
  return `# Licences of what is part of this build\n\n${texts.sort().join("\n")}`;
}

/** Bytes of a file that is kept before anyone asks for it; larger ones are the benchmark's peers. */
const MOST_KEPT = 4 * 2 ** 20;

const serviceWorker = "src/studio/offline/service_worker.ts";

export default defineConfig({
  plugins: [react(), noEval, collectPackages(), inlineScriptsWhileDeveloping, headers, offline],
  // Relative, so that the page works under any path.
  base: "./",
  // A file that is not there answers 404, and not with the page.
  appType: "mpa",
  server: { port: Number(process.env.PORT ?? 5173) },
  preview: { port: Number(process.env.PORT ?? 5173) },
  // The engine is imported by the worker alone, hence a chunk of its own.
  worker: { format: "es", plugins: () => [collectPackages()] },
  build: {
    target: "esnext",
    chunkSizeWarningLimit: 2000,
    rollupOptions: {
      input: { index: "index.html", service_worker: serviceWorker },
      output: {
        entryFileNames: ({ name }) => (name === "service_worker" ? "[name].js" : "assets/[name]-[hash].js"),
      },
    },
  },
});
