// What those that watch see is what the page shows, whatever it stands at, and nothing that is none of it.
import { expect, test } from "vitest";
import type { ClockStore } from "./clock_store.ts";
import { seenOf, seenSchema } from "./mirror.ts";
import type { Runner } from "./runner.ts";
import type { SessionStore } from "./session_store.ts";

const runner = { getState: () => ({ name: "LoRA" }) } as unknown as Runner;
const set = { id: "a", role: "target", name: "pets", accuracy: 0.5 };
const run = { steps: [], points: [], frames: [], gates: [], before: null, result: null, open: null };
const seen = (state: object) =>
  seenSchema.parse(
    seenOf(
      { getState: () => ({ status: "idle", progress: null, ...state }) } as unknown as SessionStore,
      runner,
      { getState: () => ({ left: 12 }) } as unknown as ClockStore,
    ),
  );

test("a page without a run, one that trains, and one that has ended", () => {
  expect(seen({ running: false, run })).toMatchObject({ name: "LoRA", step: 0, open: null, sets: [] });
  const training = {
    ...run,
    before: { sets: [set] },
    steps: [{ step: 3, steps: 9 }],
    points: [{ sets: [{ ...set, accuracy: 0.75, before: 0.25 }] }],
    frames: [{ open: Uint8Array.of(1, 0) }],
    gates: [{}, {}],
  };
  expect(seen({ running: true, status: "training", run: training })).toEqual({
    ...{ name: "LoRA", status: "training", running: true, label: "" },
    ...{ step: 3, steps: 9, secondsLeft: 12, open: 1, gates: 2 },
    sets: [{ role: "target", name: "pets", before: 0.25, accuracy: 0.75 }],
  });
  const after = { sets: [{ ...set, accuracy: 1 }] };
  const result = { steps: 9, after, final: { open: Uint8Array.of(1, 1) } };
  expect(seen({ running: false, run: { ...training, result } })).toMatchObject({
    ...{ step: 9, steps: 9, open: 2, secondsLeft: null },
    sets: [{ before: 0.5, accuracy: 1 }],
  });
});

test.each([null, "words", {}, { name: 3 }, { ...seen({ running: false, run }), sets: [{ role: "other" }] }])(
  "%j is not shown",
  (other) => expect(seenSchema.safeParse(other).success).toBe(false),
);
