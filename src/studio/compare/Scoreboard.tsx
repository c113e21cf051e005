// The three numbers that are always in sight, and how many blocks are open.
import type { AccuracyPoint, Evaluation } from "../../session/protocol.ts";

export interface ScoreboardProps {
  before: Evaluation | null;
  /** The evaluation that holds now: after training, or after blocks were toggled; null while none does. */
  current: Evaluation | null;
  /** Gates open now; null when there is no run. */
  openCount: number | null;
  gateCount: number | null;
  /** Live points of the run; the last one is shown while there is no `current`. */
  points: AccuracyPoint[];
}

export function Scoreboard(_props: ScoreboardProps) {
  return null;
}
