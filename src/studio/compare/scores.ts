// Evaluations side by side: a role's mean accuracy, and each set before, after and now, both always on the same images.
import { sameImages } from "../../session/basis.ts";
import type { Compared } from "../../session/chance.ts";
import { intervalOf } from "../../session/chance.ts";
import type {
  AccuracyPoint,
  Basis,
  Evaluation,
  LiveAccuracy,
  SetAccuracy,
  SetRole,
} from "../../session/protocol.ts";

/** Mean accuracy of a role's sets, 0 to 1, each set counting alike; null without any. */
export function roleAccuracy(
  sets: readonly { role: SetRole; accuracy: number }[] | undefined,
  role: SetRole,
): number | null {
  const ofRole = (sets ?? []).filter((set) => set.role === role);
  if (ofRole.length === 0) return null;
  return ofRole.reduce((sum, set) => sum + set.accuracy, 0) / ofRole.length;
}

/** One set at the moments that are known. */
export interface SetRow {
  id: string;
  role: SetRole;
  name: string;
  before: SetAccuracy | null;
  after: SetAccuracy | null;
  now: SetAccuracy | null;
  /** The last of the live curves while training runs. */
  live: LiveAccuracy | null;
}

const roleOrder: readonly SetRole[] = ["target", "ood", "retention"];

/** Every set that any of the evaluations knows, target first, retention last. */
export function setRows(
  before: Evaluation | null,
  after: Evaluation | null,
  current: Evaluation | null,
  points: readonly AccuracyPoint[],
): SetRow[] {
  const live = after ? [] : (points.at(-1)?.sets ?? []);
  const known = new Map<string, { id: string; role: SetRole; name: string }>();
  for (const set of [...(before?.sets ?? []), ...live, ...(after?.sets ?? []), ...(current?.sets ?? [])]) {
    if (!known.has(set.id)) known.set(set.id, { id: set.id, role: set.role, name: set.name });
  }
  const find = (evaluation: Evaluation | null, id: string) =>
    evaluation?.sets.find((set) => set.id === id) ?? null;
  return [...known.values()]
    .sort((first, second) => roleOrder.indexOf(first.role) - roleOrder.indexOf(second.role))
    .map(({ id, role, name }) => ({
      id,
      role,
      name,
      before: find(before, id),
      after: find(after, id),
      now: find(current, id),
      live: live.find((set) => set.id === id) ?? null,
    }));
}

/** What is shown of a set: numbers of the same images, and which these are. */
export interface Shown {
  before: { accuracy: number; interval: [number, number] } | null;
  /** Live while a run is on, after it as it ended or as set by hand. */
  latest: { accuracy: number; interval: [number, number] } | null;
  /** Null where an older version kept no word of it. */
  basis: Basis | null;
  /** Both, to be judged; null where one is missing. */
  compared: Compared | null;
}

const liveMoment = ({ basis }: LiveAccuracy, accuracy: number) => ({
  accuracy,
  interval: basis ? intervalOf(accuracy, basis.count) : ([accuracy, accuracy] as [number, number]),
});

/** @param pending whether what is set by hand is still being measured, so that nothing is known now */
export function shownOf({ before, after, now, live }: SetRow, pending = false): Shown {
  if (live && !after && !now) {
    return {
      before: liveMoment(live, live.before),
      latest: liveMoment(live, live.accuracy),
      basis: live.basis ?? null,
      compared: comparedLive(live),
    };
  }
  const latest = pending ? null : (now ?? after);
  // A number of other images is no before.
  const was = before && (!latest || sameImages(before.basis, latest.basis)) ? before : null;
  const any = latest ?? was;
  return {
    before: was,
    latest,
    basis: any?.basis ?? null,
    compared: was && latest ? comparedSets(was, latest) : null,
  };
}

/** A live accuracy beside that of the same images before. */
export function comparedLive({ accuracy, before, basis, pairs }: LiveAccuracy): Compared {
  return { before, after: accuracy, count: basis?.count ?? 0, pairs: pairs ?? null };
}

/** A set before and now, image by image where answers to the same images are there. */
export function comparedSets(before: SetAccuracy, after: SetAccuracy): Compared {
  return {
    before: before.accuracy,
    after: after.accuracy,
    count: after.count,
    pairs: after.change,
    repeated: Math.max(1, after.parts.length),
  };
}

/** Every class of a set before and now; their mean is the balanced accuracy. */
export function comparedClasses(before: SetAccuracy, after: SetAccuracy): Compared[] {
  return classRows(before, after).flatMap(({ compared }) => compared ?? []);
}

/** Ends of an accuracy axis, 0 to 1 in steps of 0.1, that holds every interval. */
export function accuracyAxis(rows: readonly SetRow[]): [low: number, high: number] {
  const ends = rows.flatMap((row) => {
    const { before, latest } = shownOf(row);
    return [before, latest, row.after].flatMap((moment) => moment?.interval ?? []);
  });
  if (ends.length === 0) return [0, 1];
  const low = Math.max(0, Math.floor(Math.min(...ends) * 10 + 1e-9) / 10);
  const high = Math.min(1, Math.ceil(Math.max(...ends) * 10 - 1e-9) / 10);
  return [low, Math.max(high, low + 0.1)];
}

/** A class before and now; a side is null when the set was not measured or has no image of the class. */
export interface ClassRow {
  name: string;
  count: number;
  before: number | null;
  after: number | null;
  compared: Compared | null;
}

/** Classes of a set that have images, those with the greatest change first, then by name. */
export function classRows(before: SetAccuracy | null, after: SetAccuracy | null): ClassRow[] {
  const share = (set: SetAccuracy | null, name: string) => {
    const found = set?.perClass.find((one) => one.name === name);
    return found && found.count > 0 ? found.correct / found.count : null;
  };
  const pairs = pairsByClass(before, after);
  const change = ({ before: was, after: is }: ClassRow) =>
    was === null || is === null ? 0 : Math.abs(is - was);
  return (after ?? before)!.perClass
    .filter((one) => one.count > 0)
    .map(({ name, count }): ClassRow => {
      const was = share(before, name);
      const is = share(after, name);
      const repeated = Math.max(1, after?.parts.length ?? 1);
      const compared =
        was === null || is === null
          ? null
          : { before: was, after: is, count, pairs: pairs?.get(name) ?? null, repeated };
      return { name, count, before: was, after: is, compared };
    })
    .sort((first, second) => change(second) - change(first) || first.name.localeCompare(second.name));
}

/** What was put right and what was broken of each class; null where the answers are not to the same images. */
function pairsByClass(
  before: SetAccuracy | null,
  after: SetAccuracy | null,
): Map<string, { fixed: number; broken: number }> | null {
  if (!before || !after || before.predictions.length !== after.labels.length) return null;
  const found = new Map<string, { fixed: number; broken: number }>();
  after.labels.forEach((label, i) => {
    const name = after.names[label] ?? "";
    const pairs = found.get(name) ?? { fixed: 0, broken: 0 };
    const [was, is] = [before.predictions[i] === label, after.predictions[i] === label];
    if (is && !was) pairs.fixed += 1;
    if (was && !is) pairs.broken += 1;
    found.set(name, pairs);
  });
  return found;
}
