// The bench's figures have one shape, whoever runs and whoever cannot; and its arithmetic is what a ViT takes.
import { describe, expect, it } from "vitest";
import type { BenchmarkEvent, BenchmarkOptions, Host, LibraryName, Line, Opened, Task } from "./protocol.ts";
import { median, runBenchmark } from "./run.ts";
import { operations, parametersOf, workModels, workOf } from "./work.ts";

const keys = "what model batch backend adapter unit ours peer theirs ratio runs".split(" ");

/** A host whose steps take a known time and whose losses are given. */
function hostOf(milliseconds: number, loss: number, ended: () => void): Host {
  const opened = (task: Task): Opened => ({
    adapter: "an adapter",
    step: async () => ({ milliseconds, cpuMilliseconds: null, loss }),
    inspect: async () => ({
      phases: { forward: 1 },
      dispatches: 10 + 7 * (task.layers ?? 12),
      kernels: [],
      bytes: 2 ** 20,
      newBuffers: 0,
    }),
    peak: async () => 1e9,
    close: async () => {},
  });
  return { open: async (task) => opened(task), end: ended };
}

const options: BenchmarkOptions = {
  models: ["demo"],
  batch: 4,
  computes: ["webgpu"],
  peers: ["stock tfjs", "jax-js", "PyTorch + PEFT"],
  runs: 3,
  gates: true,
  cpu: true,
};

async function run(changes: Partial<BenchmarkOptions> = {}, signal = new AbortController().signal) {
  const events: BenchmarkEvent[] = [];
  let [started, ended] = [0, 0];
  const connect = (library: LibraryName): Host => {
    started += 1;
    const end = () => {
      ended += 1;
    };
    if (library === "ours") return hostOf(10, 2.5, end);
    if (library === "stock tfjs") return hostOf(40, 2.5004, end);
    if (library === "jax-js") return hostOf(5, 2.6, end);
    return { open: () => Promise.reject(new Error("there is no Python")), end };
  };
  await runBenchmark({ ...options, ...changes }, connect, (event) => events.push(event), signal);
  const lines = events.flatMap((event) => (event.kind === "line" ? [event.line] : []));
  return { events, lines, started, ended };
}

const find = (lines: Line[], what: string, peer: string | null) =>
  lines.find((line) => line.what === what && line.peer === peer);

describe("the bench", () => {
  it("gives every figure in one shape, and ratios of medians", async () => {
    const { lines, started, ended } = await run();
    for (const line of lines) {
      expect(Object.keys(line).filter((key) => key !== "reason")).toEqual(keys);
      expect(JSON.parse(JSON.stringify(line))).toEqual(line);
    }
    expect(find(lines, "training step", null)).toMatchObject({ ours: 400, unit: "images/s", runs: 3 });
    expect(find(lines, "training step", "stock tfjs")).toMatchObject({ ours: 400, theirs: 100, ratio: 4 });
    // One step of the demo's at batch 4 takes 25 MB to 40 MB.
    const held = find(lines, "training step: memory held", "computed from shapes before");
    expect(held?.theirs).toBeGreaterThan(25);
    expect(held?.theirs).toBeLessThan(40);
    expect(find(lines, "dispatches of a layer, every matrix adapted", null)?.ours).toBe(7);
    expect(ended).toBe(started);
  });

  it("names whom it leaves out and why: one that cannot run, one whose losses are others", async () => {
    const { lines } = await run();
    expect(find(lines, "training step", "PyTorch + PEFT")).toMatchObject({
      theirs: null,
      ratio: null,
      reason: "there is no Python",
    });
    expect(find(lines, "training step", "jax-js")?.reason).toMatch(/not do the same work.*2\.6.*2\.5/);
  });

  it("counts to its end, and ends every host when it is cancelled", async () => {
    const { events } = await run({ peers: ["stock tfjs"], computes: ["webgpu", "wasm"] });
    const last = events.findLast((event) => event.kind === "progress");
    expect(last).toMatchObject({ done: (last as { total: number }).total });
    const abort = new AbortController();
    abort.abort();
    await expect(run({}, abort.signal)).rejects.toMatchObject({ parts: { code: "cancelled" } });
  });

  it("refuses a model that it does not have", () =>
    expect(run({ models: ["gpt"] })).rejects.toMatchObject({ parts: { code: "bad-recipe" } }));
});

it("takes the middle of figures", () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
});

it("counts a ViT-B/16's parameters as timm does without its classifier", () => {
  expect(parametersOf(workOf({ model: "vit-b" }))).toBe(85_798_656);
});

it("counts a ViT-B/16 as the field does: 17.58 GMAC forward, about twice that for a step without dW", () => {
  const architecture = workOf({ model: "vit-b" });
  // The last layer's o, fc1 and fc2 are only needed for one token of 197.
  const spared = 2 * 196 * (768 * 768 + 2 * 768 * 3072);
  expect((operations(architecture, 1, "inference") + spared) / 1e9).toBeCloseTo(2 * 17.58, 1);
  const ratio = operations(architecture, 1, "training") / operations(architecture, 1, "inference");
  expect(ratio).toBeGreaterThan(1.95);
  expect(ratio).toBeLessThan(2.1);
  for (const { architecture: one } of workModels) {
    expect(operations(one, 4, "inference")).toBe(4 * operations(one, 1, "inference"));
  }
});
