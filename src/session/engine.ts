// The engine behind the protocol: holds the model, the data and the run of one session and lets the floors below do
// the work. It runs in a worker under the studio and directly under the terminal.
import { budgetOf } from "../adaptation/budget.ts";
import { listGates } from "../adaptation/gates.ts";
import { poolingsOf, textSpacePooling } from "../checkpoint/pooling.ts";
import type { Checkpoint, Role } from "../checkpoint/types.ts";
import { wordnetId } from "../dataset/label_rows.ts";
import { PixelStore } from "../dataset/pixels.ts";
import type { DecodeImage, ImageSet, ResizeSpec } from "../dataset/types.ts";
import { FrozenFeatures } from "../evaluation/frozen.ts";
import { Failure } from "../failure.ts";
import { fingerprintOf } from "../fingerprint.ts";
import { openFolders } from "../open_folders.ts";
import { type Backend, openBackend } from "../tensor/backend.ts";
import { throwIfFaulty } from "../tensor/faults.ts";
import { fitsHalves } from "../tensor/frozen_matrix.ts";
import type { OpenedText } from "../text/tower.ts";
import { nextTurn } from "../turn.ts";
import type { VitWeights } from "../vit/types.ts";
import { layerMatrices, loadVit, mayBeHalves } from "../vit/weights.ts";
import { createRunControl, type RunControl } from "./control.ts";
import { corruptedSet, validChoice } from "./corruptions.ts";
import { evaluateSet } from "./evaluate.ts";
import { cancelled, type Job, type Tick } from "./job.ts";
import { namesOf } from "./judges.ts";
import { estimateMemory } from "./memory.ts";
import { packerOf } from "./pack.ts";
import type {
  BackendChoice,
  DeviceReport,
  ExportReport,
  MemoryEstimate,
  MergedReport,
  ModelAnswers,
  ModelReport,
  SavedRun,
  Session,
  SessionEvent,
  SetAccuracy,
  SourceFile,
  Task,
} from "./protocol.ts";
import { type Recipe, recipeSchema } from "./recipe.ts";
import {
  evaluateRun,
  measurePath,
  measureTarget,
  type Run,
  restoreRun,
  type Starts,
  trainRun,
} from "./run.ts";
import {
  type AnySet,
  decisive,
  handMapping,
  type LoadedSet,
  lostOf,
  measured,
  measuredSets,
  readAs,
  reportOn,
  reportOnKept,
} from "./sets.ts";
import { robustness, tradeOff } from "./trade_off.ts";

/** Milliseconds within which a device that was lost says so, once something has failed on it. */
const LOSS_IS_TOLD = 1000;

/** Sets up to this many images are decoded when they are loaded, in a few seconds; of larger ones each image when it is
 *  needed, those that are measured before anything is. */
const DECODED_AT_LOAD = 2_000;

interface Model {
  checkpoint: Checkpoint;
  text: OpenedText;
  /** On the device; null until a device is open. */
  weights: VitWeights | null;
  /** Numbers that lie on a GPU as f16 pairs. */
  halves: number;
  /** Of its files; null where it cannot be had. */
  fingerprint: string | null;
}

const models = () => import("./models.ts");

/** Numbers in a checkpoint. */
function parametersOf({ source }: Checkpoint): number {
  let count = 0;
  for (const { pieces } of source.tensors) for (const piece of pieces) count += piece.count;
  return count;
}

/**
 * Makes the engine of one session. Nothing is opened or loaded until it is asked for.
 * @param decode turns an image file into pixels: the browser's or Node's
 * @param decodedAtLoad most images of a set that are all decoded when it is loaded
 */
