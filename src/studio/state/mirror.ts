// What the tab that trains shows to those that watch it: once a second the run at one look.
import { z } from "zod";
import type { ClockStore } from "./clock_store.ts";
import type { Runner } from "./runner.ts";
import { openGates, type SessionStore } from "./session_store.ts";
import type { Channel } from "./tabs.ts";

const count = z.int().min(0);
const words = z.string().max(300);
export const seenSchema = z.object({
  name: words,
  status: z.enum(["idle", "loading", "training", "paused", "evaluating", "exporting"]).catch("idle"),
  running: z.boolean(),
  /** What it is busy with beside steps; empty otherwise. */
  label: words,
  step: count,
  steps: count,
  secondsLeft: z.number().min(0).nullable(),
  open: count.nullable(),
  gates: count,
  sets: z
    .array(
      z.object({
        role: z.enum(["target", "ood", "retention"]),
        name: words,
        before: z.number(),
        accuracy: z.number(),
      }),
    )
    .max(100),
});
export type Seen = z.infer<typeof seenSchema>;

const PACE = 1_000;

/** The run at one look; the same numbers as on the page that has it. */
export function seenOf(session: SessionStore, runner: Runner, clock: ClockStore): Seen {
  const { status, running, progress, run } = session.getState();
  const step = run.steps.at(-1);
  const open = openGates(run);
  const after = run.result?.after.sets.map(({ id, role, name, accuracy }) => ({
    ...{ role, name, accuracy },
    before: run.before?.sets.find((set) => set.id === id)?.accuracy ?? accuracy,
  }));
  const before = run.before?.sets.map(({ role, name, accuracy }) => ({
    role,
    name,
    accuracy,
    before: accuracy,
  }));
  const during = run.points
    .at(-1)
    ?.sets.map(({ role, name, accuracy, before }) => ({ role, name, accuracy, before }));
  const { left } = clock.getState();
  return {
    name: runner.getState().name,
    ...{ status, running, label: progress?.label ?? "" },
    step: run.result?.steps ?? step?.step ?? 0,
    steps: run.result?.steps ?? step?.steps ?? 0,
    secondsLeft: running ? left : null,
    open: open?.reduce((sum, one) => sum + one, 0) ?? null,
    gates: run.gates.length,
    sets: after ?? during ?? before ?? [],
  };
}

/** Tells those that watch of every change, at a pace that can be read, while this tab has the table. */
export function mirror(
  session: SessionStore,
  runner: Runner,
  clock: ClockStore,
  channel: Channel,
  mine: () => boolean,
): void {
  let due = false;
  const tell = () => {
    due = false;
    if (mine()) channel.post({ kind: "watch", seen: seenOf(session, runner, clock) });
  };
  session.subscribe(() => {
    if (!due) setTimeout(tell, PACE);
    due = true;
  });
  channel.listen(({ kind }) => {
    if (kind === "hello") tell();
  });
  tell();
}
