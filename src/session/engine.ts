// The engine behind the protocol: holds the model, the data and the run of one session and lets the floors below do
// the work. It runs in a worker under the studio and directly under the terminal.
import { openCheckpoint } from "../checkpoint/open_checkpoint.ts";
import type { Checkpoint } from "../checkpoint/types.ts";
import { listImages } from "../dataset/list.ts";
import { PixelStore } from "../dataset/pixels.ts";
import type { DecodeImage, ResizeSpec } from "../dataset/types.ts";
import { writeMerged } from "../export/merged.ts";
import { Failure } from "../failure.ts";
import { type Backend, openBackend } from "../tensor/backend.ts";
import type { VitWeights } from "../vit/types.ts";
import { loadVit } from "../vit/weights.ts";
import { createRunControl, type RunControl } from "./control.ts";
import { cancelled, type Job, type Tick } from "./job.ts";
import { estimateMemory } from "./memory.ts";
import type {
  BackendChoice,
  DeviceReport,
  ExportReport,
  ModelAnswers,
  ModelReport,
  Session,
  SessionEvent,
  SetRole,
  SourceFile,
  Task,
} from "./protocol.ts";
import { type Recipe, recipeSchema } from "./recipe.ts";
import { evaluateRun, measureTarget, type Run, trainRun } from "./run.ts";
import { type LoadedSet, measured, reportOn } from "./sets.ts";

interface Model {
  checkpoint: Checkpoint;
  /** On the device; null until a device is open. */
  weights: VitWeights | null;
}

/**
 * Makes the engine of one session. Nothing is opened or loaded until it is asked for.
 * @param decode turns an image file into pixels: the browser's or Node's
 */
