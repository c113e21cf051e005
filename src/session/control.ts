// Pause, resume, stop and save of a run: asked at any moment, honoured between two steps.
import type { Failure } from "../failure.ts";
import type { SavedRun } from "./protocol.ts";

export interface RunControl {
  /** True once training steps are being made: from then on a stop keeps what was learned. */
  readonly started: boolean;
  /** Steps begin; `save` is what saves the run at a boundary between two of them. */
  start(save: () => Promise<SavedRun>): void;
  pause(): void;
  resume(): void;
  stop(): void;
  /** Whether a stop was asked for, or the run has failed. */
  readonly stopping: boolean;
  /** Ends the run at the next boundary with a failure, held or not. */
  fail(failure: Failure): void;
  /** The run at the next boundary between steps, paused or not; null when none comes any more. */
  save(): Promise<SavedRun | null>;
  /** Awaited between steps; resolves late while paused. `onHold` hears of a pause and its end. */
  between(onHold: (held: boolean) => void): Promise<"go" | "stop">;
  /** At the boundary at which a stop ended the run, in the middle of a step or after one: saves it for who waits. */
  stopped(): Promise<void>;
  /** After the last boundary: who waits for one is told that none comes. */
  end(): void;
}

export function createRunControl(): RunControl {
  let stopped = false;
  let failed: Failure | null = null;
  let saver: (() => Promise<SavedRun>) | null = null;
  let ended = false;
  let release: (() => void) | null = null;
  let held: Promise<void> | null = null;
  /** Who waits for the run to be saved, and how a paused run hears of one more. */
  let waiting: { resolve: (saved: SavedRun | null) => void; reject: (reason: unknown) => void }[] = [];
  let knock: () => void = () => {};

  const resume = () => {
    held = null;
    release?.();
  };
  async function saveForAll(): Promise<void> {
    const now = waiting;
    waiting = [];
    if (!saver || now.length === 0) return;
    try {
      const saved = await saver();
      for (const { resolve } of now) resolve(saved);
    } catch (error) {
      for (const { reject } of now) reject(error);
    }
  }
  return {
    get started() {
      return saver !== null;
    },
    start(save) {
      saver = save;
    },
    get stopping() {
      return stopped || failed !== null;
    },
    pause() {
      held ??= new Promise((resolve) => {
        release = resolve;
      });
    },
    resume,
    stop() {
      stopped = true;
      resume();
    },
    fail(failure) {
      failed = failure;
      resume();
    },
    save() {
      if (!saver || ended) return Promise.resolve(null);
      return new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
        knock();
      });
    },
    async between(onHold) {
      if (failed) throw failed;
      await saveForAll();
      if (held) {
        onHold(true);
        while (held) {
          const asked = new Promise<void>((resolve) => {
            knock = resolve;
          });
          if (waiting.length === 0) await Promise.race([held, asked]);
          await saveForAll();
        }
        onHold(false);
      }
      if (failed) throw failed;
      return stopped ? "stop" : "go";
    },
    stopped: saveForAll,
    end() {
      ended = true;
      for (const { resolve } of waiting) resolve(null);
      waiting = [];
    },
  };
}
