// A made-up evaluation of one set, for tests of what is drawn of it.
import type { SetAccuracy } from "../../session/protocol.ts";

/** 50 of 100 right, but for what `more` says. */
export function setAccuracy(more: Partial<SetAccuracy>): SetAccuracy {
  return {
    id: "t",
    role: "target",
    name: "T",
    basis: { images: "all", count: more.count ?? 100, of: more.count ?? 100 },
    judge: "linear",
    count: 100,
    correct: 50,
    accuracy: 0.5,
    interval: [0, 1],
    balanced: 0.5,
    perClass: [],
    calibration: { ece: 0, bins: [] },
    parts: [],
    change: null,
    detection: null,
    predictions: new Int32Array(),
    confidence: new Float32Array(),
    energy: null,
    labels: new Int32Array(),
    names: [],
    ...more,
  };
}
