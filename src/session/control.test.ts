import { expect, test } from "vitest";
import { Failure } from "../failure.ts";
import { createRunControl } from "./control.ts";
import type { SavedRun } from "./protocol.ts";

/** Whether a promise has settled once everything that can run now has run. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  void promise.then(() => {
    done = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 0));
  return done;
}

test("a run nobody interferes with goes on and hears of no pause", async () => {
  const held: boolean[] = [];
  expect(await createRunControl().between((now) => held.push(now))).toBe("go");
  expect(held).toEqual([]);
});

test("a failure from outside ends a run at its next boundary, and one that is held at once", async () => {
  const failure = new Failure({ code: "lost", what: "The device was lost.", remedy: "Start again." });
  const running = createRunControl();
  running.fail(failure);
  expect(running.stopping).toBe(true);
  await expect(running.between(() => {})).rejects.toBe(failure);
  const paused = createRunControl();
  paused.pause();
  const waiting = paused.between(() => {});
  paused.fail(failure);
  await expect(waiting).rejects.toBe(failure);
});

test("a pause holds until resume, however often either is pressed", async () => {
  const control = createRunControl();
  const held: boolean[] = [];
  control.pause();
  control.pause();
  const waiting = control.between((now) => held.push(now));
  expect(await settled(waiting)).toBe(false);
  expect(held).toEqual([true]);
  control.resume();
  control.resume();
  expect(await waiting).toBe("go");
  expect(held).toEqual([true, false]);
  expect(await control.between((now) => held.push(now))).toBe("go");
  expect(held).toEqual([true, false]);
});

test("a pause that is taken back before the step has ended holds nothing", async () => {
  const control = createRunControl();
  control.pause();
  control.resume();
  expect(await control.between(() => expect.unreachable())).toBe("go");
});

test("a run can be paused again", async () => {
  const control = createRunControl();
  for (let turn = 0; turn < 2; turn++) {
    control.pause();
    const waiting = control.between(() => {});
    expect(await settled(waiting)).toBe(false);
    control.resume();
    expect(await waiting).toBe("go");
  }
});

test("a stop ends a run that is paused, and a stop is for good", async () => {
  const control = createRunControl();
  control.pause();
  const waiting = control.between(() => {});
  control.stop();
  expect(await waiting).toBe("stop");
  expect(await control.between(() => {})).toBe("stop");
});

test("a run is saved at a boundary, also while it is paused, and not once it has ended", async () => {
  const control = createRunControl();
  expect(await control.save()).toBeNull();
  let saves = 0;
  const saved = { step: 1 } as SavedRun;
  control.start(async () => {
    saves += 1;
    return saved;
  });
  const asked = [control.save(), control.save()];
  expect(await settled(Promise.all(asked))).toBe(false);
  expect(await control.between(() => {})).toBe("go");
  expect(await Promise.all(asked)).toEqual([saved, saved]);
  expect(saves).toBe(1);

  control.pause();
  const waiting = control.between(() => {});
  expect(await control.save()).toBe(saved);
  expect(await settled(waiting)).toBe(false);
  control.resume();
  expect(await waiting).toBe("go");

  const late = control.save();
  control.end();
  expect(await late).toBeNull();
  expect(await control.save()).toBeNull();
});

test("who waits when a stop ends the run is given it as it ended", async () => {
  const control = createRunControl();
  const saved = { step: 3 } as SavedRun;
  control.start(async () => saved);
  const asked = control.save();
  control.stop();
  // A stop in the middle of a step: no boundary comes.
  await control.stopped();
  control.end();
  expect(await asked).toBe(saved);
});
