// The one product that all matrix products of the step are forms of: out = A·B (+ bias) (+ add), piece by piece. As
// WebGPU's (../webgpu/product.ts), with the same words.
import type { TensorInfo } from "@tensorflow/tfjs-core";
import type { Machine } from "./machine.ts";

export interface Operand {
  tensor: TensorInfo;
  /** Whether the depth k runs along memory ("inner") or across it. */
  layout: "k inner" | "k outer";
  /** Numbers from one line in memory to the next. */
  stride: number;
  /** Numbers from one piece to the next. */
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
  /** Numbers from one row of the result to the next (from one column, when it is turned), and to the next piece. */
  stride: number;
  piece: number;
  /** Stores the result transposed. */
  turned?: boolean;
  /** [columns] */
  bias?: TensorInfo | null;
  /** Same layout as the result. */
  add?: TensorInfo | null;
  /** [pieces], scales A·B of each piece. */
  scale?: TensorInfo | null;
}

/** Columns of a block of B: with a depth of 512 it takes a sixteenth of a usual second-level cache. */
const COLUMNS = 32;
const DEPTH = 512;
/** Fewer rows would not pay for packing B anew. */
const ROWS = 256;

/** Runs a product into a new tensor. */
export function product(machine: Machine, p: Product): TensorInfo {
  const { rows, columns, depth, pieces, a, b } = p;
  const out = machine.output(p.shape);
  const address = (tensor: TensorInfo | null | undefined) => (tensor ? machine.address(tensor) : 0);
  // Enough chunks that threads end together; whole tiles in each, so that cutting changes no result.
  const columnChunks = Math.ceil(columns / COLUMNS);
  const wanted = Math.ceil((4 * machine.threads) / (columnChunks * pieces));
  const rowChunks = Math.max(1, Math.min(wanted, Math.floor(rows / ROWS)));
  const rowsPerChunk = 6 * Math.ceil(rows / (6 * rowChunks));
  machine.run({
    kernel: "product",
    chunks: pieces * columnChunks * Math.ceil(rows / rowsPerChunk),
    scratch: 256 + 4 * COLUMNS * Math.min(depth, DEPTH),
    args: [
      ...[rows, columns, depth],
      ...[address(a.tensor), 4 * a.stride, a.layout === "k outer" ? 1 : 0, 4 * a.piece],
      ...[address(b.tensor), 4 * b.stride, b.layout === "k outer" ? 1 : 0, 4 * b.piece],
      ...[address(out), 4 * p.stride, 4 * p.piece],
      ...[address(p.bias), address(p.add), address(p.scale)],
      ...[rowsPerChunk, COLUMNS, p.turned ? 1 : 0],
    ],
  });
  return out;
}
