// Serves the built studio from this machine, to this machine alone.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import sirv from "sirv";
import { Failure } from "../failure.ts";
import { headersFor } from "../serving.ts";
import { badArgument, type Values } from "./options.ts";
import type { Stops } from "./stops.ts";
import { print } from "./streams.ts";

const dist = fileURLToPath(new URL("../../dist", import.meta.url));
const USUAL_PORT = 5173;

/** The program that opens an address in the person's browser. */
const openers: Partial<Record<NodeJS.Platform, string>> = { darwin: "open", win32: "explorer" };

/**
 * Serves until the process is ended.
 * @throws Failure `bad-recipe` for a port that is none, `state` when the port is taken or nothing is built
 */
export async function studio(values: Values, stops: Stops): Promise<number> {
  const wanted = Number(values.port ?? USUAL_PORT);
  if (!Number.isInteger(wanted) || wanted < 0 || wanted > 65_535)
    throw badArgument(`--port ${values.port} is no port; give a number from 1 to 65535, or 0 for any.`);
  if (!existsSync(`${dist}/index.html`)) {
    throw new Failure({
      code: "state",
      what: "The studio is not built here.",
      where: "dist",
      remedy: "In a checkout of the project `npm start` builds and serves it.",
    });
  }
  const files = sirv(dist, {
    etag: true,
    setHeaders(response, path) {
      for (const [name, value] of Object.entries(headersFor(path))) response.setHeader(name, value);
    },
  });
  const server = createServer((request, response) => {
    files(request, response, () => {
      response.writeHead(404).end();
    });
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.on("error", (error: NodeJS.ErrnoException) => {
      const taken = error.code === "EADDRINUSE";
      reject(
        new Failure(
          {
            code: "state",
            what: taken
              ? `Port ${wanted} is taken by another program.`
              : `No server can be started (${error.code}).`,
            remedy: "Give another one with --port, or 0 for any that is free.",
          },
          { cause: error },
        ),
      );
    });
    // Nobody else on the network: what is served is a person's own tool.
    server.listen(wanted, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address ? address.port : wanted);
    });
  });
  const address = `http://localhost:${port}/`;
  print(`The studio is at ${address}. Ctrl-C ends it.\n`);
  if (values.open)
    spawn(openers[process.platform] ?? "xdg-open", [address], { stdio: "ignore" }).on("error", () => {});
  await new Promise<void>((end) => {
    stops.onStop(end);
  });
  server.closeAllConnections();
  server.close();
  // It is ended by a signal and in no other way, so that this is its success.
  return 0;
}
