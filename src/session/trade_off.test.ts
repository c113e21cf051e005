// The trade-off curve and robustness of runs on a tiny network, on WASM: which blocks close in which order, that a
// point says what applying it gives, and what is left of a curve that is stopped.
import { beforeAll, describe, expect, test } from "vitest";
import { fixture } from "../checkpoint/fixtures/load.ts";
import { Failure } from "../failure.ts";
import { createNodeSession } from "./node.ts";
import type { RunResult, Session, SourceFile } from "./protocol.ts";
import { defaultRecipe, type Recipe } from "./recipe.ts";
import { listen, once, pictures } from "./testing.ts";
import { closingOrder, tradeOffCounts } from "./trade_off.ts";

const classes = ["cat", "dog", "mouse"];
const recipe: Recipe = {
  ...defaultRecipe,
  rank: 2,
  epochs: 2,
  batch: 6,
  learningRate: 0.02,
  seed: 7,
  budget: "3",
};

let target: SourceFile[];
let sketches: SourceFile[];
let known: SourceFile[];
beforeAll(async () => {
  // Without a test folder the validation images are those that are measured in the end.
  target = await pictures("pets", classes, { train: 6, val: 5 });
  sketches = await pictures("sketches", classes, 4);
  known = await pictures("known", ["cat", "dog"], 3);
});

async function loaded(): Promise<Session> {
  const session = createNodeSession();
  await session.open("wasm");
  await session.loadModel(fixture("vit"), {});
  await session.loadData("target", "pets", target, 0);
  await session.loadData("ood", "sketches", sketches, 0);
  await session.loadData("retention", "known", known, 0);
  return session;
}

describe("the order of closing", () => {
  test("is the score's, and where all are alike the change's; closed gates are not in it", () => {
    const open = Uint8Array.of(1, 0, 1, 1);
    const scores = Float32Array.of(0.4, 9, 0.2, 0.3);
    const deltaNorm = Float32Array.of(1, 9, 3, 2);
    expect(closingOrder({ scores, open, deltaNorm })).toEqual([2, 3, 0]);
    expect(closingOrder({ scores: new Float32Array(4).fill(0.15), open, deltaNorm })).toEqual([0, 3, 2]);
  });

  test("of many blocks measures every few of them, none and all", () => {
    expect(tradeOffCounts(0)).toEqual([0]);
    expect(tradeOffCounts(4)).toEqual([0, 1, 2, 3, 4]);
    for (const open of [33, 48, 144, 1000]) {
      const counts = tradeOffCounts(open);
      expect(counts.length).toBeLessThanOrEqual(33);
      expect(counts.slice(0, 17)).toEqual([...Array(17).keys()]);
      expect(counts.at(-1)).toBe(open);
      expect(counts).toEqual([...new Set(counts)].sort((a, b) => a - b));
    }
  });
});

describe("of a finished run", () => {
  let session: Session;
  let result: RunResult;
  beforeAll(async () => {
    session = await loaded();
    result = await session.train(recipe);
  });

  test("each point says what picking it gives, to the last answer", async () => {
    const events = listen(session);
    const curve = await session.tradeOff();
    const open = result.final.open.reduce((sum, flag) => sum + flag, 0);
    expect(open).toBeGreaterThan(1);
    expect(curve.complete).toBe(true);
    expect(curve.points.map((point) => point.open.reduce((sum, flag) => sum + flag, 0))).toEqual([
      ...Array(open + 1).keys(),
    ]);
    expect(curve.sets.map(({ name, count }) => [name, count])).toEqual([
      ["pets", 15],
      ["sketches", 12],
      ["known", 6],
    ]);
    expect(curve.sets.map(({ before }) => before)).toEqual(
      result.before.sets.map(({ accuracy }) => accuracy),
    );
    expect(curve.points.at(-1)?.open).toEqual(result.final.open);
    for (const { open: flags, accuracies } of curve.points) {
      const exact = await session.adjust(flags, 1);
      expect(accuracies).toEqual(exact.sets.map(({ accuracy }) => accuracy));
    }
    await session.adjust(result.final.open, 1);
    // No block open: the model's own classifier answers as before.
    expect(curve.points[0]?.accuracies[2]).toBe(curve.sets[2]?.before);
    const best = Math.max(...curve.points.map(({ accuracies }) => accuracies[0] as number));
    const error = Math.sqrt((best * (1 - best)) / 15);
    expect(curve.points[curve.knee as number]?.accuracies[0]).toBeGreaterThanOrEqual(best - error);
    const told = events.flatMap((event) => (event.kind === "tradeOff" ? [event.tradeOff] : []));
    expect(told.map(({ points }) => points.length)).toEqual([...Array(open + 1).keys()].map((n) => n + 1));
    expect(told[0]).toMatchObject({ complete: false, knee: null });
    expect(told.at(-1)).toEqual(curve);
  });

  test("a curve that is stopped leaves the points it had and the run as it was", async () => {
    let points = 0;
    session.subscribe((event) => {
      if (event.kind === "tradeOff") points = event.tradeOff.points.length;
    });
    once(
      session,
      ({ kind }) => kind === "tradeOff",
      () => void session.stop(),
    );
    const error = await session.tradeOff().catch((thrown: unknown) => thrown);
    expect((error as Failure).parts.code).toBe("cancelled");
    expect(points).toBe(1);
    expect((await session.adjust(result.final.open, 1)).sets).toEqual(result.after.sets);
  });

  test("robustness counts from before, and judges what is applied", async () => {
    const [sketch, ...rest] = await session.robustness();
    expect(rest).toEqual([]);
    const accuracy = (set: number, when: "before" | "after") => result[when].sets[set]?.accuracy as number;
    expect(sketch).toMatchObject({ name: "sketches", points: { length: 5 } });
    expect(sketch?.relative).toBeCloseTo(accuracy(1, "after") - accuracy(1, "before"), 12);
    expect(sketch?.points[0]).toEqual({ id: accuracy(0, "before"), ood: accuracy(1, "before") });
    expect(sketch?.points[4]).toEqual({ id: accuracy(0, "after"), ood: accuracy(1, "after") });
    await session.adjust(result.final.open, 0);
    const [none] = await session.robustness();
    expect(none).toMatchObject({ effective: null, relative: 0, line: null });
    await session.adjust(result.final.open, 1);
  });
});

test("a run that was stopped half way has a curve too", async () => {
  const session = await loaded();
  once(
    session,
    ({ kind }) => kind === "step",
    () => void session.stop(),
  );
  const result = await session.train({ ...recipe, epochs: 20 });
  expect(result.complete).toBe(false);
  const curve = await session.tradeOff();
  expect(curve.complete).toBe(true);
  expect(curve.points.at(-1)?.open).toEqual(result.final.open);
  expect(curve.points.at(-1)?.accuracies).toEqual(result.after.sets.map(({ accuracy }) => accuracy));
});

test("without a run there is neither", async () => {
  const session = await loaded();
  for (const asked of [session.tradeOff(), session.robustness()]) {
    const error = await asked.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Failure);
    expect((error as Failure).parts).toMatchObject({ code: "state", remedy: "Start a run first." });
  }
});
