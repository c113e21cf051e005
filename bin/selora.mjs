#!/usr/bin/env node
// Runs the terminal's main from its TypeScript source; tsx strips the types.
import { register } from "tsx/esm/api";

register();
const { main } = await import("../src/cli/main.ts");
const code = await main(process.argv.slice(2));
// What was written to a pipe may still be on its way.
for (const stream of [process.stdout, process.stderr]) await new Promise((done) => stream.write("", done));
// Exit at once: a GPU device left open would keep the process alive.
process.exit(code);