export function createEngine(decode: DecodeImage): Session {
  const listeners = new Set<(event: SessionEvent) => void>();
  const emit = (event: SessionEvent) => {
    for (const listener of listeners) listener(event);
  };

  let backend: Backend | null = null;
  let model: Model | null = null;
  let run: Run | null = null;
  const sets = new Map<string, LoadedSet>();
  let lastSetId = 0;

  // One job at a time: a job waits for the one before it. Stop, pause and resume speak to the job that runs.
  let queue: Promise<unknown> = Promise.resolve();
  let current: AbortController | null = null;
  let control: RunControl | null = null;

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

  function ticker(task: Task, label: string, signal: AbortSignal): Tick {
    const started = performance.now();
    let last = Number.NEGATIVE_INFINITY;
    return (done, total) => {
      if (signal.aborted) throw cancelled(label);
      const now = performance.now();
      if (done < total && now - last < 100) return;
      last = now;
      const seconds = (now - started) / 1000;
      const secondsLeft = done > 0 && seconds > 0.5 ? (seconds / done) * (total - done) : null;
      emit({ kind: "progress", task, label, done, total, secondsLeft });
    };
  }

  function need<T>(value: T | null | undefined, what: string, remedy: string): T {
    if (value !== null && value !== undefined) return value;
    throw new Failure({ code: "state", what, remedy });
  }
  const needModel = () => need(model, "No model is loaded.", "Load a model first.");
  const needTarget = () =>
    need(
      [...sets.values()].find((set) => set.role === "target"),
      "No target images are loaded.",
      "Load a folder of target images first.",
    );
  const needSet = (id: string) => need(sets.get(id), "This data set is not loaded.", "Load it again.");

  /** What the classes of a set can count as. */
  function namesFor(role: SetRole): string[] {
    if (role === "retention") return model?.checkpoint.architecture.labels ?? [];
    return [...sets.values()].find((set) => set.role === "target")?.images.classes ?? [];
  }

  function forgetRun() {
    run?.dispose();
    run = null;
  }

  async function device(): Promise<Backend> {
    backend ??= await openBackend("auto");
    return backend;
  }

  /** The network on the device, uploading it the first time. */
  async function network(): Promise<VitWeights> {
    const loaded = needModel();
    await device();
    const { architecture, preprocessing, read } = loaded.checkpoint;
    loaded.weights ??= await loadVit(architecture, preprocessing, read);
    return loaded.weights;
  }

  /** Decodes a set for a model, remembering what cannot be read. */
  async function cutPixels(set: LoadedSet, spec: ResizeSpec, job: Job): Promise<() => void> {
    const store = new PixelStore(set.images, spec, decode);
    const tick = job.progress("data", `Reading images of ${set.name}`);
    const all = set.images.items.map((_, i) => i);
    const unreadable = await store.prepare(all, tick, job.signal);
    return () => {
      set.unreadable = new Set(unreadable.map(({ index }) => index));
      set.pixels = store;
    };
  }

  /** Decodes what has not been decoded yet. */
  async function preparePixels(set: LoadedSet, job: Job): Promise<void> {
    if (!model || set.pixels) return;
    const keep = await cutPixels(set, model.checkpoint.preprocessing, job);
    keep();
  }

  /** Reads every weight once, so that a damaged one is found before the model takes the other's place. */
  async function checkWeights(checkpoint: Checkpoint, job: Job): Promise<void> {
    const tick = job.progress("model", `Checking the weights of ${checkpoint.name}`);
    const roles = [...checkpoint.roles.keys()];
    for (const [i, role] of roles.entries()) {
      await checkpoint.read(role);
      tick(i + 1, roles.length);
    }
  }

  function modelReport(checkpoint: Checkpoint): ModelReport {
    const { name, architecture, preprocessing, questions, table, roles } = checkpoint;
    let parameters = 0;
    for (const { shape } of roles.values()) parameters += shape.reduce((a, b) => a * b, 1);
    return { name, architecture, preprocessing, parameters, questions, table };
  }

  return {
    open: (choice: BackendChoice) =>
      exclusive("loading", async () => {
        const opened = await openBackend(choice);
        // Tensors belong to the backend they were made on: everything on the old one is made anew when needed.
        forgetRun();
        model?.weights?.dispose();
        if (model) model.weights = null;
        await backend?.close();
        backend = opened;
        opened.lost?.then((reason) => {
          if (backend !== opened) return;
          backend = null;
          run = null;
          if (model) model.weights = null;
          emit({
            kind: "failure",
            failure: {
              code: "gpu",
              what: `The GPU was lost: ${reason}.`,
              remedy:
                "Your files are still loaded. Start the run again, with a smaller batch if memory ran out.",
            },
          });
        });
        return {
          backend: opened.name,
          adapter: opened.adapter,
          reason: opened.reason,
        } satisfies DeviceReport;
      }),

    loadModel: (files: SourceFile[], answers: ModelAnswers) =>
      exclusive("loading", async (job) => {
        const checkpoint = await openCheckpoint(files, answers);
        await checkWeights(checkpoint, job);
        // Pixels there are were cut for the other model, and a set that came first has never been decoded.
        const cut: (() => void)[] = [];
        for (const set of sets.values()) cut.push(await cutPixels(set, checkpoint.preprocessing, job));
        forgetRun();
        model?.weights?.dispose();
        model = { checkpoint, weights: null };
        for (const keep of cut) keep();
        return modelReport(checkpoint);
      }),

    loadData: (role, name, files, seed) =>
      exclusive("loading", async (job) => {
        const images = await listImages(name, files, { seed, needsSplit: role === "target" });
        const set: LoadedSet = {
          id: `set-${++lastSetId}`,
          role,
          name,
          images,
          byHand: new Map(),
          unreadable: new Set(),
          pixels: null,
        };
        await preparePixels(set, job);
        for (const other of [...sets.values()])
          if (other.role === role && (role === "target" || other.name === name)) sets.delete(other.id);
        sets.set(set.id, set);
        forgetRun();
        return reportOn(set, namesFor(role));
      }),

    removeData: (id) =>
      exclusive("loading", async () => {
        sets.delete(needSet(id).id);
        forgetRun();
      }),

    mapClasses: (id, mapping) =>
      exclusive("loading", async () => {
        const set = needSet(id);
        const names = namesFor(set.role);
        for (const [className, counterpart] of Object.entries(mapping)) {
          if (
            !set.images.classes.includes(className) ||
            (counterpart !== null && !names.includes(counterpart))
          ) {
            throw new Failure({
              code: "bad-data",
              what: `"${className}" cannot be counted as "${counterpart}".`,
              where: set.name,
              remedy: "Choose one of the classes offered.",
            });
          }
        }
        for (const [className, counterpart] of Object.entries(mapping))
          set.byHand.set(className, counterpart);
        // Asked without a mapping, this is only a question.
        if (Object.keys(mapping).length > 0) forgetRun();
        return reportOn(set, names);
      }),

    estimateMemory: async (recipe) => {
      const { checkpoint } = needModel();
      return estimateMemory(checkpoint.architecture, modelReport(checkpoint).parameters, validRecipe(recipe));
    },

    train: (recipe) =>
      exclusive("training", async (job) => {
        const valid = validRecipe(recipe);
        const { checkpoint } = needModel();
        const target = needTarget();
        for (const set of sets.values()) await preparePixels(set, job);
        const weights = await network();
        control = createRunControl();
        let trained: Run;
        try {
          trained = await trainRun({
            weights,
            checkpoint,
            target,
            sets: [...sets.values()],
            recipe: valid,
            job,
            control,
          });
        } finally {
          control = null;
        }
        // Only now: a run that failed or was cancelled leaves the one before it as it was.
        forgetRun();
        run = trained;
        return trained.result;
      }),

    pause: async () => control?.pause(),
    resume: async () => control?.resume(),
    stop: async () => {
      if (control?.started) control.stop();
      else current?.abort();
    },

    adjust: (open, strength) =>
      exclusive("evaluating", async (job) => {
        const trained = needRun();
        if (open.length !== trained.result.gates.length || !(strength >= 0 && strength <= 1)) {
          throw new Failure({
            code: "bad-recipe",
            what: "The gates or the strength do not fit this run.",
            remedy: "Give one entry a gate, and a strength from 0 to 1.",
          });
        }
        const evaluation = await evaluateRun(trained, { open, strength }, job);
        trained.applied = { open, strength };
        return evaluation;
      }),

    exportMerged: () =>
      exclusive("exporting", async (job): Promise<ExportReport> => {
        const trained = needRun();
        const { checkpoint } = needModel();
        const target = needTarget();
        const tick = job.progress("export", "Merging");
        tick(0, 3);
        const changes = await trained.trainer.adaptation.merge(trained.applied);
        const head = await trained.trainer.head(trained.applied.strength);
        changes.set("head.weight", head.weight);
        changes.set("head.bias", head.bias);
        tick(1, 3);
        const written = await writeMerged(checkpoint, changes, target.images.classes);
        tick(2, 3);
        // The file itself is opened and scored before it is offered, so that what is taken home is what was measured.
        const again = await openCheckpoint(written.files, {});
        const weights = await loadVit(again.architecture, again.preprocessing, again.read);
        try {
          const check = await measureTarget(weights, target, job);
          tick(3, 3);
          return { ...written, check };
        } finally {
          weights.dispose();
        }
      }),

    image: async (id, index) => {
      const set = needSet(id);
      const item = set.images.items[measured(set, namesFor(set.role)).indices[index] ?? -1];
      return need(item, "There is no such image.", "Evaluate again.").read();
    },

    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };

  function needRun(): Run {
    return need(run, "Nothing has been trained yet.", "Start a run first.");
  }
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
