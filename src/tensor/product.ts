// The one matrix product that every other is a form of, in the words that its bodies share: C = A·B for any of the layouts
// a training step needs, in p pieces side by side, with bias, residual and scale added as the result is stored.
import type { TensorInfo } from "@tensorflow/tfjs-core";

/** A matrix operand of one piece: where it starts and how far apart its rows are, in numbers. */
export interface Operand {
  tensor: TensorInfo;
  /** "k inner": the summed axis is contiguous (A as [M, K], B as [N, K]); "k outer": it strides ([K, M], [K, N]). */
  layout: "k inner" | "k outer";
  /** From one row in memory to the next. */
  stride: number;
  /** Distance between pieces. */
  piece: number;
}

export interface Product {
  rows: number;
  columns: number;
  depth: number;
  pieces: number;
  /** [rows, depth] */
  a: Operand;
  /** [depth, columns] */
  b: Operand;
  shape: number[];
  /** Row stride of C (and of `add`) and distance between its pieces. */
  stride: number;
  piece: number;
  /** [columns], added to every row; only with one piece. */
  bias?: TensorInfo | null | undefined;
  /** Laid out as C. */
  add?: TensorInfo | null | undefined;
  /** [pieces]: C = scale·A·B + add. */
  scale?: TensorInfo | null | undefined;
}
