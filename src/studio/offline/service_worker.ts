// The studio's own server inside the browser: keeps the page's files for when there is no network, and adds the headers
// that let the engine use threads where the host sends none. It fetches nothing but what the page asks for, from the
// page's own origin. Built as a classic script of its own, since not every browser runs modules here.
import { headersFor } from "../../serving.ts";
import { createShareBox } from "./share_box.ts";

/** What a build writes in: the page's files, without weights and pictures, and a name for just these. */
declare const PRECACHE: { version: string; files: string[] };

/** The browser's types for pages lack those of a service worker. */
interface Extendable extends Event {
  waitUntil(work: Promise<unknown>): void;
}
interface Fetching extends Extendable {
  request: Request;
  respondWith(answer: Promise<Response>): void;
}
interface WorkerScope {
  registration: { scope: string };
  clients: { claim(): Promise<void> };
  skipWaiting(): Promise<void>;
  addEventListener(kind: "install" | "activate", listener: (event: Extendable) => void): void;
  addEventListener(kind: "fetch", listener: (event: Fetching) => void): void;
  addEventListener(kind: "message", listener: (event: MessageEvent) => void): void;
}
const worker = self as unknown as WorkerScope;

const { scope } = worker.registration;
/** Several studios may live under one origin, each under its own path. */
const FAMILY = `selora ${new URL(scope).pathname} `;
const CACHE = FAMILY + PRECACHE.version;
const page = new URL("index.html", scope).href;
const files = new Set(PRECACHE.files.map((path) => new URL(path, scope).href));
/** Kept as they are used: the demo's weights and pictures, and what is large. Not everyone wants them. */
const demo = new URL("demo/", scope).href;
const assets = new URL("assets/", scope).href;

const shares = createShareBox(scope);

worker.addEventListener("install", (event) => {
  const keep = async () => {
    const cache = await caches.open(CACHE);
    // Past the browser's own cache, which may hold another version's page under the same name.
    await cache.addAll([...files].map((url) => new Request(url, { cache: "reload" })));
  };
  event.waitUntil(keep());
});

worker.addEventListener("activate", (event) => {
  const begin = async () => {
    const ours = (await caches.keys()).filter((name) => name.startsWith(FAMILY));
    // The version before stays: another tab may still show it, and ask for parts of it.
    const old = ours.filter((name) => name !== CACHE).slice(0, -1);
    await Promise.all(old.map((name) => caches.delete(name)));
    // Not waited for: Firefox asks every worker of the page, and the engine's threads, which sleep between jobs, never
    // answer. Until this ends, the page would get no file any more.
    void worker.clients.claim().catch(() => {});
  };
  event.waitUntil(begin());
});

worker.addEventListener("message", ({ data }) => {
  if (data === "take over") void worker.skipWaiting();
});

worker.addEventListener("fetch", (event) => {
  const { request } = event;
  if (shares.takes(request)) return event.respondWith(shares.answer(request));
  if (request.method !== "GET" || !request.url.startsWith(scope)) return;
  event.respondWith(answer(request));
});

async function answer(request: Request): Promise<Response> {
  const url = request.url.replace(/[?#].*$/, "");
  const asked = request.mode === "navigate" && (url === scope || url === page) ? page : url;
  const kept = await find(asked);
  if (kept) return isolated(kept, asked);
  const fetched = await fetch(request);
  if (fetched.ok && (asked.startsWith(demo) || asked.startsWith(assets))) {
    const cache = await caches.open(CACHE);
    // A full disk must not keep the page from what the network gave it.
    await cache.put(asked, fetched.clone()).catch(() => {});
  }
  return isolated(fetched, asked);
}

async function find(url: string): Promise<Response | undefined> {
  const own = await (await caches.open(CACHE)).match(url);
  if (own || url === page) return own;
  for (const name of await caches.keys()) {
    if (!name.startsWith(FAMILY) || url.startsWith(demo)) continue;
    const found = await (await caches.open(name)).match(url);
    if (found) return found;
  }
  return undefined;
}

/** The same answer with the headers that the studio's own server sends (serving.ts). */
function isolated(response: Response, url: string): Response {
  if (response.status === 0 || response.type === "opaque") return response;
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(headersFor(url))) headers.set(name, value);
  // A host may call WebAssembly anything; the browser wants its name.
  if (url.endsWith(".wasm")) headers.set("Content-Type", "application/wasm");
  const { status, statusText } = response;
  const empty = status === 204 || status === 304;
  return new Response(empty ? null : response.body, { status, statusText, headers });
}
