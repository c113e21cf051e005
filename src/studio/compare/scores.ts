// Evaluations side by side: a role's mean accuracy, and each set before, after and now.
import type { AccuracyPoint, Evaluation, SetAccuracy, SetRole } from "../../session/protocol.ts";

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
  /** Last live accuracy while training runs, 0 to 1, and that of the same images before. */
  live: number | null;
  liveBefore: number | null;
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
      live: live.find((set) => set.id === id)?.accuracy ?? null,
      liveBefore: live.find((set) => set.id === id)?.before ?? null,
    }));
}

/** Ends of an accuracy axis, 0 to 1 in steps of 0.1, that holds every interval. */
export function accuracyAxis(rows: readonly SetRow[]): [low: number, high: number] {
  const ends = rows.flatMap((row) => {
    const measured = [row.before, row.after, row.now].flatMap((set) => (set ? set.interval : []));
    return row.live === null ? measured : [...measured, row.live];
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
  /** After less before, 0 where a side is missing. */
  change: number;
}

/** Classes of a set that have images, those with the greatest change first, then by name. */
export function classRows(before: SetAccuracy | null, after: SetAccuracy | null): ClassRow[] {
  const share = (set: SetAccuracy | null, name: string) => {
    const found = set?.perClass.find((one) => one.name === name);
    return found && found.count > 0 ? found.correct / found.count : null;
  };
  return (after ?? before)!.perClass
    .filter((one) => one.count > 0)
    .map(({ name, count }) => {
      const was = share(before, name);
      const is = share(after, name);
      return { name, count, before: was, after: is, change: was === null || is === null ? 0 : is - was };
    })
    .sort(
      (first, second) =>
        Math.abs(second.change) - Math.abs(first.change) || first.name.localeCompare(second.name),
    );
}