export function createEngine(decode: DecodeImage, decodedAtLoad = DECODED_AT_LOAD): Session {
  const listeners = new Set<(event: SessionEvent) => void>();
  const emit = (event: SessionEvent) => {
    for (const listener of listeners) listener(event);
  };

  let backend: Backend | null = null;
  /** What was asked for last, so that a device that is opened by itself is of that kind. */
  let choice: BackendChoice = "auto";
  /** Why the device that was open is gone, until another is. */
  let lost: Failure | null = null;
  /** A lost device, to be closed before another is opened. */
  let gone: Backend | null = null;
  let model: Model | null = null;
  let run: Run | null = null;
  const sets = new Map<string, AnySet>();
  let lastSetId = 0;

  // One job at a time: a job waits for the one before it. Stop, pause and resume speak to the job that runs.
  let queue: Promise<unknown> = Promise.resolve();
  let current: AbortController | null = null;
  /** The job at hand where it computes on the device, and so ends with it. */
  let onIt: AbortController | null = null;
  let control: RunControl | null = null;
  /** Id of the run that `control` speaks to. */
  let underWay: string | null = null;
  /** The run that the device failed, as of its last good step. */
  let kept: SavedRun | null = null;
  /** Set while the last run is gone with its device. */
  let runLost: Failure | null = null;
  /** Asked for so far; only the last one is worth measuring. */
  let adjustments = 0;
  let adjusting: AbortController | null = null;

  function exclusive<T>(
    status: Extract<SessionEvent, { kind: "status" }>["status"],
    work: (job: Job) => Promise<T>,
  ): Promise<T> {
    const turn = queue.then(async () => {
      const abort = new AbortController();
      current = abort;
      emit({ kind: "status", status });
      try {
        return await work({
          signal: abort.signal,
          emit,
          progress: (task, label) => ticker(task, label, abort.signal),
        });
      } finally {
        current = null;
        emit({ kind: "status", status: "idle" });
      }
    });
    // The queue goes on after a job that failed; who asked for it hears of it through `turn`.
    queue = turn.catch(() => {});
    return turn;
  }

  /**
   * A job that computes on the device. Whatever it throws when that is lost, and even if it came to an end on it, is
   * no news beside the loss: it rejects with that.
   */
  function onDevice<T>(
    status: Extract<SessionEvent, { kind: "status" }>["status"],
    work: (job: Job) => Promise<T>,
  ): Promise<T> {
    return exclusive(status, async (job) => {
      const before = lost;
      onIt = current;
      try {
        const value = await work(job);
        if (lost === null || lost === before) return value;
      } catch (error) {
        if (lost === before) await lossToBeTold(error);
        if (lost === null || lost === before) {
          if (backend?.name === "webgpu") throwIfFaulty();
          throw error;
        }
      } finally {
        onIt = null;
      }
      letGoLost(lost);
      throw lost;
    });
  }

  /** A device tells of its loss a moment after what it breaks: waits for that, where an error may be of this kind. */
  async function lossToBeTold(error: unknown): Promise<void> {
    const known = error instanceof Failure && error.parts.code !== "gpu" && error.parts.code !== "lost";
    if (known || !backend?.lost) return;
    await Promise.race([backend.lost, new Promise((resolve) => setTimeout(resolve, LOSS_IS_TOLD))]);
  }

  /** Lets go of what lies on the device. What is saved of the run is no tensor, and may come back on another. */
  function letGo(): void {
    run?.dispose();
    run = null;
    starts.clear();
    frozen = null;
    model?.weights?.dispose();
    if (model) model.weights = null;
  }

  /** The same on a device that is gone. */
  function letGoLost(failure: Failure): void {
    if (run) runLost = failure;
    try {
      letGo();
    } catch {
      // Freeing what is gone may fail; it is gone all the same.
      run = null;
      if (model) model.weights = null;
    }
  }

  async function openDevice(wanted: BackendChoice, oneThread = false): Promise<Backend> {
    await gone?.close();
    gone = null;
    const opened = await openBackend(wanted, oneThread);
    choice = wanted;
    lost = null;
    opened.lost?.then((reason) => {
      if (backend !== opened) return;
      backend = null;
      gone = opened;
      lost = new Failure({
        code: "lost",
        what: `The graphics device was lost: ${reason}.`,
        remedy: "Start again: with a smaller batch if memory ran out, on WASM if it happens again.",
      });
      letGoLost(lost);
      control?.fail(lost);
      onIt?.abort();
      emit({ kind: "lost", failure: lost.parts });
    });
    return opened;
  }

  function ticker(task: Task, label: string, signal: AbortSignal): Tick {
    const started = performance.now();
    let last = Number.NEGATIVE_INFINITY;
    return (done, total) => {
      if (signal.aborted) throw cancelled(label);
      const now = performance.now();
      if (done !== total && now - last < 100) return;
      last = now;
      const seconds = (now - started) / 1000;
      const secondsLeft = done > 0 && total > 0 && seconds > 0.5 ? (seconds / done) * (total - done) : null;
      emit({ kind: "progress", task, label, done, total, secondsLeft });
    };
  }

  /** The files of a drop, its unopened folders looked through. */
  async function lookThrough(name: string, dropped: readonly SourceFile[], task: Task, job: Job) {
    const tick = job.progress(task, "Looking through the folders");
    const { files, lost } = await openFolders(dropped, (found) => tick(found, 0));
    if (lost.length > 0) emit({ kind: "notice", text: unopenedWords(name, lost) });
    return files;
  }

  function need<T>(value: T | null | undefined, what: string, remedy: string): T {
    if (value !== null && value !== undefined) return value;
    throw new Failure({ code: "state", what, remedy });
  }
  const needModel = () => need(model, "No model is loaded.", "Load a model first.");
  const needTarget = () =>
    need(
      measuredSets(sets.values()).find(({ role }) => role === "target"),
      "No target images are loaded.",
      "Load a folder of target images first.",
    );
  /** The set that is made of the target's images. */
  const corruptedOne = () => [...sets.values()].find(({ corruption }) => corruption);
  const needSet = (id: string) => need(sets.get(id), "This data set is not loaded.", "Load it again.");

  const ownLabels = () => model?.checkpoint.architecture.labels ?? [];

  /** What the classes of a set can count as. Where the model has no labels of its own, retention's are its own. */
  function namesFor(set: LoadedSet): string[] {
    if (set.role !== "retention")
      return [...sets.values()].find(({ role }) => role === "target")?.images.classes ?? [];
    return model && ownLabels().length === 0 ? set.images.classes : ownLabels();
  }

  const reportOf = (set: AnySet) =>
    set.role === "keep" ? reportOnKept(set) : reportOn(set, namesFor(set), ownLabels());

  /** Where runs start, until something they are made of changes: those of a row measure the same "before" once. */
  const starts: Starts = new Map();
  /** What the network on the device made of images, until the set or the network is another. */
  let frozen: FrozenFeatures | null = null;

  function replaceRun(next: Run | null) {
    run?.dispose();
    run = next;
    kept = null;
    runLost = null;
  }

  /** Something that runs are made of has changed; nothing of a set that is gone is kept. */
  function forgetRun(gone: string | null = null) {
    replaceRun(null);
    starts.clear();
    if (gone !== null) frozen?.forget(gone);
  }

  async function device(): Promise<Backend> {
    if (!backend) {
      backend = await openDevice(choice);
      emit({ kind: "device", device: deviceReport(backend) });
    }
    return backend;
  }

  /** The network on the device, uploading it the first time. */
  async function network(job: Job): Promise<VitWeights> {
    const loaded = needModel();
    await device();
    const { architecture, preprocessing } = loaded.checkpoint;
    const read = readerOf(loaded.checkpoint, job.progress("model", "Loading the network onto the device"));
    loaded.weights ??= await loadVit(architecture, preprocessing, read);
    if (!frozen?.of(loaded.weights)) frozen = new FrozenFeatures(loaded.weights);
    return loaded.weights;
  }

  /** Prepares a set's pixels for a model: a small set is decoded, and what cannot be read remembered. */
  async function cutPixels(set: AnySet, spec: ResizeSpec, job: Job): Promise<() => void> {
    const store = new PixelStore(set.images, spec, decode);
    const large = set.images.items.length > decodedAtLoad;
    const unreadable = large ? [] : await decodeAll(set, store, [...set.images.items.keys()], job);
    return () => {
      set.unreadable = new Set(unreadable.map(({ index }) => index));
      set.unchecked = large ? decisive(set) : [];
      set.pixels = store;
    };
  }

  const decodeAll = (set: AnySet, store: PixelStore, indices: readonly number[], job: Job) =>
    store.prepare(indices, job.progress("data", `Reading images of ${set.name}`), job.signal);

  /** Decodes what has not been decoded yet of a set that is new. */
  async function preparePixels(set: AnySet, job: Job): Promise<void> {
    if (!model || set.pixels) return;
    const keep = await cutPixels(set, model.checkpoint.preprocessing, job);
    keep();
  }

  /** The same before a set is measured: of a large one, what that needs is decoded now. */
  async function checkPixels(set: AnySet, job: Job): Promise<void> {
    await preparePixels(set, job);
    const { unchecked } = set;
    if (unchecked.length === 0) return;
    const unreadable = await decodeAll(set, set.pixels as PixelStore, unchecked, job);
    set.unreadable = new Set(unreadable.map(({ index }) => index));
    set.unchecked = [];
    if (unreadable.length > 0) emit({ kind: "data", report: reportOf(set) });
  }

  /** Tells of images that are found unreadable only while a job goes on. */
  async function tellingOfLost<T>(work: () => Promise<T>): Promise<T> {
    const before = new Map([...sets.values()].map((set) => [set, lostOf(set).size]));
    try {
      return await work();
    } finally {
      for (const [set, known] of before) {
        const more = lostOf(set).size - known;
        if (more === 0) continue;
        emit({ kind: "notice", text: lostWords(set.name, more) });
        emit({ kind: "data", report: reportOf(set) });
      }
    }
  }

  /**
   * Reads every weight once, so that a damaged one is found before the model takes the other's place.
   * @returns how many numbers a GPU will hold as f16 pairs
   */
  async function checkWeights(checkpoint: Checkpoint, job: Job): Promise<number> {
    const tick = job.progress("model", `Checking the weights of ${checkpoint.name}`);
    const roles = [...checkpoint.roles.keys()];
    const { architecture } = checkpoint;
    const matrices = mayBeHalves(architecture) ? layerMatrices(architecture) : [];
    const halves = new Set(matrices.flat());
    const fitting = new Map<Role, number>();
    for (const [i, role] of roles.entries()) {
      const values = await checkpoint.read(role);
      if (halves.has(role) && fitsHalves(values)) fitting.set(role, values.length);
      tick(i + 1, roles.length);
    }
    return matrices
      .filter((parts) => parts.every((role) => fitting.has(role)))
      .flat()
      .reduce((sum, role) => sum + (fitting.get(role) ?? 0), 0);
  }

  function memoryOf(recipe: Recipe): MemoryEstimate {
    const { checkpoint, halves } = needModel();
    const there = backend?.name === "webgpu" ? halves : 0;
    return estimateMemory(checkpoint.architecture, parametersOf(checkpoint), validRecipe(recipe), there);
  }

  function modelReport({ checkpoint, text: { tower, problem }, fingerprint }: Model): ModelReport {
    const { name, architecture, preprocessing, questions, notes, table, source } = checkpoint;
    const parameters = parametersOf(checkpoint);
    const poolings = poolingsOf(architecture);
    const text = { available: tower !== null && textSpacePooling(architecture) !== null, problem };
    return {
      name,
      architecture,
      preprocessing,
      parameters,
      poolings,
      text,
      questions,
      notes,
      table,
      licence: licenceOf(source.config),
      fingerprint,
    };
  }

  /** What a run needs of what is loaded. */
  async function runInput(recipe: Recipe, job: Job) {
    const valid = validRecipe(recipe);
    const { checkpoint, text, fingerprint } = needModel();
    const target = needTarget();
    // A budget that cannot be kept is refused before anything is loaded or measured.
    budgetOf(valid, listGates(checkpoint.architecture, valid).length);
    for (const set of sets.values()) await checkPixels(set, job);
    const weights = await network(job);
    const all = measuredSets(sets.values());
    const kept = [...sets.values()].filter((set) => set.role === "keep");
    const known = { checkpoint, text, fingerprint, target, sets: all, kept, recipe: valid, job };
    return { weights, frozen: frozen as FrozenFeatures, ...known };
  }

  async function merge(job: Job): Promise<MergedReport> {
    const trained = needRun();
    const { checkpoint } = needModel();
    const target = needTarget();
    const changes = await trained.trainer.adaptation.merge(trained.applied);
    const head = await trained.trainer.head(trained.applied.strength);
    changes.set("head.weight", head.weight);
    changes.set("head.bias", head.bias);
    const { classes } = target.images;
    const { pooling } = trained.network;
    const { writeMerged } = await models();
    return writeMerged(checkpoint, changes, classes, pooling, job.progress("export", "Merging"));
  }

  /** The file itself is opened and scored before it is offered, so that what is taken home is what was measured. */
  async function readBack(files: SourceFile[], job: Job): Promise<SetAccuracy> {
    const trained = needRun();
    const again = await openAgain(files, needModel().checkpoint);
    const read = readerOf(again, job.progress("export", "Opening the file"));
    const weights = await loadVit(again.architecture, again.preprocessing, read);
    try {
      return await measureTarget(weights, trained, job);
    } finally {
      weights.dispose();
    }
  }

  return {
    open: (wanted: BackendChoice, oneThread?: boolean) =>
      exclusive("loading", async () => {
        // Tensors belong to the backend they were made on: everything on the old one is made anew when needed. Another
        // GPU device takes the old one's place in tfjs, which then finds nothing that was on it to dispose of.
        const had = run;
        if (backend?.name === "webgpu" && wanted !== "wasm") letGo();
        const opened = await openDevice(wanted, oneThread).catch((error: unknown) => {
          if (had && !run) runLost = Failure.from(error);
          throw error;
        });
        letGo();
        runLost = null;
        await backend?.close();
        backend = opened;
        return deviceReport(opened);
      }),

    loadModel: (dropped: SourceFile[], answers: ModelAnswers) =>
      exclusive("loading", async (job) => {
        const { checkRoom, openCheckpoint, openText, unpackModel } = await models();
        const found = await lookThrough("the model", dropped, "model", job);
        const files = await unpackModel(found);
        const checkpoint = await openCheckpoint(files, answers);
        checkRoom(4 * parametersOf(checkpoint), "bad-model");
        const halves = await checkWeights(checkpoint, job);
        const text = await openText(checkpoint.source, files, checkpoint.architecture.activation);
        const fingerprint = await fingerprintOf(found);
        // Pixels there are were cut for the other model, and a set that came first has never been decoded.
        const cut: (() => void)[] = [];
        for (const set of sets.values())
          if (!set.corruption) cut.push(await cutPixels(set, checkpoint.preprocessing, job));
        forgetRun();
        frozen = null;
        model?.weights?.dispose();
        model = { checkpoint, text, weights: null, halves, fingerprint };
        for (const keep of cut) keep();
        return modelReport(model);
      }),

    loadData: (role, name, dropped, seed, answers = {}) =>
      exclusive("loading", async (job) => {
        // In a chunk of its own: the first page does not wait for it.
        const { listImages, listUnlabelled } = await import("../dataset/list.ts");
        const files = await lookThrough(name, dropped, "data", job);
        const tell = job.progress("data", `Listing the files of ${name}`);
        const images =
          role === "keep"
            ? await listUnlabelled(name, files, answers, tell)
            : await listImages(name, files, { seed, needsSplit: role === "target", answers, tell });
        const fingerprint = await fingerprintOf(files);
        const set: AnySet = {
          id: `set-${++lastSetId}`,
          role,
          name,
          images,
          byHand: new Map(),
          ...(await imagenetRowsFor(images)),
          unreadable: new Set(),
          unchecked: [],
          pixels: null,
          ...(dropped.some(({ inside }) => inside) && { files }),
          fingerprint: fingerprint && fingerprint + readAs(images, answers, seed),
        };
        await preparePixels(set, job);
        for (const other of [...sets.values()])
          if (other.role === role && (role === "target" || other.name === name)) {
            sets.delete(other.id);
            forgetRun(other.id);
          }
        sets.set(set.id, set);
        const corrupted = corruptedOne();
        if (set.role === "target" && corrupted?.corruption)
          sets.set(corrupted.id, corruptedSet(corrupted.id, set as LoadedSet, corrupted.corruption));
        forgetRun(corrupted?.id);
        return reportOf(set);
      }),

    corrupt: (choice) =>
      exclusive("loading", async () => {
        const valid = choice && validChoice(choice);
        const target = valid && needTarget();
        const old = corruptedOne();
        if (old) sets.delete(old.id);
        forgetRun(old?.id);
        if (!target) return null;
        const set = corruptedSet(old?.id ?? `set-${++lastSetId}`, target, valid);
        sets.set(set.id, set);
        return reportOn(set, namesFor(set), ownLabels());
      }),

    removeData: (id) =>
      exclusive("loading", async () => {
        const { role } = needSet(id);
        sets.delete(id);
        const corrupted = corruptedOne();
        forgetRun(id);
        if (role !== "target" || !corrupted) return;
        sets.delete(corrupted.id);
        forgetRun(corrupted.id);
      }),

    mapClasses: (id, mapping) =>
      exclusive("loading", async () => {
        const set = needSet(id);
        if (set.role === "keep") return reportOnKept(set);
        const names = namesFor(set);
        for (const [className, counterpart] of handMapping(set, names, mapping))
          set.byHand.set(className, counterpart);
        // Asked without a mapping, this is only a question.
        if (Object.keys(mapping).length > 0) forgetRun();
        return reportOn(set, names, ownLabels());
      }),

    estimateMemory: async (recipe) => memoryOf(recipe),

    evaluate: (id, head, recipe) =>
      onDevice("evaluating", async (job) => {
        const { checkpoint, text } = needModel();
        const set = needSet(id);
        if (set.role === "keep" || (set.role === "target") !== (head === "linear" || head === "knn")) {
          throw new Failure({
            code: "bad-data",
            what: `A set of ${set.role} images is not measured by the head "${head}".`,
            where: set.name,
            remedy: "Load it as target for linear and knn, as retention for own and zero-shot.",
          });
        }
        await checkPixels(set, job);
        const weights = await network(job);
        const known = {
          checkpoint,
          text,
          recipe: validRecipe(recipe),
          frozen: frozen as FrozenFeatures,
          job,
        };
        return tellingOfLost(() => evaluateSet({ weights, ...known }, set, head));
      }),

    train: (recipe, as) =>
      onDevice("training", async (job) => {
        const from = typeof as === "object" ? as : undefined;
        const id = typeof as === "string" ? as : (from?.id ?? crypto.randomUUID());
        const input = await runInput(recipe, job);
        (await models()).checkRoom(memoryOf(recipe).bytes, "bad-recipe");
        // A run needs the memory more than the toggles of the one before it do.
        for (const entries of run?.entries.values() ?? []) entries.clear();
        control = createRunControl();
        underWay = id;
        kept = null;
        const keep = (saved: SavedRun) => {
          kept = saved;
        };
        let trained: Run;
        try {
          trained = await tellingOfLost(() =>
            trainRun({ ...input, id, starts, control: control as RunControl, from, keep }),
          );
        } finally {
          control = null;
          underWay = null;
        }
        // Only now: a run that failed or was cancelled leaves the one before it as it was.
        replaceRun(trained);
        return trained.result;
      }),

    saveRun: async (id) => {
      const meant = (one: string | undefined | null) => one && (id === undefined || id === one);
      if (meant(underWay)) return control?.save() ?? null;
      if (meant(kept?.id)) return kept;
      return run && meant(run.id) ? run.save() : null;
    },

    restoreRun: (saved) =>
      onDevice("loading", async (job) => {
        const restored = await restoreRun(await runInput(saved.recipe, job), saved);
        replaceRun(restored);
        return restored.result;
      }),

    measurePath: (strengths, limit) =>
      onDevice("evaluating", async (job) => measurePath(needRun(), strengths, limit, job)),

    pause: async () => control?.pause(),
    resume: async () => control?.resume(),
    stop: async () => {
      if (control?.started) control.stop();
      else current?.abort();
    },

    adjust: (open, strength) => {
      const mine = ++adjustments;
      adjusting?.abort();
      return onDevice("evaluating", async (job) => {
        if (mine !== adjustments) throw cancelled("Measuring");
        const trained = needRun();
        if (open.length !== trained.result.gates.length || !(strength >= 0 && strength <= 1)) {
          throw new Failure({
            code: "bad-recipe",
            what: "The gates or the strength do not fit this run.",
            remedy: "Give one entry a gate, and a strength from 0 to 1.",
          });
        }
        adjusting = current;
        try {
          const evaluation = await evaluateRun(trained, { open, strength }, job);
          trained.applied = { open, strength };
          return evaluation;
        } finally {
          adjusting = null;
        }
      });
    },

    tradeOff: () => onDevice("evaluating", async (job) => tradeOff(needRun(), job)),
    robustness: () => onDevice("evaluating", async (job) => robustness(needRun(), job)),

    exportMerged: () =>
      onDevice("exporting", async (job): Promise<ExportReport> => {
        const merged = await merge(job);
        return { ...merged, check: await readBack(merged.files, job) };
      }),
    merge: () => onDevice("exporting", merge),
    readBack: (files) => onDevice("exporting", (job) => readBack(files, job)),

    pack: async (id, limit) => {
      const files = sets.get(id)?.files;
      return files ? packerOf(files)(limit) : null;
    },

    image: async (id, index) => {
      const set = needSet(id);
      if (set.role === "keep")
        return need(set.images.items[index], "There is no such image.", "Load it again.").read();
      const names = run ? namesOf(run.network, set) : namesFor(set);
      const item = set.images.items[measured(set, names).indices[index] ?? -1];
      return need(item, "There is no such image.", "Evaluate again.").read();
    },

    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };

  function needRun(): Run {
    if (!run && runLost) throw runLost;
    return need(run, "Nothing has been trained yet.", "Start a run first.");
  }
}

