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

/** A cell of a matrix: images of a class, or once answered as one (`of`), that are answered `predicted` now. */
export interface Cell {
  of: "label" | "before";
  from: number;
  predicted: number;
}

/** The images of a cell. */
export function answersAt(before: SetAccuracy, after: SetAccuracy, { of, from, predicted }: Cell): Answer[] {
  return answers(before, after).filter((answer) => answer[of] === from && answer.after === predicted);
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
  /** Indices into `names` of the rows and columns: every class that is in the rows, in the order of the names. */
  classes: number[];
  /** How often, row-major: row the true class (or the answer before), column the answer. */
  counts: Uint32Array;
  /** Per row, answers that are none of the classes (a classifier that knows more than the set holds). */
  elsewhere: Uint32Array;
}

/** @param set its `labels` are the rows: the true classes, or the answers before */
export function confusion({
  labels: rows,
  predictions,
}: Pick<SetAccuracy, "labels" | "predictions">): Confusion {
  const classes = [...new Set(rows)].sort((first, second) => first - second);
  const place = new Map(classes.map((label, index) => [label, index]));
  const counts = new Uint32Array(classes.length ** 2);
  const elsewhere = new Uint32Array(classes.length);
  rows.forEach((label, index) => {
    const row = place.get(label)!;
    const column = place.get(predictions[index]!);
    if (column === undefined) elsewhere[row]!++;
    else counts[row * classes.length + column]!++;
  });
  return { classes, counts, elsewhere };
}

/**
 * The most frequent pairs that differ, most frequent first; ties in the order of the classes.
 * @param set its `labels` are where a pair comes from: the true class (then it is a mistake), or the answer before
 */
export function frequentPairs(
  { labels: rows, predictions }: Pick<SetAccuracy, "labels" | "predictions">,
  limit: number,
): { from: number; predicted: number; count: number }[] {
  const found = new Map<string, { from: number; predicted: number; count: number }>();
  rows.forEach((from, index) => {
    const predicted = predictions[index]!;
    if (predicted === from) return;
    const key = `${from} ${predicted}`;
    const pair = found.get(key) ?? { from, predicted, count: 0 };
    pair.count++;
    found.set(key, pair);
  });
  return [...found.values()]
    .sort(
      (first, second) =>
        second.count - first.count || first.from - second.from || first.predicted - second.predicted,
    )
    .slice(0, limit);
}
