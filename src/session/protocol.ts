// The one typed protocol. `Session` is what the engine does, whether it runs in this thread (terminal, tests) or
// in a worker behind `client.ts` (studio). Everything here survives `postMessage`: plain data, Blobs, typed arrays.
import type { Gate } from "../adaptation/types.ts";
import type {
  Architecture,
  ModelAnswers,
  OpenQuestion,
  Preprocessing,
  TensorRow,
} from "../checkpoint/types.ts";
import type { DataIssue, Split } from "../dataset/types.ts";
import type { Score } from "../evaluation/types.ts";
import type { FailureParts } from "../failure.ts";
import type { SourceFile } from "../source_file.ts";
import type { TrainingFrame, TrainingReport } from "../training/types.ts";
import type { Recipe } from "./recipe.ts";

export type {
  Activation,
  Architecture,
  ModelAnswers,
  OpenQuestion,
  Preprocessing,
  TensorRow,
} from "../checkpoint/types.ts";
export type { DataIssue, Split } from "../dataset/types.ts";
export type { SourceFile } from "../source_file.ts";
export type { Recipe } from "./recipe.ts";

export type BackendChoice = "auto" | "webgpu" | "wasm";

/** Where the numbers are computed, in words fit to show. */
export interface DeviceReport {
  backend: "webgpu" | "wasm";
  /** Adapter name, e.g. "NVIDIA H100" or "WASM, SIMD, 4 threads". */
  adapter: string;
  /** Why this one, when it was not the obvious choice ("No WebGPU in this browser, so ..."). */
  reason: string | null;
}

export interface ModelReport {
  name: string;
  architecture: Architecture;
  preprocessing: Preprocessing;
  parameters: number;
  questions: OpenQuestion[];
  table: TensorRow[];
}

/** target: what is learned · ood: same classes, other style · retention: what the model knew, by its own classifier. */
export type SetRole = "target" | "ood" | "retention";

export interface DataReport {
  id: string;
  role: SetRole;
  name: string;
  classes: {
    name: string;
    counts: Record<Split, number>;
    /** Target class (OOD) or label of the model's own classifier (retention) this counts as; null: left out. */
    mapsTo: string | null;
  }[];
  /** Names that a class can be mapped to; empty for the target. */
  mappable: string[];
  splitOrigin: "folders" | "drawn" | "none";
  issues: DataIssue[];
  /** Images in all. */
  count: number;
}

/** One gate: a block, a layer or a matrix. Order is layer by layer, attention before MLP, q k v o fc1 fc2. */
export type GateInfo = Gate;
/** The gates at one moment; every array has one entry a gate. */
export type GateFrame = TrainingFrame;
export type StepReport = TrainingReport;

/** Accuracy of one set on its held-out images. `predictions` and `labels` are in the set's order and index `names`. */
export interface SetAccuracy extends Score {
  id: string;
  role: SetRole;
  name: string;
}

export interface Evaluation {
  sets: SetAccuracy[];
  /** Gates that were open. */
  open: Uint8Array;
  /** Share of the change that was applied (WiSE-FT), 0 to 1. */
  strength: number;
}

/** A point of the live curves. OOD and retention are measured on at most 64 images a set while training. */
export interface AccuracyPoint {
  step: number;
  epoch: number;
  /** `before` is the accuracy on the very same images before training, so that the two compare. */
  sets: { id: string; role: SetRole; name: string; accuracy: number; before: number }[];
}

export interface MemoryEstimate {
  bytes: number;
  parts: { label: string; bytes: number }[];
}

export interface RunResult {
  recipe: Recipe;
  gates: GateInfo[];
  final: GateFrame;
  before: Evaluation;
  after: Evaluation;
  /** False when the person stopped it before the last step. */
  complete: boolean;
  steps: number;
  seconds: number;
}

export interface ExportedFile {
  path: string;
  blob: Blob;
}

export interface ExportReport {
  files: ExportedFile[];
  /** Score of the file read back, on the target's held-out images. */
  check: SetAccuracy;
  /** Tensors whose bytes differ from the source, and all of them. */
  changed: number;
  total: number;
  /** What the person should know about the file, one sentence each. */
  notes: string[];
}

export type Task = "model" | "data" | "probe" | "train" | "evaluate" | "export";

export type SessionEvent =
  | { kind: "progress"; task: Task; label: string; done: number; total: number; secondsLeft: number | null }
  | { kind: "started"; recipe: Recipe; gates: GateInfo[]; steps: number }
  | { kind: "before"; evaluation: Evaluation }
  | { kind: "step"; report: StepReport }
  | { kind: "gates"; frame: GateFrame }
  | { kind: "accuracy"; point: AccuracyPoint }
  | { kind: "status"; status: "idle" | "loading" | "training" | "paused" | "evaluating" | "exporting" }
  | { kind: "notice"; text: string }
  | { kind: "failure"; failure: FailureParts };

/**
 * One person's session: a model, data, a run. Every method rejects with Failure and leaves what was loaded untouched
 * when it does. Methods other than pause, resume, stop and image wait for the one before them to end.
 */
export interface Session {
  open(choice: BackendChoice): Promise<DeviceReport>;
  loadModel(files: SourceFile[], answers: ModelAnswers): Promise<ModelReport>;
  /** Adds a set; a new target replaces the old one, an OOD or retention set is added under its name. */
  loadData(role: SetRole, name: string, files: SourceFile[], seed: number): Promise<DataReport>;
  removeData(id: string): Promise<void>;
  /** Maps an OOD or retention set's classes by hand; null leaves a class out. */
  mapClasses(id: string, mapping: Record<string, string | null>): Promise<DataReport>;
  estimateMemory(recipe: Recipe): Promise<MemoryEstimate>;
  /** Probe, before, training, after. Resolves when done or stopped; news come as events. */
  train(recipe: Recipe): Promise<RunResult>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Ends the run after the current step (or cancels loading, evaluating, exporting). */
  stop(): Promise<void>;
  /** Opens and closes gates by hand and scales the change, after training; `sets` limits what is evaluated. */
  adjust(open: Uint8Array, strength: number): Promise<Evaluation>;
  exportMerged(): Promise<ExportReport>;
  /** The file of the n-th held-out image of a set, for showing. */
  image(id: string, index: number): Promise<Blob>;
  subscribe(listener: (event: SessionEvent) => void): () => void;
}