/** Reads a checkpoint's tensors, says how many it has read, and ends when the job is cancelled. */
function readerOf({ roles, read }: Checkpoint, tick: Tick): Checkpoint["read"] {
  let done = 0;
  return async (role) => {
    tick(done++, roles.size);
    await nextTurn();
    return read(role);
  };
}

const deviceReport = ({ name, adapter, reason }: Backend): DeviceReport => ({
  backend: name,
  adapter,
  reason,
});

/** The table of WordNet's ids, fetched where a class is named by one, which few are. */
async function imagenetRowsFor(images: ImageSet): Promise<Pick<LoadedSet, "imagenetRows">> {
  if (images.classes.every((name) => wordnetId(name) === null)) return {};
  try {
    const { imagenetRows } = await import("../dataset/imagenet_ids.ts");
    return { imagenetRows: imagenetRows() };
  } catch {
    images.issues.push({
      severity: "warning",
      text: "Classes are named by WordNet ids, and the table of them could not be fetched. Reload the page where it was served from, or map classes by hand.",
      paths: [],
    });
    return {};
  }
}

/** Opens an exported model; what its files have no place for (timm's heads, OpenCLIP's activation) is answered as used. */
async function openAgain(
  files: SourceFile[],
  { architecture, preprocessing }: Checkpoint,
): Promise<Checkpoint> {
  const { openCheckpoint } = await models();
  const again = await openCheckpoint(files, {});
  if (again.questions.length === 0) return again;
  const { heads, activation, layerNormEps, imageSize } = architecture;
  const { mean, std, interpolation, resize } = preprocessing;
  const edge = resize.mode === "exact" ? resize.height : resize.edge;
  const used: ModelAnswers = {
    heads,
    activation,
    layerNormEps,
    imageSize,
    mean,
    std,
    interpolation,
    resize: edge,
  };
  const open = again.questions.map(({ key }) => [key, used[key]]);
  return openCheckpoint(files, Object.fromEntries(open));
}

/** What could not be opened of a drop, in a sentence. */
function unopenedWords(name: string, lost: readonly string[]): string {
  const what =
    lost.length === 1 ? "1 file or folder" : `${lost.length.toLocaleString("en")} files and folders`;
  return `${what} of ${name} could not be opened, the first ${lost[0]}; the rest is read.`;
}

function lostWords(name: string, count: number): string {
  return count === 1
    ? `An image of ${name} cannot be read; another of its class was taken in its place.`
    : `${count.toLocaleString("en")} images of ${name} cannot be read; others of their classes were taken in their place.`;
}

/** The licence that a config names. */
function licenceOf(config: Record<string, unknown> | null): string | null {
  const named = config?.license ?? config?.licence;
  return typeof named === "string" && named.trim() !== "" ? named.trim().slice(0, 200) : null;
}

function validRecipe(recipe: Recipe): Recipe {
  const result = recipeSchema.safeParse(recipe);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new Failure({
    code: "bad-recipe",
    what: issue?.message ?? "The recipe is not valid.",
    where: issue?.path.join("."),
    remedy: "Choose a value inside the bounds shown.",
  });
}
