// What an evaluation says of one set; the session adds the set's id, role and name.

export interface ClassScore {
  name: string;
  count: number;
  correct: number;
}

/** What is kept of the logits of each image: enough to say how sure an answer was, in 12 bytes. */
export interface Answers {
  predictions: Int32Array;
  /** Largest softmax probability; of k-NN the share of the vote. */
  confidence: Float32Array;
  /** log Σ exp(logits), the negative energy of Liu et al. 2020 (arXiv 2010.03759); null where there are no logits. */
  energy: Float32Array | null;
}

/** One bar of a reliability plot: answers whose confidence lies in ((i - 1) / bins, i / bins]. */
export interface CalibrationBin {
  count: number;
  /** Mean confidence, and share of right answers; 0 in an empty bin. */
  confidence: number;
  accuracy: number;
}

export interface Calibration {
  /** Expected calibration error: mean |accuracy - confidence| of the bins, weighted by their images. */
  ece: number;
  bins: CalibrationBin[];
}

export interface Score extends Answers {
  count: number;
  correct: number;
  accuracy: number;
  /** 95 % Wilson interval. */
  interval: [number, number];
  /** Mean accuracy of the classes that occur, each counting alike. */
  balanced: number;
  /** Only classes that occur in `labels`, in their order. */
  perClass: ClassScore[];
  calibration: Calibration;
  labels: Int32Array;
  names: string[];
}
