// The bench itself: opens everyone who does the same work, holds their losses against each other, then asks each for
// one step in turn until there are enough, so that whatever else the machine does falls on all alike. Figures are
// medians. It runs where there is nothing else to do: on the page, or in the terminal.
import { Failure } from "../../failure.ts";
import { estimateMemory } from "../memory.ts";
import { defaultRecipe } from "../recipe.ts";
import type {
  BenchmarkEvent,
  BenchmarkOptions,
  Compute,
  Host,
  LibraryName,
  Line,
  Mode,
  Opened,
  Task,
  Timed,
} from "./protocol.ts";
import { operations, parametersOf, rank, workModels, workOf } from "./work.ts";

/** Peers do the same work when their first two losses are ours, to this. */
const agreement = 1e-3;

const modeWords: Partial<Record<Mode, string>> = {
  scores: "the same step, only head and scores learning",
  head: "the same step, only the head learning",
  few: "5 % of blocks open, the rest shut for good",
  selective: "all blocks open",
};

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** Three figures, as a reader can use them. */
export const round = (value: number): number => Number(value.toPrecision(4));

/** Someone who makes steps, with what was measured of them. */
interface Racer {
  name: LibraryName | Mode;
  opened: Opened;
  /** The losses of the two steps that warm up. */
  losses: number[];
  times: Timed[];
}

/**
 * Runs the whole bench.
 * @param connect starts a host; it is ended here
 * @param signal ends it between two steps, and its hosts at once
 * @throws Failure "bad-recipe" for a model that is not there, or "cancelled"
 */
