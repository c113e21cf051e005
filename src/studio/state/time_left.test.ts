import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { random, seedFor } from "../../random.ts";
import type { DataReport } from "../../session/protocol.ts";
import { defaultRecipe } from "../../session/recipe.ts";
import {
  Clock,
  LEARNING,
  type Place,
  rowSecondsLeft,
  runPhases,
  secondsOf,
  speedsOf,
  type Work,
  workOf,
} from "./time_left.ts";

function set(role: DataReport["role"], train: number, val: number, test: number): DataReport {
  const one = { name: "a", counts: { train, val, test }, mapsTo: "a" };
  const left = { name: "b", counts: { train: 0, val: 0, test: 7 }, mapsTo: role === "target" ? "b" : null };
  return { id: role, role, name: role, classes: [one, left] } as unknown as DataReport;
}

describe("workOf", () => {
  it("counts what is looked at and learned from", () => {
    const data = [set("target", 100, 20, 23), set("ood", 0, 0, 200), set("keep", 500, 0, 0)];
    const recipe = { ...defaultRecipe, epochs: 3, batch: 16 };
    expect(workOf(recipe, data)).toEqual({
      ...{ probe: 120, sample: 64, learn: 7 * 3 * 16, before: 230, live: 84, epochs: 3, after: 230, path: 0 },
    });
    expect(workOf({ ...recipe, head: "zero-shot" }, data)).toMatchObject({ probe: 0, sample: 84 });
    expect(workOf(recipe, data, true).path).toBe(5 * (30 + 200));
    expect(workOf(recipe, [])).toMatchObject({ learn: 0, before: 0 });
    // Of a large set a probe looks at a part, and so do the live curves.
    const large = [set("target", 30_000, 9_000, 23)];
    expect(workOf(recipe, large)).toMatchObject({ probe: 16_000, live: 8_000 });
    // Without validation images its held-out ones stand on the curves.
    expect(workOf(recipe, [set("target", 100, 0, 23)]).live).toBe(30);
  });
});

/** A run as a machine would have it: true speeds, noise, and what it is told of. */
interface Machine {
  look: number;
  /** Looks that learning from an image really takes, at first and at last. */
  learning: [number, number];
  /** How much slower the adapted network is looked at than the frozen one. */
  adapted: number;
  /** How strongly speeds swing, over tens of seconds: 0.12 is up to a third for a while. */
  noise: number;
  seed: number;
}

/** Plays a run in steps of about a second and gives what was shown and what was true at each. */
function play(work: Work, machine: Machine, prior: { look: number; learn: number } | null) {
  const stream = random(seedFor(machine.seed, "times"));
  const clock = new Clock(work, prior);
  const moments: { now: number; place: Place }[] = [];
  let now = 0;
  let swing = 0;
  const slower = () => {
    swing = 0.9 * swing + 0.1 * (stream.next() * 2 - 1);
    return 1 + machine.noise * (4 * swing + 0.3 * (stream.next() * 2 - 1));
  };
  const { epochs } = work;
  for (const phase of runPhases) {
    const total = work[phase];
    if (total === 0) continue;
    let done = 0;
    let told = 0;
    moments.push({ now, place: { phase, done, rate: null } });
    while (done < total) {
      const share = done / total;
      const [first, last] = machine.learning;
      const cost =
        phase === "learn"
          ? first + (last - first) * share
          : phase === "after" || phase === "path"
            ? machine.adapted
            : 1;
      const seconds = cost * slower();
      const images = Math.min(total - done, Math.max(1, Math.round(machine.look / seconds)));
      now += (images / machine.look) * seconds;
      done += images;
      const rate = phase === "learn" ? machine.look / seconds : null;
      // After each epoch a part of every set is looked at, of which nothing is told.
      const ended = phase === "learn" ? Math.floor((done / total) * epochs) : 0;
      now += Math.max(0, ended - told) * (work.live / machine.look) * machine.adapted * slower();
      told = ended;
      moments.push({ now, place: { phase, done, rate } });
    }
  }
  const end = now;
  return moments.map(({ now: at, place }) => ({ at, truth: end - at, shown: clock.left(at, place), end }));
}

