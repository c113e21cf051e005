// The one typed protocol. `Session` is what the engine does, whether it runs in this thread (terminal, tests) or
// in a worker behind `client.ts` (studio). Everything here survives `postMessage`: plain data, Blobs, typed arrays.
import type { Gate } from "../adaptation/types.ts";
import type { Pooling } from "../checkpoint/pooling.ts";
import type {
  Architecture,
  ModelAnswers,
  OpenQuestion,
  Preprocessing,
  TensorRow,
} from "../checkpoint/types.ts";
import type { DataAnswers, DataIssue, DataReading, NameReading, Split } from "../dataset/types.ts";
import type { Change } from "../evaluation/change.ts";
import type { Robustness, RobustnessPoint } from "../evaluation/robustness.ts";
import type { Score } from "../evaluation/types.ts";
import type { FailureParts } from "../failure.ts";
import type { SourceFile } from "../source_file.ts";
import type { TrainingFrame, TrainingReport } from "../training/types.ts";
import type { CorruptionChoice } from "./corruption_choice.ts";
import type { Packed } from "./pack.ts";
import type { Head, Recipe } from "./recipe.ts";

export type {
  Activation,
  Architecture,
  ModelAnswers,
  OpenQuestion,
  Preprocessing,
  TensorRow,
} from "../checkpoint/types.ts";
export type {
  DataAnswers,
  DataIssue,
  DataQuestion,
  DataReading,
  LayoutReading,
  NameReading,
  Split,
} from "../dataset/types.ts";
export type { SourceFile } from "../source_file.ts";
export type { CorruptionChoice } from "./corruption_choice.ts";
export type { Head, Recipe } from "./recipe.ts";

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
  /** Every pooling the network can give; `architecture.pooling` is its own. */
  poolings: Pooling[];
  questions: OpenQuestion[];
  /** What can answer for the model, beside a linear head and k-NN. */
  text: { available: boolean; problem: string | null };
  /** What was chosen from the files that the person may want to know, one sentence each. */
  notes: string[];
  table: TensorRow[];
  /** As its config names it; null where it does not. */
  licence: string | null;
  /** Of its files (fingerprint.ts); null where it cannot be had. */
  fingerprint: string | null;
}

/** target: what is learned · ood: same classes, other style · retention: what the model knew. */
export type SetRole = "target" | "ood" | "retention";
/** keep: images without classes on which the network is to stay as it was, where the recipe keeps it near that; they are
 *  trained on and never measured. */
export type DataRole = SetRole | "keep";

export interface DataReport {
  id: string;
  role: DataRole;
  name: string;
  /** Empty where images need no class. */
  classes: {
    name: string;
    counts: Record<Split, number>;
    /** Target class (OOD) or label of the model's own classifier (retention) this counts as; null: left out. Where
     *  the model has no classifier, retention's classes count as themselves. */
    mapsTo: string | null;
    /** Those of `mappable` that its name fits alike, where there are several and none is chosen. */
    choices?: string[];
  }[];
  /** Names that a class can be mapped to, each once; empty where classes count as themselves. */
  mappable: string[];
  /** Of a target: how many of its classes are labels of the model's own classifier; 0 for other sets. */
  ownLabels: number;
  splitOrigin: "folders" | "drawn" | "none";
  /** How folders, tables or names were read, and how else they could be; null where classes do not matter. */
  reading: DataReading | null;
  issues: DataIssue[];
  /** How names in its zips were read; absent where they say how themselves. */
  names?: NameReading;
  /** Images in all, without those that cannot be read. */
  count: number;
  /** Of its files (fingerprint.ts); null where it cannot be had. */
  fingerprint: string | null;
  /** How it is made of the target's images; null where it was loaded. */
  corruption: CorruptionChoice | null;
}

