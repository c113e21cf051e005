// What the bench's parts say to each other. A library (ours, or a peer) does the work where its host runs: a worker in
// a browser, a process in Node, so that nobody's kernels lie under anybody else's. The bench asks the hosts in turn.
import type { FailureParts } from "../../failure.ts";
import type { StepPhase } from "../../training/step.ts";

export type Compute = "webgpu" | "wasm";

/**
 * Which step is made:
 * - lora: LoRA on every matrix and the classifier learn (what every peer does too)
 * - selective: the same with gates, all open, whose scores learn as well
 * - scores: every gate closed; only scores and classifier learn, through the whole depth
 * - head: the frozen network forwards and backwards through the whole depth; only the classifier learns
 * - few: gates shut for good but for 5 % of them in the middle of the depth
 * - lowest: gates shut for good but for the lowest, so that backward passes every layer
 * - inference: forward to logits
 */
export type Mode = "lora" | "selective" | "scores" | "head" | "few" | "lowest" | "inference";

export interface Task {
  /** Of `workModels`. */
  model: string;
  /** Another depth than the model's, to tell what one layer costs. */
  layers?: number;
  batch: number;
  compute: Compute;
  mode: Mode;
}

/** One step: how long it took from the call until the loss could be read, and the loss before its update. */
export interface Timed {
  milliseconds: number;
  /** Time on all cores, where the host can tell. */
  cpuMilliseconds: number | null;
  loss: number;
}

/** One step looked at closely. */
export interface Inspection {
  /** Milliseconds by phase: on the GPU by its timestamps, on WASM by the clock; null where the GPU has none. */
  phases: Partial<Record<StepPhase, number>> | null;
  /** Dispatches on a GPU, kernels on WASM. */
  dispatches: number;
  /** The same by kernel, most time first where it is known. */
  kernels: { name: string; count: number; milliseconds: number | null }[];
  /** Bytes held on the device after the step: GPU buffers, or the WASM heap. */
  bytes: number;
  /** GPU buffers that were made in the step; null on WASM. */
  newBuffers: number | null;
}

/** A step that has been made ready. */
export interface Opened {
  /** Device and library, fit to show. */
  adapter: string;
  step(): Promise<Timed>;
  /** Only ours. */
  inspect(): Promise<Inspection>;
  /** Fastest plain f32 matrix product here, in FLOP/s; only ours. */
  peak(): Promise<number>;
  close(): Promise<void>;
}

/** Whoever can make steps. */
export interface Host {
  open(task: Task): Promise<Opened>;
  /** Ends it, whatever it is doing. */
  end(): void;
}

export type LibraryName = "ours" | "stock tfjs" | "jax-js" | "onnxruntime-web" | "PyTorch + PEFT";

/** What a library does inside its host; `serve.ts` adds the clock and carries it over the border. */
export interface Library {
  open(task: Task): Promise<{
    adapter: string;
    /** Makes one step; resolves with its loss once it can be read. */
    step(): Promise<number>;
    inspect?(): Promise<Inspection>;
    peak?(): Promise<number>;
    close(): void | Promise<void>;
  }>;
}

/** What crosses the border to a host. `handle` is the number that `open` answered with. */
export type HostRequest = { id: number } & (
  | { call: "open"; task: Task }
  | { call: "step" | "inspect" | "peak" | "close"; handle: number }
);
export type HostAnswer = { id: number; value: unknown } | { id: number; error: string };

/** One figure, as `--json` prints it and the page copies it. */
export interface Line {
  what: string;
  model: string;
  batch: number;
  backend: Compute;
  adapter: string;
  unit: string;
  ours: number;
  /** What ours is compared with, if anything; then `ratio` is ours / theirs. */
  peer: string | null;
  theirs: number | null;
  ratio: number | null;
  /** Steps behind each median; 0 for what is counted or computed. */
  runs: number;
  /** Why there is no figure of the peer, where it could not run or did other work. */
  reason?: string;
}

export interface BenchmarkOptions {
  /** Ids of `workModels`. */
  models: string[];
  /** Images in a step; null: each model's own. */
  batch: number | null;
  computes: Compute[];
  /** Pairs of the two that are left out. */
  without?: { model: string; compute: Compute }[];
  peers: LibraryName[];
  /** Timed steps of each, after two that warm up. */
  runs: number;
  /** Also what gates cost: LoRA on all, scores alone, head alone, few open. */
  gates: boolean;
  /** A second line for each comparison by time on all cores, for a machine that others use too. */
  cpu: boolean;
}

export type BenchmarkEvent =
  | { kind: "progress"; label: string; done: number; total: number; secondsLeft: number | null }
  | { kind: "line"; line: Line }
  /** Our own engine could not do a model's work; the bench goes on with the next. */
  | { kind: "failed"; model: string; backend: Compute; failure: FailureParts }
  /** Where our step's time goes, by kernel. */
  | { kind: "kernels"; model: string; backend: Compute; kernels: Inspection["kernels"] };
