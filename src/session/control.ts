// Pause, resume and stop of a run: asked at any moment, honoured between two steps.

export interface RunControl {
  /** True once training steps are being made: from then on a stop keeps what was learned. */
  started: boolean;
  pause(): void;
  resume(): void;
  stop(): void;
  /** Awaited between steps; resolves late while paused. `onHold` hears of a pause and its end. */
  between(onHold: (held: boolean) => void): Promise<"go" | "stop">;
}

export function createRunControl(): RunControl {
  let stopped = false;
  let release: (() => void) | null = null;
  let held: Promise<void> | null = null;
  const resume = () => {
    held = null;
    release?.();
  };
  return {
    started: false,
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
    async between(onHold) {
      if (held) {
        onHold(true);
        await held;
        onHold(false);
      }
      return stopped ? "stop" : "go";
    },
  };
}
