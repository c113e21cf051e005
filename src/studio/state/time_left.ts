// How long a run will take, measuring included: one figure from before Start to the end. Work is counted in images; what
// is measured of their speed on the way, in this run or in one before it, makes seconds of them.
import type { DataReport, Recipe } from "../../session/protocol.ts";

/** A run's phases, in their order; the sample of "before" comes between its first steps. */
export const runPhases = ["probe", "sample", "learn", "before", "after", "path"] as const;
export type RunPhase = (typeof runPhases)[number];

/** Images that each phase has to do with: looked at once, or learned from. */
export interface Work extends Record<RunPhase, number> {
  /** Looked at after each epoch, and how many there are. */
  live: number;
  epochs: number;
}

/** Images a second. */
export interface Speeds {
  look: number;
  learn: number;
}

/** What learning from an image takes, in looks, where it has not been measured: forward, backward and update. */
export const LEARNING = 3.5;
/** Most images of a split that a probe looks at (session/heads.ts). */
const PROBED = 8_000;
/** Most images of a set on the live curves and on the way between before and after (session/live.ts, runner.ts). */
const LIVE = 64;
const PATH = { images: 256, points: 5 };

/** Images of a set that are measured, and that the classifier is fitted to and chosen by. */
function countsOf({ role, classes }: DataReport): { held: number; train: number; val: number } {
  const counted = classes.filter(({ mapsTo }) => mapsTo !== null || role === "target");
  const of = (split: "train" | "val" | "test") => counted.reduce((sum, { counts }) => sum + counts[split], 0);
  const [train, val, test] = [of("train"), of("val"), of("test")];
  return { held: test || val || train, train, val };
}

/** @param path whether it is measured between before and after too, as runs of the suite are */
export function workOf(recipe: Recipe, data: readonly DataReport[], path = false): Work {
  const sets = data
    .filter(({ role }) => role !== "keep")
    .map((set) => ({ role: set.role, ...countsOf(set) }));
  const target = sets.find(({ role }) => role === "target") ?? { train: 0, val: 0, held: 0 };
  const held = sets.reduce((sum, set) => sum + set.held, 0);
  const fitted = recipe.head === "linear" || recipe.head === "knn";
  const batch = Math.min(recipe.batch, target.train);
  const steps = batch === 0 ? 0 : Math.ceil(target.train / batch) * recipe.epochs;
  const validation = Math.min(PROBED, target.val);
  const live = sets.reduce(
    (sum, { role, held }) => sum + (role === "target" && validation > 0 ? validation : Math.min(LIVE, held)),
    0,
  );
  return {
    probe: fitted ? Math.min(PROBED, target.train) + validation : 0,
    sample: fitted ? live - validation : live,
    learn: steps * batch,
    before: held,
    live,
    epochs: recipe.epochs,
    after: held,
    path: path ? PATH.points * sets.reduce((sum, set) => sum + Math.min(PATH.images, set.held), 0) : 0,
  };
}

/** Seconds that a whole run takes. */
export function secondsOf(work: Work, { look, learn }: Speeds): number {
  const looks = work.probe + work.sample + work.before + work.epochs * work.live + work.after + work.path;
  return looks / look + work.learn / learn;
}

/** Speeds out of a run that has ended: what it did, and the seconds that it took; null where that says nothing. */
export function speedsOf(work: Work, seconds: number): Speeds | null {
  const looks = secondsOf(work, { look: 1, learn: 1 / LEARNING });
  if (!(seconds > 0) || looks === 0) return null;
  return { look: looks / seconds, learn: looks / seconds / LEARNING };
}

/** Where a run stands. */
export interface Place {
  phase: RunPhase;
  /** Images of the phase that are done, and all of them where the run says so itself. */
  done: number;
  total?: number | undefined;
  /** Images a second while learning, as last told; null in other phases. */
  rate: number | null;
}

/** Seconds over which a rate is averaged. */
const RATE_MEMORY = 12;
/** Seconds in which what is shown follows a shorter and a longer estimate: nobody minds waiting less. */
const FOLLOWS = { shorter: 12, longer: 3 };

/** One run's time left, to be told where it stands every second or so. */
export class Clock {
  readonly #work: Work;
  readonly #prior: Speeds | null;
  #last: { now: number; place: Place } | null = null;
  /** Looks that were timed. */
  #looked = { images: 0, seconds: 0 };
  #learn: number | null = null;
  /** Seconds of learning so far, without and with what was looked at along the way. */
  #learning = { own: 0, all: 0 };
  #end: number | null = null;

