// What is measured of a run while it is under way: the target's validation images, those of them that a probe looks at,
// and a bounded part of every other set, by the frozen network ("before") and at the end of each epoch.
import { changeOf } from "../evaluation/change.ts";
import { Failure } from "../failure.ts";
import type { HeadArrays, Trainer } from "../training/types.ts";
import { sameImages } from "./basis.ts";
import { probedOf } from "./heads.ts";
import { cancelled } from "./job.ts";
import { answer, basisOf, type Network, type Question, questionOf } from "./judges.ts";
import type { AccuracyPoint, LiveAccuracy, SetAccuracy } from "./protocol.ts";
import type { LoadedSet } from "./sets.ts";

/** Most images of an OOD or retention set that are looked at after each epoch, and that vote; the end looks at all. */
const LIVE = { measured: 64, bank: 256 };

/** What is asked of each set while a run is under way. A target without validation images is asked as the others are. */
export function liveQuestions(network: Network, sets: readonly LoadedSet[]): Question[] {
  return sets.map((set) => {
    const some = questionOf(network, set, LIVE);
    const validation = set.role === "target" ? probedOf(set, "val") : null;
    return validation && validation.indices.length > 0 ? { ...some, chosen: validation } : some;
  });
}

/**
 * The frozen network's answers, a set after the other.
 * @param tick asked between parts of the work, with images done and images in all; throws to give it up
 */
export async function sampleBefore(
  network: Network,
  questions: readonly Question[],
  head: HeadArrays,
  tick: (done: number, total: number) => void,
): Promise<SetAccuracy[]> {
  const standing = { effective: null, head, banks: new Map() };
  const total = questions.reduce((sum, { chosen }) => sum + chosen.indices.length, 0);
  const sets: SetAccuracy[] = [];
  let done = 0;
  for (const question of questions) {
    const offset = done;
    sets.push(await answer(network, question, standing, (n) => tick(offset + n, total)));
    done += question.chosen.indices.length;
  }
  return sets;
}

/** What a saved run has of these questions; null where it does not answer every one, of the same images. */
export function savedSample(
  network: Network,
  questions: readonly Question[],
  saved: readonly SetAccuracy[],
): SetAccuracy[] | null {
  const answers = questions.flatMap((question) => {
    const found = saved.find(({ id }) => id === question.set.id);
    return found && sameImages(found.basis, basisOf(network, question)) ? [found] : [];
  });
  return answers.length === questions.length ? answers : null;
}

/** The first point of the live curves: before training. */
export const startPoint = (before: readonly SetAccuracy[]): AccuracyPoint => ({
  step: 0,
  epoch: 0,
  sets: before.map((set) => compared(set, set)),
});

/** What of a set stands on the live curves. */
function compared(was: SetAccuracy, { accuracy, predictions, labels }: SetAccuracy): LiveAccuracy {
  const { id, role, name, basis } = was;
  const { fixed, broken } = changeOf(was.predictions, predictions, labels);
  return { id, role, name, accuracy, before: was.accuracy, basis, pairs: { fixed, broken } };
}

/** A point of the live curves; null where a stop comes first, after which everything is measured anyway. */
export async function liveAccuracy(
  network: Network,
  questions: readonly Question[],
  before: readonly SetAccuracy[],
  trainer: Trainer,
  at: { epoch: number; step: number },
  stopping: () => boolean,
): Promise<AccuracyPoint | null> {
  const head = await trainer.head();
  const effective = trainer.adaptation.effective();
  try {
    return await unlessStopped(stopping, async (tick) => {
      const standing = { effective, head, banks: new Map() };
      const sets: LiveAccuracy[] = [];
      for (const question of questions) {
        const now = await answer(network, question, standing, tick);
        sets.push(compared(before.find(({ id }) => id === now.id) as SetAccuracy, now));
      }
      return { ...at, sets };
    });
  } finally {
    effective.dispose();
  }
}

/** Measures between two steps of a run; null where the run is to stop first. */
export async function unlessStopped<T>(
  stopping: () => boolean,
  measure: (orStop: () => void) => Promise<T>,
): Promise<T | null> {
  try {
    return await measure(() => {
      if (stopping()) throw cancelled("Measuring");
    });
  } catch (error) {
    if (stopping() && Failure.from(error).parts.code === "cancelled") return null;
    throw error;
  }
}