export async function runBenchmark(
  options: BenchmarkOptions,
  connect: (library: LibraryName) => Host,
  on: (event: BenchmarkEvent) => void,
  signal: AbortSignal,
): Promise<void> {
  const hosts = new Set<Host>();
  const start = (library: LibraryName) => {
    const host = connect(library);
    hosts.add(host);
    return host;
  };
  const end = (host: Host) => {
    hosts.delete(host);
    host.end();
  };
  const endAll = () => {
    for (const host of hosts) end(host);
  };
  signal.addEventListener("abort", endAll);
  const tick = progressOf(options, on, signal);
  try {
    for (const { model, compute: backend } of worksOf(options)) {
      const ours = start("ours");
      const about = { model, backend, ...sizeOf(model, options.batch) };
      const bench = { options, on, tick, ours, start, end, about };
      try {
        await measureWork(bench, "lora");
        if (options.gates) await measureGates(bench);
        await measureWork(bench, "inference");
      } catch (error) {
        if (signal.aborted) throw error;
        on({ kind: "failed", model: about.title, backend, failure: Failure.from(error).parts });
      }
      endAll();
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new Failure({
      code: "cancelled",
      what: "The benchmark was cancelled.",
      remedy: "What was measured before stands.",
    });
  } finally {
    signal.removeEventListener("abort", endAll);
    endAll();
  }
}

/** What is measured, in order. */
function worksOf({
  models,
  computes,
  without = [],
}: BenchmarkOptions): { model: string; compute: Compute }[] {
  return computes
    .flatMap((compute) => models.map((model) => ({ model, compute })))
    .filter(
      (work) => !without.some(({ model, compute }) => model === work.model && compute === work.compute),
    );
}

function sizeOf(model: string, batch: number | null) {
  const found = workModels.find(({ id }) => id === model);
  if (!found) {
    throw new Failure({
      code: "bad-recipe",
      what: `There is no model "${model}" in the bench.`,
      remedy: `Choose one of ${workModels.map(({ id }) => id).join(", ")}.`,
    });
  }
  return { title: found.title, batch: batch ?? found.batch };
}

interface Bench {
  options: BenchmarkOptions;
  on: (event: BenchmarkEvent) => void;
  tick: (label: string, units?: number) => void;
  ours: Host;
  start: (library: LibraryName) => Host;
  end: (host: Host) => void;
  about: { model: string; backend: Compute; title: string; batch: number };
}

/** A training step or inference: ours by itself, then beside every peer. */
async function measureWork(bench: Bench, mode: "lora" | "inference"): Promise<void> {
  const { options, tick, about } = bench;
  const what = mode === "lora" ? "training step" : "inference";
  const task = taskOf(about, mode);
  const mine = await join(bench, "ours", bench.ours, task);
  const inspection = await mine.opened.inspect();
  tick(`${what}: looking into a step`, 1);
  const put = putterOf(bench, mine.opened.adapter);
  if (mode === "lora") {
    bench.on({ kind: "kernels", model: about.title, backend: about.backend, kernels: inspection.kernels });
  }

  const racers = [mine];
  const peers = options.peers.filter((name) => mode === "inference" || name !== "onnxruntime-web");
  const refused: [LibraryName, string][] = [];
  const hosts: Host[] = [];
  for (const name of peers) {
    const host = bench.start(name);
    try {
      const racer = await join(bench, name, host, task);
      const apart = Math.max(...racer.losses.map((loss, i) => Math.abs(loss - (mine.losses[i] as number))));
      if (!(apart <= agreement)) {
        throw new Error(
          `it does not do the same work: its first losses are ${racer.losses.join(", ")}, ours ${mine.losses.join(", ")}`,
        );
      }
      racers.push(racer);
      hosts.push(host);
    } catch (error) {
      refused.push([name, error instanceof Failure ? error.parts.what : (error as Error).message]);
      bench.end(host);
    }
  }
  await race(bench, racers, what);

  const [seconds] = speedOf(mine);
  const rate = (racer: Racer, by: 0 | 1) => about.batch / (speedOf(racer)[by] as number);
  put({ what, unit: "images/s", ours: about.batch / (seconds as number), runs: options.runs });
  for (const racer of racers.slice(1)) {
    const peer = racer.name;
    put({ what, unit: "images/s", ours: rate(mine, 0), peer, theirs: rate(racer, 0), runs: options.runs });
    if (options.cpu && speedOf(mine)[1] && speedOf(racer)[1]) {
      const unit = "images/s of CPU";
      put({ what, unit, ours: rate(mine, 1), peer, theirs: rate(racer, 1), runs: options.runs });
    }
  }
  for (const [peer, reason] of refused) {
    put({ what, unit: "images/s", ours: rate(mine, 0), peer, reason, runs: options.runs });
  }
  const phases = Object.entries(inspection.phases ?? {});
  for (const [phase, ms] of phases) put({ what: `${what}: ${phase}`, unit: "ms", ours: ms, runs: 1 });
  const unit = about.backend === "webgpu" ? "dispatches" : "kernels";
  put({ what: `${what}: ${unit}`, unit, ours: inspection.dispatches, runs: 0 });
  const computed =
    mode === "lora" && about.backend === "webgpu"
      ? { peer: "computed from shapes before", theirs: computedBytes(task) / 2 ** 20 }
      : {};
  put({ what: `${what}: memory held`, unit: "MB", ours: inspection.bytes / 2 ** 20, runs: 0, ...computed });
  if (inspection.newBuffers !== null) {
    put({ what: `${what}: buffers made in a step`, unit: "buffers", ours: inspection.newBuffers, runs: 0 });
  }
  const peak = await mine.opened.peak();
  tick("The device's peak", 1);
  const flops = operations(workOf(task), about.batch, mode === "lora" ? "training" : "inference");
  put({
    what: `${what}: arithmetic`,
    unit: "GFLOP/s",
    ours: flops / (seconds as number) / 1e9,
    peer: "fastest f32 matrix product here",
    theirs: peak / 1e9,
    runs: options.runs,
  });
  await mine.opened.close();
  for (const host of hosts) bench.end(host);
}

/** What gates cost and save: modes of our own step beside each other, and dispatches of one layer. */
async function measureGates(bench: Bench): Promise<void> {
  const { options, about } = bench;
  const racers: Racer[] = [];
  for (const mode of ["selective", "scores", "head", "few"] as const) {
    racers.push(await join(bench, mode, bench.ours, taskOf(about, mode)));
  }
  await race(bench, racers, "what gates cost");
  const [selective, scores, head, few] = racers as [Racer, Racer, Racer, Racer];
  const put = putterOf(bench, selective.opened.adapter);
  const compare = (one: Racer, other: Racer) => {
    for (const [i, unit] of ["ms", "ms of CPU"].entries()) {
      const [mine, theirs] = [speedOf(one)[i], speedOf(other)[i]];
      if (i === 1 && !(options.cpu && mine && theirs)) continue;
      put({
        what: `training step: ${modeWords[one.name as Mode]}`,
        unit,
        ours: 1000 * (mine as number),
        peer: modeWords[other.name as Mode] ?? null,
        theirs: 1000 * (theirs as number),
        runs: options.runs,
      });
    }
  };
  compare(selective, scores);
  compare(selective, head);
  compare(few, selective);
  for (const { opened } of racers) await opened.close();
  if (about.backend !== "webgpu") return;
  // A layer's share is what one layer more costs.
  for (const [mode, words] of [
    ["selective", "every matrix adapted"],
    ["lowest", "every gate shut for good, with backward passing through"],
  ] as const) {
    const counts: number[] = [];
    for (const layers of [3, 4]) {
      const opened = await bench.ours.open({ ...taskOf(about, mode), layers });
      for (let i = 0; i < 2; i++) await opened.step();
      counts.push((await opened.inspect()).dispatches);
      await opened.close();
      bench.tick("Counting a layer's dispatches", 1);
    }
    const [three, four] = counts as [number, number];
    put({ what: `dispatches of a layer, ${words}`, unit: "dispatches", ours: four - three, runs: 0 });
  }
}

/** What the studio says beforehand of a run like this one. */
function computedBytes(task: Task): number {
  const architecture = workOf(task);
  const recipe = { ...defaultRecipe, rank, batch: task.batch };
  return estimateMemory(architecture, parametersOf(architecture), recipe).bytes;
}

const taskOf = ({ model, batch, backend }: Bench["about"], mode: Mode): Task => ({
  model,
  batch,
  compute: backend,
  mode,
});

const placeOf = ({ about: { title, backend } }: Bench): string =>
  `${title} on ${backend === "webgpu" ? "WebGPU" : "WASM"}`;

const wordsOf = (name: Racer["name"]): string =>
  modeWords[name as Mode] ?? (name === "ours" ? "Selora" : name);

/** Opens a step and makes the two that warm up. */
async function join(bench: Bench, name: Racer["name"], host: Host, task: Task): Promise<Racer> {
  const label = wordsOf(name);
  bench.tick(`${placeOf(bench)}: making ready ${label}`);
  const opened = await host.open(task);
  const losses: number[] = [];
  for (let i = 0; i < 2; i++) {
    losses.push((await opened.step()).loss);
    bench.tick(`${placeOf(bench)}: warming up ${label}`, 1);
  }
  return { name, opened, losses, times: [] };
}

async function race(bench: Bench, racers: readonly Racer[], what: string): Promise<void> {
  for (let i = 0; i < bench.options.runs; i++) {
    for (const racer of racers) {
      const label = `${placeOf(bench)}: ${what}, ${wordsOf(racer.name)}`;
      bench.tick(label);
      racer.times.push(await racer.opened.step());
      bench.tick(label, 1);
    }
  }
}

/** Median seconds of a step by the clock and on all cores. */
function speedOf({ times }: Racer): [number, number | null] {
  const cpu = times.map(({ cpuMilliseconds }) => cpuMilliseconds);
  return [
    median(times.map(({ milliseconds }) => milliseconds)) / 1000,
    cpu.includes(null) ? null : median(cpu as number[]) / 1000,
  ];
}

function putterOf({ on, about }: Bench, adapter: string) {
  const { title: model, batch, backend } = about;
  return (figure: Pick<Line, "what" | "unit" | "ours" | "runs"> & Partial<Line>) => {
    const { what, unit, ours, peer = null, theirs = null, runs, reason } = figure;
    on({
      kind: "line",
      line: {
        what,
        model,
        batch,
        backend,
        adapter,
        unit,
        ours: round(ours),
        peer,
        theirs: theirs === null ? null : round(theirs),
        ratio: theirs === null ? null : round(ours / theirs),
        runs,
        ...(reason === undefined ? {} : { reason }),
      },
    });
  };
}

/** Counts steps, made and to come; refuses to go on once cancelled. */
function progressOf(options: BenchmarkOptions, on: Bench["on"], signal: AbortSignal): Bench["tick"] {
  const { runs, peers } = options;
  const works = worksOf(options);
  const steps = 2 + runs;
  const training = peers.filter((name) => name !== "onnxruntime-web").length;
  let perModel = (1 + training) * steps + (1 + peers.length) * steps + 4;
  if (options.gates) perModel += 4 * steps;
  const counted = options.gates ? 4 * works.filter(({ compute }) => compute === "webgpu").length : 0;
  const total = perModel * works.length + counted;
  const began = performance.now();
  let done = 0;
  return (label, units = 0) => {
    if (signal.aborted) throw new Error("aborted");
    done = Math.min(total, done + units);
    const seconds = (performance.now() - began) / 1000;
    const secondsLeft = done > 2 ? (seconds / done) * (total - done) : null;
    on({ kind: "progress", label, done, total, secondsLeft });
  };
}
