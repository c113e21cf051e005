// The trade-off curve as it is drawn: one row a number of open blocks.
import type { TradeOff } from "../../session/protocol.ts";
import { countOpen } from "../watch/gates.ts";

export interface TradeOffRow {
  open: number;
  flags: Uint8Array;
  /** Accuracy in per cent of each set, by id. */
  accuracy: Record<string, number>;
}

/** Rows of a curve, fewest blocks first. */
export function tradeOffRows({ sets, points }: TradeOff): TradeOffRow[] {
  return points.map(({ open, accuracies }) => ({
    open: countOpen(open),
    flags: open,
    accuracy: Object.fromEntries(sets.map(({ id }, i) => [id, 100 * (accuracies[i] as number)])),
  }));
}

/** Place of the row whose number of blocks is nearest; the fewer of two as near. */
export function nearestRow(rows: readonly { open: number }[], open: number): number {
  let best = 0;
  rows.forEach((row, i) => {
    if (Math.abs(row.open - open) < Math.abs((rows[best] as { open: number }).open - open)) best = i;
  });
  return best;
}

/** Ends of the axis of accuracy, in per cent, in tens. */
export function tradeOffDomain(rows: readonly TradeOffRow[], before: readonly number[]): [number, number] {
  const all = [...rows.flatMap(({ accuracy }) => Object.values(accuracy)), ...before];
  if (all.length === 0) return [0, 100];
  const low = Math.max(0, Math.floor((Math.min(...all) - 1) / 10) * 10);
  return [low, Math.min(100, Math.max(low + 20, Math.ceil((Math.max(...all) + 1) / 10) * 10))];
}
