#!/usr/bin/env node
// Runs the terminal's main from its TypeScript source; tsx strips the types. With --json every line of stderr is an
// object, but drivers and their loader write there as they please: a process of its own does the work, and lines that
// are no events become notices.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

const args = process.argv.slice(2);
const watched = "SELORA_STDERR_IS_WATCHED";
process.exitCode = args.includes("--json") && !process.env[watched] ? await watch() : await work();
// A GPU device left open would keep the process alive.
process.exit();

async function work() {
  const { register } = await import("tsx/esm/api");
  register();
  const { endStreams, guardStreams } = await import("../src/cli/streams.ts");
  guardStreams();
  const { main } = await import("../src/cli/main.ts");
  return endStreams(await main(args));
}

async function watch() {
  // In a group of its own, so that each Ctrl-C reaches it once, whether a terminal or a program sends it.
  const child = spawn(process.execPath, [process.argv[1], ...args], {
    detached: true,
    stdio: ["inherit", "inherit", "pipe"],
    env: { ...process.env, [watched]: "1" },
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  // Where nobody reads what happens any more, the work goes on.
  process.stderr.on("error", () => {});
  const ended = new Promise((resolve) => child.on("close", (code) => resolve(code ?? 1)));
  for await (const line of createInterface({ input: child.stderr })) {
    const isEvent = line.startsWith('{"kind":');
    if (line.trim() !== "")
      process.stderr.write(`${isEvent ? line : JSON.stringify({ kind: "notice", text: line })}\n`);
  }
  return ended;
}