/** One gate: a block, a layer or a matrix. Order is layer by layer, attention before MLP, q k v o fc1 fc2. */
export type GateInfo = Gate;
/** The gates at one moment; every array has one entry a gate. */
export type GateFrame = TrainingFrame;
export type StepReport = TrainingReport;

/** Which images of a set a number stands on. Two accuracies compare where all of it is the same. */
export interface Basis {
  /** all: the held-out ones · sample: an evenly spread part of them, or all where fewer vote than there are (k-NN) ·
   *  validation: the target's validation images */
  images: "all" | "sample" | "validation";
  /** How many were asked. */
  count: number;
  /** How many of the kind there are: held-out images, or validation images. */
  of: number;
}

/** Accuracy of one set on its held-out images. `predictions` and `labels` are in the set's order and index `names`. */
export interface SetAccuracy extends Score {
  id: string;
  role: SetRole;
  name: string;
  basis: Basis;
  /** What answered: for target and OOD the recipe's head; for retention the model's own classifier, or where it has
   *  none its text tower, or else (and always under a k-NN head) k-NN. */
  judge: Head;
  /** Of a set made of corruptions each of them, of which the set is the mean; empty for others. Its interval counts
   *  every picture once, however often it was corrupted. */
  parts: SetPart[];
  /** Against the answers before training; null for those answers themselves. */
  change: Change | null;
  /** How well certainty tells this set from the target; null for the target itself. */
  detection: Detection | null;
}

/** Accuracy under one corruption. */
export interface SetPart {
  name: string;
  count: number;
  correct: number;
  accuracy: number;
  interval: [number, number];
}

/**
 * OOD detection. In distribution are the target's held-out images, out of it this set's, all answered by the target's
 * classifier: AUROC of how sure it is, 0.5 being a coin.
 */
export interface Detection {
  /** What is strange: classes that the target does not have, or only the style of those that it has. Of a retention
   *  set only images of other classes count, where it has some. */
  strange: "classes" | "style";
  /** Images out of distribution. */
  count: number;
  /** By the largest softmax probability; under a k-NN head by the share of the vote. */
  confidence: number;
  /** By the energy of the logits; null where there are none (k-NN). */
  energy: number | null;
}

export interface Evaluation {
  sets: SetAccuracy[];
  /** Gates that were open. */
  open: Uint8Array;
  /** Share of the change that was applied (WiSE-FT), 0 to 1. */
  strength: number;
}

/** A set on the live curves. */
export interface LiveAccuracy {
  id: string;
  role: SetRole;
  name: string;
  accuracy: number;
  /** Accuracy on the very same images before training, so that the two compare. */
  before: number;
  /** The same images from the first point of a run to its last; absent in runs that were kept by older versions. */
  basis?: Basis | undefined;
  /** Images whose answer was put right, and whose was broken, since before; absent where only their number is known. */
  pairs?: { fixed: number; broken: number } | undefined;
}

/**
 * A point of the live curves; that of step 0 is from before training. The target is asked on its validation images, OOD
 * and retention on at most 64 images a set, k-NN with at most 256 that vote.
 */
export interface AccuracyPoint {
  step: number;
  epoch: number;
  sets: LiveAccuracy[];
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
  /** False when it ended before the last step: the person stopped it, or `failure` did. */
  complete: boolean;
  /** Why the numbers ended it; all else is of the last good step before, which the run went back to. */
  failure?: FailureParts;
  steps: number;
  seconds: number;
  /** Training images that the linear probe of a large set was fitted on, and how many there are; absent where it was on
   *  all, or there was none. */
  probed?: { images: number; of: number };
}

/** Accuracies along the way from before (0) to after (1), all on the same images: WiSE-FT's path. */
export interface PathPoint {
  strength: number;
  sets: { role: SetRole; name: string; accuracy: number }[];
}

/** Accuracies with so many blocks open, in the order of `TradeOff.sets`. */
export interface TradeOffPoint {
  open: Uint8Array;
  accuracies: number[];
}

