// `npm run bench`: how fast a step is here, by itself and beside everyone who can do the same.
import { parseArgs } from "node:util";
import { Failure, type FailureParts } from "../src/failure.ts";
import type { Compute, LibraryName, Line } from "../src/session/benchmark/protocol.ts";
import { runBenchmark } from "../src/session/benchmark/run.ts";
import { workModels } from "../src/session/benchmark/work.ts";
import { connect } from "./hosts.ts";

const peers: LibraryName[] = ["stock tfjs", "jax-js", "onnxruntime-web", "PyTorch + PEFT"];
const short = { tfjs: peers[0], jax: peers[1], onnx: peers[2], torch: peers[3] } as Record<
  string,
  LibraryName
>;

const help = `npm run bench -- [webgpu] [wasm] [options]
  --model ID    ${workModels.map(({ id }) => id).join(", ")}; may be repeated (default: small)
  --batch N     images in a step (default: the model's own)
  --peer NAME   ${Object.keys(short).join(", ")}, none; may be repeated (default: all)
  --torch DEV   where PyTorch computes: cpu, or cuda, in f32 without TF32 (default: cpu)
  --runs N      timed steps of each (default: 5)
  --gates       also what gates cost and save, and the dispatches of a layer
  --cpu         also by time on all cores, for a machine that others use too
  --kernels     also where our step's time goes
  --quick       one timed step of each
  --json        one object a line
WebGPU is whatever Vulkan offers (VK_ICD_FILENAMES chooses), Chromium's SwiftShader where it offers nothing.
PyTorch is that of PYTHON, or of interop/.venv.`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: "string", multiple: true },
    batch: { type: "string" },
    peer: { type: "string", multiple: true },
    torch: { type: "string", default: "cpu" },
    runs: { type: "string" },
    gates: { type: "boolean", default: false },
    cpu: { type: "boolean", default: false },
    kernels: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

function asText({ what, unit, ours, peer, theirs, ratio, reason }: Line): string {
  const figure = `  ${what}: ${ours} ${unit}`;
  if (reason !== undefined) return `${figure}; ${peer} left out: ${reason}`;
  return peer === null ? figure : `${figure}; ${peer} ${theirs}, ratio ${ratio}`;
}

function whole(text: string | undefined, name: string): number | null {
  if (text === undefined) return null;
  const value = Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new Failure({ code: "bad-recipe", what: `--${name} takes a whole number above 0.`, remedy: help });
}

function peerOf(name: string): LibraryName {
  const found = short[name] ?? peers.find((peer) => peer === name);
  if (found) return found;
  throw new Failure({ code: "bad-recipe", what: `There is no peer "${name}".`, remedy: help });
}

async function main(): Promise<void> {
  if (values.help) return console.log(help);
  const computes = (["webgpu", "wasm"] as Compute[]).filter(
    (one) => positionals.length === 0 || positionals.includes(one),
  );
  const wanted = values.peer ?? Object.keys(short);
  const options = {
    models: values.model ?? ["small"],
    batch: whole(values.batch, "batch"),
    computes,
    peers: wanted.filter((name) => name !== "none").map(peerOf),
    runs: whole(values.runs, "runs") ?? (values.quick ? 1 : 5),
    gates: values.gates,
    cpu: values.cpu,
  };
  const abort = new AbortController();
  process.once("SIGINT", () => abort.abort());
  let title = "";
  await runBenchmark(
    options,
    (library) => connect(library, values.torch),
    (event) => {
      if (event.kind === "progress") {
        const left = event.secondsLeft === null ? "" : `, about ${Math.ceil(event.secondsLeft)} s left`;
        if (process.stderr.isTTY) {
          process.stderr.write(`\r\x1b[2K${event.done}/${event.total} ${event.label}${left}`);
        }
        return;
      }
      if (process.stderr.isTTY) process.stderr.write("\r\x1b[2K");
      if (event.kind === "failed") {
        tell(event.failure, `${event.model}, ${event.backend}`);
        return;
      }
      if (event.kind === "kernels") {
        if (!values.kernels) return;
        if (values.json) return console.log(JSON.stringify({ ...event, kind: undefined }));
        for (const { name, count, milliseconds } of event.kernels)
          console.log(
            `  ${name.padEnd(28)} ${count} ${milliseconds === null ? "" : `${milliseconds.toFixed(1)} ms`}`,
          );
        return;
      }
      if (values.json) return console.log(JSON.stringify(event.line));
      const { model, batch, adapter } = event.line;
      const next = `${model}, batch ${batch}, on ${adapter}`;
      if (next !== title) console.log(next);
      title = next;
      console.log(asText(event.line));
    },
    abort.signal,
  );
}

function tell({ what, where, remedy }: FailureParts, about?: string): void {
  console.error([about, where, what, remedy].filter(Boolean).join("\n"));
  process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  tell(Failure.from(error).parts);
}
