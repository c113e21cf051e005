// Which images get another answer than before, and which classes are taken for which.
import type { SetAccuracy } from "../../session/protocol.ts";

/** One held-out image; labels and predictions index the set's `names`. */
export interface Answer {
  /** Place in the set, as `imageUrl` counts. */
  index: number;
  label: number;
  before: number;
  after: number;
}

export type ChangeKind = "fixed" | "broken" | "other";

/** Images whose answer changed: wrong to right, right to wrong, wrong to another wrong one. In the set's order. */
export function changedAnswers(before: SetAccuracy, after: SetAccuracy): Record<ChangeKind, Answer[]> {
  const changed: Record<ChangeKind, Answer[]> = { fixed: [], broken: [], other: [] };
  for (const answer of answers(before, after)) {
    if (answer.before === answer.after) continue;
    const kind =
      answer.after === answer.label ? "fixed" : answer.before === answer.label ? "broken" : "other";
    changed[kind].push(answer);
  }
  return changed;
}

/** Images of class `label` that are answered `predicted` now. */
export function answersAt(
  before: SetAccuracy,
  after: SetAccuracy,
  label: number,
  predicted: number,
): Answer[] {
  return answers(before, after).filter((answer) => answer.label === label && answer.after === predicted);
}

function answers(before: SetAccuracy, after: SetAccuracy): Answer[] {
  return Array.from(after.labels, (label, index) => ({
    index,
    label,
    before: before.predictions[index] ?? -1,
    after: after.predictions[index]!,
  })).filter((answer) => answer.before >= 0);
}

export interface Confusion {
  /** Indices into `names` of the rows and columns: every class that has images, in the order of the names. */
  classes: number[];
  /** How often, row-major: row the true class, column the answer. */
  counts: Uint32Array;
  /** Per row, answers that are none of the classes (a classifier that knows more than the set holds). */
  elsewhere: Uint32Array;
}

export function confusion(set: Pick<SetAccuracy, "labels" | "predictions">): Confusion {
  const classes = [...new Set(set.labels)].sort((first, second) => first - second);
  const place = new Map(classes.map((label, index) => [label, index]));
  const counts = new Uint32Array(classes.length ** 2);
  const elsewhere = new Uint32Array(classes.length);
  set.labels.forEach((label, index) => {
    const row = place.get(label)!;
    const column = place.get(set.predictions[index]!);
    if (column === undefined) elsewhere[row]!++;
    else counts[row * classes.length + column]!++;
  });
  return { classes, counts, elsewhere };
}

/** The most frequent mistakes, most frequent first; ties in the order of the classes. */
export function commonMistakes(
  set: Pick<SetAccuracy, "labels" | "predictions">,
  limit: number,
): { label: number; predicted: number; count: number }[] {
  const found = new Map<string, { label: number; predicted: number; count: number }>();
  set.labels.forEach((label, index) => {
    const predicted = set.predictions[index]!;
    if (predicted === label) return;
    const key = `${label} ${predicted}`;
    const mistake = found.get(key) ?? { label, predicted, count: 0 };
    mistake.count++;
    found.set(key, mistake);
  });
  return [...found.values()]
    .sort(
      (first, second) =>
        second.count - first.count || first.label - second.label || first.predicted - second.predicted,
    )
    .slice(0, limit);
}
