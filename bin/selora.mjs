#!/usr/bin/env node
// Runs the terminal's main from its TypeScript source; tsx strips the types.
import { register } from "tsx/esm/api";

register();
const { main } = await import("../src/cli/main.ts");
// Exit at once: a GPU device left open would keep the process alive.
process.exit(await main(process.argv.slice(2)));
