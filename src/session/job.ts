// One job of the engine: how it reports how far it is, and how it notices that it was cancelled.
import { Failure } from "../failure.ts";
import type { SessionEvent, Task } from "./protocol.ts";

/** Reports progress of one job; `done` out of `total` of whatever `label` counts. Throws once the job is cancelled. */
export type Tick = (done: number, total: number) => void;

export interface Job {
  signal: AbortSignal;
  progress(task: Task, label: string): Tick;
  emit(event: SessionEvent): void;
}

/** What a job that was stopped by the person throws. */
export const cancelled = (what: string) =>
  new Failure({
    code: "cancelled",
    what: `${what} was cancelled.`,
    remedy: "What was loaded before is still there.",
    inTerminal: "",
  });
