// What came out of a run: accuracies before and after on every set, per class, the images whose answer changed,
// the strength slider and the export. Pure: props in, calls out.
import type { FailureParts } from "../../failure.ts";
import type { AccuracyPoint, Evaluation, ExportReport, GateInfo } from "../../session/protocol.ts";
import type { SessionStatus } from "../watch/Watch.tsx";

export interface CompareProps {
  /** The linear probe, before any block was adapted. */
  before: Evaluation | null;
  /** As training left it. */
  after: Evaluation | null;
  /** After blocks were toggled or the strength was moved; null while `after` holds. */
  current: Evaluation | null;
  points: AccuracyPoint[];
  gates: GateInfo[];
  /** Gates open now, one entry a gate; null when there is no run. */
  open: Uint8Array | null;
  /** Share of the change that is applied, 0 to 1. */
  strength: number;
  /** Called at most every 200 ms while the slider moves, and when it is let go. */
  onStrength: (strength: number) => void;
  onToggle: (gate: number) => void;
  /** Back to the gates as trained and strength 1. */
  onReset: () => void;
  /** Address of the n-th held-out image of a set. The caller owns the address, caches it and revokes it. */
  imageUrl: (setId: string, index: number) => Promise<string>;
  onExport: () => void;
  /** The last export; the caller sets it to null once gates, strength or weights have changed since. */
  exportReport: ExportReport | null;
  exporting: boolean;
  /** Why the last export failed; null when it did not. */
  exportFailure: FailureParts | null;
  status: SessionStatus;
}

export function Compare(_props: CompareProps) {
  return null;
}
