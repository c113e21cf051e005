// A graphics device that is lost in each phase, through the real engine, the page's stores and a real database: it is
// told of once, a finished run is never touched, and what the page offers then leads to the end. The device is the CPU
// under another name, taken away when a test says so.
import "fake-indexeddb/auto";
import { afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { Failure } from "../../failure.ts";
import { type Keep, openKeep } from "../../session/keep.ts";
import { createNodeSession } from "../../session/node.ts";
import type { SessionEvent, SourceFile } from "../../session/protocol.ts";
import { defaultRecipe, type Recipe } from "../../session/recipe.ts";
import { fixture, pictures } from "../../session/testing.ts";
import { lossWords } from "../shared/loss.ts";
import { createRecipeStore } from "./recipe_store.ts";
import { createRunner } from "./runner.ts";
import { createRunsStore } from "./runs_store.ts";
import { createSessionStore } from "./session_store.ts";
import { createSitting } from "./sitting.ts";

const device = vi.hoisted(() => ({
  /** Takes the open device away. */
  lose: (() => {}) as (reason: string) => void,
  opened: 0,
  refuses: false,
}));

vi.mock("../../tensor/backend.ts", async (original) => {
  const real = await original<{ openBackend(choice: string): Promise<object> }>();
  return {
    ...real,
    async openBackend(choice: string) {
      if (choice === "wasm" || (choice === "auto" && device.refuses)) return real.openBackend("wasm");
      if (device.refuses)
        throw new Failure({ code: "gpu", what: "No adapter is there.", remedy: "Use WASM." });
      device.opened += 1;
      const lost = new Promise<string>((resolve) => {
        device.lose = resolve;
      });
      return {
        ...(await real.openBackend("wasm")),
        name: "webgpu",
        adapter: "Fake",
        lost,
        close: async () => {},
      };
    },
  };
});

const recipe: Recipe = { ...defaultRecipe, rank: 2, epochs: 4, batch: 6, learningRate: 0.02, seed: 7 };
let model: SourceFile[];
let target: SourceFile[];
let expected: Awaited<ReturnType<typeof undisturbed>>;

beforeAll(async () => {
  model = fixture("vit");
  target = await pictures("pets", ["cat", "dog", "mouse"], { train: 6, val: 2, test: 5 });
  expected = await undisturbed();
});
beforeEach(() => {
  vi.stubGlobal("addEventListener", () => {});
  vi.stubGlobal("document", { hidden: false });
  Object.assign(device, { opened: 0, refuses: false });
});
afterEach(() => vi.unstubAllGlobals());

const eventually = <T>(check: () => T) => vi.waitFor(check, { timeout: 30_000, interval: 5 });

let databases = 0;

/** A page with the tiny model and a few pictures on the device that can be lost. */
async function page({ first = 1e8, keep = null as Keep | null, ready = true } = {}) {
  const engine = createNodeSession();
  const store = createSessionStore(engine, (flush) => setTimeout(flush, 0));
  const kept = keep ?? (await openKeep(`lost-${++databases}`));
  const runs = createRunsStore(async () => kept);
  const runner = createRunner(store, runs);
  // What the sitting still has to keep.
  let keeping = async () => {};
  const { waitFor } = runner;
  runner.waitFor = (wait) => {
    keeping = wait;
    waitFor(wait);
  };
  const address = { read: () => "", write: () => {}, onChange: () => {} };
  const stores = { session: store, runs, runner, recipe: createRecipeStore(address) };
  const pace = { first, next: first };
  const sitting = createSitting(stores, async () => kept, { pace });
  await sitting.begin();
  if (ready) {
    await store.open("webgpu");
    await store.loadModel(model);
    await store.loadData("target", "pets", target, 0);
  }
  /** Loses the device with the first event that fits. */
  const loseAt = (fits: (event: SessionEvent) => boolean) => {
    const end = engine.subscribe((event) => {
      if (!fits(event)) return;
      end();
      device.lose("the driver was reset");
    });
  };
  /** Everything has come to rest, and what is to be kept is. */
  const rest = async () => {
    await eventually(() => {
      const { running, loss, exporting, measuring } = store.getState();
      expect({ running, exporting, measuring }).toEqual({
        running: false,
        exporting: false,
        measuring: null,
      });
      expect(loss?.device).not.toBe("opening");
    });
    await keeping();
    await new Promise((resolve) => setTimeout(resolve, 30));
    await keeping();
  };
  const finish = async (changes: Partial<Recipe> = {}) => {
    await runner.start({ ...recipe, ...changes }, 1);
    const { id, result } = store.getState().run;
    await eventually(async () => expect((await kept.state(id ?? ""))?.saved.result).toBeTruthy());
    return { id: id as string, result };
  };
  return { engine, store, runs, runner, sitting, kept, loseAt, rest, finish };
}
type Page = Awaited<ReturnType<typeof page>>;

async function undisturbed() {
  const engine = createNodeSession();
  await engine.open("wasm");
  await engine.loadModel(model, {});
  await engine.loadData("target", "pets", target, 0);
  return engine.train(recipe);
}

const bytesOf = async (keep: Keep, id: string) =>
  new Uint8Array((await (await keep.state(id))?.saved.snapshot.arrayBuffer()) ?? new ArrayBuffer(0));

/** The run on the page can be toggled and exported, as if nothing had happened. */
async function works({ store, rest }: Page): Promise<void> {
  store.toggleGate(0);
  await eventually(() => expect(store.getState().run.current?.sets).toHaveLength(1));
  store.resetAdjustment();
  await rest();
  await store.exportMerged();
  const { exportReport, exportFailure } = store.getState().run;
  expect(exportFailure).toBeNull();
  expect(exportReport?.check.accuracy).toBe(expected.after.sets[0]?.accuracy);
}

const progress = (label: string) => (event: SessionEvent) =>
  event.kind === "progress" && event.label.startsWith(label);
const step = (phase: string) => (event: SessionEvent) =>
  event.kind === "step" && event.report.phase === phase;

const named = (event: SessionEvent) => (event.kind === "progress" ? event.label : "");

/** What a run does when its device is lost, and whether the engine has a step to go back to. */
const phases = [
  ["looking at images for the probe", progress("Looking at the training images"), false],
  ["fitting the probe", progress("Fitting"), false],
  ["measuring the target's sample", progress("Measuring before, on a sample"), false],
  ["starting", (event: SessionEvent) => event.kind === "started", false],
  ["warm-up", step("warm-up"), false],
  ["selecting", step("selecting"), false],
  ["settling", step("settling"), true],
  ["measuring the rest of before", (event: SessionEvent) => named(event) === "Measuring before", true],
  ["measuring after", progress("Measuring after"), true],
] as const;

test.each(phases)("lost while %s: told once, and the run goes on or starts again", async (_, fits, kept) => {
  const it = await page();
  const { store, runner, sitting, loseAt, rest } = it;
  const { opened } = device;
  loseAt(fits);
  await runner.start(recipe, 1);
  await rest();
  expect(store.getState().failures).toEqual([]);
  expect(store.getState().loss).toMatchObject({ times: 1, device: "open", broke: "run", runBack: null });
  expect(device.opened).toBe(opened + 1);
  const offer = sitting.getState().unfinished;
  expect(offer).toMatchObject({ failed: { code: "lost" }, run: { name: "Selective LoRA", recipe } });
  expect(offer?.run?.kept !== null).toBe(kept);
  await eventually(async () =>
    expect(await it.kept.sitting()).toMatchObject({ begun: { id: offer?.run?.id } }),
  );
  await sitting.goOn();
  expect(sitting.getState().unfinished).toBeNull();
  expect([...(store.getState().run.result?.final.scores ?? [])]).toEqual([...expected.final.scores]);
  await rest();
  await works(it);
});

test.each(phases)("lost while %s, after a run that had ended: that one stays to the bit", async (_, fits) => {
  const it = await page();
  const { store, runner, sitting, runs, kept, loseAt, rest, finish } = it;
  const a = await finish();
  const before = await bytesOf(kept, a.id);
  loseAt(fits);
  // Read otherwise, so that it starts from a probe of its own.
  await runner.start({ ...recipe, seed: 8, pooling: "mean" }, 1);
  await rest();
  expect(store.getState().run).toMatchObject({ id: a.id });
  expect(store.getState().run.result).toBe(a.result);
  expect(store.getState().loss).toMatchObject({ times: 1, device: "open", runBack: true });
  expect(store.getState().failures).toEqual([]);
  await works(it);
  const offer = sitting.getState().unfinished;
  expect(offer?.run?.id).not.toBe(a.id);
  await sitting.goOn();
  await rest();
  expect(store.getState().run.result?.recipe.seed).toBe(8);
  expect(await bytesOf(kept, a.id)).toEqual(before);
  expect((await kept.state(a.id))?.saved.result?.recipe.seed).toBe(7);
  expect(
    runs
      .getState()
      .runs.map(({ recipe: { seed } }) => seed)
      .sort(),
  ).toEqual([7, 8]);
  expect(new Set(runs.getState().runs.map(({ id }) => id)).size).toBe(2);
});

/** Ways to a finished run A on the page, before the next one is lost on its device. */
const ways: [string, (it: Page, a: string) => Promise<Page>][] = [
  [
    "opened again from the list",
    async (it, a) => {
      await it.finish({ seed: 11 });
      expect(await it.sitting.reopen(a)).toBe(true);
      return it;
    },
  ],
  ["put back by a reload", async ({ kept }) => page({ keep: kept, ready: false })],
  [
    "toggled",
    async (it) => {
      it.store.toggleGate(0);
      await eventually(() => expect(it.store.getState().run.current?.sets).toHaveLength(1));
      return it;
    },
  ],
  [
    "followed by one that was cancelled",
    async (it, a) => {
      const end = it.engine.subscribe((event) => {
        if (progress("Fitting")(event)) void it.runner.stop();
      });
      await it.runner.start({ ...recipe, pooling: "cls-mean" }, 1);
      end();
      expect(it.store.getState().run.id).toBe(a);
      expect(it.sitting.getState().unfinished).toBeNull();
      await eventually(async () => expect(await it.kept.sitting()).toMatchObject({ run: a, begun: null }));
      return it;
    },
  ],
];

test.each(ways)(
  "a run that was %s stays to the bit while the next one is lost and goes on",
  async (_, way) => {
    const first = await page();
    const { id } = await first.finish();
    const before = await bytesOf(first.kept, id);
    const it = await way(first, id);
    expect(it.store.getState().run).toMatchObject({ id, result: { complete: true } });
    it.loseAt(step("settling"));
    await it.runner.start({ ...recipe, seed: 8 }, 1);
    await it.rest();
    expect(it.store.getState()).toMatchObject({
      run: { id },
      loss: { runBack: true, times: 1 },
      failures: [],
    });
    await it.sitting.goOn();
    await it.rest();
    expect(it.store.getState().run.result?.recipe.seed).toBe(8);
    expect(await bytesOf(it.kept, id)).toEqual(before);
    expect((await it.kept.state(id))?.saved.result?.recipe.seed).toBe(7);
  },
);

test("what is offered of a lost run stays while another runs, and after it", async () => {
  const { store, runner, runs, sitting, loseAt, rest, finish } = await page();
  loseAt(step("settling"));
  await runner.start({ ...recipe, seed: 8 }, 1);
  await rest();
  const offer = sitting.getState().unfinished;
  await finish();
  expect(sitting.getState().unfinished).toBe(offer);
  await sitting.goOn();
  await rest();
  expect(sitting.getState().unfinished).toBeNull();
  expect(store.getState().run).toMatchObject({ id: offer?.run?.id, result: { recipe: { seed: 8 } } });
  expect(
    runs
      .getState()
      .runs.map(({ recipe: { seed } }) => seed)
      .sort(),
  ).toEqual([7, 8]);
});

test("a row goes on after a loss, and each of its runs is kept as itself", async () => {
  const { store, runner, runs, kept, loseAt, rest } = await page();
  let runsBegun = 0;
  loseAt((event) => {
    if (event.kind === "started") runsBegun += 1;
    return runsBegun === 2 && step("settling")(event);
  });
  await runner.start(recipe, 3);
  await rest();
  expect(store.getState()).toMatchObject({ loss: { times: 1 }, failures: [] });
  expect(runner.getState().failed).toMatchObject([{ name: "Selective LoRA, seed 8" }]);
  for (const { id, recipe: made } of runs.getState().runs) {
    const { saved } = (await kept.state(id))!;
    expect(saved).toMatchObject({ id, recipe: made, result: { recipe: made } });
  }
  expect(
    runs
      .getState()
      .runs.map(({ recipe: { seed } }) => seed)
      .sort(),
  ).toEqual([7, 9]);
});

test("lost while it is paused, after it was saved: it goes on from the step that was kept", async () => {
  const it = await page({ first: 1 });
  const { store, runner, sitting, kept, engine, rest } = it;
  const end = engine.subscribe((event) => {
    if (event.kind !== "step" || event.report.step < 2) return;
    end();
    void store.pause();
  });
  const run = runner.start(recipe, 1);
  await eventually(() => expect(store.getState().status).toBe("paused"));
  const id = store.getState().run.id ?? "";
  await eventually(async () => expect((await kept.state(id))?.saved.step).toBeGreaterThan(1));
  device.lose("the driver was reset");
  await run;
  await rest();
  expect(sitting.getState().unfinished?.run).toMatchObject({ id });
  expect(sitting.getState().unfinished?.run?.kept?.saved.step).toBeGreaterThan(1);
  await sitting.goOn();
  expect([...(store.getState().run.result?.final.scores ?? [])]).toEqual([...expected.final.scores]);
  expect(store.getState().run.id).toBe(id);
});

const wishes: [string, SessionEvent["kind"] | null, (page: Page) => unknown][] = [
  ["idle", null, () => device.lose("the driver was reset")],
  // Another strength each time: what was measured before is remembered.
  ["adjusting", "progress", ({ store }) => store.setStrength(store.getState().loss ? 0.4 : 0.6)],
  ["exporting", "progress", ({ store }) => store.exportMerged()],
  ["measuring the trade-off", "progress", ({ store }) => store.measureTradeOff()],
  ["measuring the path", "progress", ({ runner }) => runner.measurePath()],
];

test.each(wishes)(
  "lost while %s after a run: the same run is back, toggled and exported",
  async (_, at, wish) => {
    const it = await page();
    const { store, loseAt, rest, finish } = it;
    const { result } = await finish();
    for (const times of [1, 2]) {
      if (at) loseAt(({ kind }) => kind === at);
      await wish(it);
      await eventually(() => expect(store.getState().loss?.times).toBe(times));
      await rest();
      expect(store.getState()).toMatchObject({ failures: [], loss: { device: "open", runBack: true } });
      expect(store.getState().run).toMatchObject({ result, exportFailure: null });
      await works(it);
    }
  },
);

test("what was toggled by hand before is toggled again on the new device", async () => {
  const it = await page();
  const { store, engine, rest, finish } = it;
  await finish();
  store.toggleGate(0);
  await eventually(() => expect(store.getState().run.current?.sets).toHaveLength(1));
  const { open, current } = store.getState().run;
  device.lose("gone");
  await eventually(() => expect(store.getState().loss?.device).toBe("open"));
  await rest();
  expect(store.getState().run).toMatchObject({ open, current });
  const adjusted = await engine.exportMerged();
  expect(adjusted.check.accuracy).toBe(current?.sets[0]?.accuracy);
});

test("lost with nothing on the page, and while files are read: told, opened anew, and nothing is lost", async () => {
  const { store, loseAt, rest, runner } = await page({ ready: false });
  await store.open("webgpu");
  device.lose("gone");
  await eventually(() => expect(store.getState().loss).toMatchObject({ device: "open", broke: null }));
  loseAt(progress("Checking the weights"));
  expect(await store.loadModel(model)).toBe(true);
  await rest();
  loseAt(progress("Reading images of"));
  expect(await store.loadData("target", "pets", target, 0)).toBe(true);
  await rest();
  expect(store.getState()).toMatchObject({ failures: [], loss: { times: 3, device: "open" } });
  await runner.start(recipe, 1);
  expect(store.getState().run.result?.complete).toBe(true);
});

test("lost thrice in a row, the CPU is offered, and the run goes on there with the one before it at hand", async () => {
  const it = await page();
  const { store, runner, sitting, loseAt, rest, finish } = it;
  const a = await finish();
  for (const times of [1, 2, 3]) {
    loseAt(step("settling"));
    if (times === 1) await runner.start({ ...recipe, seed: 8 }, 1);
    else await sitting.goOn();
    await rest();
    const { loss } = store.getState();
    expect(loss).toMatchObject({ times, device: "open" });
    expect(lossWords(loss!, true).offers.wasm).toBe(times === 3);
  }
  await store.openAnew("wasm");
  expect(store.getState()).toMatchObject({ loss: null, backend: "wasm", device: { backend: "wasm" } });
  expect(store.getState().run.result).toBe(a.result);
  await works(it);
  await sitting.goOn();
  expect(store.getState().run.result).toMatchObject({ complete: true, recipe: { seed: 8 } });
});

test("a device that is lost again and again is not opened for ever, and both ways out work", async () => {
  const it = await page();
  const { store, rest, finish, runner } = it;
  const { result } = await finish();
  for (const times of [1, 2, 3, 4]) {
    device.lose("gone");
    await eventually(() => expect(store.getState().loss?.times).toBe(times));
    await rest();
  }
  expect(store.getState()).toMatchObject({ device: null, loss: { device: "none", refusal: null } });
  store.dismissLoss();
  expect(store.getState().loss).not.toBeNull();
  expect(await store.openAnew("webgpu")).toBe(true);
  expect(store.getState()).toMatchObject({ loss: { device: "open", runBack: true }, run: { result } });
  await works(it);
  await runner.start(recipe, 1);
  // A run that ended counts as new trust.
  device.lose("gone");
  await eventually(() => expect(store.getState().loss).toMatchObject({ times: 1, device: "open" }));
});

test("where no device can be had any more, the CPU brings the run back", async () => {
  const it = await page();
  const { store, rest, finish } = it;
  const { result } = await finish();
  device.refuses = true;
  device.lose("gone");
  await eventually(() => expect(store.getState().loss?.device).toBe("none"));
  await rest();
  expect(store.getState().loss?.refusal?.what).toBe("No adapter is there.");
  expect(await store.openAnew("webgpu")).toBe(false);
  expect(store.getState().loss?.device).toBe("none");
  expect(await store.openAnew("wasm")).toBe(true);
  expect(store.getState()).toMatchObject({ loss: null, run: { result }, failures: [] });
  await works(it);
});

test("where the choice is left to the engine, it takes the CPU when no device is left, and the run is there", async () => {
  const { store, rest, finish, ...others } = await page();
  await store.open("auto");
  expect(store.getState().device?.backend).toBe("webgpu");
  const { result } = await finish();
  device.refuses = true;
  device.lose("gone");
  await eventually(() => expect(store.getState().loss).toMatchObject({ device: "open", onCpu: true }));
  await rest();
  expect(store.getState()).toMatchObject({ device: { backend: "wasm" }, run: { result }, failures: [] });
  await works({ store, rest, finish, ...others });
});

test("a choice that cannot be opened leaves the device and the run that there were", async () => {
  const it = await page();
  const { store, rest, finish } = it;
  const { result } = await finish();
  device.refuses = true;
  expect(await store.open("webgpu")).toBe(false);
  device.refuses = false;
  await rest();
  await works(it);
  expect(store.getState().run.result).toBe(result);
});

test("a row stops where there is no device, and the rest of it is offered", async () => {
  const it = await page();
  const { store, runner, sitting, engine, rest } = it;
  const end = engine.subscribe((event) => {
    if (event.kind === "started") device.lose("gone");
  });
  await runner.start(recipe, 6);
  await rest();
  end();
  expect(store.getState().loss).toMatchObject({ times: 4, device: "none" });
  expect(runner.getState().failed).toHaveLength(4);
  expect(sitting.getState().unfinished?.row?.entries).toHaveLength(6);
  await store.openAnew("wasm");
  await sitting.goOn();
  expect(runner.getState().seconds).toHaveLength(3);
});
