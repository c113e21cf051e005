// What happens during a run: the heatmap of gates, the timeline that scrubs it, and the curves. Pure: everything it
// shows comes in as props, everything a person does goes out as a call.
import type {
  AccuracyPoint,
  Evaluation,
  GateFrame,
  GateInfo,
  SessionEvent,
  StepReport,
} from "../../session/protocol.ts";

/** What the session is doing, as its `status` events say it. */
export type SessionStatus = Extract<SessionEvent, { kind: "status" }>["status"];

/** Arrays are compared by identity: hand over a new array when something was added, the same one when nothing was. */
export interface WatchProps {
  gates: GateInfo[];
  /** Every frame of the run so far, oldest first. */
  frames: GateFrame[];
  /** Threshold of the run: a gate is open while its score is at least this. */
  tau: number;
  /** Gate whose numbers stay in the detail panel; null for none. */
  selected: number | null;
  onSelect: (gate: number | null) => void;
  /** Asked to open or close a gate by hand; only called while `canToggle`. */
  onToggle: (gate: number) => void;
  canToggle: boolean;
  /** Gates as set by hand after training, one entry a gate; null while the last frame's hold. */
  open: Uint8Array | null;
  steps: StepReport[];
  points: AccuracyPoint[];
  before: Evaluation | null;
  status: SessionStatus;
}

export function Watch(_props: WatchProps) {
  return null;
}
