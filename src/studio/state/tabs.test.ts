// One tab has the table. The others wait for it, ask for it, and take it from one that does not answer.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createTabs } from "./tabs.ts";
import { originChannel, originLocks } from "./testing.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Tabs of one origin. */
function origin() {
  const { locks, release } = originLocks();
  const channel = originChannel();
  return { release, said: channel.said, tab: () => createTabs(channel.tab(), { locks }) };
}
const turns = () => vi.advanceTimersByTimeAsync(1);

test("the first tab has the table, the next is told what it shows and gets it when the first is gone", async () => {
  const { tab, release } = origin();
  const [first, second] = [tab(), tab()];
  expect((await first.take()).free).toBe(true);
  const waits = await second.take();
  expect(waits.free).toBe(false);
  expect([first.getState().mine, second.getState().mine]).toEqual([true, false]);
  let got = false;
  void waits.mine.then(() => {
    got = true;
  });
  await turns();
  expect(got).toBe(false);
  release();
  await turns();
  expect(got).toBe(true);
  expect(second.getState()).toMatchObject({ mine: true, seen: null });
});

test("a tab that is asked saves first, and then the table is the other's; one that waits longer goes on waiting", async () => {
  const { tab } = origin();
  const [first, patient, eager] = [tab(), tab(), tab()];
  const steps: string[] = [];
  first.ways.give = async () => {
    steps.push("saves");
    await new Promise((resolve) => setTimeout(resolve, 20_000));
    steps.push("saved");
    return null;
  };
  first.ways.lost = () => void steps.push("lost");
  await first.take();
  await patient.take();
  await eager.take();
  eager.takeOver();
  await turns();
  // Saving may take longer than an answer.
  await vi.advanceTimersByTimeAsync(10_000);
  expect(eager.getState()).toMatchObject({ mine: false, taking: { kind: "giving" } });
  expect(patient.getState().taking).toBeNull();
  await vi.advanceTimersByTimeAsync(11_000);
  expect(steps).toEqual(["saves", "saved", "lost"]);
  expect([first, patient, eager].map((one) => one.getState().mine)).toEqual([false, false, true]);
});

test("a tab that would lose something says what, and keeps the table until it is taken all the same", async () => {
  const { tab } = origin();
  const [first, second] = [tab(), tab()];
  const lost = vi.fn();
  Object.assign(first.ways, { give: async () => "The model is not kept.", lost });
  await first.take();
  await second.take();
  second.takeOver();
  await vi.advanceTimersByTimeAsync(100_000);
  expect(second.getState()).toMatchObject({
    mine: false,
    taking: { kind: "held", why: "The model is not kept." },
  });
  expect(lost).not.toHaveBeenCalled();
  second.steal();
  await turns();
  expect(second.getState()).toMatchObject({ mine: true, taking: null });
  expect(lost).toHaveBeenCalledOnce();
});

test("a tab that does not answer, or never has saved, is robbed", async () => {
  for (const answers of [false, true]) {
    const { locks } = originLocks();
    const channel = originChannel();
    const hung = createTabs(answers ? channel.tab() : originChannel().tab(), { locks });
    const other = createTabs(channel.tab(), { locks });
    hung.ways.give = () => new Promise(() => {});
    await hung.take();
    await other.take();
    other.takeOver();
    await vi.advanceTimersByTimeAsync(answers ? 59_000 : 3_900);
    expect(other.getState().mine).toBe(false);
    await vi.advanceTimersByTimeAsync(1_500);
    expect(other.getState().mine).toBe(true);
  }
});

test("where the browser cannot tell tabs apart, each has its own table and says so", async () => {
  vi.stubGlobal("navigator", {});
  const channel = originChannel();
  const tabs = createTabs(channel.tab());
  vi.unstubAllGlobals();
  channel.tab().post({ kind: "watch", seen: { name: "Other" } });
  expect(tabs.getState().tells).toBe(false);
  const { free, mine } = await tabs.take();
  await mine;
  expect([free, tabs.getState().mine]).toEqual([true, true]);
  expect(tabs.getState().seen).toEqual({ name: "Other" });
  expect(channel.said).toContainEqual({ kind: "hello" });
});