const machines: fc.Arbitrary<Machine> = fc.record({
  look: fc.double({ min: 20, max: 500, noNaN: true }),
  learning: fc
    .tuple(fc.double({ min: 2.2, max: 4, noNaN: true }), fc.double({ min: 0.4, max: 1, noNaN: true }))
    .map(([first, rest]): [number, number] => [first, first * rest]),
  adapted: fc.double({ min: 1, max: 1.15, noNaN: true }),
  noise: fc.double({ min: 0, max: 0.12, noNaN: true }),
  seed: fc.nat(),
});

const works: fc.Arbitrary<Work> = fc
  .record({
    probe: fc.integer({ min: 0, max: 3000 }),
    before: fc.integer({ min: 200, max: 4000 }),
    learn: fc.integer({ min: 500, max: 10_000 }),
    live: fc.integer({ min: 64, max: 400 }),
    epochs: fc.integer({ min: 1, max: 30 }),
    path: fc.constantFrom(0, 0, 1000),
  })
  .map((work) => ({ ...work, sample: work.live, after: work.before }));

describe("Clock", () => {
  it("is never short by more than a fifth after the first tenth of a run, nor far too long", () => {
    fc.assert(
      fc.property(works, machines, (work, machine) => {
        for (const { at, truth, shown, end } of play(work, machine, null)) {
          if (at < 0.1 * end || end < 20) continue;
          expect(shown).not.toBeNull();
          // A second or two are rounding.
          expect(shown! - 0.8 * truth, `at ${at} of ${end}`).toBeGreaterThan(-2);
          expect(shown! - 2.4 * truth).toBeLessThan(12);
        }
      }),
      { numRuns: 150 },
    );
  });

  it("knows from the start what a run before took", () => {
    fc.assert(
      fc.property(works, machines, (work, machine) => {
        const steady = { ...machine, noise: 0, learning: [3, 3] as [number, number], adapted: 1 };
        const prior = { look: steady.look, learn: steady.look / 3 };
        const [first] = play(work, steady, prior);
        expect(first?.shown).toBeCloseTo(secondsOf(work, prior), 6);
        expect(Math.abs(first!.shown! / first!.truth - 1)).toBeLessThan(0.02);
      }),
    );
  });

  it("moves by little from one second to the next", () => {
    fc.assert(
      fc.property(works, machines, (work, machine) => {
        const played = play(work, machine, null).filter(({ at, end }) => at > 0.1 * end && end > 60);
        played.slice(1).forEach(({ at, shown }, i) => {
          const before = played[i]!;
          const jump = shown! - (before.shown! - (at - before.at));
          expect(Math.abs(jump)).toBeLessThan(0.25 * (before.shown! + 10));
        });
      }),
    );
  });

  it("says nothing before anything was timed, and takes the run's own word on how much there is", () => {
    const work = {
      probe: 10,
      sample: 100,
      before: 100,
      learn: 1000,
      live: 0,
      epochs: 1,
      after: 100,
      path: 0,
    };
    const clock = new Clock(work, null);
    expect(clock.left(0, { phase: "sample", done: 0, rate: null })).toBeNull();
    const left = clock.left(2, { phase: "sample", done: 20, total: 40, rate: null })!;
    // 10 images a second: 20 more, 1000 to learn from, 200 at the end.
    expect(left).toBeCloseTo(2 + 100 * LEARNING + 20, 6);
  });
});

it("takes speeds from a run that has ended, and scales a row by those of it that have", () => {
  const work = { probe: 100, sample: 50, before: 200, learn: 1000, live: 50, epochs: 2, after: 200, path: 0 };
  const speeds = speedsOf(work, 410)!;
  expect(secondsOf(work, speeds)).toBeCloseTo(410, 9);
  expect(speedsOf(work, 0)).toBeNull();
  expect(rowSecondsLeft(50, [work, work], speeds, [])).toBeCloseTo(870, 9);
  expect(rowSecondsLeft(50, [work], speeds, [{ work, seconds: 205 }])).toBeCloseTo(255, 9);
  expect(rowSecondsLeft(50, [], speeds, [{ work, seconds: 205 }])).toBe(50);
});
