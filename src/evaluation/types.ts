// What an evaluation says of one set; the session adds the set's id, role and name.

export interface ClassScore {
  name: string;
  count: number;
  correct: number;
}

export interface Score {
  count: number;
  correct: number;
  accuracy: number;
  /** 95 % Wilson interval. */
  interval: [number, number];
  /** Only classes that occur in `labels`, in their order. */
  perClass: ClassScore[];
  predictions: Int32Array;
  labels: Int32Array;
  names: string[];
}
