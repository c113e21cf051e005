// A server with the part of the Hub's interface that is used: which commit a name is, its files, and the files
// themselves through a redirect, in ranges. For tests in Node and in a browser; it can cut, refuse and lie as asked.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface ServedModel {
  /** Commit of each branch or tag; `main` is the usual one. */
  revisions: Record<string, string>;
  files: Record<string, Uint8Array>;
  /** Only with this token; a gated model says why, a private one does not. */
  token?: string;
  gated?: boolean;
}

export interface HubServer {
  url: string;
  models: Map<string, ServedModel>;
  /** Files outside the Hub, by path (`/folder/model.safetensors`). */
  plain: Map<string, Uint8Array>;
  /** Every request: method and path, and the headers that matter. */
  requests: { line: string; range: string | undefined; token: string | undefined }[];
  /** Bytes after which each of the coming answers with a file is cut; empty: none is. */
  cuts: number[];
  /** Bytes a second of an answer with a file; 0: as fast as can be. */
  speed: number;
  /** Status for whatever is asked next, once each. */
  statuses: number[];
  /** Changes an answer with a file before it is sent. */
  lie: ((path: string, bytes: Uint8Array) => { bytes: Uint8Array; headers?: Record<string, string> }) | null;
  close(): Promise<void>;
}

const cors = {
  // A connection that is used again may be one that was just cut.
  Connection: "close",
  "Access-Control-Allow-Origin": "*",
  "Access-Control-Allow-Headers": "authorization, range",
  "Access-Control-Expose-Headers": "ETag, Link, X-Error-Code, Content-Range, Accept-Ranges",
  "Access-Control-Max-Age": "600",
};

export async function startHub(): Promise<HubServer> {
  const hub: Omit<HubServer, "close" | "url"> = {
    models: new Map(),
    plain: new Map(),
    requests: [],
    cuts: [],
    speed: 0,
    statuses: [],
    lie: null,
  };

  const refuse = (response: ServerResponse, status: number, code?: string): void => {
    response.writeHead(status, {
      ...cors,
      "Content-Type": "application/json",
      ...(code && { "X-Error-Code": code }),
    });
    response.end(JSON.stringify({ error: code ?? "no" }));
  };
  const json = (response: ServerResponse, value: unknown, headers = {}): void => {
    response.writeHead(200, { ...cors, "Content-Type": "application/json", ...headers });
    response.end(JSON.stringify(value));
  };

  async function send(request: IncomingMessage, response: ServerResponse, path: string, whole: Uint8Array) {
    const { bytes, headers = {} } = hub.lie?.(path, whole) ?? { bytes: whole };
    const range = /^bytes=(\d+)-$/.exec(request.headers.range ?? "");
    const begin = range ? Number(range[1]) : 0;
    if (range && begin >= bytes.length) {
      response.writeHead(416, { ...cors, "Content-Range": `bytes */${bytes.length}` });
      response.end();
      return;
    }
    const body = Buffer.from(bytes.subarray(begin));
    response.writeHead(range ? 206 : 200, {
      ...cors,
      ETag: `"${path}-${whole.length}-${whole[0]}"`,
      "Content-Length": body.length,
      "Accept-Ranges": "bytes",
      ...(range && { "Content-Range": `bytes ${begin}-${bytes.length - 1}/${bytes.length}` }),
      ...headers,
    });
    const cut = hub.cuts.shift();
    const most = Math.min(body.length, cut ?? body.length);
    const step = hub.speed > 0 ? Math.max(1, Math.floor(hub.speed / 20)) : 65_536;
    for (let at = 0; at < most && !response.destroyed; at += step) {
      await new Promise((resolve) => response.write(body.subarray(at, Math.min(at + step, most)), resolve));
      if (hub.speed > 0) await new Promise((resolve) => setTimeout(resolve, 50));
    }
    if (cut === undefined) response.end();
    // What was sent still arrives; the rest never does.
    else response.socket?.destroySoon();
  }

  function answer(request: IncomingMessage, response: ServerResponse): unknown {
    const url = new URL(request.url ?? "/", "http://hub");
    const path = decodeURIComponent(url.pathname);
    if (request.method === "OPTIONS") {
      response.writeHead(204, cors);
      return response.end();
    }
    const token = request.headers.authorization?.replace("Bearer ", "");
    hub.requests.push({ line: `${request.method} ${path}`, range: request.headers.range, token });
    const status = hub.statuses.shift();
    if (status) return refuse(response, status);

    const cdn = /^\/cdn\/([^/]+\/[^/]+)\/([^/]+)$/.exec(path);
    if (cdn) {
      const file = hub.models.get(cdn[1] as string)?.files[cdn[2] as string];
      return file ? send(request, response, path, file) : refuse(response, 404);
    }
    const file = hub.plain.get(path);
    if (file) return send(request, response, path, file);

    const asked =
      /^\/api\/models\/([^/]+\/[^/]+)\/(revision|tree)\/([^/]+)$/.exec(path) ??
      /^\/([^/]+\/[^/]+)\/(resolve)\/([^/]+)\/([^/]+)$/.exec(path);
    const name = asked?.[1];
    const model = name === undefined ? undefined : hub.models.get(name);
    if (!asked || !model || (model.token && !model.gated && token !== model.token)) {
      return refuse(response, asked ? 401 : 404, asked ? "RepoNotFound" : undefined);
    }
    const [, , what, revision = ""] = asked;
    const commit = model.revisions[revision === "HEAD" ? "main" : revision] ?? revision;
    if (!Object.values(model.revisions).includes(commit)) return refuse(response, 404, "RevisionNotFound");
    if (what === "revision") {
      return json(response, {
        _id: "1",
        id: name,
        private: false,
        gated: model.gated ? "auto" : false,
        downloads: 0,
        likes: 0,
        lastModified: "2024-01-01T00:00:00.000Z",
        sha: commit,
      });
    }
    if (what === "tree") {
      // In pages of four, as the Hub has pages of a thousand.
      const from = Number(url.searchParams.get("cursor") ?? 0);
      const entries = Object.entries(model.files).map(([file, { length }]) => {
        return { type: "file", path: file, size: length, oid: "0" };
      });
      const more = entries.length > from + 4;
      const next = `<${server()}/api/models/${name}/tree/${commit}?cursor=${from + 4}>; rel="next"`;
      return json(response, entries.slice(from, from + 4), more ? { Link: next } : {});
    }
    if (model.gated && token !== model.token) return refuse(response, 403, "GatedRepo");
    const wanted = asked[4] as string;
    if (!model.files[wanted]) return refuse(response, 404, "EntryNotFound");
    response.writeHead(302, { ...cors, Location: `${cdnServer()}/cdn/${name}/${wanted}` });
    return response.end();
  }

  const http = createServer(answer);
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  // Files come from another origin, as the Hub's do.
  const cdnServer = () => server().replace("127.0.0.1", "localhost");
  const server = () => `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  return Object.assign(hub, {
    url: server(),
    close: () =>
      new Promise<void>((resolve) => {
        http.closeAllConnections();
        http.close(() => resolve());
      }),
  });
}
