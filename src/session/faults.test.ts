// Faults as a person meets them, through the session: what ended the run and where, and that what was learned before is
// there to be used. How each fault is noticed is tested where it happens (training/faults.test.ts).
import { afterEach, beforeAll, expect, test, vi } from "vitest";
import { fixture } from "../checkpoint/fixtures/load.ts";
import { Failure, type FailureParts } from "../failure.ts";
import { createNodeSession } from "./node.ts";
import type { Session, SourceFile } from "./protocol.ts";
import { defaultRecipe, type Recipe } from "./recipe.ts";
import { listen, pictures } from "./testing.ts";

/** What the loss of a step shall come to; null lets it be. */
const planted = vi.hoisted(() => ({ fault: null as { at: string; parts: unknown } | null }));

vi.mock("../tensor/faults.ts", async (original) => {
  const faults = await original<typeof import("../tensor/faults.ts")>();
  return {
    ...faults,
    checkFinite(value: number, where: string) {
      if (planted.fault?.at === where) throw new Failure(planted.fault.parts as FailureParts);
      return faults.checkFinite(value, where);
    },
  };
});

// Three steps an epoch; a snapshot is taken at the end of each, as time is made to pass quickly.
const recipe: Recipe = { ...defaultRecipe, rank: 2, epochs: 3, batch: 6, learningRate: 0.02, seed: 7 };
const numeric: FailureParts = {
  code: "numeric",
  what: "The value became not a number.",
  where: "step 5",
  remedy: "Lower the learning rate.",
};
const gpu: FailureParts = {
  code: "gpu",
  what: "A shader does not compile on this graphics device (unknown identifier).",
  where: "attentionInputGradient 16",
  remedy: "Switch to the WASM backend.",
};

let target: SourceFile[];
beforeAll(async () => {
  target = await pictures("pets", ["cat", "dog", "mouse"], { train: 6, val: 2, test: 5 });
});
afterEach(() => {
  planted.fault = null;
  vi.restoreAllMocks();
});

async function withTarget(): Promise<Session> {
  const session = createNodeSession();
  await session.open("wasm");
  await session.loadModel(fixture("vit"), {});
  await session.loadData("target", "pets", target, 0);
  return session;
}

/** Lets a minute pass between any two looks at the clock. */
function hurry(): void {
  let now = 0;
  vi.spyOn(performance, "now").mockImplementation(() => {
    now += 60_000;
    return now;
  });
}

test("numbers that run away end the run at its last good step, which is measured and can be exported", async () => {
  const session = await withTarget();
  hurry();
  planted.fault = { at: "step 5", parts: numeric };
  const result = await session.train(recipe);
  expect(result).toMatchObject({ complete: false, steps: 3, final: { step: 3 } });
  expect(result.failure).toMatchObject({ code: "numeric", what: numeric.what });
  expect(result.failure?.remedy).toMatch(/What was learned by step 3 is kept\.$/);
  expect(result.after.sets[0]?.count).toBe(15);
  // The very same as a run that was stopped there.
  planted.fault = null;
  const again = await withTarget();
  const end = again.subscribe((event) => {
    if (event.kind === "accuracy" && event.point.step > 0) void again.stop();
  });
  const stopped = await again.train(recipe);
  end();
  expect(stopped.steps).toBe(3);
  expect([...result.final.scores]).toEqual([...stopped.final.scores]);
  expect(result.after.sets[0]?.predictions).toEqual(stopped.after.sets[0]?.predictions);
  expect((await session.exportMerged()).check.accuracy).toBe(result.after.sets[0]?.accuracy);
  expect((await session.saveRun())?.result?.failure?.code).toBe("numeric");
});

test("numbers that run away before anything was learned are a failure, and what was loaded stays", async () => {
  const session = await withTarget();
  planted.fault = { at: "step 1", parts: { ...numeric, where: "step 1" } };
  await expect(session.train(recipe)).rejects.toMatchObject({ parts: { code: "numeric" } });
  expect(await session.saveRun()).toBeNull();
  planted.fault = null;
  expect((await session.train(recipe)).complete).toBe(true);
});

test("a device that fails leaves the run as of its last good step, to be gone on with", async () => {
  const usual = await (await withTarget()).train(recipe);
  const session = await withTarget();
  hurry();
  planted.fault = { at: "step 5", parts: gpu };
  await expect(session.train(recipe)).rejects.toMatchObject({ parts: gpu });
  const saved = await session.saveRun();
  expect(saved).toMatchObject({ step: 3, steps: 9, result: null });
  planted.fault = null;
  vi.restoreAllMocks();
  await session.open("wasm");
  const events = listen(session);
  const result = await session.train(recipe, saved!);
  expect(events.find((event) => event.kind === "step")).toMatchObject({ report: { step: 4 } });
  expect(result).toMatchObject({ complete: true, steps: 9 });
  expect([...result.final.scores]).toEqual([...usual.final.scores]);
});