/** What each number of open blocks is worth, closed from the lowest score upwards, at full strength. */
export interface TradeOff {
  /** `count` images are measured at each point, of the target validation images where there are some; `before` is the
   *  accuracy on the very same images before training. */
  sets: { id: string; role: SetRole; name: string; count: number; basis: Basis; before: number }[];
  /** Fewest blocks first. */
  points: TradeOffPoint[];
  /** Place of the point with the fewest blocks within one standard error of the best target accuracy (evaluation/knee.ts);
   *  null until all points are there. */
  knee: number | null;
  complete: boolean;
}

/** What an OOD set gains beyond what the target's gain lets one expect (evaluation/robustness.ts). */
export interface SetRobustness extends Robustness {
  id: string;
  name: string;
  /** Before, a quarter, a half, three quarters of what is applied, and all of it. */
  points: RobustnessPoint[];
}

/** A run as it stood between two steps, or after the last: to be gone on with, or looked at again, later. */
export interface SavedRun {
  version: 1;
  /** The run's own id: whatever is kept of a run is kept under this one. */
  id: string;
  recipe: Recipe;
  /** Fingerprints of what it was made on: the model, and each set by role and name. */
  model: string | null;
  sets: { role: DataRole; name: string; fingerprint: string | null }[];
  step: number;
  steps: number;
  /** Seconds that it took so far. */
  seconds: number;
  /** On all held-out images; null until that is measured, at the end of a run. */
  before: Evaluation | null;
  /** On the images that live accuracy is measured on; null until that is measured, after the first steps. */
  sample: Evaluation | null;
  /** Accuracy of the starting head on the validation images, where the start found it. */
  validation: number | null;
  /** What it came to; null while it was under way. */
  result: RunResult | null;
  /** The trainer's snapshot, a safetensors file. */
  snapshot: Blob;
}

export interface ExportedFile {
  path: string;
  blob: Blob;
}

export interface MergedReport {
  files: ExportedFile[];
  /** Tensors whose bytes differ from the source, and all of them. */
  changed: number;
  total: number;
  /** What the person should know about the file, one sentence each. */
  notes: string[];
}

export interface ExportReport extends MergedReport {
  /** Score of the file read back, on the target's held-out images. */
  check: SetAccuracy;
}

export type Task = "model" | "data" | "probe" | "train" | "evaluate" | "export";

export type SessionEvent =
  | { kind: "progress"; task: Task; label: string; done: number; total: number; secondsLeft: number | null }
  | { kind: "started"; recipe: Recipe; gates: GateInfo[]; steps: number }
  /** The frozen network on the images that live accuracy is measured on, as far as it is known: the target's at first,
   *  every set's after the first steps. All held-out images are measured at the end (`RunResult.before`). */
  | { kind: "before"; evaluation: Evaluation }
  | { kind: "step"; report: StepReport }
  | { kind: "gates"; frame: GateFrame }
  | { kind: "accuracy"; point: AccuracyPoint }
  /** The sets of an adjustment that have been measured so far. */
  | { kind: "measured"; evaluation: Evaluation }
  | { kind: "tradeOff"; tradeOff: TradeOff }
  | { kind: "status"; status: "idle" | "loading" | "training" | "paused" | "evaluating" | "exporting" }
  | { kind: "notice"; text: string }
  /** What there is to tell of a set has changed: more of its images were found unreadable. */
  | { kind: "data"; report: DataReport }
  /** A device was opened without being asked for, as something needed one. */
  | { kind: "device"; device: DeviceReport }
  /** The graphics device is gone, and with it the run that lay there. A job that was on it rejects with the same. */
  | { kind: "lost"; failure: FailureParts }
  | { kind: "failure"; failure: FailureParts };

/**
 * One person's session: a model, data, a run. Every method rejects with Failure and leaves what was loaded untouched
 * when it does. Methods other than pause, resume, stop, saveRun and image wait for the one before them to end.
 */
