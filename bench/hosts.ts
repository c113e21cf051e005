// Starts the bench's hosts in Node: a process for each library, PyTorch in a Python that has it.
import { fork, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Host, HostAnswer, HostRequest, LibraryName } from "../src/session/benchmark/protocol.ts";
import { reach } from "../src/session/benchmark/serve.ts";
import { workOf } from "../src/session/benchmark/work.ts";

const root = join(import.meta.dirname, "..");

/** @param torchDevice where PyTorch computes: cpu, cuda */
export function connect(library: LibraryName, torchDevice: string): Host {
  return library === "PyTorch + PEFT" ? python(library, torchDevice) : node(library);
}

function node(library: LibraryName): Host {
  const child = fork(join(import.meta.dirname, "host.ts"), [library], {
    execArgv: ["--import", "tsx"],
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  const early: HostRequest[] = [];
  let ready = false;
  const send = (request: HostRequest) => (ready ? child.send(request) : early.push(request));
  const { host, receive, fail } = reach(library, send, () => child.kill("SIGKILL"));
  const said = lastWords(child.stderr);
  child.on("message", (message: HostAnswer | "ready") => {
    if (message !== "ready") return receive(message);
    ready = true;
    for (const request of early) child.send(request);
  });
  child.on("error", (error) => fail(error.message));
  child.on("exit", (code) => fail(`its process ended (${code}): ${said()}`));
  return host;
}

/** The Python of PYTHON, or interop's own. */
function python(library: LibraryName, device: string): Host {
  const own = join(root, "interop", ".venv", "bin", "python");
  const program = process.env.PYTHON ?? (existsSync(own) ? own : "python3");
  const child = spawn(program, [join(root, "interop", "bench_step.py"), "--device", device], {
    stdio: "pipe",
  });
  const { host, receive, fail } = reach(
    library,
    (request) => {
      // The table of networks is ours; Python is told the shape itself.
      const shape = request.call === "open" ? { architecture: workOf(request.task) } : {};
      child.stdin.write(`${JSON.stringify({ ...request, ...shape })}\n`);
    },
    () => child.kill("SIGKILL"),
  );
  const said = lastWords(child.stderr);
  // A Python that ends at once closes the pipe while it is written to; its exit says why.
  child.stdin.on("error", () => {});
  createInterface({ input: child.stdout }).on("line", (line) => receive(JSON.parse(line)));
  child.on("error", (error) => fail(`${program} did not start: ${error.message}`));
  child.on("exit", (code) => fail(`${program} ended (${code}): ${said()}`));
  return host;
}

/** The last line a process wrote to its errors. */
function lastWords(stream: NodeJS.ReadableStream | null): () => string {
  let text = "";
  stream?.on("data", (chunk) => {
    text = (text + String(chunk)).slice(-2000);
  });
  return () => text.trim().split("\n").at(-1) ?? "";
}
