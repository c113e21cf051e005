// The product of ../product.ts on the CPU.
import type { TensorInfo } from "@tensorflow/tfjs-core";
import type { Product } from "../product.ts";
import type { Machine } from "./machine.ts";

export interface WasmProduct extends Product {
  /** Stores the result transposed: `stride` is then from one column to the next. */
  turned?: boolean;
}

/** Columns of a block of B: with a depth of 512 it takes a sixteenth of a usual second-level cache. */
const COLUMNS = 32;
const DEPTH = 512;
/** Fewer rows would not pay for packing B anew. */
const ROWS = 256;

/** Runs a product into a new tensor. */
export function product(machine: Machine, p: WasmProduct): TensorInfo {
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