export interface Session {
  /** @param oneThread WASM does without threads, where they do not start */
  open(choice: BackendChoice, oneThread?: boolean): Promise<DeviceReport>;
  loadModel(files: SourceFile[], answers: ModelAnswers): Promise<ModelReport>;
  /**
   * Adds a set; a new target replaces the old one, any other set is added under its name. Where only the person can say
   * how the files are to be read it rejects with a Failure that has a `question`, and `answers` go on from there.
   */
  loadData(
    role: DataRole,
    name: string,
    files: SourceFile[],
    seed: number,
    answers?: DataAnswers,
  ): Promise<DataReport>;
  /**
   * Adds an OOD set made of the target's held-out images under corruptions, or replaces the one there is; null takes it
   * away. A new target brings its own.
   */
  corrupt(choice: CorruptionChoice | null): Promise<DataReport | null>;
  removeData(id: string): Promise<void>;
  /** Maps an OOD or retention set's classes by hand, to one of `mappable`, its name, or a row's number; null leaves a class
   *  out. */
  mapClasses(id: string, mapping: Record<string, string | null>): Promise<DataReport>;
  estimateMemory(recipe: Recipe): Promise<MemoryEstimate>;
  /**
   * The frozen model on one set: a target by "linear" (a probe) or "knn", a retention set by "own" or "zero-shot".
   * The recipe says how the probe reads, how many neighbours vote and which prompts are used.
   */
  evaluate(id: string, head: Head, recipe: Recipe): Promise<SetAccuracy>;
  /**
   * Probe, training, before, after. Resolves when done or stopped; news come as events.
   * @param run id of a new run (one is made where none is given), or a run that was saved under way, on the same model
   *   and data: it goes on where it stood, under its own id
   */
  train(recipe: Recipe, run?: string | SavedRun): Promise<RunResult>;
  /**
   * The run as it stands at the next boundary between two steps, as it ended, or, where the device failed under it, as
   * of its last good step; null without one.
   * @param id the run that is meant: null where it is not held; without one, the run under way or else the last
   */
  saveRun(id?: string): Promise<SavedRun | null>;
  /** Takes up a run that had ended, on the same model and data, so that it can be adjusted and exported. */
  restoreRun(saved: SavedRun): Promise<RunResult>;
  /** Accuracies with these shares of the change, on at most `limit` images a set. What is applied stays as it is. */
  measurePath(strengths: number[], limit: number): Promise<PathPoint[]>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Ends the run after the current step (or cancels loading, evaluating, exporting). */
  stop(): Promise<void>;
  /** Opens and closes gates by hand and scales the change, after training. Ends an adjustment that is still being
   *  measured, which then rejects as cancelled; sets are told of as they are done. */
  adjust(open: Uint8Array, strength: number): Promise<Evaluation>;
  /** Every number of open blocks of the run, by score; each point also comes as an event. What is applied stays. */
  tradeOff(): Promise<TradeOff>;
  /** Robustness of what is applied, for each OOD set, on all held-out images. */
  robustness(): Promise<SetRobustness[]>;
  /** The merged files, read back and scored. */
  exportMerged(): Promise<ExportReport>;
  /** The merged files, for one who writes them somewhere and has them read back from there. */
  merge(): Promise<MergedReport>;
  /** Opens an export of this run as any reader opens a model, and scores it on the target's held-out images. */
  readBack(files: SourceFile[]): Promise<SetAccuracy>;
  /** The files of a set that came unopened, as they are kept; null for a set that is gone. Nothing is read where they have
   *  more bytes than `limit`. */
  pack(id: string, limit: number): Promise<{ bytes: number; packed: Packed | null } | null>;
  /** The file of the n-th held-out image of a set, for showing. */
  image(id: string, index: number): Promise<Blob>;
  subscribe(listener: (event: SessionEvent) => void): () => void;
}