  /** @param prior speeds as an earlier run had them; null where there is none */
  constructor(work: Work, prior: Speeds | null) {
    this.#work = { ...work };
    this.#prior = prior;
  }

  /** Speeds as they are known now; null before anything was timed. */
  get speeds(): Speeds | null {
    const { images, seconds } = this.#looked;
    const timed = seconds > 0 && images > 0 ? images / seconds : null;
    const look = timed ?? this.#prior?.look ?? null;
    if (look === null)
      return this.#learn === null ? null : { look: this.#learn * LEARNING, learn: this.#learn };
    // An earlier run's speeds are scaled to how fast the machine is now.
    const learn = this.#prior ? (this.#prior.learn * look) / this.#prior.look : look / LEARNING;
    return { look, learn: this.#learn ?? learn };
  }

  /**
   * Seconds left, smoothed; null while nothing is known.
   * @param now in seconds, of a clock that stands still while the run is paused
   */
  left(now: number, place: Place): number | null {
    this.#measure(now, place);
    const { speeds } = this;
    if (!speeds) return null;
    const estimate = now + this.#remaining(place, speeds);
    const passed = this.#last ? now - this.#last.now : 0;
    const memory = this.#end !== null && estimate > this.#end ? FOLLOWS.longer : FOLLOWS.shorter;
    this.#end =
      this.#end === null ? estimate : this.#end + (estimate - this.#end) * (1 - Math.exp(-passed / memory));
    this.#last = { now, place };
    return Math.max(0, this.#end - now);
  }

  #measure(now: number, place: Place): void {
    const { phase, done, total, rate } = place;
    if (total !== undefined && phase !== "learn") this.#work[phase] = total;
    const last = this.#last;
    this.#last ??= { now, place };
    if (!last || last.place.phase !== phase) return;
    const [seconds, images] = [now - last.now, done - last.place.done];
    if (seconds <= 0 || images < 0) return;
    if (phase !== "learn") {
      // What was timed long ago counts less: a machine gets warm, and others come to use it.
      const keeps = Math.exp(-seconds / (5 * RATE_MEMORY));
      this.#looked = {
        images: this.#looked.images * keeps + images,
        seconds: this.#looked.seconds * keeps + seconds,
      };
      return;
    }
    this.#learning.all += seconds;
    if (rate === null || !(rate > 0)) return;
    this.#learning.own += images / rate;
    const share = 1 - Math.exp(-seconds / RATE_MEMORY);
    // Times are averaged, not speeds: a slow stretch takes longer than a fast one.
    this.#learn = this.#learn === null ? rate : 1 / ((1 - share) / this.#learn + share / rate);
  }

  #remaining({ phase, done }: Place, { look, learn }: Speeds): number {
    const at = runPhases.indexOf(phase);
    const work = this.#work;
    const left = (of: RunPhase) => {
      const place = runPhases.indexOf(of);
      return place < at ? 0 : place > at ? work[of] : Math.max(0, work[of] - done);
    };
    const learning = left("learn");
    // The end of an epoch that has begun is still to come.
    const epochs = work.learn > 0 ? Math.ceil((work.epochs * learning) / work.learn - 1e-9) : 0;
    const beside = this.#learning.all - this.#learning.own;
    const ended = work.epochs - epochs;
    const live = phase === "learn" && ended > 0 && beside > 0 ? beside / ended : work.live / look;
    return (
      (left("probe") + left("sample") + left("before") + left("after") + left("path")) / look +
      learning / learn +
      epochs * live
    );
  }
}

/**
 * Seconds until a row of runs has ended.
 * @param left of the run under way
 * @param rest those that follow
 * @param ended runs of the row that have ended, with the seconds that they took
 */
export function rowSecondsLeft(
  left: number,
  rest: readonly Work[],
  speeds: Speeds,
  ended: readonly { work: Work; seconds: number }[],
): number {
  const told = ended.reduce((sum, { work }) => sum + secondsOf(work, speeds), 0);
  const took = ended.reduce((sum, { seconds }) => sum + seconds, 0);
  // As much longer or shorter as those before have been.
  const factor = told > 0 ? Math.min(3, Math.max(1 / 3, took / told)) : 1;
  return left + factor * rest.reduce((sum, work) => sum + secondsOf(work, speeds), 0);
}
