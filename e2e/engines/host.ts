// Serves the built studio to any engine, with a small demo in place of the whole one, and lets the page note what goes
// wrong in it: WebDriver has no ears for a console.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join } from "node:path";
import { BlobReader, BlobWriter, ZipReader, ZipWriter } from "@zip.js/zip.js";
import { headersFor } from "../../src/serving.ts";

const root = join(import.meta.dirname, "..", "..");
const dist = join(root, "dist");
const fixtures = join(root, "src", "dataset", "fixtures");

const types: Record<string, string> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".css": "text/css",
};

/** Runs before every script of the page. */
const listener = `
  window.seloraProblems = [];
  const note = (text) => window.seloraProblems.push(text);
  for (const kind of ["error", "warn"]) {
    const was = console[kind];
    console[kind] = (...all) => { note(kind + ": " + all.map(String).join(" ")); was.apply(console, all); };
  }
  // A link that only fetches ahead may fail: what needs the file asks for it again, and says so.
  addEventListener("error", (event) => {
    if (event.target?.rel !== "modulepreload") note("error: " + (event.message || event.target?.src || event.target?.href));
  }, true);
  addEventListener("unhandledrejection", (event) => note("rejection: " + event.reason));
  addEventListener("securitypolicyviolation", (event) =>
    note("policy: " + event.violatedDirective + " forbids " + event.blockedURI + " at " + event.sourceFile));
`;

/** What went wrong in the page since it was loaded. */
export const PROBLEMS = "return window.seloraProblems;";

export interface Host {
  url: string;
  close(): Promise<void>;
}

/** Of each class the first pictures, as a zip of a kind with the demo's: one thread is to be through with it soon. */
async function firstOf(zip: string, perClass: number): Promise<Buffer> {
  const reader = new ZipReader(new BlobReader(new Blob([readFileSync(join(dist, "demo", "data", zip))])));
  const writer = new ZipWriter(new BlobWriter());
  const taken = new Map<string, number>();
  for (const entry of await reader.getEntries()) {
    const folder = entry.filename.split("/").at(-2) ?? "";
    const count = taken.get(folder) ?? 0;
    if (entry.directory || count >= perClass) continue;
    taken.set(folder, count + 1);
    await writer.add(entry.filename, new BlobReader(await entry.getData(new BlobWriter())));
  }
  await reader.close();
  return Buffer.from(await (await writer.close()).arrayBuffer());
}

/** @param more files that this host serves beside the studio, by their paths, and in place of it */
export async function startHost(more: Record<string, string | Buffer> = {}): Promise<Host> {
  const index = JSON.parse(readFileSync(join(dist, "demo", "data", "index.json"), "utf8"));
  const zip: string = index.ood[0].file;
  const few = { file: `few-${zip}` };
  const fewest = { file: `fewest-${zip}` };
  const own: Record<string, string | Buffer> = {
    "/listener.js": listener,
    "/demo/data/index.json": JSON.stringify({
      target: { ...few, title: "Some emoji" },
      ood: [{ ...fewest, title: "Other emoji" }],
      retention: [{ ...fewest, title: "Known emoji" }],
      recipe: { learningRate: 0.005, epochs: 2 },
    }),
    [`/demo/data/${few.file}`]: await firstOf(zip, 5),
    [`/demo/data/${fewest.file}`]: await firstOf(zip, 2),
    "/index.html": readFileSync(join(dist, "index.html"), "utf8").replace(
      '<script type="module"',
      '<script src="./listener.js"></script><script type="module"',
    ),
    ...more,
  };
  const read = (path: string) => {
    if (Object.hasOwn(own, path)) return own[path];
    if (path.startsWith("/pixels/")) return readFileSync(join(fixtures, path.slice("/pixels/".length)));
    return readFileSync(join(dist, path));
  };
  const server = createServer(({ url = "/" }, response) => {
    const path = decodeURIComponent(url.replace(/[?#].*$/, "")).replace(/^\/$/, "/index.html");
    try {
      if (path.includes("..")) throw new Error("outside");
      const body = read(path);
      const type = types[extname(path)] ?? "application/octet-stream";
      response.writeHead(200, { ...headersFor(path), "Content-Type": type }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
}
